# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The pose of an image relative to the key frame: by pixels, else by wheels or network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import motion_between, rotation_angle, scaled
from ttt3r_ros.tracking.feature_depth import log_depth_at
from ttt3r_ros.tracking.features import match, Tracks
from ttt3r_ros.tracking.relative_pose import rays_at, RelativePose, solve_pose
from ttt3r_ros.tracking.standstill import can_drive
from ttt3r_ros.tracking.tracked_pose import (
    FollowState,
    KeyView,
    TrackedFeatures,
    TrackedPose,
    View,
)
from ttt3r_ros.units import NANOSECONDS

ROUGH_PX = 8.0
# Share of the last image's features that must agree; of two images that have nothing in common a
# quarter is found again by chance, and a tenth agrees on some pose.
LEAST_KEPT = 0.15
LEAST_MATCHES = 20

# What the network's own motion is worth: its share of the motion, and from image to image.
NETWORK_TURN_SIGMA, NETWORK_SHIFT_SIGMA = np.radians(1.9), 0.07
# Without calibration every turn is measured with a focal length that is this much wrong.
FOCAL_SIGMA = 0.1


def locate(view: View, found: TrackedFeatures, state: FollowState) -> TrackedPose:
    """
    Solve for the pose by features or matches, else continue by the wheels or the network.

    The pose of a camera that stands still is held.

    :param found: of the same image and state.
    :param state: after the image before.
    """
    if found.still:
        return _held(view, state)
    key = state.key
    pose, by = _by_features(view, found.tracks, state), 'features'
    if pose is None:
        pose, by = _by_matches(view, found.tracks.gray, key), 'matches'
    if pose is not None:
        key_T_camera, covariance = pose.key_T_camera, pose.covariance
        count = int(pose.inliers.sum())
    else:
        by, motion, added = _motion_otherwise(view, found.wheels, state)
        key_T_camera = state.last.key_T_camera @ motion
        covariance, count = state.last.covariance + added, 0
    return TrackedPose(
        view.stamp_ns,
        key,
        key_T_camera,
        covariance,
        by,
        False,
        False,
        count,
        odom_T_camera=view.odom_T_camera,
    )


def _held(view: View, state: FollowState) -> TrackedPose:
    return replace(
        state.last,
        stamp_ns=view.stamp_ns,
        still=True,
        new_key=False,
        odom_T_camera=view.odom_T_camera,
    )


def _by_features(view: View, tracks: Tracks, state: FollowState) -> RelativePose | None:
    """Solve for the pose by the features that are followed, None where too few agree."""
    key = state.key
    log_depth = key.log_depth[np.searchsorted(key.tracks.number, tracks.number)]
    known = np.isfinite(log_depth)
    rays = rays_at(tracks.key_px[known], key.view.camera)
    points = rays * np.exp(log_depth[known])[:, None]
    pose = solve_pose(points, tracks.px[known], view.camera)
    if pose is None:  # a depth of another shape than it should have: roughly is better than not
        pose = solve_pose(points, tracks.px[known], view.camera, ROUGH_PX)
    if pose is None or pose.inliers.sum() < LEAST_KEPT * len(state.tracks):
        return None
    if view.focal_known and key.view.focal_known:
        return pose
    turn = FOCAL_SIGMA * float(rotation_angle(pose.key_T_camera[:3, :3]))
    return replace(pose, covariance=pose.covariance + np.diag([turn**2] * 3 + [0.0] * 3))


def _by_matches(view: View, gray: NDArray[np.uint8], key: KeyView) -> RelativePose | None:
    """Solve for the pose by matched descriptors, where the followed features are lost."""
    key_px, px = match(key.tracks.gray, gray)
    depth = np.exp(log_depth_at(key.view, key_px))
    known = np.isfinite(depth)
    points = rays_at(key_px[known], key.view.camera) * depth[known][:, None]
    return solve_pose(points, px[known], view.camera, least_inliers=LEAST_MATCHES)


def _motion_otherwise(
    view: View, wheels: Array | None, state: FollowState
) -> tuple[str, Array, Array]:
    """Return the source of the motion since the last image, the motion, and its covariance."""
    unit = float(np.exp(state.key.log_scale))
    network = motion_between(state.network_T_camera, view.network_T_camera)
    seconds = (view.stamp_ns - state.last.stamp_ns) / NANOSECONDS
    if wheels is not None and (network is None or can_drive(wheels, seconds)):
        return 'wheels', scaled(wheels, 1 / unit), _spread(0.05, 0.05)
    if network is not None:
        return 'network', network, _spread(3 * NETWORK_TURN_SIGMA, 3 * NETWORK_SHIFT_SIGMA)
    return 'nothing', np.eye(4), _spread(0.2, 0.2)


def _spread(turn: float, shift: float) -> Array:
    return np.diag([turn**2] * 3 + [shift**2] * 3)
