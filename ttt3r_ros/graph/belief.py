# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is believed of all key frames, as one value, and of an image by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, IDENTITY, invert, motion_between, scaled, Similarity
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.solver.rotations import exp_pose, log_pose
from ttt3r_ros.graph.wheels import camera_covariance, WheelNoise
from ttt3r_ros.tracking.tracked_pose import KeyView, TrackedPose, View

LIVE_INFLATION = 4.0  # of a pose's covariance, which takes errors for independent
# Wheels that contradict the pixels by more slipped, jumped or began anew: chi2 of six numbers.
MOST_SURPRISE = 64.0
# Of the covariance of the newest key frame, which takes errors for independent, too. With it 95 %
# of all live errors lie inside 2 sigma (benchmark.accuracy --part covariance).
GRAPH_INFLATION = 2.0
UNIT_SIGMA = 0.06  # of the logarithm of the unit in which pixels measure a way


@dataclass(frozen=True, eq=False)
class Located:
    """
    Where an image is in the map, or where it is in a submap of which the map knows nothing yet.

    map_T_camera: (4, 4), in the frame of the submap unless in_map. covariance: (6, 6) of rotation
    and translation to the right of it. map_T_key: of the key frame
    that it is relative to, from the unit of that one's depth. in_map: without it the pose must
    not be given out. by_wheels: whether they, or other cameras of the robot, measured the motion
    from that key frame, in metres, too. since_key: the part of the covariance of that motion.
    """

    map_T_camera: Array
    covariance: Array
    map_T_key: Similarity
    in_map: bool
    by_wheels: bool = False
    since_key: Array = field(default_factory=lambda: np.zeros((6, 6)))


@dataclass(frozen=True)
class LoopCounts:
    """How many loops were tried, accepted, and rejected after they had been accepted."""

    tried: int = 0
    accepted: int = 0
    rejected: int = 0


@dataclass(frozen=True, eq=False)
class Belief:
    """
    All that others may read, replaced as a whole.

    correction: map_T_track, right at the newest key frame. generation: counts the corrections.
    newest: key frame of each camera, by its index; none before the first one of a submap. poses:
    map_T_camera of each key frame of the map. apart: of those of other submaps, each in the frame
    of its submap. log_scales: of both. lost: no submap that grows has a place in the map,
    correction leads into its own frame. loops: pairs of key frames. counts: of loops. covariance:
    (6, 6) of the newest key frame, rotation and translation to the right of it, since the first
    one of its submap. bends: of the depths, see `bends`.
    """

    correction: Similarity
    generation: int
    newest: Mapping[int, KeyFrame]
    poses: Mapping[int, Array]
    apart: Mapping[int, Array]
    log_scales: Mapping[int, float]
    lost: bool
    loops: tuple[tuple[int, int], ...]
    counts: LoopCounts
    covariance: Array
    bends: Mapping[int, Array] = field(default_factory=dict)

    def locate(self, tracked_pose: TrackedPose, wheels: WheelNoise, start: Array) -> Located:
        """
        Compute where an image is.

        :param tracked_pose: by the tracker.
        :param wheels: how good they are.
        :param start: (4, 4) pose of the first key frame of a submap in its frame, metres.
        """
        key, noise = tracked_pose.key, (wheels, tracked_pose.key.view.base_T_camera)
        pose, in_map = self.poses.get(key.number, self.apart.get(key.number)), False
        newest = self.newest.get(key.view.camera_index)
        scale = float(np.exp(self._log_scale(key, newest)))
        # The image is measured from the key frame, wherever the key frame itself lies.
        since = None
        if not tracked_pose.slipped:
            since = motion_between(key.view.odom_T_camera, tracked_pose.odom_T_camera)
        by_pixels = scaled(tracked_pose.key_T_camera, scale)
        hangs, covariance = _weighed(by_pixels, tracked_pose.covariance, since, *noise)
        if pose is not None:
            motion, in_map = hangs, key.number in self.poses
        elif newest is None or newest.track != key.track:  # the first key frame of a submap
            pose, motion, in_map = start, tracked_pose.track_T_camera, self.generation == 0
            motion, covariance = _weighed(motion, tracked_pose.covariance, since, *noise)
        else:  # the key frame has not been thought about yet: go on from one that has
            pose, in_map = self.pose_of(newest.number), newest.number in self.poses
            motion, covariance = _weighed(*self._motion_from(newest, tracked_pose), *noise)
        map_T_key = Similarity.through(pose @ motion, scaled(hangs, 1 / scale), scale)
        carried = adjoint(invert(self._across(key.view) @ motion))
        total = covariance + carried @ (GRAPH_INFLATION * self.covariance) @ carried.T
        return Located(pose @ motion, total, map_T_key, in_map, since is not None, covariance)

    def _log_scale(self, key: KeyView, newest: KeyFrame | None) -> float:
        """Return the scale of a key frame's depth, by the newest one that is estimated."""
        if key.number in self.log_scales:
            return self.log_scales[key.number]
        if newest is None or newest.track != key.track:
            return key.log_scale
        return key.log_scale + (self.log_scales[newest.number] - newest.log_scale)

    def _motion_from(
        self, newest: KeyFrame, tracked_pose: TrackedPose
    ) -> tuple[Array, Array, Array | None]:
        """Return the motion from the newest estimated key frame, covariance and by wheels."""
        key, covariance = tracked_pose.key, tracked_pose.covariance
        stretch = self.log_scales[newest.number] - newest.log_scale
        motion = invert(newest.track_T_camera) @ tracked_pose.track_T_camera
        if key.motion is not None:
            covariance = covariance + key.motion.covariance
        by_wheels = None
        if not tracked_pose.slipped and not key.slipped:
            by_wheels = motion_between(newest.odom_T_camera, tracked_pose.odom_T_camera)
        return scaled(motion, float(np.exp(stretch))), covariance, by_wheels

    @property
    def newest_of_all(self) -> KeyFrame | None:
        """Return the newest key frame, None before the first one of a submap."""
        return max(self.newest.values(), key=lambda frame: frame.number, default=None)

    def _across(self, view: View) -> Array:
        """Return how a camera is mounted beside the one of the newest key frame, (4, 4)."""
        newest = self.newest_of_all
        if newest is None or newest.camera_index == view.camera_index:
            return IDENTITY
        if newest.base_T_camera is None or view.base_T_camera is None:
            return IDENTITY
        return invert(newest.base_T_camera) @ view.base_T_camera

    def pose_of(self, number: int) -> Array:
        """
        Return the pose of a key frame in the frame of its submap, (4, 4).

        :param number: of the key frame.
        """
        return self.poses[number] if number in self.poses else self.apart[number]


def _weighed(
    motion: Array,
    covariance: Array,
    by_wheels: Array | None,
    wheels: WheelNoise,
    base_T_camera: Array | None,
) -> tuple[Array, Array]:
    """Combine the motion by pixels with that by wheels, if there is one."""
    if by_wheels is None:
        return motion, covariance
    theirs = camera_covariance(by_wheels, wheels, base_T_camera)
    way = motion[:3, :3].T @ motion[:3, 3]
    mine = LIVE_INFLATION * covariance + 1e-9 * np.eye(6)
    mine[3:, 3:] += UNIT_SIGMA**2 * np.outer(way, way)  # its unit is not known well
    error = log_pose(invert(motion) @ by_wheels)
    if error @ np.linalg.solve(mine + theirs, error) > MOST_SURPRISE:
        return motion, mine
    gain = mine @ np.linalg.inv(mine + theirs)
    fused: Array = motion @ exp_pose(gain @ error)
    return fused, mine - gain @ mine
