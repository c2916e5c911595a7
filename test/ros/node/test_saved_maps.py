# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a map on the disk, and the latched topics of one, owe to those who rely on them."""

from nav_msgs.msg import OccupancyGrid
import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger
import torch

from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.mapping.occupancy import UNKNOWN
from ttt3r_ros.mapping.storage import read_map
from ttt3r_ros.model.predictor import Predictor, random_network
from ttt3r_ros.node.qos import LATCHED

# A second, with time for a machine that is busy; the periods of the topics are an hour.
SOON_S = 5.0
RARELY = {'outputs.map_cloud_period': 3600.0, 'outputs.occupancy_period': 3600.0}
CAMERA_ALONE = {'odom_frame': '', 'base_frame': '', 'camera.height': 0.8}


@pytest.fixture
def start(rig, tmp_path):
    """Start the node with maps in a folder of the test."""

    def start(**values):
        return rig.start(map_directory=str(tmp_path), **{**CAMERA_ALONE, **values})

    return start


def build_real(settings):
    torch.set_num_threads(1)
    return Mapper(Predictor(random_network(torch.device('cpu'), 'strict')), settings.mapping)


def map_images(rig, poses, numbers):
    for number in numbers:
        stamp_ns = rig.now_ns()
        rig.show(number, stamp_ns)
        rig.wait_for_stamp(poses, stamp_ns)


def trigger(rig, name):
    return rig.call(Trigger, f'/ttt3r/{name}')


def stop(rig):
    """End the node as a signal does; another may start then."""
    node, executor, thread = rig.nodes.pop()
    executor.shutdown(timeout_sec=5)
    thread.join(5)
    node.release()
    node.destroy_node()


@pytest.mark.parametrize('name', ['save_map', 'export_cloud'])
def test_an_empty_map_is_not_written_and_the_old_file_stays(rig, start, tmp_path, name):
    for file in ('map.ttt3r', 'map.ply'):
        (tmp_path / file).write_bytes(b'of yesterday')
    start()

    answer = trigger(rig, name)

    assert not answer.success
    assert 'the map is empty' in answer.message
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b'of yesterday'}


def test_a_respawned_node_goes_on_with_the_map_that_it_saved_by_itself(
    rig, start, poses, tmp_path
):
    keeps = {'autoload': True, 'autosave_period': 0.5, 'build_mapper': build_real}
    keeps['map.confidence_threshold'] = 1.0
    start(**keeps)
    map_images(rig, poses, [0, 40])
    rig.spin_until((tmp_path / 'map.ttt3r').exists, 'the map is saved')
    map_images(rig, poses, [80])
    stop(rig)
    saved = read_map(tmp_path / 'map.ttt3r')
    assert saved.track.frames == 3  # the last image too, which came after the first saving

    node = start(**keeps)
    rig.wait_for_log('autoload: read')

    np.testing.assert_allclose(
        np.sort(node._pipeline.mapper.map.voxels.points().points, axis=0),
        np.sort(saved.cloud.points, axis=0),
        atol=1e-6,
    )


@pytest.mark.parametrize('autoload', [False, True])
def test_a_map_of_an_earlier_session_is_not_replaced_without_a_word(
    rig, start, poses, tmp_path, autoload
):
    (tmp_path / 'map.ttt3r').write_bytes(b'of yesterday, or of other weights')
    start(autoload=autoload, autosave_period=0.1)
    map_images(rig, poses, [0, 1])

    rig.wait_for_status('of an earlier session')
    stop(rig)

    assert (tmp_path / 'map.ttt3r').read_bytes() == b'of yesterday, or of other weights'


def test_what_save_map_wrote_is_saved_by_itself_afterwards(rig, start, poses, tmp_path):
    (tmp_path / 'map.ttt3r').write_bytes(b'of yesterday')
    start(autosave_period=3600.0)
    map_images(rig, poses, [0])
    assert trigger(rig, 'save_map').success
    before = len(read_map(tmp_path / 'map.ttt3r').cloud.points)
    map_images(rig, poses, [60])

    stop(rig)

    assert len(read_map(tmp_path / 'map.ttt3r').cloud.points) > before


def test_latched_topics_follow_the_last_image_a_reset_and_a_loaded_map(
    rig, start, poses, tmp_path
):
    start(**RARELY)
    clouds = rig.collect(PointCloud2, '/ttt3r/map_cloud', LATCHED)
    grids = rig.collect(OccupancyGrid, '/map', LATCHED)

    def follow(what, has_come):
        rig.spin_until(
            lambda: clouds and grids and has_come(clouds[-1], np.array(grids[-1].data)),
            f'both topics follow {what}',
            SOON_S,
        )

    map_images(rig, poses, [0, 1, 2])
    last = poses[-1].header.stamp
    follow('the last image', lambda *_: clouds[-1].header.stamp == last == grids[-1].header.stamp)
    assert trigger(rig, 'save_map').success
    width, cells = clouds[-1].width, grids[-1].data

    assert trigger(rig, 'reset').success
    follow('a reset', lambda cloud, grid: cloud.width == 0 and (grid == UNKNOWN).all())
    assert len(grids[-1].data) == len(cells)

    assert trigger(rig, 'load_map').success
    follow('a loaded map', lambda cloud, grid: cloud.width == width)
    assert grids[-1].data == cells


def test_a_map_that_does_not_change_is_not_sent_again(rig, start, poses):
    start(**{'outputs.map_cloud_period': 0.1})
    clouds = rig.collect(PointCloud2, '/ttt3r/map_cloud', LATCHED)
    map_images(rig, poses, [0])
    rig.spin_until(lambda: clouds, 'the map comes')

    rig.wait_until_quiet(clouds, 2.0)
