# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics

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
    assert (camera.cx, camera.cy) == (49.5, 24.5)


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
    assert CameraIntrinsics.from_record({'width': 4, 'height': 3}) is None
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
