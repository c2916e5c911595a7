# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np

from test.node.conftest import ExactPredictor, picture
from ttt3r_ros.geometry import transform
from ttt3r_ros.mapping.mapper import OnlineMapper
from ttt3r_ros.node.session import Session
from ttt3r_ros.settings import MappingSettings


def test_initial_poses_say_nothing_about_the_scale():
    session = Session(OnlineMapper(ExactPredictor(), MappingSettings()), MappingSettings())
    for number in range(40):
        odom_T_base = transform(np.eye(3), [0.3 * number, 0, 0])
        located = session.map_image(picture(number), 1 + number, None, np.eye(4), odom_T_base)
        session.place_base(transform(np.eye(3), [0, 2.0 * number, 0]))

    assert located.odometry_scale.log_sigma == math.inf
