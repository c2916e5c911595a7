# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Motions as six numbers: rotation vector and translation, each for itself."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import transform

FAR = -0.9  # cosine of angles beyond which the axis follows badly from the sines


def rotation_vectors(turns: Array) -> Array:
    """
    Return rotations as vectors, radians.

    Rotation of scipy takes five times as long, most of it to check that these are rotations.

    :param turns: (N, 3, 3).
    :returns: (N, 3).
    """
    sines = 0.5 * (turns[:, [2, 0, 1], [1, 2, 0]] - turns[:, [1, 2, 0], [2, 0, 1]])
    sine = np.sqrt(np.einsum('ni,ni->n', sines, sines))
    cosine = 0.5 * (turns[:, 0, 0] + turns[:, 1, 1] + turns[:, 2, 2] - 1.0)
    tiny = sine < 1e-12
    result: Array = sines * np.where(tiny, 1.0, np.arctan2(sine, cosine) / (sine + tiny))[:, None]
    far = cosine < FAR
    if far.any():
        result[far] = Rotation.from_matrix(turns[far]).as_rotvec()
    return result


def log_pose(a_T_b: Array) -> Array:
    """
    Return a pose as six numbers.

    :param a_T_b: (4, 4).
    :returns: (6,) rotation vector, radians, and translation.
    """
    turn = Rotation.from_matrix(a_T_b[:3, :3]).as_rotvec()
    return np.concatenate([turn, a_T_b[:3, 3]])


def exp_pose(numbers: Array) -> Array:
    """
    Return six numbers as a pose.

    :param numbers: (6,) rotation vector, radians, and translation.
    :returns: (4, 4).
    """
    return transform(Rotation.from_rotvec(numbers[:3]).as_matrix(), numbers[3:])
