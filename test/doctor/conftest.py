# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A healthy system, made up, and the results when parts of it change; no ROS is needed."""

from dataclasses import replace

import pytest

from ttt3r_ros.doctor.middleware import Profile, SharedMemory
from ttt3r_ros.doctor.observed import (
    Arrivals,
    Endpoint,
    Link,
    MappingNodeSeen,
    ObservationSource,
    Observed,
    Topic,
)
from ttt3r_ros.tools import doctor

IMAGE, INFO = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'
CLOUD, TF = 'sensor_msgs/msg/PointCloud2', 'tf2_msgs/msg/TFMessage'
GRID = 'nav_msgs/msg/OccupancyGrid'
FRESH = Arrivals(count=150, rate_hz=30.0, age_s=0.02)
SIZE = {'frame_id': 'optical', 'width': 640, 'height': 480}
PROFILE = Profile('FASTDDS_DEFAULT_PROFILES_FILE', 'large.xml', True, 64 * 2**20)
MEMORY = SharedMemory(size=8 * 2**30, free=7 * 2**30, abandoned=0)


def end(node, kind, reliability='RELIABLE', durability='VOLATILE'):
    return Endpoint(node, kind, reliability, durability)


def topic(name, kind, publisher, subscriber, **more):
    return Topic(name, (publisher,), (subscriber,), **{'arrivals': FRESH, **more})


HEALTHY = Observed(
    name='/ttt3r',
    node=MappingNodeSeen(report='OK'),
    nodes=('/camera', '/urdf', '/wheels'),
    image=topic(
        '/image',
        IMAGE,
        end('/camera', IMAGE, 'BEST_EFFORT'),
        end('/ttt3r', IMAGE, 'BEST_EFFORT'),
        encoding='rgb8',
        size=921_600,
        **SIZE,
    ),
    camera_info=topic('/camera_info', INFO, end('/camera', INFO), end('/ttt3r', INFO), **SIZE),
    tf=topic('/tf', TF, end('/wheels', TF), end('/ttt3r', TF)),
    tf_static=topic(
        '/tf_static',
        TF,
        end('/urdf', TF, 'RELIABLE', 'TRANSIENT_LOCAL'),
        end('/ttt3r', TF, 'RELIABLE', 'TRANSIENT_LOCAL'),
    ),
    points=topic(
        '/ttt3r/points',
        CLOUD,
        end('/ttt3r', CLOUD, 'BEST_EFFORT'),
        end('/local_costmap/local_costmap', CLOUD, 'BEST_EFFORT'),
    ),
    map_cloud=Topic('/ttt3r/map_cloud'),
    grid=Topic('/map', (end('/ttt3r', GRID),)),
    links=(
        Link('map', 'odom', False, ('/ttt3r',), True, FRESH),
        Link('odom', 'base_link', False, ('/wheels',), True, FRESH),
        Link('base_link', 'optical', True, ('/urdf',), True, Arrivals(count=1)),
    ),
    sources=(ObservationSource('/local_costmap/local_costmap', 'voxel_layer', 'ttt3r'),),
)


def changed(thing, path, value):
    """Return a copy with one other value, for example of `image.arrivals.count`."""
    name, _, rest = path.partition('.')
    return replace(thing, **{name: changed(getattr(thing, name), rest, value) if rest else value})


@pytest.fixture
def healthy():
    return HEALTHY


@pytest.fixture
def profile():
    return PROFILE


@pytest.fixture
def judge(monkeypatch):
    """Judge the healthy system, with other values by their paths."""
    for name in ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOCALHOST_ONLY'):
        monkeypatch.delenv(name, raising=False)

    def judge(changes, profile=PROFILE, memory=MEMORY):
        observed = HEALTHY
        for path, value in changes.items():
            observed = changed(observed, path, value)
        return list(doctor.judge(observed, profile, memory))

    return judge


@pytest.fixture
def find(judge):
    """Expect one finding of a level, with these words, and no other that is as bad."""

    def find(changes, level, seen, advice='', **more):
        found = judge(changes, **more)
        bad = [one for one in found if one.level is level]
        matching = [one for one in bad if seen in one.seen and advice in one.advice]
        assert len(matching) == 1, doctor.as_text(found)
        return matching[0]

    return find
