# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np

from ttt3r_ros.graph.floor import depth_on_floor, find_floor
from ttt3r_ros.simulation.camera_path import body_T_camera

CAMERA = np.array([[160.0, 0, 111.5], [0, 160.0, 79.5], [0, 0, 1]])


def test_features_on_the_floor_are_as_far_as_their_rays_are_long():
    height, scale = 0.8, 1.2  # the depth of the network is this much too short
    base_T_camera = body_T_camera(height)
    rows = np.arange(160)[:, None] * np.ones(224)
    down = np.maximum((rows - 79.5) / 160.0, 1e-9)
    truth = np.minimum(height / down, 3.0)  # a wall stands on the floor
    floor = find_floor(truth / scale, CAMERA, base_T_camera)
    px = np.array([[60.0, 150.0], [112.0, 140.0], [180.0, 130.0], [112.0, 100.0], [112.0, 40.0]])
    log_depth = np.log(truth[px[:, 1].astype(int), px[:, 0].astype(int)] / scale)

    found = depth_on_floor(floor, px, log_depth, CAMERA, base_T_camera)

    expected = np.log(height / ((px[:3, 1] - 79.5) / 160.0))
    np.testing.assert_allclose(found[:3, 0], expected, atol=1e-6)
    assert np.isnan(found[3:]).all()  # the wall
    assert found[2, 1] > found[0, 1] > 0.02  # farther away a base that nods counts for more
