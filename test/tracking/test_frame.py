# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from ttt3r_ros.tracking.frame import MappedFrame


def frame_of(points, confidence, colors):
    return MappedFrame(0, 0, 0, 1.0, np.eye(4), points, confidence, colors, 1.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize('stride', [1, 2, 3, 7])
def test_a_thinned_frame_keeps_what_the_whole_one_keeps_at_its_pixels(stride):
    rng = np.random.default_rng(0)
    points = rng.uniform(-4, 4, (17, 22, 3)).astype(np.float32)
    points[2, 3] = np.nan
    confidence = rng.uniform(1, 3, (17, 22)).astype(np.float32)
    whole = frame_of(points, confidence, rng.integers(0, 256, (17, 22, 3), dtype=np.uint8))

    thin = whole.thinned(stride)

    kept_of_whole, kept = whole.kept(1.5, 5.0), thin.kept(1.5, 5.0)
    rows, columns = (range(stride // 2, size, stride) for size in (17, 22))
    assert kept.shape == (len(rows), len(columns))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            assert kept[i, j] == kept_of_whole[row, column]
            np.testing.assert_array_equal(thin.points_camera[i, j], points[row, column])
            np.testing.assert_array_equal(thin.colors[i, j], whole.colors[row, column])
            assert thin.confidence[i, j] == confidence[row, column]
