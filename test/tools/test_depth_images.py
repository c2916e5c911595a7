# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import json

import cv2
import numpy as np

from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.tools.depth_images import DepthFolder, millimetres, original_size


def test_each_original_pixel_has_the_depth_of_the_fitted_pixel_that_covers_it():
    # 8x6 halved to 4x3, of which one column on each side is cut off.
    fit = ImageFit((8, 6), (4, 3), 1, 0, 2, 3)
    depth = np.array([[1, 2], [3, 4], [5, 6]], np.float32)

    original = original_size(depth, fit)

    row = [[0, 0, a, a, b, b, 0, 0] for a, b in depth.tolist()]
    assert original.tolist() == np.repeat(row, 2, axis=0).tolist()


def test_depth_that_does_not_fit_into_a_file_is_unknown():
    depth = np.array([0.0014, 65.535, 65.536, -1, np.nan, np.inf, 0], np.float32)

    assert millimetres(depth).tolist() == [1, 65535, 0, 0, 0, 0, 0]


def test_the_folder_says_its_unit_beside_the_images(tmp_path):
    folder = DepthFolder(tmp_path / 'depth')

    folder.write(5, np.full((3, 4), 2.5, np.float32), ImageFit((4, 3), (4, 3), 0, 0, 4, 3))

    unit = json.loads((tmp_path / 'depth/camera.json').read_text())['depth_scale_per_m']
    depth = cv2.imread(str(tmp_path / 'depth/000005.png'), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    np.testing.assert_allclose(depth / unit, 2.5, atol=1e-9)
