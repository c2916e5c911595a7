# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from benchmark.accuracy.drives import Drive
from ttt3r_ros.tracking.focal import estimate_focal


@pytest.mark.parametrize(('believed', 'expected'), [(50.0, 50.0), (75.0, 75.0), (0.0, 60.0)])
def test_points_lie_along_the_rays_that_the_network_believes_in(believed, expected):
    depth = np.random.default_rng(0).uniform(1.0, 4.0, (1, 60, 80)).astype(np.float16)
    drive = Drive(
        np.zeros((1, 60, 80, 3), np.uint8),
        *[depth] * 3,
        np.zeros(1, np.int64),
        np.eye(4)[None],
        np.zeros(1, np.int64),
        np.full(1, believed),
        np.array([[60.0, 0.0, 40.0], [0.0, 60.0, 30.0], [0.0, 0.0, 1.0]]),
        np.eye(4),
        np.eye(4)[None],
    )

    points = drive.points_camera(0)

    np.testing.assert_allclose(points[..., 2], depth[0], atol=1e-6)
    assert estimate_focal(points) == pytest.approx(expected, abs=1e-3)
