# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Whether the camera stands still, and whether wheels and images agree."""

from __future__ import annotations

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, rotation_angle, scaled
from ttt3r_ros.tracking.features import NOMINAL_WIDTH, Tracks
from ttt3r_ros.tracking.tracked_pose import TrackedPose

# Of a camera that stands at most 0.03 pixels were measured, of one that moves at least 0.17.
STILL_PX = 0.15
# Below this the wheels may decide; above it something moves, whatever they measure.
DOUBTFUL_PX = 1.0
# So many of all features must be still: a person before the camera hides others or takes them
# along, and when the camera drives ahead only the few in the middle hardly move.
STILL_SHARE = 0.25
LEAST_FEATURES = 12
# Wheels that turn while so many stand still spin, or drift: the whole image cannot be far away.
STILL_SHARE_OF_MOVING = 0.6

WHEELS_REST_M = 0.001
WHEELS_REST_RAD = 0.0005
WHEELS_MOVE_M = 0.02
WHEELS_MOVE_RAD = 0.01

# Where wheels and images disagree by this from image to image, the wheels slipped, jumped or
# began anew.
MOST_APART_M, MOST_APART_SHARE, MOST_APART_RAD = 0.3, 0.5, np.radians(20.0)

# Faster than this, metres and radians a second, no robot drives on wheels; stamps jitter a little.
FASTEST, FASTEST_TURN = 10.0, 6.0
JITTER_M, JITTER_RAD = 0.2, 0.2


def image_still(before: Tracks, after: Tracks, odom_motion: Array | None) -> bool:
    """
    Decide whether the camera has not moved since another image.

    :param before: features in that image.
    :param after: those of them that were found again in this one.
    :param odom_motion: (4, 4) of the camera, metres, since then by the wheels, or None.
    """
    again = np.isin(before.number, after.number)
    flow = np.linalg.norm(after.px - before.px[again], axis=1)
    flow = flow * NOMINAL_WIDTH / after.gray.shape[1]
    least = max(LEAST_FEATURES, round(STILL_SHARE * len(before)))
    still = int((flow < STILL_PX).sum()) >= least
    if odom_motion is None:
        return still
    shift = float(np.linalg.norm(odom_motion[:3, 3]))
    turn = float(rotation_angle(odom_motion[:3, :3]))
    if shift < WHEELS_REST_M and turn < WHEELS_REST_RAD:
        return int((flow < DOUBTFUL_PX).sum()) >= least
    if wheels_move(odom_motion):
        least = max(LEAST_FEATURES, round(STILL_SHARE_OF_MOVING * len(before)))
        return int((flow < STILL_PX).sum()) >= least
    return still


def wheels_move(odom_motion: Array) -> bool:
    """
    Return whether wheels moved so far that it is no jitter.

    :param odom_motion: (4, 4) of the camera, metres.
    """
    shift, turn = np.linalg.norm(odom_motion[:3, 3]), rotation_angle(odom_motion[:3, :3])
    return bool(shift >= WHEELS_MOVE_M or turn >= WHEELS_MOVE_RAD)


def slips(tracked_pose: TrackedPose, wheels: Array | None, last: TrackedPose) -> bool:
    """
    Return whether the wheels contradict the motion by the images.

    :param tracked_pose: where an image was taken.
    :param wheels: (4, 4) metres, by the wheels since the image before, of the camera; or None.
    :param last: the image before, relative to the same key frame.
    """
    if wheels is None:
        return False
    if tracked_pose.still:
        return wheels_move(wheels)
    if tracked_pose.by == 'wheels':
        return False
    moved = invert(last.key_T_camera) @ tracked_pose.key_T_camera
    return not agrees(wheels, scaled(moved, float(np.exp(tracked_pose.key.log_scale))))


def agrees(by_wheels: Array, seen: Array) -> bool:
    """
    Check that wheels and images saw about the same motion from one image to the next.

    :param by_wheels: (4, 4) of the camera, metres.
    :param seen: (4, 4) of the camera, metres.
    """
    rest = invert(seen) @ by_wheels
    way = float(np.linalg.norm(seen[:3, 3]))
    near = np.linalg.norm(rest[:3, 3]) < MOST_APART_M + MOST_APART_SHARE * way
    return bool(near and rotation_angle(rest[:3, :3]) < MOST_APART_RAD)


def can_drive(by_wheels: Array, seconds: float) -> bool:
    """
    Check that wheels which nothing else can judge measured what a robot can do.

    :param by_wheels: (4, 4) of the camera, metres.
    :param seconds: that it took.
    """
    way, turn = np.linalg.norm(by_wheels[:3, 3]), rotation_angle(by_wheels[:3, :3])
    return bool(way < JITTER_M + FASTEST * seconds and turn < JITTER_RAD + FASTEST_TURN * seconds)
