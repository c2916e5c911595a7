# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics
from ttt3r_ros.tracking.undistort import lens_of

PINHOLE = (160, 120, 110.0, 112.0, 78.0, 61.0)
FIT = ImageFit.for_image(160, 120, 160, 8)


def brown(x, y, k1, k2, p1, p2, k3, k4=0.0, k5=0.0, k6=0.0):
    """Bend a ray as the plumb_bob and rational_polynomial models are defined."""
    r2 = x * x + y * y
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )


def fisheye(x, y, k1, k2, k3, k4):
    """Bend a ray as the equidistant model is defined."""
    r = np.maximum(np.hypot(x, y), 1e-12)
    t = np.arctan(r)
    bent = t * (1 + k1 * t**2 + k2 * t**4 + k3 * t**6 + k4 * t**8)
    return x * bent / r, y * bent / r


@pytest.mark.parametrize(
    ('model', 'coefficients', 'bend'),
    [
        ('none', (), lambda x, y: (x, y)),
        ('plumb_bob', (-0.3, 0.1, 0.001, -0.002, 0.01), brown),
        ('rational_polynomial', (0.2, -0.1, 0.001, 0.002, 0.01, 0.3, -0.05, 0.02), brown),
        ('equidistant', (-0.02, 0.01, -0.003, 0.001), fisheye),
    ],
)
def test_each_straight_pixel_is_taken_from_where_the_lens_put_its_ray(model, coefficients, bend):
    camera = CameraIntrinsics(*PINHOLE, model, coefficients)
    lens = lens_of(camera, FIT)

    u, v = np.meshgrid(np.arange(160.0), np.arange(120.0))
    x, y = bend((u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, *coefficients)

    np.testing.assert_allclose(lens.column, x * camera.fx + camera.cx, atol=1e-3)
    np.testing.assert_allclose(lens.row, y * camera.fy + camera.cy, atol=1e-3)


def test_the_straight_image_has_the_colours_of_those_places():
    camera = CameraIntrinsics(*PINHOLE, 'plumb_bob', (-0.2, 0.0, 0.0, 0.0))
    lens = lens_of(camera, FIT)
    u, v = np.meshgrid(np.arange(160), np.arange(120))
    rgb = np.stack([u, v, u], axis=-1).astype(np.uint8)

    straight = lens.undistort(rgb)

    assert np.abs(straight[..., 0] - lens.column)[lens.seen].max() <= 0.52
    assert np.abs(straight[..., 1] - lens.row)[lens.seen].max() <= 0.52


@pytest.mark.parametrize(
    ('model', 'coefficients'),
    [('none', ()), ('plumb_bob', (0.0,) * 5), ('rational_polynomial', (0.0,) * 8)],
)
def test_an_image_that_no_lens_has_bent_is_the_straight_one(model, coefficients):
    lens = lens_of(CameraIntrinsics(*PINHOLE, model, coefficients), FIT)
    rgb = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)

    assert lens.undistort(rgb) is rgb
    # As the tables would have it, too.
    np.testing.assert_array_equal(replace(lens, bends=True).undistort(rgb), rgb)


@pytest.mark.parametrize(
    ('model', 'coefficients'),
    [('plumb_bob', (1e-4, 0.0, 0.0, 0.0)), ('equidistant', (0.0,) * 4)],
)
def test_an_image_that_a_lens_has_bent_is_straightened(model, coefficients):
    lens = lens_of(CameraIntrinsics(*PINHOLE, model, coefficients), FIT)
    rgb = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)

    assert (lens.undistort(rgb) != rgb).any()


def test_points_keep_their_depth_and_project_onto_their_pixels():
    camera = CameraIntrinsics(*PINHOLE, 'plumb_bob', (-0.2, 0.05, 0.0, 0.0))
    fit = ImageFit.for_image(160, 120, 96, 8)
    lens, fitted = lens_of(camera, fit), fit.intrinsics(camera.without_distortion())
    guess = np.random.default_rng(0).uniform(1, 4, (fit.height, fit.width, 3)).astype(np.float32)

    points, _ = lens.rebuild(guess, np.ones(guess.shape[:2], np.float32))

    u, v = np.meshgrid(np.arange(fit.width), np.arange(fit.height))
    x, y, z = np.moveaxis(points, -1, 0)
    np.testing.assert_array_equal(z, guess[..., 2])
    np.testing.assert_allclose(fitted.fx * x / z + fitted.cx, u, atol=1e-4)
    np.testing.assert_allclose(fitted.fy * y / z + fitted.cy, v, atol=1e-4)


def test_what_the_camera_did_not_see_has_no_confidence():
    # Rays bend outwards, so the corners of the straight image lie outside of the distorted one.
    camera = CameraIntrinsics(160, 120, 110.0, 110.0, 79.5, 59.5, 'plumb_bob', (0.3, 0, 0, 0))
    lens = lens_of(camera, ImageFit.for_image(160, 120, 80, 8))

    _, confidence = lens.rebuild(
        np.ones((56, 80, 3), np.float32), np.full((56, 80), 7, np.float32)
    )

    assert confidence[0, 0] == confidence[-1, -1] == 1
    assert confidence[28, 40] == 7
    # The middle row: x (1 + 0.3 x^2) = 80 / 110 at x = 0.6463, 71.1 pixels from the middle.
    np.testing.assert_array_equal(np.flatnonzero(confidence[28] == 7)[[0, -1]], [4, 75])


@pytest.mark.parametrize(
    ('model', 'count'),
    [('none', 1), ('plumb_bob', 3), ('rational_polynomial', 5), ('equidistant', 5)],
)
def test_a_wrong_number_of_coefficients_is_refused(model, count):
    camera = CameraIntrinsics(*PINHOLE, model, (0.1,) * count)

    with pytest.raises(CalibrationError, match='coefficients'):
        lens_of(camera, ImageFit.for_image(160, 120, 160, 8))


def test_a_calibration_of_another_image_size_is_refused():
    with pytest.raises(CalibrationError, match='160x120'):
        lens_of(CameraIntrinsics(*PINHOLE), ImageFit.for_image(320, 240, 160, 8))
