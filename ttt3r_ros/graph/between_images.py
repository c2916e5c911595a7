# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where a camera was at a time at which it took no image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, scaled
from ttt3r_ros.graph.solver.rotations import exp_pose, log_pose
from ttt3r_ros.tracking.tracked_pose import TrackedPose
from ttt3r_ros.units import NANOSECONDS

MOST_GAP_S = 0.5  # between two images of a camera, so that it is known where it was between
# What a robot may accelerate between two images.
TURN_ACCELERATION, ACCELERATION = 3.0, 1.5


def around(stamp_ns: int, images: Sequence[TrackedPose]) -> tuple[TrackedPose, TrackedPose] | None:
    """Return the images before and after a stamp, the same one twice where it is of that stamp."""
    before = [one for one in images if one.stamp_ns <= stamp_ns]
    after = [one for one in images if one.stamp_ns >= stamp_ns]
    if not before or not after:
        return None
    first, second = before[-1], after[0]
    seconds = (second.stamp_ns - first.stamp_ns) / NANOSECONDS
    if seconds > MOST_GAP_S or first.key.track != second.key.track:
        return None
    return first, second


def interpolated(stamp_ns: int, before: TrackedPose, after: TrackedPose) -> tuple[Array, Array]:
    """Return where a camera was between two images, from the key frame of the first one."""
    if before is after:
        return before.key_T_camera, before.covariance
    since = (stamp_ns - before.stamp_ns) / NANOSECONDS
    until = (after.stamp_ns - stamp_ns) / NANOSECONDS
    unit = float(np.exp(-before.key.log_scale))
    motion = scaled(invert(before.track_T_camera) @ after.track_T_camera, unit)
    pose = before.key_T_camera @ exp_pose(log_pose(motion) * since / (since + until))
    return pose, before.covariance + _accelerated(since * until)


def unknown_motion(since: float, period: float) -> Array:
    """
    Return the covariance of a motion that is taken to go on as before, (6, 6).

    :param since: seconds for which it goes on.
    :param period: seconds over which it was measured.
    """
    return _accelerated(since * (since + period))


def _accelerated(square_s: float) -> Array:
    """Return the covariance of what an acceleration may add in a time, seconds squared."""
    return np.diag((0.5 * square_s * np.repeat([TURN_ACCELERATION, ACCELERATION], 3)) ** 2)


def moved_to(stamp_ns: int, images: Sequence[TrackedPose]) -> TrackedPose | None:
    """
    Return where a camera was at a time: between two images, or if it goes on as before.

    The wheels of its image, which was taken at another time, are left out.
    """
    both = around(stamp_ns, images)
    if both is not None:
        pose, covariance = interpolated(stamp_ns, *both)
        return _carried_to(stamp_ns, both[0], pose, covariance)
    if len(images) < 2 or images[-1].stamp_ns > stamp_ns:
        return None
    last, newest = images[-2:]
    since = (stamp_ns - newest.stamp_ns) / NANOSECONDS
    period = (newest.stamp_ns - last.stamp_ns) / NANOSECONDS
    if since + period > MOST_GAP_S or last.key.track != newest.key.track:
        return None
    unit = float(np.exp(-newest.key.log_scale))
    motion = scaled(invert(last.track_T_camera) @ newest.track_T_camera, unit)
    pose = newest.key_T_camera @ exp_pose(log_pose(motion) * since / period)
    covariance = newest.covariance + unknown_motion(since, period)
    return _carried_to(stamp_ns, newest, pose, covariance)


def _carried_to(
    stamp_ns: int, one: TrackedPose, key_T_camera: Array, covariance: Array
) -> TrackedPose:
    return replace(
        one,
        stamp_ns=stamp_ns,
        key_T_camera=key_T_camera,
        covariance=covariance,
        odom_T_camera=None,
    )
