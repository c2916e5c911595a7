# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import json

import pytest

from ttt3r_ros.inputs.calibration_files import read_intrinsics
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics

CALIBRATION_YAML = """
image_width: 640
image_height: 480
camera_name: front
camera_matrix: {rows: 3, cols: 3, data: [500., 0, 320, 0, 510, 240, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.2, 0, 0, 0]}
"""
ECHO_YAML = """
header: {frame_id: camera}
height: 480
width: 640
distortion_model: plumb_bob
d: [0, 0, 0, 0, 0]
k: [500, 0, 320, 0, 510, 240, 0, 0, 1]
---
"""


def test_camera_json_is_read(tmp_path):
    camera = CameraIntrinsics(640, 480, 500.0, 510.0, 320.0, 240.0)
    path = tmp_path / 'camera.json'
    path.write_text(json.dumps(camera.to_record(), indent='\t'))

    assert read_intrinsics(path) == camera


def test_an_unknown_calibration_is_none(tmp_path):
    path = tmp_path / 'camera.json'
    path.write_text('{"width": 640, "height": 360, "intrinsics": "unknown"}')

    assert read_intrinsics(path) is None


def test_the_yaml_of_camera_calibration_is_read(tmp_path):
    path = tmp_path / 'front.yaml'
    path.write_text(CALIBRATION_YAML)

    assert read_intrinsics(path) == CameraIntrinsics(
        640, 480, 500.0, 510.0, 320.0, 240.0, 'plumb_bob', (0.1, -0.2, 0.0, 0.0, 0.0)
    )


def test_an_echoed_camera_info_is_read(tmp_path):
    path = tmp_path / 'info.yaml'
    path.write_text(ECHO_YAML)

    assert read_intrinsics(path) == CameraIntrinsics(640, 480, 500.0, 510.0, 320.0, 240.0)


@pytest.mark.parametrize(
    'text',
    [
        '',
        '[1, 2]',
        '{',
        'camera_matrix: {data: [1, 2]}',
        'k: [500, 0, 320]\nwidth: 640\nheight: 480',
        CALIBRATION_YAML.replace('plumb_bob', 'fish_bowl'),
        CALIBRATION_YAML.replace('500.', '-500'),
    ],
)
def test_a_malformed_calibration_is_refused_with_its_path(tmp_path, text):
    path = tmp_path / 'bad.yaml'
    path.write_text(text)

    with pytest.raises(CalibrationError, match=r'bad\.yaml|incomplete|9 values'):
        read_intrinsics(path)


def test_a_missing_calibration_is_named(tmp_path):
    with pytest.raises(CalibrationError, match='there is no file'):
        read_intrinsics(tmp_path / 'gone.json')
