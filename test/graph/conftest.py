# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A robot that drives in a circle through a room whose points are known; nothing is rendered."""

from itertools import count

import numpy as np
import pytest

from ttt3r_ros.geometry import BODY_T_OPTICAL, invert, rotation_about, transform, transform_points
from ttt3r_ros.graph.closure import FeaturePoints
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.stored_graph import to_arrays
from ttt3r_ros.tracking.features import Tracks
from ttt3r_ros.tracking.local_features import LocalFeatures
from ttt3r_ros.tracking.relative_pose import RelativePose
from ttt3r_ros.tracking.tracked_pose import KeyView, TrackedPose, View

CAMERA = np.array([[160.0, 0, 111.5], [0, 160.0, 79.5], [0, 0, 1]])
GRAY = np.zeros((160, 224), np.uint8)
STEPS_A_ROUND = 36
RADIUS = 2.0
NEXT_DOOR = 20.0


class Room:
    """Points with descriptors, scattered over the walls around a circle; rooms side by side."""

    def __init__(self, seed=0, most=200):
        self.most = most
        rng = np.random.default_rng(seed)
        angle, height = rng.uniform(0, 2 * np.pi, 3000), rng.uniform(-1.2, 1.2, 3000)
        away = rng.uniform(4.0, 5.5, 3000)
        self.cloud = np.stack([away * np.cos(angle), away * np.sin(angle), height], axis=1)
        self.descriptors = rng.integers(0, 150, (3000, 128), dtype=np.uint8)

    def beside(self, *others):
        """Return this room and others, each next door to the one before."""
        rooms, both = (self, *others), Room()
        both.cloud = np.concatenate([r.cloud + [NEXT_DOOR * i, 0, 0] for i, r in enumerate(rooms)])
        both.descriptors = np.concatenate([r.descriptors for r in rooms])
        return both

    def view(self, map_T_camera, scale=1.0):
        """See so many of the points; depth is in a unit of `scale` metres."""
        points = transform_points(invert(map_T_camera), self.cloud)
        with np.errstate(divide='ignore', invalid='ignore'):
            px = points[:, :2] / points[:, 2:] * 160.0 + CAMERA[:2, 2]
        inside = (np.abs(points[:, 2] - 4.25) < 3.75) & ((px > 1) & (px < [222, 158])).all(axis=1)
        chosen = np.flatnonzero(inside)[: self.most]
        features = LocalFeatures(px[chosen].astype(np.float32), self.descriptors[chosen])
        return FeaturePoints(features, points[chosen] / scale, CAMERA)


class Robot:
    """Results of its tracker: motions that drift, half by chance, half the same in each step."""

    def __init__(self):
        self._views, self._stamps = {}, count()

    def drive(
        self, steps, room=None, first_number=0, odometry=False, scale=1.0, seed=5, mount=None
    ):
        """Return the key frames at places of a round, one track; lengths are in `scale` metres."""
        beside = np.eye(4) if mount is None else invert(BODY_T_OPTICAL) @ mount
        base_T_camera = BODY_T_OPTICAL if odometry else mount
        room = room or Room()
        keys, track, rng = [], np.eye(4), np.random.default_rng(seed)
        for k, before in zip(steps, [None, *steps]):
            here, stamp_ns, motion = self.place(k) @ beside, next(self._stamps), None
            shown = room.view(here, scale)
            px = shown.features.px
            if before is not None:
                wrong = rotation_about([0, 1, 0], 0.004 + rng.normal(0, 0.01))
                drift = transform(wrong, [0.005, 0.0, rng.normal(0, 0.01)])
                measured = invert(self.place(before) @ beside) @ here @ drift
                measured[:3, 3] /= scale
                spread = np.diag([0.01**2] * 3 + [0.02**2] * 3)
                motion = RelativePose(measured, spread, np.ones(len(px), bool), 1.0)
                track = track @ measured
            view = View(
                stamp_ns,
                np.zeros((160, 224, 3), np.uint8),
                CAMERA,
                depth=np.ones((160, 224)),
                odom_T_camera=self.place(k) if odometry else None,
                base_T_camera=base_T_camera,
            )
            # Each key frame numbers its features anew, so the window has nothing to adjust.
            tracks = Tracks(GRAY, 1000 * stamp_ns + np.arange(len(px)), px, px, len(px))
            log_depth, number = np.log(shown.points[:, 2]), first_number + len(keys)
            self._views[stamp_ns] = shown
            keys.append(
                KeyView(
                    number, view, tracks, log_depth, motion, 'features', track, 0.0, first_number
                )
            )
        return keys

    def frame(self, key):
        """Return what is kept of a key frame."""
        view, empty = key.view, np.empty(0, np.float32)
        return KeyFrame(
            key.number, view.stamp_ns, key.track_T_camera, 0.0, view.base_T_camera,
            view.odom_T_camera, self._views[view.stamp_ns], empty, None, True, key.track, False,
            view.camera_index,
        )  # fmt: skip

    @staticmethod
    def at(key):
        """Return the result of the tracker for the image that became a key frame."""
        stamp_ns, nothing = key.view.stamp_ns, np.zeros((6, 6))
        return TrackedPose(stamp_ns, key, np.eye(4), nothing, 'features', False, True, 99)

    @staticmethod
    def place(k):
        """Return the pose of the camera after so many steps; each 1000 is the next room."""
        room, k = divmod(k, 1000)
        angle = 2 * np.pi * k / STEPS_A_ROUND
        base = transform(
            rotation_about([0, 0, 1], angle + 0.5 * np.pi),
            [RADIUS * np.cos(angle) + NEXT_DOOR * room, RADIUS * np.sin(angle), 0.0],
        )
        return base @ BODY_T_OPTICAL

    def error(self, map_T_camera, k, first=0):
        """Return how far a camera is from its place, metres, in a map that begins at another."""
        rest = self.place(first) @ map_T_camera - self.place(k)
        return float(np.linalg.norm(rest[:3, 3]))

    def errors(self, poses):
        """Return how far from its place each key frame is whose number is its step, metres."""
        return {n: self.error(pose, n) for n, pose in poses.items()}


@pytest.fixture
def robot(monkeypatch):
    """Return a robot whose key frames see points of a room instead of an image."""
    robot = Robot()
    monkeypatch.setattr(KeyFrame, 'of', staticmethod(robot.frame))
    return robot


@pytest.fixture
def unthinned(monkeypatch):
    """Keep all key frames, whatever could replace them."""
    monkeypatch.setattr('ttt3r_ros.graph.key_frame_graph.ENOUGH_OTHERS', 1000)


@pytest.fixture(scope='module')
def saved():
    """Return a map of one round as arrays; key frame `n` is the one at index `n`."""
    graph, robot = KeyFrameGraph(), Robot()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KeyFrame, 'of', staticmethod(robot.frame))
        for key in robot.drive(range(STEPS_A_ROUND)):
            graph.add(key)
    return to_arrays(graph.stored())


@pytest.fixture
def other_room():
    """Return a room that has nothing in common with the usual one."""
    return Room(seed=1)


@pytest.fixture
def plain_room():
    """Return a room without a feature."""
    return Room(most=0)


@pytest.fixture
def two_rooms():
    """Return two rooms that look the same, twenty metres apart."""
    return Room().beside(Room())


@pytest.fixture
def three_rooms(other_room):
    """Return two rooms that look the same, and another one beside them."""
    return Room().beside(Room(), other_room)
