# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Replacement for tf_transformations: rotations and 4x4 transforms, quaternions x y z w.

Names and signatures are those of the real package, as far as a mapping node needs them. Euler
angles are roll, pitch and yaw about fixed axes ('sxyz'), the only order that ROS messages use.
"""

from functools import reduce
import math

import numpy as np


def identity_matrix():
    """Return the identity, (4, 4)."""
    return np.identity(4)


def translation_matrix(direction):
    """
    Return a translation.

    :param direction: (3,) metres.
    :returns: (4, 4).
    """
    matrix = np.identity(4)
    matrix[:3, 3] = np.asarray(direction)[:3]
    return matrix


def translation_from_matrix(matrix):
    """
    Return the translation of a transform.

    :param matrix: (4, 4).
    :returns: (3,) metres.
    """
    return np.array(matrix)[:3, 3]


def inverse_matrix(matrix):
    """Return the inverse of a transform, (4, 4)."""
    return np.linalg.inv(matrix)


def concatenate_matrices(*matrices):
    """Return the product of transforms, (4, 4), the first one leftmost."""
    return reduce(np.dot, matrices, np.identity(4))


def quaternion_matrix(quaternion):
    """
    Return the rotation of a quaternion.

    :param quaternion: (4,) x y z w of any length; the identity for zero.
    :returns: (4, 4).
    """
    x, y, z, w = (float(value) for value in quaternion)
    norm = x * x + y * y + z * z + w * w
    matrix = np.identity(4)
    if norm < np.finfo(float).eps:
        return matrix
    s = 2.0 / norm
    matrix[:3, :3] = [
        [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
        [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
        [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
    ]
    return matrix


def quaternion_from_matrix(matrix):
    """
    Return the unit quaternion of a rotation.

    :param matrix: (4, 4) or (3, 3).
    :returns: (4,) x y z w, w >= 0.
    """
    r = np.asarray(matrix, dtype=float)[:3, :3]
    # Four times the squares of the components; the largest is the safe one to divide by.
    squares = 1.0 + np.array(
        [
            r[0, 0] - r[1, 1] - r[2, 2],
            r[1, 1] - r[0, 0] - r[2, 2],
            r[2, 2] - r[0, 0] - r[1, 1],
            r[0, 0] + r[1, 1] + r[2, 2],
        ]
    )
    xy, xz, yz = r[0, 1] + r[1, 0], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1]
    xw, yw, zw = r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]
    products = np.array([[0, xy, xz, xw], [xy, 0, yz, yw], [xz, yz, 0, zw], [xw, yw, zw, 0]])
    largest = int(np.argmax(squares))
    q = products[largest]
    q[largest] = squares[largest]
    q /= np.linalg.norm(q)
    return -q if q[3] < 0 else q


def quaternion_multiply(quaternion1, quaternion0):
    """
    Return the product: the rotation by quaternion0 followed by quaternion1.

    :param quaternion1: (4,) x y z w.
    :param quaternion0: (4,) x y z w.
    :returns: (4,) x y z w.
    """
    x1, y1, z1, w1 = quaternion1
    x0, y0, z0, w0 = quaternion0
    return np.array(
        [
            w1 * x0 + x1 * w0 + y1 * z0 - z1 * y0,
            w1 * y0 - x1 * z0 + y1 * w0 + z1 * x0,
            w1 * z0 + x1 * y0 - y1 * x0 + z1 * w0,
            w1 * w0 - x1 * x0 - y1 * y0 - z1 * z0,
        ]
    )


def quaternion_conjugate(quaternion):
    """Return the conjugate, (4,): -x -y -z w."""
    x, y, z, w = quaternion
    return np.array([-x, -y, -z, w], dtype=float)


def quaternion_inverse(quaternion):
    """Return the inverse of a quaternion, (4,) x y z w."""
    return quaternion_conjugate(quaternion) / np.dot(quaternion, quaternion)


def quaternion_about_axis(angle, axis):
    """
    Return the quaternion of a rotation about an axis.

    :param angle: radians.
    :param axis: (3,) of any length but 0.
    :returns: (4,) x y z w.
    """
    unit = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    return np.array([*(math.sin(angle / 2) * unit), math.cos(angle / 2)])


def quaternion_slerp(quat0, quat1, fraction, spin=0, shortestpath=True):
    """
    Interpolate between two rotations at constant angular velocity.

    :param quat0: (4,) x y z w, at fraction 0.
    :param quat1: (4,) x y z w, at fraction 1.
    :param fraction: 0 to 1.
    :param spin: additional half turns; only 0 is supported.
    :param shortestpath: whether to rotate by less than pi.
    :returns: (4,) x y z w.
    """
    if spin:
        raise NotImplementedError('spin is not supported')
    q0 = np.asarray(quat0, dtype=float) / np.linalg.norm(quat0)
    q1 = np.asarray(quat1, dtype=float) / np.linalg.norm(quat1)
    cosine = float(np.dot(q0, q1))
    if shortestpath and cosine < 0.0:
        q1, cosine = -q1, -cosine
    angle = math.acos(min(1.0, max(-1.0, cosine)))
    if math.sin(angle) < 1e-9:
        return q0
    before, after = math.sin((1 - fraction) * angle), math.sin(fraction * angle)
    return (before * q0 + after * q1) / math.sin(angle)


def quaternion_from_euler(ai, aj, ak, axes='sxyz'):
    """
    Return the quaternion of roll, pitch and yaw.

    :param ai: roll about x, radians.
    :param aj: pitch about y, radians.
    :param ak: yaw about z, radians; roll comes first, about fixed axes.
    :param axes: only 'sxyz' is supported.
    :returns: (4,) x y z w.
    """
    _check_axes(axes)
    roll, pitch, yaw = (
        quaternion_about_axis(angle, axis)
        for angle, axis in zip((ai, aj, ak), np.identity(3), strict=True)
    )
    return quaternion_multiply(yaw, quaternion_multiply(pitch, roll))


def euler_from_quaternion(quaternion, axes='sxyz'):
    """
    Return roll, pitch and yaw of a quaternion.

    :param quaternion: (4,) x y z w.
    :param axes: only 'sxyz' is supported.
    :returns: three angles, radians.
    """
    return euler_from_matrix(quaternion_matrix(quaternion), axes)


def euler_from_matrix(matrix, axes='sxyz'):
    """
    Return roll, pitch and yaw of a rotation.

    :param matrix: (4, 4) or (3, 3).
    :param axes: only 'sxyz' is supported.
    :returns: three angles, radians; yaw is 0 where pitch is pi / 2.
    """
    _check_axes(axes)
    r = np.asarray(matrix, dtype=float)
    level = math.hypot(r[0, 0], r[1, 0])
    pitch = math.atan2(-r[2, 0], level)
    if level < 4 * np.finfo(float).eps:
        return math.atan2(-r[1, 2], r[1, 1]), pitch, 0.0
    return math.atan2(r[2, 1], r[2, 2]), pitch, math.atan2(r[1, 0], r[0, 0])


def euler_matrix(ai, aj, ak, axes='sxyz'):
    """Return the (4, 4) rotation of roll, pitch and yaw, radians."""
    return quaternion_matrix(quaternion_from_euler(ai, aj, ak, axes))


def _check_axes(axes):
    if axes != 'sxyz':
        raise NotImplementedError(f"only the axes 'sxyz' are supported, not {axes!r}")
