# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Small motions as six numbers: rotation vector and translation, each for itself."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import transform


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
