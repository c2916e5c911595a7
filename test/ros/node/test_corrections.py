# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Cloud, parts, grid, path and key frames move with a correction of the graph within a second."""

import threading
import time
from types import SimpleNamespace

from nav_msgs.msg import OccupancyGrid, Path
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from ttt3r_ros.geometry import BODY_T_OPTICAL, transform
from ttt3r_ros.graph.solver.pose_graph import Estimate
from ttt3r_ros.node import messages
from ttt3r_ros.node.map_updates import read_map_update
from ttt3r_ros.node.mapping_node import HOUSEKEEPING_S

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MAST = transform(BODY_T_OPTICAL[:3, :3], [0.2, 0.0, 0.5])
PLACES, IMAGES_A_PLACE = 6, 3  # a cell is what two images agree on
WITHIN_S = 1.0
TICK_S = 0.9 * HOUSEKEEPING_S  # a timer that comes early finds what is not due yet
DELIVERED_S = 20.0  # of what is published already
SHIFTS = 2.0, -3.0  # metres along y, whole cells and voxels; one correction after the other


def middle_of_cloud(message):
    return messages.voxel_cloud(message).points[:, 1].mean()


def middle_of_parts(message):
    """Return the middle of a message that has all parts which have points now."""
    parts = read_map_update(message).parts.values()
    return np.concatenate([part.points for part in parts])[:, 1].mean()


def middle_of_grid(message):
    cells = np.reshape(message.data, (message.info.height, message.info.width))
    row = np.argwhere(cells >= 0)[:, 0].mean() + 0.5
    return message.info.origin.position.y + message.info.resolution * row


def middle_of_path(message):
    return np.mean([pose.pose.position.y for pose in message.poses])


def middle_of_key_frames(message):
    places = [point.y for marker in message.markers for point in marker.points]
    return np.mean(places)


TOPICS = {
    '/ttt3r/map_cloud': (PointCloud2, LATCHED, middle_of_cloud),
    '/ttt3r/map_updates': (PointCloud2, 10, middle_of_parts),
    '/map': (OccupancyGrid, LATCHED, middle_of_grid),
    '/ttt3r/path': (Path, 10, middle_of_path),
    '/ttt3r/loop_closures': (MarkerArray, LATCHED, middle_of_key_frames),
}


class ByHand:
    """A node whose map is looked after only when a test says so, by a clock of the test."""

    def __init__(self, rig, monkeypatch):
        self._seconds = 1e6
        clock = SimpleNamespace(monotonic=lambda: self._seconds)
        for module in ('pipeline', 'outputs', 'latched_topic'):
            monkeypatch.setattr(f'ttt3r_ros.node.{module}.time', clock)
        self._rig, self._node = rig, rig.start()
        self._catch_up = self._node._pipeline.catch_up
        monkeypatch.setattr(self._node._pipeline, 'catch_up', lambda: None)

    def run(self, job):
        """Run a job in the worker; wait for it, and for the messages that it made."""
        done = threading.Event()
        self._node._post(job)
        self._node._post(done.set)
        self._rig.spin_until(done.is_set, 'the job is done')
        clouds = self._node._outputs._clouds
        self._rig.spin_until(lambda: not clouds._busy.is_set(), 'the clouds are published')

    def tick(self):
        self._seconds += TICK_S
        self.run(self._catch_up)

    def correct(self, shift_m):
        """Move all key frames, as a loop that is closed does."""

        def move():
            graph = self._node._pipeline.mapper._back_end._graph
            nodes, at = graph._nodes, graph._nodes.estimate
            # The frame of the graph is that of the first camera: x to the right, -y of the map.
            moved = transform(np.eye(3), [-shift_m, 0.0, 0.0]) @ at.poses
            nodes.update(nodes.numbers, Estimate(moved, at.log_scales))
            graph._publish()

        self.run(move)


def drive(rig):
    """Show images of places a decimetre apart."""
    rig.mount_camera(MAST)
    for k in range(PLACES * IMAGES_A_PLACE):
        number, pattern = divmod(k, IMAGES_A_PLACE)
        stamp_ns = rig.now_ns()
        odom_T_base = transform(np.eye(3), [0.1 * number, 0, 0])
        rig.send_transform('odom', 'base_link', odom_T_base, stamp_ns)
        rig.show(number, stamp_ns, pattern=pattern)
        rig.wait_for_count('images mapped', k + 1)


@pytest.fixture
def by_hand(rig, monkeypatch):
    return ByHand(rig, monkeypatch)


def test_all_that_shows_the_map_moves_with_a_correction_within_a_second(rig, by_hand):
    received = {name: rig.collect(kind, name, qos) for name, (kind, qos, _) in TOPICS.items()}

    def middles():
        return {name: TOPICS[name][2](received[name][-1]) for name in TOPICS if received[name]}

    drive(rig)
    for _ in range(4):
        by_hand.tick()
    rig.spin_until(lambda: len(middles()) == len(TOPICS), 'all is published')
    expected = middles()

    for shift in SHIFTS:  # the second one just after the messages of the first
        by_hand.correct(shift)
        expected = {name: y + shift for name, y in expected.items()}
        for _ in range(int(WITHIN_S / HOUSEKEEPING_S)):
            by_hand.tick()

        def late(expected=expected):
            found = middles()
            return [name for name, y in expected.items() if not abs(found[name] - y) < 0.05]

        deadline = time.monotonic() + DELIVERED_S
        while late() and time.monotonic() < deadline:
            rig.spin_for(0.1)
        assert late() == []
