# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np

from ttt3r_ros.mapping.tilts import FARTHEST, stretch


def test_points_are_stretched_by_the_exponential_of_tilts_times_tangents():
    x, y, z = (np.array([v], np.float32) for v in (0.6, -0.3, 2.0))

    factor = stretch((x, y, z), np.array([0.2, -0.4]))

    np.testing.assert_allclose(factor, math.exp(0.2 * 0.3 + 0.4 * 0.15), atol=1e-6)


def test_points_far_aside_are_stretched_as_at_the_edge_and_those_behind_stay():
    x, z = np.array([50.0, FARTHEST, 1.0], np.float32), np.array([1.0, 1.0, -1.0], np.float32)

    factor = stretch((x, np.zeros_like(x), z), np.array([0.2, 0.0]))

    np.testing.assert_allclose(factor, [math.exp(0.2 * FARTHEST)] * 2 + [1.0], atol=1e-6)
