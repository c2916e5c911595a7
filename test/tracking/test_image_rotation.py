# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from ttt3r_ros.geometry import BODY_T_OPTICAL, rotation_about, transform
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.tracking.image_rotation import ImageRotation
from ttt3r_ros.tracking.observation import Observation

CAMERA = CameraIntrinsics(64, 48, 40.0, 42.0, 30.0, 25.0, 'plumb_bob', (0.1, -0.02, 0.01, -0.03))
MAST = transform(BODY_T_OPTICAL[:3, :3], [0.2, 0.0, 0.5])
PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def pixel_of(camera, point):
    """Project a point as plumb_bob is defined."""
    x, y = point[:2] / point[2]
    k1, k2, p1, p2 = camera.distortion[:4]
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.array([camera.fx * u + camera.cx, camera.fy * v + camera.cy])


@pytest.mark.parametrize('degrees', [0, 90, 180, 270])
def test_a_turned_picture_shows_each_point_where_the_turned_camera_has_it(degrees):
    image_rotation = ImageRotation(degrees)
    rays = np.random.default_rng(1).uniform([-0.5, -0.4, 1.0], [0.5, 0.4, 1.0], (50, 3))
    number = np.arange(48 * 64).reshape(48, 64)  # of each pixel, so that it is found again
    turned = image_rotation.picture(number)
    camera = image_rotation.camera(CAMERA)
    assert (camera.height, camera.width) == turned.shape

    for ray in rays:
        u, v = np.rint(pixel_of(CAMERA, ray)).astype(int)
        if not (1 <= u < 63 and 1 <= v < 47):
            continue
        (row,), (column,) = np.nonzero(turned == number[v, u])
        expected = pixel_of(CAMERA, ray) - (u, v)
        found = pixel_of(camera, image_rotation.upright_T_stored[:3, :3] @ ray) - (column, row)
        turned_by = image_rotation.upright_T_stored[:2, :2] @ expected
        np.testing.assert_allclose(found, turned_by, atol=1e-9)
    np.testing.assert_array_equal(image_rotation.picture_back(turned), number)
    back = image_rotation.camera_back(camera)
    np.testing.assert_allclose(back.distortion, CAMERA.distortion, atol=1e-12)
    assert back.matrix == pytest.approx(CAMERA.matrix, abs=1e-9)


@pytest.mark.parametrize('degrees', [90, 180, 270])
def test_a_camera_that_was_mounted_turned_sees_what_an_upright_one_sees(degrees):
    """The camera is turned about its optical axis, its picture the other way."""
    image_rotation = ImageRotation(degrees)
    # A camera turned clockwise by an angle has its picture turned anticlockwise by it.
    mounted = transform(rotation_about([0, 0, 1], np.radians(degrees)), [0, 0, 0])
    upright = Observation(PICTURE, 7, CAMERA, MAST, np.eye(4), np.array([0.0, -1.0, 0.0]))
    hanging = Observation(
        image_rotation.picture_back(PICTURE),
        7,
        image_rotation.camera_back(CAMERA),
        MAST @ mounted,
        np.eye(4),
        mounted[:3, :3].T @ [0.0, -1.0, 0.0],
    )

    seen = image_rotation.observation(hanging)

    np.testing.assert_array_equal(seen.rgb, upright.rgb)
    assert seen.intrinsics.matrix == pytest.approx(CAMERA.matrix, abs=1e-9)
    np.testing.assert_allclose(seen.base_T_camera, MAST, atol=1e-12)
    np.testing.assert_allclose(seen.up_camera, upright.up_camera, atol=1e-12)
    np.testing.assert_array_equal(seen.odom_T_base, np.eye(4))


def test_the_odometry_of_a_camera_that_is_its_own_base_is_turned_too():
    image_rotation = ImageRotation(180)
    seen = image_rotation.observation(Observation(PICTURE, 7, odom_T_base=MAST))

    np.testing.assert_allclose(
        seen.odom_T_camera, MAST @ image_rotation.stored_T_upright, atol=1e-12
    )
