# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np

from ttt3r_ros.geometry import transform

WIDTH, HEIGHT = 64, 48


def test_initial_poses_say_nothing_about_the_scale(session):
    for number in range(40):
        odom_T_base = transform(np.eye(3), [0.3 * number, 0, 0])
        rgb = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
        located = session.map_image(rgb, 1 + number, None, np.eye(4), odom_T_base)
        session.place_base(transform(np.eye(3), [0, 2.0 * number, 0]))

    assert located.odometry_scale.log_sigma == math.inf
