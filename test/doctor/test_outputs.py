# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import pytest

from ttt3r_ros.doctor.finding import Level
from ttt3r_ros.doctor.observed import Arrivals, Endpoint, ObservationSource

GRID = 'nav_msgs/msg/OccupancyGrid'
OUR_GRID = Endpoint('/ttt3r', GRID, 'RELIABLE')
COSTMAP = Endpoint('/local_costmap', 'sensor_msgs/msg/PointCloud2', 'RELIABLE')


@pytest.mark.parametrize(
    ('changes', 'seen', 'advice'),
    [
        ({'points.arrivals': Arrivals()}, 'none came on /ttt3r/points', 'above'),
        (
            {'points.subscribers': (COSTMAP,)},
            '/ttt3r offers BEST_EFFORT, /local_costmap requests RELIABLE',
            'best effort',
        ),
        (
            {'map_cloud.subscribers': (COSTMAP,)},
            '/local_costmap subscribes to /ttt3r/map_cloud',
            'use /ttt3r/points',
        ),
        (
            {'grid.publishers': (OUR_GRID, replace(OUR_GRID, node='/map_server'))},
            '/map has 2 publishers, /ttt3r, /map_server',
            'set the parameter occupancy.enabled to false',
        ),
    ],
)
def test_outputs_that_do_not_reach_their_subscribers_are_explained(find, changes, seen, advice):
    find(changes, Level.FAIL, seen, advice)


def test_points_without_a_subscriber_are_a_warning(judge, find):
    find({'points.subscribers': ()}, Level.WARN, 'nothing can be marked')

    assert Level.FAIL not in {one.level for one in judge({'points.subscribers': ()})}


@pytest.mark.parametrize(
    'name', ['/_ros2cli_4711', '/rviz2', '/rviz', '/robot/foxglove_bridge', '/viewer']
)
def test_a_tool_that_looks_at_the_points_is_no_costmap(find, name):
    tool = Endpoint(name, COSTMAP.kind, 'BEST_EFFORT')

    find({'points.subscribers': (tool,)}, Level.WARN, f'{name} alone: nothing can be marked')
    costmap = replace(tool, node='/local_costmap/local_costmap')
    find({'points.subscribers': (tool, costmap)}, Level.OK, 'received by /local_costmap')


VOXELS = ObservationSource('/local_costmap', 'voxel_layer', 'ttt3r')


@pytest.mark.parametrize(
    ('changes', 'level', 'seen'),
    [
        ({'enabled': False}, Level.FAIL, 'the layer is off'),
        ({'marking': False}, Level.FAIL, 'marking is off'),
        ({'max_obstacle_height': 0.0}, Level.FAIL, 'from 0.08 to 0 m height'),
        ({'clearing': False}, Level.WARN, 'clearing is off'),
    ],
)
def test_a_costmap_that_cannot_mark_or_clear_is_named(find, changes, level, seen):
    found = find({'sources': (replace(VOXELS, **changes),)}, level, seen)

    assert found.seen.startswith('voxel_layer.ttt3r of /local_costmap')


MARKS = replace(VOXELS, source='marks', clearing=False)
CLEARS = replace(VOXELS, source='clears', marking=False)


@pytest.mark.parametrize(
    ('sources', 'levels'),
    [
        ((MARKS, CLEARS), {Level.OK}),
        ((VOXELS, replace(CLEARS, layer='obstacle_layer')), {Level.OK}),
        ((VOXELS, replace(VOXELS, source='low', max_obstacle_height=0.0)), {Level.OK}),
        # A layer clears only its own marks, and a costmap has only its own.
        ((MARKS, replace(CLEARS, layer='obstacle_layer')), {Level.OK, Level.WARN}),
        ((MARKS, replace(CLEARS, costmap='/global')), {Level.OK, Level.WARN, Level.FAIL}),
        ((CLEARS, replace(CLEARS, source='too')), {Level.OK, Level.FAIL}),
    ],
)
def test_a_topic_may_mark_by_one_source_and_clear_by_another(judge, sources, levels):
    found = judge({'sources': sources})

    assert {one.level for one in found} == levels
