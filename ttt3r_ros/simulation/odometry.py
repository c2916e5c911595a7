# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What wheels (or a phone) would report of a motion: the truth with drift."""

from __future__ import annotations

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, rotation_about

SCALE_ERROR = 0.01  # standard deviation of the wrong size of the wheels
STEP_ERROR = 0.03  # standard deviation of a step, share of its length
TURN_ERROR = 0.03  # standard deviation of a turn, share of its angle
SLIP = 0.01  # radians of wrong turn a metre driven


def noisy_odometry(world_T_base: Array, seed: int, noise: float = 1.0) -> Array:
    """
    Measure a motion step by step, a little wrong each time.

    :param world_T_base: (T, 4, 4) the true motion.
    :param seed: of the noise.
    :param noise: factor on all of it; 0 measures exactly.
    :returns: (T, 4, 4) odom_T_base, beginning with the identity.
    """
    rng = np.random.default_rng([5, seed])
    scale = 1.0 + noise * rng.normal(0.0, SCALE_ERROR)
    odom_T_base = np.eye(4)
    measured = [odom_T_base]
    for step in invert(world_T_base[:-1]) @ world_T_base[1:]:
        length = float(np.linalg.norm(step[:3, 3]))
        turn = abs(float(np.arctan2(step[1, 0], step[0, 0])))
        wrong = step.copy()
        wrong[:3, 3] *= scale + noise * rng.normal(0.0, STEP_ERROR)
        error = rng.normal(0.0, TURN_ERROR) * turn + rng.normal(0.0, SLIP) * length
        wrong[:3, :3] = wrong[:3, :3] @ rotation_about([0.0, 0.0, 1.0], noise * error)
        odom_T_base = odom_T_base @ wrong
        measured.append(odom_T_base)
    return np.stack(measured)
