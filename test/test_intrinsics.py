# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import cv2
import numpy as np
from PIL import Image, ImageOps
import pytest

from ttt3r_ros.intrinsics import (
    CalibrationError,
    CameraInfo,
    CameraIntrinsics,
    known_distortion,
    NotCalibrated,
)

CAMERA = CameraIntrinsics(640, 480, 500.0, 510.0, 320.5, 239.0)


def project(camera: CameraIntrinsics, point: np.ndarray) -> np.ndarray:
    """Project a point by the pinhole formula."""
    x, y, z = point
    return np.array([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy])


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'width': 0}, 'empty'),
        ({'fx': float('nan')}, 'not finite'),
        ({'distortion_model': 'plumb_bob', 'distortion': (float('inf'),)}, 'not finite'),
        ({'fy': -510.0}, 'must be positive'),
        ({'distortion_model': 'fisheye62'}, 'fisheye62'),
    ],
)
def test_an_impossible_calibration_is_refused(change, said):
    record = {**CAMERA.to_record(), 'distortion': ()} | change
    with pytest.raises(CalibrationError, match=said):
        CameraIntrinsics(**record)


def test_the_field_of_view_reaches_from_edge_to_edge():
    camera = CameraIntrinsics.from_field_of_view(100, 50, 90.0)
    left_edge = (-0.5 - camera.cx) / camera.fx
    right_edge = (99.5 - camera.cx) / camera.fx
    assert np.degrees(np.arctan(right_edge) - np.arctan(left_edge)) == pytest.approx(
        90.0, abs=1e-9
    )
    assert camera.fx == camera.fy
    assert (camera.cx, camera.cy) == pytest.approx((49.5, 24.5), abs=1e-9)


def test_the_matrix_projects_as_the_formula_does():
    point = np.array([0.3, -0.2, 2.0])
    u, v, w = CAMERA.matrix @ point
    np.testing.assert_allclose([u / w, v / w], project(CAMERA, point), atol=1e-9)


def test_a_resize_keeps_a_point_at_the_same_part_of_the_image():
    point = np.array([0.3, -0.2, 2.0])
    small = CAMERA.resized(320, 120)
    # The edges lie at -0.5 and size - 0.5, so (pixel + 0.5) / size is the part of the image.
    before = (project(CAMERA, point) + 0.5) / [640, 480]
    after = (project(small, point) + 0.5) / [320, 120]
    np.testing.assert_allclose(after, before, atol=1e-9)


def test_a_resize_back_gives_the_same_camera():
    back = CAMERA.resized(123, 457).resized(640, 480)
    np.testing.assert_allclose(back.matrix, CAMERA.matrix, atol=1e-9)


def test_a_crop_moves_pixels_by_its_corner():
    point = np.array([0.3, -0.2, 2.0])
    cropped = CAMERA.cropped(left=100, top=40, width=300, height=200)
    np.testing.assert_allclose(
        project(cropped, point), project(CAMERA, point) - [100, 40], atol=1e-9
    )
    assert (cropped.width, cropped.height) == (300, 200)


def test_rays_times_depth_project_onto_their_own_pixel():
    camera = CameraIntrinsics(4, 3, 2.0, 3.0, 1.5, 1.0)
    rays = camera.rays()
    assert rays.shape == (3, 4, 3)
    assert rays.dtype == np.float32
    for v in range(3):
        for u in range(4):
            np.testing.assert_allclose(project(camera, 7.0 * rays[v, u]), [u, v], atol=1e-5)


def test_rays_of_a_distorted_image_are_refused():
    distorted = CameraIntrinsics(4, 3, 2.0, 3.0, 1.5, 1.0, 'plumb_bob', (0.1, 0, 0, 0, 0))
    with pytest.raises(CalibrationError, match='undistorted'):
        distorted.rays()
    assert distorted.without_distortion().rays().shape == (3, 4, 3)


@pytest.mark.parametrize(
    'camera',
    [CAMERA, CameraIntrinsics(4, 3, 2.0, 3.0, 1.5, 1.0, 'equidistant', (0.1, 0.2, 0.3, 0.4))],
)
def test_a_record_gives_the_camera_back(camera):
    assert CameraIntrinsics.from_record(camera.to_record()) == camera


def test_records_of_other_writers_are_understood():
    plain = {'width': 4, 'height': 3, 'fx': 2, 'fy': 3, 'cx': 1, 'cy': 1}
    undistorted = CameraIntrinsics.from_record(
        {**plain, 'distortion_model': 'none (rectified)', 'distortion': [0.0]}
    )
    assert undistorted.distortion_model == 'none'
    radial = CameraIntrinsics.from_record(
        {**plain, 'distortion_model': 'radial_k1', 'distortion': [0.25]}
    )
    assert (radial.distortion_model, radial.distortion) == ('plumb_bob', (0.25, 0, 0, 0))


@pytest.mark.parametrize(
    'record', [{'fx': 1.0}, {'width': 4, 'height': 3, 'fx': 'a', 'fy': 1, 'cx': 1, 'cy': 1}]
)
def test_a_malformed_record_is_refused(record):
    with pytest.raises(CalibrationError, match='incomplete or malformed'):
        CameraIntrinsics.from_record(record)


@pytest.mark.parametrize(
    'record', [{'width': 4, 'height': 3}, {'width': 4, 'height': 3, 'intrinsics': 'unknown'}]
)
def test_a_record_can_tell_that_a_camera_is_not_calibrated(record):
    with pytest.raises(NotCalibrated, match='unknown'):
        CameraIntrinsics.from_record(record)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize(
    ('model', 'coefficients'),
    [
        ('plumb_bob', (0.1, -0.2, 0.03, -0.02, 0.01)),
        ('rational_polynomial', (0.1, -0.2, 0.03, -0.02, 0, 0, 0, 0.1, 0.01, 0.02, 0.03, 0.04)),
    ],
)
def test_a_turned_camera_sees_a_point_where_the_turned_image_shows_it(
    orientation, model, coefficients
):
    camera = CameraIntrinsics(80, 60, 50.0, 55.0, 33.0, 27.0, model, coefficients)
    turned = camera.turned(orientation)
    # An independent turn: Pillow turns a stored image whose pixels hold their own coordinates.
    v, u = np.mgrid[:60, :80]
    shown = []
    for values in (u, v):
        image = Image.fromarray(values.astype(np.uint8))
        image.getexif()[0x0112] = orientation
        shown.append(np.asarray(ImageOps.exif_transpose(image)).astype(int))
    stored_u, stored_v = shown
    assert (turned.height, turned.width) == stored_u.shape

    # Where does the ray of each upright pixel of the straight camera fall in the bent one?
    def bent(which):
        size = (which.width, which.height)
        k, d = which.matrix, np.array(which.distortion)
        return cv2.initUndistortRectifyMap(k, d, None, k, size, cv2.CV_32FC1)

    column, row = bent(camera)
    turned_column, turned_row = bent(turned)
    straight_v, straight_u = np.mgrid[: turned.height, : turned.width]
    moved = np.stack([turned_column - straight_u, turned_row - straight_v])
    before = np.stack([column - u, row - v])[:, stored_v, stored_u]
    # Displacements turn as the axes do: found here from how the stored coordinates run.
    axes = np.array(
        [
            [stored_u[0, 1] - stored_u[0, 0], stored_v[0, 1] - stored_v[0, 0]],
            [stored_u[1, 0] - stored_u[0, 0], stored_v[1, 0] - stored_v[0, 0]],
        ]
    )
    np.testing.assert_allclose(moved, np.tensordot(axes, before, 1), atol=2e-3)


@pytest.mark.parametrize(
    ('model', 'given', 'known'),
    [
        ('plumb_bob', [0.1, -0.2, 0, 0, 0, 0, 0, 0], ('plumb_bob', (0.1, -0.2, 0, 0, 0))),
        ('plumb_bob', [0.1] * 8, ('rational_polynomial', (0.1,) * 8)),
        ('rational_polynomial', [0.1] * 8 + [0] * 6, ('rational_polynomial', (0.1,) * 8)),
        ('rational_polynomial', [0.1] * 14, ('rational_polynomial', (0.1,) * 14)),
        ('rational_polynomial', [0.1] * 5, ('rational_polynomial', (0.1,) * 5 + (0,) * 3)),
        ('fisheye', [0.1, 0.2, 0.3, 0.4], ('equidistant', (0.1, 0.2, 0.3, 0.4))),
        ('fisheye', [0.0] * 4, ('equidistant', (0,) * 4)),  # a fisheye bends without them too
        ('equidistant', [0.1, 0, 0, 0, 0], ('equidistant', (0.1, 0, 0, 0))),
        ('radtan', [0.1, 0.2, 0.3, 0.4], ('plumb_bob', (0.1, 0.2, 0.3, 0.4))),
        ('plumb_bob', [0.1], ('plumb_bob', (0.1, 0, 0, 0))),
        ('plumb_bob', [0.0] * 5, ('none', ())),
        ('', [], ('none', ())),
    ],
)
def test_the_distortion_of_drivers_is_brought_to_a_known_form(model, given, known):
    assert known_distortion(model, given) == known


def test_more_coefficients_than_a_model_has_are_refused():
    with pytest.raises(CalibrationError, match='5 distortion coefficients, at most 4'):
        known_distortion('fisheye', [0.1] * 5)


K = (120.0, 0, 63.5, 0, 121.0, 47.5, 0, 0, 1)
P = (100.0, 0, 60.0, 0, 0, 101.0, 40.0, 0, 0, 0, 1, 0)


def test_a_region_of_interest_moves_the_centre_and_keeps_the_focal_length():
    camera = CameraInfo(128, 96, 'plumb_bob', (), K, roi=(32, 24, 64, 48)).intrinsics()

    assert camera == CameraIntrinsics(64, 48, 120.0, 121.0, 63.5 - 32, 47.5 - 24)


@pytest.mark.parametrize('roi', [(33, 0, 64, 48), (0, 25, 64, 72), (0, 0, 97, 96)])
def test_a_region_that_is_not_within_the_image_is_refused(roi):
    # As drivers send it that set width and height to those of the region.
    info = CameraInfo(96, 96, '', (), (60.0, 0, 48, 0, 60, 48, 0, 0, 1), roi=roi)

    with pytest.raises(CalibrationError, match='is not within the 96x96 pixels'):
        info.intrinsics()


def test_p_counts_where_k_is_zero_or_the_images_are_rectified():
    bent = (0.1, 0.2, 0.0, 0.0, 0.0)
    of_p = CameraIntrinsics(128, 96, 100.0, 101.0, 60.0, 40.0)

    assert CameraInfo(128, 96, 'plumb_bob', bent, (0.0,) * 9, P).intrinsics() == of_p
    assert CameraInfo(128, 96, 'plumb_bob', bent, K, P, rectified=True).intrinsics() == of_p
    assert CameraInfo(128, 96, 'plumb_bob', bent, K, P).intrinsics().distortion == bent


@pytest.mark.parametrize('p', [(), (0.0,) * 12])
def test_zero_matrices_mean_a_camera_that_is_not_calibrated(p):
    with pytest.raises(NotCalibrated, match='all zero'):
        CameraInfo(128, 96, 'plumb_bob', (), (0.0,) * 9, p).intrinsics()


def test_a_size_that_a_driver_left_out_is_that_of_the_image():
    info = CameraInfo(0, 0, '', (), K, binning=(2, 2))

    with pytest.raises(CalibrationError, match='0x0'):
        info.intrinsics()
    camera = info.sized(64, 48).intrinsics()
    assert (camera.width, camera.height, camera.fx) == (64, 48, 60.0)
