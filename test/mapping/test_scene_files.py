# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Cameras of COLMAP and nerfstudio project as OpenCV does, and are read again as they were."""

from dataclasses import replace
import io
import json

import cv2
import numpy as np
import pytest

from ttt3r_ros.inputs.calibration_files import read_intrinsics
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics
from ttt3r_ros.mapping.scene_files import (
    PosedImage,
    write_colmap_cameras,
    write_colmap_images,
    write_nerfstudio,
)

PINHOLE = CameraIntrinsics(640, 480, 500.0, 510.0, 321.5, 238.25)
PLUMB_BOB = CameraIntrinsics(640, 480, 500.0, 510.0, 321.5, 238.25, 'plumb_bob',
                             (0.1, -0.05, 0.001, -0.002, 0.01))  # fmt: skip
SHORT = CameraIntrinsics(640, 480, 500.0, 510.0, 321.5, 238.25, 'plumb_bob',
                         (0.1, -0.05, 0.001, -0.002))  # fmt: skip
RATIONAL = CameraIntrinsics(640, 480, 500.0, 510.0, 321.5, 238.25, 'rational_polynomial',
                            (0.1, -0.05, 0.001, -0.002, 0.01, 0.2, 0.1, 0.05))  # fmt: skip
FISHEYE = CameraIntrinsics(640, 480, 300.0, 310.0, 321.5, 238.25, 'equidistant',
                           (0.05, 0.01, -0.003, 0.001))  # fmt: skip
ROTATION = cv2.Rodrigues(np.array([0.3, -0.8, 1.1]))[0]
POSE = np.block([[ROTATION, np.array([[1.0], [-2], [0.5]])], [np.zeros((1, 3)), np.ones((1, 1))]])
POINTS_CAMERA = np.array([[0.0, 0, 2], [0.5, -0.3, 2], [-0.8, 0.6, 3], [1.0, 0.9, 4]])
POINTS_MAP = POINTS_CAMERA @ ROTATION.T + POSE[:3, 3]


def pixels_of(camera):
    """Project with OpenCV, pixel centres at integers."""
    project = cv2.fisheye if camera.distortion_model == 'equidistant' else cv2
    given = POINTS_CAMERA[:, None], np.zeros(3), np.zeros(3), camera.matrix
    return project.projectPoints(*given, np.array(camera.distortion))[0][:, 0]


def colmap_project(camera_line, image_line, points):
    """Project as COLMAP documents its models: src/colmap/sensor/models.h, in words."""
    _, model, _, _, *numbers = camera_line.split()
    fx, fy, cx, cy, *k = map(float, numbers)
    qw, qx, qy, qz, *t = map(float, image_line.split()[1:8])
    vector = np.array([qx, qy, qz])
    # v' = v + 2 qw (q x v) + 2 q x (q x v)
    turned = np.cross(vector, points)
    camera = points + 2 * qw * turned + 2 * np.cross(vector, turned) + t
    u, v = camera[:, 0] / camera[:, 2], camera[:, 1] / camera[:, 2]
    if model == 'OPENCV_FISHEYE':
        r = np.hypot(u, v)
        theta = np.arctan(r)
        bent = theta * (1 + sum(c * theta ** (2 * i + 2) for i, c in enumerate(k)))
        factor = np.divide(bent, r, out=np.ones_like(r), where=r > 0)
        u, v = u * factor, v * factor
    elif model != 'PINHOLE':
        k1, k2, p1, p2, *more = k
        k3, k4, k5, k6 = more or (0, 0, 0, 0)
        r2 = u * u + v * v
        radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        u, v = (
            u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u * u),
            v * radial + 2 * p2 * u * v + p1 * (r2 + 2 * v * v),
        )
    return np.stack([fx * u + cx, fy * v + cy], axis=1)


def written(write, *given):
    file = io.BytesIO()
    write(file, *given)
    return file.getvalue().decode()


@pytest.mark.parametrize(
    ('camera', 'model'),
    [
        (PINHOLE, 'PINHOLE'),
        (SHORT, 'OPENCV'),
        (PLUMB_BOB, 'FULL_OPENCV'),
        (RATIONAL, 'FULL_OPENCV'),
        (FISHEYE, 'OPENCV_FISHEYE'),
    ],
)
def test_a_point_of_the_map_falls_on_its_pixel_in_colmap(camera, model, tmp_path):
    image = PosedImage('a.jpg', POSE, camera)
    cameras = written(write_colmap_cameras, [image]).splitlines()
    images = written(write_colmap_images, [image]).splitlines()
    assert cameras[1].split()[1] == model
    assert images[1].endswith(' 1 a.jpg')

    found = colmap_project(cameras[1], images[1], POINTS_MAP)

    # The pixel centre that is (0, 0) for OpenCV is (0.5, 0.5) for COLMAP.
    np.testing.assert_allclose(found, pixels_of(camera) + 0.5, atol=1e-4)
    (tmp_path / 'cameras.txt').write_text('\n'.join(cameras))
    again = read_intrinsics(tmp_path / 'cameras.txt')
    np.testing.assert_allclose(pixels_of(again), pixels_of(camera), atol=1e-9)


@pytest.mark.parametrize('camera', [PINHOLE, SHORT, PLUMB_BOB, FISHEYE])
def test_nerfstudio_has_the_camera_behind_its_axes(camera, tmp_path):
    path = tmp_path / 'transforms.json'
    image = PosedImage('images/a.jpg', POSE, camera)
    path.write_text(written(write_nerfstudio, [image], 'a.ply'))
    record = json.loads(path.read_text())
    (frame,) = record['frames']

    # OpenGL looks along -z, with y up: a point ahead, right and below has x > 0, y < 0, z < 0.
    ahead = POSE[:3, :3] @ [1, 2, 3] + POSE[:3, 3]
    opengl = np.linalg.inv(frame['transform_matrix']) @ np.append(ahead, 1)
    np.testing.assert_allclose(opengl, [1, -2, -3, 1], atol=1e-9)
    assert frame['file_path'] == 'images/a.jpg'
    again = read_intrinsics(path)
    assert (again.width, again.height) == (640, 480)
    np.testing.assert_allclose(pixels_of(again), pixels_of(camera), atol=1e-9)


ZOOMED = replace(PINHOLE, fx=900.0, fy=910.0)


def test_each_image_keeps_its_own_camera_in_colmap():
    taken = [PINHOLE, SHORT, SHORT, PINHOLE]
    images = [PosedImage(f'{k}.jpg', POSE, camera) for k, camera in enumerate(taken)]

    cameras = written(write_colmap_cameras, images).splitlines()[1:]
    rows = written(write_colmap_images, images).splitlines()[1::2]

    for camera, row in zip(taken, rows):
        line = cameras[int(row.split()[8]) - 1]
        found = colmap_project(line, row, POINTS_MAP)
        np.testing.assert_allclose(found, pixels_of(camera) + 0.5, atol=1e-4)
    assert [row.split()[8] for row in rows] == ['1', '2', '2', '1']


def test_each_image_keeps_its_own_camera_in_nerfstudio(tmp_path):
    taken = [PINHOLE, SHORT, ZOOMED]
    images = [PosedImage(f'{k}.jpg', POSE, camera) for k, camera in enumerate(taken)]

    record = json.loads(written(write_nerfstudio, images, 'a.ply'))

    assert 'fl_x' not in record
    for camera, frame in zip(taken, record['frames']):
        path = tmp_path / 'transforms.json'
        path.write_text(json.dumps({**record, 'frames': [frame]}))
        np.testing.assert_allclose(pixels_of(read_intrinsics(path)), pixels_of(camera), atol=1e-9)
    with pytest.raises(CalibrationError, match='one camera model for all images'):
        written(write_nerfstudio, [*images, PosedImage('3.jpg', POSE, FISHEYE)], 'a.ply')


def test_distortions_that_the_others_do_not_know_are_refused():
    prism = CameraIntrinsics(640, 480, 500.0, 500.0, 320.0, 240.0, 'rational_polynomial',
                             (0.1,) * 12)  # fmt: skip
    with pytest.raises(CalibrationError, match='12 coefficients'):
        written(write_colmap_cameras, [PosedImage('a.jpg', POSE, prism)])
    with pytest.raises(CalibrationError, match='nerfstudio has no k4, k5, k6'):
        written(write_nerfstudio, [PosedImage('a.jpg', POSE, RATIONAL)], 'a.ply')
