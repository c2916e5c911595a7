# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Rigid transforms, quaternions and the fixed rotation between optical and body axes.

A transform `a_T_b` is a (4, 4) float64 matrix that transforms points of frame b to frame a:
p_a = a_T_b @ p_b, so names cancel: map_T_camera = map_T_world @ world_T_camera.
`camera` is an optical frame (x right, y down, z forward), `map` and bodies are x forward,
y left, z up (REP 103). Quaternions are x y z w.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ttt3r_ros.arrays import Array

BODY_T_OPTICAL: Array = np.array(
    [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
BODY_T_OPTICAL.setflags(write=False)

IDENTITY: Array = np.eye(4)
IDENTITY.setflags(write=False)


def transform(rotation: ArrayLike, translation: ArrayLike) -> Array:
    """
    Build transforms from rotations and translations.

    :param rotation: (..., 3, 3) rotation matrices.
    :param translation: (..., 3) metres.
    :returns: (..., 4, 4) float64.
    """
    rotation = np.asarray(rotation, dtype=np.float64)
    result = np.zeros((*rotation.shape[:-2], 4, 4))
    result[..., :3, :3] = rotation
    result[..., :3, 3] = translation
    result[..., 3, 3] = 1.0
    return result


def invert(a_T_b: Array) -> Array:
    """
    Invert rigid transforms.

    :param a_T_b: (..., 4, 4), rotation and translation only.
    :returns: (..., 4, 4) b_T_a.
    """
    b_R_a = np.swapaxes(a_T_b[..., :3, :3], -1, -2)
    return transform(b_R_a, -(b_R_a @ a_T_b[..., :3, 3:])[..., 0])


def motion_between(then: Array | None, now: Array | None) -> Array | None:
    """
    Return the motion from one pose to another, (4, 4), None where one of them is unknown.

    :param then: (4, 4) a_T_b, or None.
    :param now: (4, 4) a_T_b of the same frames later, or None.
    """
    return None if then is None or now is None else invert(then) @ now


def cross_matrices(vectors: Array) -> Array:
    """
    Return the matrices that multiply as a cross product does.

    :param vectors: (N, 3).
    :returns: (N, 3, 3).
    """
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def adjoint(a_T_b: Array) -> Array:
    """
    Return what takes a small motion (rotation, translation) in b's axes to a's.

    :param a_T_b: (4, 4).
    :returns: (6, 6).
    """
    rotation = a_T_b[:3, :3]
    result = np.zeros((6, 6))
    result[:3, :3] = result[3:, 3:] = rotation
    result[3:, :3] = cross_matrices(a_T_b[None, :3, 3])[0] @ rotation
    return result


def transform_points(a_T_b: Array, points_b: NDArray[np.floating]) -> NDArray[np.floating]:
    """
    Transform points of frame b to frame a.

    :param a_T_b: (4, 4), metres.
    :param points_b: (..., 3), metres; the result has its precision.
    :returns: (..., 3), metres, of the same dtype.
    """
    rotation = a_T_b[:3, :3].astype(points_b.dtype)
    points_a: NDArray[np.floating] = points_b @ rotation.T
    return points_a + a_T_b[:3, 3].astype(points_b.dtype)


def rotation_from_quaternion(quaternion_xyzw: ArrayLike) -> Array:
    """
    Convert quaternions to rotation matrices.

    :param quaternion_xyzw: (..., 4), of any length but 0.
    :returns: (..., 3, 3).
    :raises ValueError: when a quaternion is zero or not finite.
    """
    q = np.asarray(quaternion_xyzw, dtype=np.float64)
    norm = np.linalg.norm(q, axis=-1)
    if not (np.isfinite(norm).all() and (norm > 1e-12).all()):
        raise ValueError('a quaternion is zero or not finite')
    x, y, z, w = np.moveaxis(q / norm[..., None], -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def quaternion_from_rotation(rotation: ArrayLike) -> Array:
    """
    Convert rotation matrices to unit quaternions with w >= 0.

    The eigenvector of the largest eigenvalue of the symmetric matrix of Bar-Itzhack (2000), which
    needs no case distinction and is the nearest quaternion to a matrix with rounding errors.

    :param rotation: (..., 3, 3).
    :returns: (..., 4) x y z w.
    """
    r = np.asarray(rotation, dtype=np.float64)
    k = np.empty((*r.shape[:-2], 4, 4))
    trace = np.trace(r, axis1=-2, axis2=-1)[..., None, None]
    k[..., :3, :3] = r + np.swapaxes(r, -1, -2) - trace * np.eye(3)
    axis = np.stack(
        [
            r[..., 2, 1] - r[..., 1, 2],
            r[..., 0, 2] - r[..., 2, 0],
            r[..., 1, 0] - r[..., 0, 1],
        ],
        axis=-1,
    )
    k[..., :3, 3] = k[..., 3, :3] = axis
    k[..., 3, 3] = trace[..., 0, 0]
    q = np.linalg.eigh(k)[1][..., -1]
    return np.where(q[..., 3:] < 0, -q, q)


def slerp(first: Array, second: Array, fraction: float) -> Array:
    """
    Interpolate between two rotations: the shorter way, at a constant angular velocity.

    :param first: (4,) unit quaternion x y z w, the result where fraction is 0.
    :param second: (4,) unit quaternion x y z w, where it is 1; its sign does not matter.
    :param fraction: 0 to 1.
    :returns: (4,) unit quaternion x y z w.
    """
    if first @ second < 0:
        second = -second
    # The angle between them on the sphere of quaternions; arccos would lose small ones.
    angle = 2.0 * np.arctan2(np.linalg.norm(second - first), np.linalg.norm(second + first))
    if angle < 1e-9:
        return first
    weights = np.sin([(1.0 - fraction) * angle, fraction * angle]) / np.sin(angle)
    result: Array = weights[0] * first + weights[1] * second
    return result


def rotation_angle(rotation: ArrayLike) -> Array:
    """
    Return the angle of each rotation, accurate for small angles too.

    :param rotation: (..., 3, 3).
    :returns: (...) radians, 0 to pi.
    """
    q = quaternion_from_rotation(rotation)
    angle: Array = 2.0 * np.arctan2(np.linalg.norm(q[..., :3], axis=-1), q[..., 3])
    return angle


def rotation_about(axis: ArrayLike, angle: float) -> Array:
    """
    Return the rotation about an axis (right-handed).

    :param axis: (3,), of any length but 0.
    :param angle: radians.
    :returns: (3, 3).
    """
    unit = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    half = 0.5 * angle
    return rotation_from_quaternion([*(np.sin(half) * unit), np.cos(half)])


def join_poses(a_T_camera: Array, b_T_camera: Array) -> Array:
    """
    Return the transform between two frames that saw the same cameras.

    For one camera it is a_T_camera * inv(b_T_camera). For several, the rotation is the mean
    in the chordal sense and the translation the median over the cameras.

    :param a_T_camera: (K, 4, 4), K >= 1.
    :param b_T_camera: (K, 4, 4), the same cameras.
    :returns: (4, 4) a_T_b, a proper rotation to the last digit.
    """
    rotations = a_T_camera[:, :3, :3] @ np.swapaxes(b_T_camera[:, :3, :3], -1, -2)
    rotation = rotation_from_quaternion(quaternion_from_rotation(rotations.mean(axis=0)))
    turned = (rotation @ b_T_camera[:, :3, 3:])[..., 0]  # (K, 3)
    return transform(rotation, np.median(a_T_camera[:, :3, 3] - turned, axis=0))


@dataclass(frozen=True, eq=False)
class Similarity:
    """
    A transform from frame b to frame a, which may have another unit of length.

    a_T_b: (4, 4) rigid, translation in units of a. scale: units of a per unit of b; lengths are
    multiplied first: p_a = a_T_b @ (scale * p_b).
    """

    a_T_b: Array
    scale: float = 1.0

    def pose(self, b_T_c: Array) -> Array:
        """
        Return poses of frame b as poses of frame a.

        :param b_T_c: (..., 4, 4), translation in units of b.
        :returns: (..., 4, 4) a_T_c, translation in units of a.
        """
        a_T_c: Array = self.a_T_b @ scaled(b_T_c, self.scale)
        return a_T_c

    def after(self, b_T_c: Similarity) -> Similarity:
        """
        Return the similarity that takes frame c to frame a.

        :param b_T_c: takes frame c to frame b.
        """
        return Similarity(self.pose(b_T_c.a_T_b), self.scale * b_T_c.scale)

    def inverse(self) -> Similarity:
        """Return the similarity that takes frame a to frame b."""
        return Similarity(scaled(invert(self.a_T_b), 1.0 / self.scale), 1.0 / self.scale)

    @staticmethod
    def through(a_T_c: Array, b_T_c: Array, scale: float) -> Similarity:
        """
        Return the similarity with a given scale that maps one pose of frame b to one of frame a.

        :param a_T_c: (4, 4), translation in units of a.
        :param b_T_c: (4, 4), translation in units of b.
        :param scale: units of a per unit of b.
        """
        return Similarity(a_T_c @ invert(scaled(b_T_c, scale)), scale)


def scaled(a_T_b: Array, scale: float) -> Array:
    """
    Return poses in another unit of length.

    :param a_T_b: (..., 4, 4).
    :param scale: new units per old unit.
    :returns: (..., 4, 4).
    """
    return transform(a_T_b[..., :3, :3], scale * a_T_b[..., :3, 3])
