# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np

from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.simulation.odometry import noisy_odometry


def straight(metres, steps):
    x = np.linspace(0.0, metres, steps)
    start = transform(rotation_about([0, 0, 1], 0.8), [3.0, -2.0, 0.0])
    return start @ transform(np.tile(np.eye(3), (steps, 1, 1)), np.stack([x, 0 * x, 0 * x], 1))


def test_odometry_begins_at_its_own_origin_and_drifts_by_a_few_percent():
    errors = []
    for seed in range(20):
        odom_T_base = noisy_odometry(straight(10.0, 200), seed)
        np.testing.assert_array_equal(odom_T_base[0], np.eye(4))
        errors.append(np.linalg.norm(odom_T_base[-1, :3, 3] - [10.0, 0.0, 0.0]))

    assert 0.02 < np.median(errors) < 0.5


def test_a_robot_that_stands_measures_no_motion():
    world_T_base = np.tile(straight(1.0, 2)[1], (50, 1, 1))

    odom_T_base = noisy_odometry(world_T_base, 3)

    np.testing.assert_allclose(odom_T_base, np.tile(np.eye(4), (50, 1, 1)), atol=1e-12)


def test_a_flat_motion_stays_flat():
    odom_T_base = noisy_odometry(straight(5.0, 100), 1)

    np.testing.assert_allclose(odom_T_base[:, 2, 3], 0.0, atol=1e-12)
    np.testing.assert_allclose(odom_T_base[:, 2, 2], 1.0, atol=1e-12)
