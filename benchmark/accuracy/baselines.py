# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Baselines without a recurrent state, which the network is compared with."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.geometry import invert, transform
from ttt3r_ros.intrinsics import CameraIntrinsics

RATIO = 0.8  # of the distances to the best and the second best match, at most
LEAST_INLIERS = 10
REPROJECTION_PIXELS = 1.5


def constant_pose(frames: int) -> Array:
    """
    Return the path of a camera that does not move.

    :param frames: number of poses.
    :returns: (frames, 4, 4) world_T_camera.
    """
    return np.tile(np.eye(4), (frames, 1, 1))


def constant_velocity(first_motion: Array, frames: int) -> Array:
    """
    Return the path of a camera that repeats its first motion.

    :param first_motion: (4, 4) camera0_T_camera1, metres.
    :param frames: number of poses.
    :returns: (frames, 4, 4) world_T_camera, the world being the first camera.
    """
    return _chained([first_motion] * (frames - 1))


def classical(rgb: Pixels, depth: NDArray[np.floating], intrinsics: CameraIntrinsics) -> Array:
    """
    Track SIFT features from image to image and solve each motion by PnP with RANSAC.

    A motion with too few inliers is replaced by the identity. Unlike the network, this baseline
    knows the intrinsics.

    :param rgb: (T, H, W, 3) uint8.
    :param depth: (T, H, W) metres along z, true or predicted; 0 is unknown.
    :param intrinsics: of all images; its distortion none, plumb_bob or rational_polynomial.
    :returns: (T, 4, 4) world_T_camera, the world being the first camera.
    """
    cv2.setRNGSeed(0)
    sift = cv2.SIFT.create(contrastThreshold=0.02)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in rgb]
    features = [_features(sift, image) for image in grey]
    return _chained(
        [
            _motion(before, after, old_depth, intrinsics)
            for before, after, old_depth in zip(features, features[1:], depth)
        ]
    )


Features = tuple[Array, Array32]


def _features(sift: cv2.SIFT, grey: Pixels) -> Features:
    """Detect features: (N, 2) pixels and (N, 128) descriptors."""
    points, descriptors = sift.detectAndCompute(grey, None)
    if not points:
        return np.empty((0, 2)), np.empty((0, 128), np.float32)
    return np.array([point.pt for point in points], dtype=np.float64), descriptors.astype(
        np.float32
    )


def _motion(
    before: Features, after: Features, depth: NDArray[np.floating], intrinsics: CameraIntrinsics
) -> Array:
    """Return (4, 4) before_T_after of the two cameras, metres."""
    old, new = _matched(before, after)
    column, row = np.round(old).astype(int).T
    z = depth[row, column].astype(np.float64)
    old, new, z = old[z > 0], new[z > 0], z[z > 0]
    if len(z) < LEAST_INLIERS:
        return np.eye(4)
    lens = intrinsics.matrix, np.array(intrinsics.distortion)
    rays = cv2.undistortPoints(old[:, None], *lens)[:, 0]
    points = z[:, None] * np.column_stack([rays, np.ones(len(z))])
    found, turn, shift, inliers = cv2.solvePnPRansac(
        points,
        new,
        *lens,
        iterationsCount=300,
        reprojectionError=REPROJECTION_PIXELS,
        confidence=0.999,
    )
    if not found or inliers is None or len(inliers) < LEAST_INLIERS:
        return np.eye(4)
    chosen = inliers[:, 0]
    turn, shift = cv2.solvePnPRefineLM(points[chosen], new[chosen], *lens, turn, shift)
    return invert(transform(cv2.Rodrigues(turn)[0], shift[:, 0]))


def _matched(before: Features, after: Features) -> tuple[Array, Array]:
    """Pair features whose best match is clearly better than the second best: (N, 2) each."""
    if len(before[0]) < 2 or len(after[0]) < 2:
        return np.empty((0, 2)), np.empty((0, 2))
    pairs = cv2.BFMatcher().knnMatch(before[1], after[1], k=2)
    good = [best for best, second in pairs if best.distance < RATIO * second.distance]
    old, new = [match.queryIdx for match in good], [match.trainIdx for match in good]
    return before[0][old], after[0][new]


def _chained(motions: list[Array]) -> Array:
    poses = [np.eye(4)]
    for motion in motions:
        poses.append(poses[-1] @ motion)
    return np.stack(poses)
