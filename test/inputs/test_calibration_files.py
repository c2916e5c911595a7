# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import math
from pathlib import Path

import pytest

from ttt3r_ros.inputs.calibration_files import read_intrinsics
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics, NotCalibrated

CASES = Path(__file__).parents[1] / 'cases'
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

    with pytest.raises(NotCalibrated, match=r'camera\.json: the intrinsics are unknown'):
        read_intrinsics(path)


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
        CALIBRATION_YAML.replace('500.', '&a [*a, *a]'),  # nests without end
        '{"k": ' + '[' * 100_000,
        '{"width": 1e999, "height": 2, "fx": 3, "fy": 4, "cx": 1, "cy": 2}',
        '1 PINHOLE 320 240 + + + +\n',
        'intrinsic:\n',
    ],
)
def test_a_malformed_calibration_is_refused_with_its_path(tmp_path, text):
    path = tmp_path / 'bad.yaml'
    path.write_text(text)

    with pytest.raises(CalibrationError, match=r'bad\.yaml'):
        read_intrinsics(path)


def test_a_missing_calibration_is_named(tmp_path):
    with pytest.raises(CalibrationError, match='there is no file'):
        read_intrinsics(tmp_path / 'gone.json')


def pinhole(*numbers, model='none', distortion=()):
    return CameraIntrinsics(320, 240, *numbers, model, distortion)


OPENCV_SAMPLE = """%YAML:1.0
---
calibration_time: "Sat"
image_width: 320
image_height: 240
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 300., 0., 160., 0., 301., 120., 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 5
   cols: 1
   dt: d
   data: [ 0.1, 0.2, 0.01, 0.02, 0.3 ]
"""
FORMATS = {
    'opencv': (
        OPENCV_SAMPLE,
        pinhole(300, 301, 160, 120, model='plumb_bob', distortion=(0.1, 0.2, 0.01, 0.02, 0.3)),
    ),
    'a comment before the version': (
        f'# of the left camera\n\n{OPENCV_SAMPLE}',
        pinhole(300, 301, 160, 120, model='plumb_bob', distortion=(0.1, 0.2, 0.01, 0.02, 0.3)),
    ),
    'opencv fisheye': (
        OPENCV_SAMPLE.replace('calibration_time: "Sat"', 'fisheye_model: 1').replace(
            '[ 0.1, 0.2, 0.01, 0.02, 0.3 ]', '[0.1, 0.2, 0.3, 0.4]'
        ),
        pinhole(300, 301, 160, 120, model='equidistant', distortion=(0.1, 0.2, 0.3, 0.4)),
    ),
    'rostopic echo of ROS 1': (
        'height: 240\nwidth: 320\ndistortion_model: plumb_bob\nD: [0.1, 0, 0, 0, 0]\n'
        'K: [300, 0, 160, 0, 301, 120, 0, 0, 1]\n',
        pinhole(300, 301, 160, 120, model='plumb_bob', distortion=(0.1, 0, 0, 0, 0)),
    ),
    'a byte order mark': (
        '\ufeff{"width": 320, "height": 240, "fx": 300, "fy": 400, "cx": 1, "cy": 2}',
        pinhole(300, 400, 1, 2),
    ),
    'kalibr equidistant': (
        'cam0:\n  camera_model: pinhole\n  intrinsics: [300, 301, 160, 120]\n'
        '  distortion_model: equidistant\n  distortion_coeffs: [0.1, 0.2, 0.3, 0.4]\n'
        '  resolution: [320, 240]\n',
        pinhole(300, 301, 160, 120, model='equidistant', distortion=(0.1, 0.2, 0.3, 0.4)),
    ),
    'the sensor.yaml of EuRoC': (
        'camera_model: pinhole\nresolution: [320, 240]\nintrinsics: [300, 301, 160, 120]\n'
        'distortion_model: radial-tangential\ndistortion_coefficients: [0.1, 0.2, 0.3, 0.4]\n',
        pinhole(300, 301, 160, 120, model='plumb_bob', distortion=(0.1, 0.2, 0.3, 0.4)),
    ),
    # COLMAP counts from the corner of the first pixel, so its centre is half a pixel larger.
    'colmap': (
        '# Camera list\n1 OPENCV 320 240 300 301 160 120 0.1 0.2 0.01 0.02\n',
        pinhole(300, 301, 159.5, 119.5, model='plumb_bob', distortion=(0.1, 0.2, 0.01, 0.02, 0)),
    ),
    'colmap radial': (
        '1 SIMPLE_RADIAL 320 240 300 160 120 0.1\n',
        pinhole(300, 300, 159.5, 119.5, model='plumb_bob', distortion=(0.1, 0, 0, 0, 0)),
    ),
    'nerf': (
        json.dumps({'camera_angle_x': 2 * math.atan(0.5), 'w': 320, 'h': 240, 'frames': []}),
        pinhole(320, 320, 159.5, 119.5),
    ),
    'open3d': (
        '{"width": 320, "height": 240, "intrinsic_matrix": [300, 0, 0, 0, 301, 0, 160, 120, 1]}',
        pinhole(300, 301, 160, 120),
    ),
}


@pytest.mark.parametrize('name', FORMATS)
def test_the_calibrations_of_other_programs_are_read(tmp_path, name):
    text, camera = FORMATS[name]
    path = tmp_path / 'camera.txt'
    path.write_text(text)

    read = read_intrinsics(path)

    assert read.fx == pytest.approx(camera.fx, abs=1e-9)
    assert read == CameraIntrinsics(**{**vars(camera), 'fx': read.fx, 'fy': read.fy})
    assert read.fy == pytest.approx(camera.fy, abs=1e-9)


def test_the_cases_of_calibrations_are_read_or_refused():
    kalibr = (-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05)
    assert read_intrinsics(CASES / 'calib/camchain.yaml') == pinhole(
        229.3, 228.6, 183.6, 124.2, model='plumb_bob', distortion=kalibr
    )
    assert read_intrinsics(CASES / 'calib/orbslam3.yaml') == pinhole(
        458.654, 457.296, 367.215, 248.375
    )
    assert read_intrinsics(CASES / 'calib/transforms.json') == pinhole(
        300.0, 300.0, 159.5, 119.5, model='plumb_bob', distortion=(0.1, 0, 0, 0, 0)
    )
    with pytest.raises(NotCalibrated, match='all zero'):
        read_intrinsics(CASES / 'calib/zerok.yaml')
    with pytest.raises(CalibrationError, match=r"typo\.json: .*'fx'") as caught:
        read_intrinsics(CASES / 'calib/typo.json')
    assert not isinstance(caught.value, NotCalibrated)


@pytest.mark.parametrize(
    ('text', 'name'),
    [
        ('cam0: {camera_model: omni}', 'omni'),
        ('cam0: {}\ncam1: {}', 'several cameras'),
        ('1 THIN_PRISM_FISHEYE 320 240 1 2 3 4\n', 'THIN_PRISM_FISHEYE'),
        ('1 PINHOLE 320 240 1 2 3 4\n2 PINHOLE 320 240 1 2 3 4\n', '2 cameras'),
        ('P0: 7.1e+02 0 6.0e+02 0\nP1: 1 2 3', 'KITTI'),
        ('<?xml version="1.0"?>', 'XML'),
        ('fx: 500\nfx: 600\n', "'fx' is there twice"),
        ('{"fx": 500, "fx": 600}', "'fx' is there twice"),
        ('{"cam0": {"a": 1, "a": 2}}', "'a' is there twice"),
        ('{"frames": [{"fl_x": 3}]}', 'transforms.json'),
        ('Camera.type: Fisheye62\nCamera.fx: 1\nCamera.fy: 1\nCamera.cx: 1\nCamera.cy: 1', 'Fish'),
    ],
)
def test_a_calibration_that_is_not_read_is_refused_by_name(tmp_path, text, name):
    path = tmp_path / 'camera.yaml'
    path.write_text(text)

    with pytest.raises(CalibrationError, match=name):
        read_intrinsics(path)
