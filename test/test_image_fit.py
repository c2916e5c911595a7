# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.image_fit import BadImage, ImageFit
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics
from ttt3r_ros.model.resize import resize_on_host


@pytest.mark.parametrize(
    ('original', 'resized', 'box'),
    [
        ((640, 480), (512, 384), (0, 0, 512, 384)),
        ((480, 640), (384, 512), (0, 0, 384, 512)),
        ((1920, 1080), (512, 288), (0, 0, 512, 288)),
        ((1241, 376), (512, 155), (0, 5, 512, 149)),
        ((752, 480), (512, 327), (0, 3, 512, 323)),
        ((848, 480), (512, 290), (0, 1, 512, 289)),
        ((1296, 968), (512, 382), (0, 7, 512, 375)),
        ((1024, 436), (512, 218), (0, 5, 512, 213)),
        ((300, 200), (512, 341), (0, 2, 512, 338)),
        ((515, 387), (512, 385), (0, 0, 512, 384)),
        ((1000, 1000), (512, 512), (0, 64, 512, 448)),
        ((2048, 64), (512, 16), (0, 0, 512, 16)),
    ],
)
def test_the_published_512_model_gets_the_sizes_it_was_checked_with(original, resized, box):
    fit = ImageFit.for_image(*original, size=512, patch=16)

    assert fit.resized == resized
    assert (fit.left, fit.top, fit.left + fit.width, fit.top + fit.height) == box


@pytest.mark.parametrize(
    ('original', 'resized', 'box'),
    [
        ((640, 480), (299, 224), (37, 0, 261, 224)),
        ((480, 640), (224, 299), (0, 37, 224, 261)),
        ((300, 300), (224, 224), (0, 0, 224, 224)),
        ((112, 56), (448, 224), (112, 0, 336, 224)),
    ],
)
def test_a_square_model_gets_the_middle_of_the_short_side(original, resized, box):
    fit = ImageFit.for_image(*original, size=224, patch=16, square_crop=True)

    assert fit.resized == resized
    assert (fit.left, fit.top, fit.left + fit.width, fit.top + fit.height) == box


@pytest.mark.parametrize('patch', [8, 14, 16])
@pytest.mark.parametrize('size', [112, 160, 224, 512])
@pytest.mark.parametrize('original', [(500, 500), (641, 479), (97, 133), (31, 33)])
def test_sides_are_always_whole_patches_inside_the_resized_image(size, patch, original):
    fit = ImageFit.for_image(*original, size=size, patch=patch)

    assert fit.width % patch == fit.height % patch == 0
    assert min(fit.left, fit.top) >= 0
    assert fit.left + fit.width <= fit.resized[0] <= size
    assert fit.top + fit.height <= fit.resized[1] <= size
    assert fit.width > size - 2 * patch or fit.height > size - 2 * patch


def test_a_square_image_becomes_4_to_3_in_whole_patches():
    fit = ImageFit.for_image(500, 500, size=224, patch=16)

    assert (fit.width, fit.height) == (224, 160)


@pytest.mark.parametrize('original', [(0, 5), (2048, 31), (9, 2048), (40000, 1)])
@pytest.mark.parametrize('square', [False, True])
def test_an_image_without_room_for_a_patch_is_refused(original, square):
    with pytest.raises(BadImage, match=r'empty|too narrow'):
        ImageFit.for_image(*original, size=512, patch=16, square_crop=square)


@pytest.mark.parametrize(
    ('original', 'smooth'),
    [((900, 700), Image.Resampling.LANCZOS), ((90, 71), Image.Resampling.BICUBIC)],
)
def test_pixels_equal_the_published_resize_then_crop(original, smooth):
    rgb = np.random.default_rng(0).integers(0, 256, (*original[::-1], 3), dtype=np.uint8)
    fit = ImageFit.for_image(*original, size=224, patch=16)

    fitted = fit.apply(rgb, resize_on_host)

    box = (fit.left, fit.top, fit.left + fit.width, fit.top + fit.height)
    expected = Image.fromarray(rgb).resize(fit.resized, smooth).crop(box)
    # How nearly the pixels are Pillow's: test_resize.py.
    np.testing.assert_allclose(fitted.astype(int), np.asarray(expected), atol=1)


def test_an_image_of_the_right_size_is_left_alone():
    rgb = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)

    fitted = ImageFit.for_image(64, 48, 64, 16).apply(rgb, resize_on_host)
    np.testing.assert_array_equal(fitted, rgb)


def test_a_pixel_maps_back_to_where_its_colour_came_from():
    ramp_u, ramp_v = np.meshgrid(np.arange(1200) / 6, np.arange(700) / 6)
    rgb = np.stack([ramp_u, ramp_v, ramp_u], axis=-1).astype(np.uint8)
    fit = ImageFit.for_image(1200, 700, size=224, patch=16)

    u, v = fit.to_original(np.arange(fit.width), np.full(fit.width, 60))

    colours = fit.apply(rgb, resize_on_host)[60]
    inner = slice(4, -4)  # the filter has a shorter support at the edges
    # Colours were rounded down before, and rounded after: (1/2 +- 1/2 +- 1/2) levels of 6 pixels.
    np.testing.assert_allclose(colours[inner, 0] * 6.0 + 3, u[inner], atol=6)
    np.testing.assert_allclose(colours[inner, 1] * 6.0 + 3, v[inner], atol=6)
    assert abs(np.mean(colours[inner, 0] * 6.0 + 2.5 - u[inner])) < 1.0


def test_corners_of_the_whole_image_map_back_to_its_corners():
    fit = ImageFit.for_image(1280, 960, size=512, patch=16)

    u, v = fit.to_original(np.array([-0.5, 511.5]), np.array([-0.5, 383.5]))

    np.testing.assert_allclose(u, [-0.5, 1279.5], atol=1e-9)
    np.testing.assert_allclose(v, [-0.5, 959.5], atol=1e-9)


def test_a_ray_stays_the_same_through_the_fit():
    camera = CameraIntrinsics(752, 480, 458.0, 457.0, 367.2, 248.4)
    fit = ImageFit.for_image(752, 480, size=512, patch=16)
    fitted = fit.intrinsics(camera)

    u, v = fit.to_original(np.array([100.0]), np.array([77.0]))

    assert (fitted.width, fitted.height) == (fit.width, fit.height)
    np.testing.assert_allclose(
        (100 - fitted.cx) / fitted.fx, (u - camera.cx) / camera.fx, atol=1e-9
    )
    np.testing.assert_allclose(
        (77 - fitted.cy) / fitted.fy, (v - camera.cy) / camera.fy, atol=1e-9
    )


def test_a_calibration_of_another_size_is_refused():
    with pytest.raises(CalibrationError, match='640x480'):
        ImageFit.for_image(752, 480, 512, 16).intrinsics(
            CameraIntrinsics(640, 480, 400.0, 400.0, 320.0, 240.0)
        )


@pytest.mark.parametrize(
    'rgb',
    [
        np.zeros((48, 64, 3)),
        np.zeros((48, 64), np.uint8),
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((48, 0, 3), np.uint8),
        np.zeros((64, 48, 3), np.uint8),
        [[1, 2, 3]],
    ],
)
def test_an_array_that_is_not_the_image_is_refused(rgb):
    with pytest.raises(BadImage):
        ImageFit.for_image(64, 48, 64, 16).apply(rgb, resize_on_host)
