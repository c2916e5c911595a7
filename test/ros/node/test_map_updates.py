# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A subscriber that applies the changed parts has the map."""

import time
from unittest.mock import Mock

from geometry_msgs.msg import PoseWithCovarianceStamped
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from ttt3r_ros.geometry import BODY_T_OPTICAL, rotation_about, Similarity, transform
from ttt3r_ros.mapping.parts import EMPTY_FOR
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.mapping.world_map import MapImage, WorldMap
from ttt3r_ros.node import map_updates, messages
from ttt3r_ros.node.clouds import CloudPublisher
from ttt3r_ros.node.latched_topic import MapAge
from ttt3r_ros.node.map_updates import MapUpdate, read_map_update
from ttt3r_ros.settings import MappingSettings, OutputSettings
from ttt3r_ros.tracking.frame import Pointmap

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MAST = transform(BODY_T_OPTICAL[:3, :3], [0.2, 0.0, 0.5])
OFTEN = {'outputs.map_cloud_period': 0.05}


class Replica:
    """The map of a subscriber."""

    def __init__(self):
        self.map_number, self.generation, self.parts = None, 0, {}

    def apply(self, message):
        update = read_map_update(message)
        if update.map_number != self.map_number:
            self.map_number, self.generation, self.parts = update.map_number, 0, {}
        assert self.generation in (0, update.generation - 1)
        self.generation = update.generation
        self.parts.update(update.parts)

    def rows(self):
        return in_order(VoxelCloud.joined(list(self.parts.values())))


def in_order(cloud):
    """Return the points with colours and confidence, (N, 7), whatever their order is."""
    rows = np.concatenate([cloud.points, cloud.colors, cloud.confidence[:, None]], axis=1)
    return rows[np.lexsort(rows.T)]


def cloud(seed, count):
    rng = np.random.default_rng(seed)
    return VoxelCloud(
        rng.normal(size=(count, 3)).astype(np.float32),
        rng.integers(0, 256, (count, 3), dtype=np.uint8),
        rng.uniform(1, 9, count).astype(np.float32),
    )


def test_an_update_is_read_as_it_was_written():
    parts = {(-32, 0, 64): cloud(0, 5), (0, 0, 0): cloud(1, 0), (0, 0, 32): cloud(2, 1)}
    message = map_updates.map_update(MapUpdate(1_700_000_000, 7, parts), Header(frame_id='map'))

    found = read_map_update(message)

    assert (found.map_number, found.generation) == (1_700_000_000, 7)
    assert not message.is_dense
    assert list(found.parts) == list(parts)
    for corner, expected in parts.items():
        np.testing.assert_array_equal(in_order(found.parts[corner]), in_order(expected))


def test_parts_are_divided_among_messages_of_bounded_size(monkeypatch):
    monkeypatch.setattr(map_updates, 'MOST_ROWS', 10)
    parts = {(32 * i, 0, 0): cloud(i, count) for i, count in enumerate([4, 6, 1, 25, 0, 9, 1])}

    found = [[len(c.points) for c in some.values()] for some in map_updates.in_messages(parts)]

    assert found == [[4, 6], [1], [25], [0, 9], [1]]


def image(key, pose, seed):
    """Return an image of key frame `key`, with points somewhere before the camera."""
    points = np.random.default_rng(seed).uniform([-1, -1, 1], [1, 1, 4], (24, 32, 3))
    colors = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    pointmap = Pointmap(points.astype(np.float32), np.full((24, 32), 5, np.float32), colors)
    here = Similarity(np.eye(4))
    return MapImage(pointmap, key, here, Similarity(pose), None, focal_px=16.0)


class Watched:
    """A topic that publishes at each turn, to a replica."""

    def __init__(self, replica):
        self.is_new_to_some = False
        self.restart, self._replica = Mock(), replica

    def take_turn(self, period, age):
        return True

    def publish(self, message):
        self._replica.apply(message)


@pytest.fixture
def published():
    """Return a replica, and a function that publishes a map to it and waits until it is there."""
    replica, errors = Replica(), []
    publisher = CloudPublisher(Mock(take_turn=lambda *_: False), Watched(replica), errors.append)

    def publish(world):
        publisher.offer(world, Header(), MapAge(1, True), OutputSettings())
        while publisher._busy.is_set():
            time.sleep(0.001)
        assert errors == []

    yield replica, publish, publisher
    publisher.close()


def test_after_corrections_and_resets_a_subscriber_has_exactly_the_map(published):
    replica, publish, publisher = published
    world = WorldMap(MappingSettings())
    poses = [transform(rotation_about([0, 0, 1], 0.3 * k), [0.8 * k, 0, 0]) for k in range(6)]
    for number, pose in enumerate(poses):
        world.add(image(number, pose, number))
        publish(world)
    np.testing.assert_array_equal(replica.rows(), in_order(world.voxels.points()))

    closed = transform(rotation_about([0, 0, 1], -0.2), [0.0, 3.0, 0.5])
    world.move({n: Similarity(closed @ pose) for n, pose in enumerate(poses)})
    while not world.follows:
        world.follow()
    publish(world)
    np.testing.assert_array_equal(replica.rows(), in_order(world.voxels.points()))
    assert any(not len(part.points) for part in replica.parts.values())  # where it has been

    publisher.restart()
    publish(WorldMap(MappingSettings()))
    assert replica.generation == 1
    assert len(replica.rows()) == 0


def test_a_subscriber_that_missed_when_parts_became_empty_is_sent_the_whole_map(published):
    replica, publish, _ = published
    world = WorldMap(MappingSettings())
    world.add(image(0, np.eye(4), 0))
    publish(world)
    before = len(replica.parts)
    replica.parts.clear()  # as if none had come
    for number in range(1, EMPTY_FOR + 2):
        world.add(image(0, np.eye(4), number))
        world.snapshot()
    publish(world)

    assert len(replica.parts) >= before
    np.testing.assert_array_equal(replica.rows(), in_order(world.voxels.points()))


def drive(rig, numbers, first=0):
    """Show images, each a decimetre further; return when the last is mapped."""
    for number in numbers:
        stamp_ns = rig.now_ns()
        odom_T_base = transform(np.eye(3), [0.1 * number, 0, 0])
        rig.send_transform('odom', 'base_link', odom_T_base, stamp_ns)
        rig.show(number, stamp_ns)
        rig.wait_for_count('images mapped', first + number + 1)


def test_over_dds_the_updates_end_with_the_whole_map_also_after_a_correction_and_a_reset(rig):
    node = rig.start(**OFTEN)
    replica = Replica()
    updates = rig.collect(PointCloud2, '/ttt3r/map_updates')
    clouds = rig.collect(PointCloud2, '/ttt3r/map_cloud', LATCHED)
    rig.mount_camera(MAST)

    def apply_all():
        while updates:
            replica.apply(updates.pop(0))

    def is_reset():
        apply_all()
        return replica.map_number > first

    def same():
        apply_all()
        if not clouds or not replica.parts:
            return False
        whole, mine = in_order(messages.voxel_cloud(clouds[-1])), replica.rows()
        return whole.shape == mine.shape and np.array_equal(whole, mine)

    drive(rig, range(4))
    rig.spin_until(lambda: same() and len(replica.rows()) > 100, 'both are the same')
    first, before = replica.map_number, replica.rows()

    wanted = PoseWithCovarianceStamped()
    wanted.header.frame_id = 'map'
    wanted.pose.pose = messages.pose_message(transform(np.eye(3), [7.0, 8.0, 0.0]))
    rig.publisher(PoseWithCovarianceStamped, '/initialpose').publish(wanted)
    rig.spin_until(
        lambda: same() and replica.rows()[:, 1].min() > before[:, 1].max() + 5, 'the map moves'
    )
    np.testing.assert_array_equal(
        replica.rows(), in_order(node._pipeline.mapper.map.voxels.points())
    )
    assert replica.map_number == first

    assert rig.call(Trigger, '/ttt3r/reset').success
    rig.spin_until(is_reset, 'the reset is told')
    drive(rig, range(2), first=4)
    rig.spin_until(lambda: same() and len(replica.rows()) > 100, 'both are the same again')
    assert replica.rows()[:, 1].max() < 7.0


def test_a_later_subscriber_is_sent_the_whole_map(rig):
    rig.start(**OFTEN)
    rig.mount_camera(MAST)
    clouds = rig.collect(PointCloud2, '/ttt3r/map_cloud', LATCHED)
    drive(rig, range(3))
    rig.spin_until(lambda: clouds, 'the map comes')
    rig.wait_until_quiet(clouds, 1.2)

    updates = rig.collect(PointCloud2, '/ttt3r/map_updates')
    rig.spin_until(lambda: updates, 'the parts come')

    replica = Replica()
    replica.apply(updates[0])
    np.testing.assert_array_equal(replica.rows(), in_order(messages.voxel_cloud(clouds[-1])))
