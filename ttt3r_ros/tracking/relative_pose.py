# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The pose of a camera relative to a key frame, from pixels and depth, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import cross_matrices, invert, transform, transform_points

RANSAC_PX = 3.0
ROUNDS = 100
LEAST_INLIERS = 15
LEAST_SHARE = 0.4

# What the depth of a network gets wrong, in its logarithm: each point for itself, and two tilts
# over the image, per unit of the tangent of the angle to the optical axis.
WHITE_DEPTH_SIGMA = 0.03
TILT_SIGMA = 0.34
LEAST_PIXEL_SIGMA = 1.0  # the pixels of one image do not err independently


@dataclass(frozen=True, eq=False)
class RelativePose:
    """
    Where a camera is, seen from a key frame.

    key_T_camera: (4, 4), lengths in the unit of the key frame's depth. covariance: (6, 6) of
    (rotation, translation) to the right of it, in the camera's axes: true = key_T_camera *
    exp(error). inliers: (N,) bool of the points that agree. rms_px: of those.
    """

    key_T_camera: Array
    covariance: Array
    inliers: NDArray[np.bool_]
    rms_px: float


def rays_at(px: NDArray[np.floating], camera: Array) -> Array:
    """
    Return the rays of pixels, scaled to depth 1.

    :param px: (N, 2) columns and rows.
    :param camera: (3, 3) pinhole matrix, pixels.
    :returns: (N, 3).
    """
    focal, middle = camera[[0, 1], [0, 1]], camera[:2, 2]
    flat = (np.asarray(px, dtype=np.float64) - middle) / focal
    return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)


def solve_pose(
    points_key: Array,
    px: NDArray[np.floating],
    camera: Array,
    ransac_px: float = RANSAC_PX,
    least_inliers: int = LEAST_INLIERS,
    least_share: float = LEAST_SHARE,
) -> RelativePose | None:
    """
    Find the camera that sees points of a key frame where they are seen.

    :param points_key: (N, 3) in the axes and the unit of the key frame.
    :param px: (N, 2) pixels where the camera sees them.
    :param camera: (3, 3) pinhole matrix of that image, pixels.
    :param ransac_px: points farther from their pixel do not count.
    :param least_inliers: with fewer there is no answer; least_share alike, a share of N.
    :returns: the pose, or None where too few points agree on one.
    """
    if len(points_key) < least_inliers:
        return None
    px = np.asarray(px, dtype=np.float64)
    # One seed each time: the same images give the same pose.
    cv2.setRNGSeed(0)
    try:
        found, turn, shift, chosen = cv2.solvePnPRansac(
            points_key,
            px,
            camera,
            None,
            iterationsCount=ROUNDS,
            reprojectionError=ransac_px,
            confidence=0.999,
            flags=cv2.SOLVEPNP_SQPNP,
        )
    except cv2.error:
        return None  # a degenerate sample
    if not found or chosen is None:
        return None
    chosen = np.asarray(chosen).ravel()
    if len(chosen) < max(least_inliers, least_share * len(points_key)):
        return None
    turn, shift = cv2.solvePnPRefineLM(points_key[chosen], px[chosen], camera, None, turn, shift)
    camera_T_key = transform(cv2.Rodrigues(turn)[0], np.ravel(shift))
    error = _reprojection(camera_T_key, points_key, px, camera)
    inliers = error < ransac_px
    if not np.isfinite(camera_T_key).all() or inliers.sum() < least_inliers:
        return None
    rms = float(np.sqrt(np.mean(error[inliers] ** 2)))
    key_T_camera = invert(camera_T_key)
    covariance = pose_covariance(key_T_camera, points_key[inliers], camera, rms)
    return RelativePose(key_T_camera, covariance, inliers, rms)


def _reprojection(
    camera_T_key: Array, points_key: Array, px: NDArray[np.floating], camera: Array
) -> Array:
    points = np.asarray(transform_points(camera_T_key, points_key), dtype=np.float64)
    ahead = points[:, 2] > 1e-6
    z = np.where(ahead, points[:, 2], 1.0)
    seen = points[:, :2] / z[:, None] * camera[[0, 1], [0, 1]] + camera[:2, 2]
    error: Array = np.where(ahead, np.linalg.norm(seen - px, axis=1), np.inf)
    return error


def pose_covariance(
    key_T_camera: Array, points_key: Array, camera: Array, rms_px: float = 0.0
) -> Array:
    """
    Compute how far a pose from these points may be off.

    Pixel noise, white noise of the depth and two tilts of the depth over the key frame, each
    propagated through the normal equations.

    :param key_T_camera: (4, 4).
    :param points_key: (N, 3) in the axes of the key frame, metres.
    :param camera: (3, 3) pinhole matrix, pixels.
    :param rms_px: of the pixels; at least LEAST_PIXEL_SIGMA is taken.
    :returns: (6, 6) of (rotation, translation), see RelativePose.
    """
    by_pose, by_log_depth = pixel_jacobians(key_T_camera, points_key, camera)
    pixel = np.sqrt(2.0) * max(rms_px, LEAST_PIXEL_SIGMA)
    normal = np.einsum('nij,nik->jk', by_pose, by_pose)
    inverse = np.linalg.inv(normal + 1e-9 * np.trace(normal) * np.eye(6))
    # (N, 6): by how much the pose moves with the log depth of each point.
    moved = -np.einsum('ij,nkj,nk->ni', inverse, by_pose, by_log_depth)
    tangents = points_key[:, :2] / points_key[:, 2:]
    tilts = TILT_SIGMA * (moved.T @ tangents)  # (6, 2)
    covariance: Array = (
        pixel**2 * inverse + WHITE_DEPTH_SIGMA**2 * (moved.T @ moved) + tilts @ tilts.T
    )
    return covariance


def pixel_jacobians(key_T_camera: Array, points_key: Array, camera: Array) -> tuple[Array, Array]:
    """
    Differentiate the pixels at which a camera sees points of a key frame.

    :param key_T_camera: (4, 4).
    :param points_key: (N, 3) in the axes of the key frame, metres.
    :param camera: (3, 3) pinhole matrix, pixels.
    :returns: (N, 2, 6) by (rotation, translation) to the right of the pose; (N, 2) by the log
        depth of each point in the key frame.
    """
    points = points_key @ key_T_camera[:3, :3] - key_T_camera[:3, 3] @ key_T_camera[:3, :3]
    x, y, z = points.T
    fx, fy = camera[0, 0], camera[1, 1]
    zero = np.zeros_like(x)
    by_point = np.stack(
        [
            np.stack([fx / z, zero, -fx * x / z**2], axis=1),
            np.stack([zero, fy / z, -fy * y / z**2], axis=1),
        ],
        axis=1,
    )  # (N, 2, 3)
    by_pose = np.concatenate([by_point @ cross_matrices(points), -by_point], axis=2)
    along = points_key @ key_T_camera[:3, :3]  # d point / d log depth, in the camera's axes
    return by_pose, np.einsum('nij,nj->ni', by_point, along)
