# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np
import pytest

from ttt3r_ros.geometry import transform

WIDTH, HEIGHT = 64, 48


@pytest.mark.parametrize('localization_only', [False, True])
def test_a_due_segment_begins_ahead_unless_nothing_is_written(session, localization_only):
    session.map_image(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 1, None, None, None)
    session.mapper.start_segment()
    session.localization_only = localization_only

    session.look_ahead()

    assert session.mapper.snapshot().segment.number == (0 if localization_only else 1)


def test_initial_poses_say_nothing_about_the_scale(session):
    for number in range(40):
        odom_T_base = transform(np.eye(3), [0.3 * number, 0, 0])
        rgb = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
        located = session.map_image(rgb, 1 + number, None, np.eye(4), odom_T_base)
        session.place_base(transform(np.eye(3), [0, 2.0 * number, 0]))

    assert located.odometry_scale.log_sigma == math.inf
