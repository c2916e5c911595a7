# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from ttt3r_ros.tracking.frame import Pointmap


@pytest.mark.parametrize('stride', [1, 2, 3, 7])
def test_a_subsampled_pointmap_is_reliable_where_the_whole_one_is(stride):
    rng = np.random.default_rng(0)
    points = rng.uniform(-4, 4, (17, 22, 3)).astype(np.float32)
    points[2, 3] = np.nan
    confidence = rng.uniform(1, 3, (17, 22)).astype(np.float32)
    whole = Pointmap(points, confidence, rng.integers(0, 256, (17, 22, 3), dtype=np.uint8))

    thin = whole.subsampled(stride)

    good_of_whole, good = whole.reliable(1.5, 5.0), thin.reliable(1.5, 5.0)
    rows, columns = (range(stride // 2, size, stride) for size in (17, 22))
    assert good.shape == (len(rows), len(columns))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            assert good[i, j] == good_of_whole[row, column]
            np.testing.assert_array_equal(thin.points_camera[i, j], points[row, column])
            np.testing.assert_array_equal(thin.colors[i, j], whole.colors[row, column])
            assert thin.confidence[i, j] == confidence[row, column]


def test_reliable_points_are_confident_in_front_and_near():
    points = np.zeros((1, 6, 3), np.float32)
    points[0] = [[0, 0, 2], [0, 0, 2], [0, 0, -2], [3, 0, 4], [3, 0, 4.1], [np.nan, 0, 2]]
    confidence = np.array([[1.6, 1.5, 9, 9, 9, 9]], np.float32)
    pointmap = Pointmap(points, confidence, np.zeros((1, 6, 3), np.uint8))

    good = pointmap.reliable(threshold=1.5, max_range=5.0)

    np.testing.assert_array_equal(good, [[True, False, False, True, False, False]])
