# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The pose of an image relative to the key frame: by pixels, else by wheels or network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import rotation_angle, scaled
from ttt3r_ros.tracking.features import match, Tracks
from ttt3r_ros.tracking.followed import Followed, FollowState, KeyView, Seen
from ttt3r_ros.tracking.relative_pose import depth_at, rays_at, RelativePose, solve_pose
from ttt3r_ros.tracking.standstill import can_drive, motion_between
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


def locate(seen: Seen, tracks: Tracks, state: FollowState) -> Followed:
    """
    Solve for the pose by features or matches, else continue by the wheels or the network.

    :param tracks: the features that are found again.
    :param state: after the image before.
    """
    key = state.key
    pose, by = _by_features(seen, tracks, state), 'features'
    if pose is None:
        pose, by = _by_matches(seen, tracks.gray, key), 'matches'
    if pose is not None:
        count = int(pose.inliers.sum())
        return Followed(
            seen.stamp_ns, key, pose.key_T_camera, pose.covariance, by, False, False, count
        )
    by, motion, added = _motion_otherwise(seen, state)
    return Followed(
        seen.stamp_ns,
        key,
        state.last.key_T_camera @ motion,
        state.last.covariance + added,
        by,
        False,
        False,
        0,
    )


def _by_features(seen: Seen, tracks: Tracks, state: FollowState) -> RelativePose | None:
    """Solve for the pose by the features that are followed, None where too few agree."""
    key = state.key
    log_depth = key.log_depth[np.searchsorted(key.tracks.number, tracks.number)]
    known = np.isfinite(log_depth)
    rays = rays_at(tracks.key_px[known], key.seen.camera)
    points = rays * np.exp(log_depth[known])[:, None]
    pose = solve_pose(points, tracks.px[known], seen.camera)
    if pose is None:  # a depth of another shape than it should have: roughly is better than not
        pose = solve_pose(points, tracks.px[known], seen.camera, ROUGH_PX)
    if pose is None or pose.inliers.sum() < LEAST_KEPT * len(state.tracks):
        return None
    if seen.focal_known and key.seen.focal_known:
        return pose
    turn = FOCAL_SIGMA * float(rotation_angle(pose.key_T_camera[:3, :3]))
    return replace(pose, covariance=pose.covariance + np.diag([turn**2] * 3 + [0.0] * 3))


def _by_matches(seen: Seen, gray: NDArray[np.uint8], key: KeyView) -> RelativePose | None:
    """Solve for the pose by matched descriptors, where the followed features are lost."""
    key_px, px = match(key.tracks.gray, gray)
    depth = np.exp(log_depth_at(key.seen, key_px))
    known = np.isfinite(depth)
    points = rays_at(key_px[known], key.seen.camera) * depth[known][:, None]
    return solve_pose(points, px[known], seen.camera, least_inliers=LEAST_MATCHES)


def _motion_otherwise(seen: Seen, state: FollowState) -> tuple[str, Array, Array]:
    """Return the source of the motion since the last image, the motion, and its covariance."""
    unit = float(np.exp(state.key.log_scale))
    wheels = motion_between(state.odom_T_camera, seen.odom_T_camera)
    network = motion_between(state.network_T_camera, seen.network_T_camera)
    seconds = (seen.stamp_ns - state.last.stamp_ns) / NANOSECONDS
    if wheels is not None and (network is None or can_drive(wheels, seconds)):
        return 'wheels', scaled(wheels, 1 / unit), _spread(0.05, 0.05)
    if network is not None:
        return 'network', network, _spread(3 * NETWORK_TURN_SIGMA, 3 * NETWORK_SHIFT_SIGMA)
    return 'nothing', np.eye(4), _spread(0.2, 0.2)


def _spread(turn: float, shift: float) -> Array:
    return np.diag([turn**2] * 3 + [shift**2] * 3)


def log_depth_at(seen: Seen, px: NDArray[np.float32]) -> Array:
    """
    Return the log depth at pixels, (N,), NaN where it is unknown.

    :param seen: an image with its depth.
    :param px: (N, 2).
    """
    assert seen.depth is not None
    depth = seen.depth
    if seen.confidence is not None:
        depth = np.where(seen.confidence > 1.0, depth, 0.0)
    return np.log(depth_at(depth, px))
