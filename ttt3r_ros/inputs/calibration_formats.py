# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The calibration files that are known, and how each is recognised.

Every reader takes what `calibration_files` parsed and returns the intrinsics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import re
from typing import Any

from ttt3r_ros.inputs.colmap_cameras import is_nerfstudio, read_nerfstudio
from ttt3r_ros.intrinsics import (
    CalibrationError,
    CameraInfo,
    CameraIntrinsics,
    known_distortion,
    row_by_row,
)

Record = Mapping[str, Any]

# What a reader raises where a file holds other values than its format has.
MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)

# Names of OpenCV's programs and tutorials, in small letters without underscores.
MATRIX_NAMES = 'cameramatrix', 'mtx', 'k'
DISTORTION_NAMES = (
    'distortioncoefficients',
    'distortioncoeffs',
    'distcoefficients',
    'distcoeffs',
    'distcoeff',
    'distcoefs',
    'distcoef',
    'distortion',
    'dist',
    'd',
)
BROWN, FISHEYE = (
    ('plumb_bob', ('k1', 'k2', 'p1', 'p2', 'k3')),
    ('equidistant', ('k1', 'k2', 'k3', 'k4')),
)
# Camera types of ORB-SLAM and stella_vslam, in small letters: the distortion, its coefficients.
ORB_SLAM_LENSES = {
    'pinhole': BROWN,
    'rectified': BROWN,
    'perspective': BROWN,
    'kannalabrandt8': FISHEYE,
    'fisheye': FISHEYE,
}
REALSENSE_MODELS = {'brown_conrady': 'plumb_bob', 'kannala_brandt4': 'equidistant'}


def read_record(record: Record) -> CameraIntrinsics:
    """
    Read a calibration of any known format.

    :param record: the fields of the file.
    :raises CalibrationError: when the format is not known; or another of MALFORMED.
    """
    for recognises, reader in FORMATS:
        if recognises(record):
            return reader(record).plausible()
    return CameraIntrinsics.from_record(record)


def _kalibr(record: Record) -> CameraIntrinsics:
    cameras = [key for key in record if re.fullmatch('cam[0-9]+', str(key))]
    if len(cameras) > 1:
        raise CalibrationError(
            f'the Kalibr camchain has several cameras ({", ".join(cameras)}): keep one'
        )
    return _kalibr_camera(record[cameras[0]])


def _kalibr_camera(camera: Record) -> CameraIntrinsics:
    """Read a camera of a Kalibr camchain, or the sensor.yaml of EuRoC."""
    if camera['camera_model'] != 'pinhole':
        raise CalibrationError(f'camera model {camera["camera_model"]!r} is not pinhole')
    fx, fy, cx, cy = numbers(camera['intrinsics'])
    width, height = camera['resolution']
    coefficients = camera.get('distortion_coeffs', camera.get('distortion_coefficients', []))
    kind = str(camera.get('distortion_model', 'none'))
    if kind != 'none' and not coefficients:
        raise CalibrationError(f'the distortion {kind!r} has no distortion_coeffs')
    model, distortion = known_distortion(kind, numbers(coefficients))
    return CameraIntrinsics(int(width), int(height), fx, fy, cx, cy, model, distortion)


def _orb_slam(record: Record) -> CameraIntrinsics:
    """Read the camera of ORB-SLAM, or of OpenVSLAM and stella_vslam, which have its names."""
    nested = record.get('Camera')
    if isinstance(nested, Mapping):
        record = {f'Camera.{name}': value for name, value in nested.items()}
    prefix = 'Camera1.' if 'Camera1.fx' in record else 'Camera.'
    kind = str(record.get('Camera.type', record.get('Camera.model', 'PinHole')))
    if kind.lower() not in ORB_SLAM_LENSES:
        raise CalibrationError(f'ORB-SLAM camera type {kind!r} is not PinHole or KannalaBrandt8')
    model, names = ORB_SLAM_LENSES[kind.lower()]
    fx, fy, cx, cy = (float(record[prefix + name]) for name in ('fx', 'fy', 'cx', 'cy'))
    for name in ('k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'p1', 'p2'):
        if name not in names and float(record.get(prefix + name, 0.0)):
            raise CalibrationError(f'{prefix}{name} is no coefficient of the camera type {kind!r}')
    model, distortion = known_distortion(
        model, [float(record.get(prefix + name, 0.0)) for name in names]
    )
    width = record.get('Camera.width', record.get('Camera.cols'))
    height = record.get('Camera.height', record.get('Camera.rows'))
    if width is None or height is None:
        raise CalibrationError('the ORB-SLAM file has no Camera.width and Camera.height: add them')
    return CameraIntrinsics(int(width), int(height), fx, fy, cx, cy, model, distortion)


def _open3d(record: Record) -> CameraIntrinsics:
    cameras = [_open3d_camera(one['intrinsic']) for one in record.get('parameters', [])]
    if not cameras:
        return _open3d_camera(record.get('intrinsic', record))
    if any(camera != cameras[0] for camera in cameras):
        raise CalibrationError("the views of Open3D's PinholeCameraTrajectory differ: keep one")
    return cameras[0]


def _open3d_camera(inner: Record) -> CameraIntrinsics:
    fx, _, cx, _, fy, cy, *_ = row_by_row(numbers(inner['intrinsic_matrix']))
    return CameraIntrinsics(int(inner['width']), int(inner['height']), fx, fy, cx, cy)


def _camera_info(record: Record) -> CameraIntrinsics:
    low = {str(key).lower(): value for key, value in record.items()}
    roi = low.get('roi') or {}
    return CameraInfo(
        int(low['width']),
        int(low['height']),
        str(low.get('distortion_model', '')),
        numbers(_distortion_of(low)),
        numbers(low['k']),
        numbers(low.get('p', [])),
        (int(low.get('binning_x', 0)), int(low.get('binning_y', 0))),
        (
            int(roi.get('x_offset', 0)),
            int(roi.get('y_offset', 0)),
            int(roi.get('width', 0)),
            int(roi.get('height', 0)),
        ),
    ).intrinsics()


def _distortion_of(low: Record) -> Any:
    """Return the coefficients of a CameraInfo; one without a model may have none."""
    bare = {name.replace('_', ''): value for name, value in low.items()}
    if not low.get('distortion_model') and not set(bare) & set(DISTORTION_NAMES):
        return []
    return _first(bare, 'the distortion (zeros where there is none)', *DISTORTION_NAMES)


def _opencv(record: Record) -> CameraIntrinsics:
    """Read what ROS' camera_calibration and OpenCV's own samples write."""
    low = {str(key).lower().replace('_', ''): value for key, value in record.items()}
    fisheye = bool(int(low.get('fisheyemodel', 0)))
    width, height = _size(low)
    return CameraInfo(
        width,
        height,
        str(low.get('distortionmodel', 'equidistant' if fisheye else 'plumb_bob')),
        numbers(_first(low, 'the distortion (zeros where there is none)', *DISTORTION_NAMES)),
        numbers(_first(low, 'the camera matrix', *MATRIX_NAMES)),
        numbers(low.get('projectionmatrix', [])),
    ).intrinsics()


def _size(low: Record) -> tuple[int, int]:
    """Return width and height, of keys in small letters without underscores."""
    for name in ('imagesize', 'imgsize', 'size', 'resolution'):
        if name in low:
            width, height = numbers(low[name])
            return int(width), int(height)
    sides = (_first(low, f'the {s} of the images', f'image{s}', s) for s in ('width', 'height'))
    width, height = map(int, sides)
    return width, height


def _first(low: Record, what: str, *names: str) -> Any:
    for name in names:
        if name in low:
            return low[name]
    raise CalibrationError(f'the calibration does not have {what}')


def _vins(record: Record) -> CameraIntrinsics:
    """Read the camera of VINS-Fusion."""
    kind = str(record.get('model_type'))
    if kind != 'PINHOLE':
        raise CalibrationError(f'camera model {kind!r} of VINS is not PINHOLE')
    bend, place = record['distortion_parameters'], record['projection_parameters']
    model, distortion = known_distortion(
        'plumb_bob', [float(bend[name]) for name in ('k1', 'k2', 'p1', 'p2')]
    )
    size = int(record['image_width']), int(record['image_height'])
    fx, fy, cx, cy = (float(place[name]) for name in ('fx', 'fy', 'cx', 'cy'))
    return CameraIntrinsics(*size, fx, fy, cx, cy, model, distortion)


def _realsense(record: Record) -> CameraIntrinsics:
    """Read the intrinsics that librealsense prints."""
    coefficients = numbers(record['coeffs'])
    kind = str(record.get('model', '')).lower().replace(' ', '_').removeprefix('distortion.')
    if any(coefficients) and kind not in REALSENSE_MODELS:
        raise CalibrationError(f'the distortion {kind!r} of librealsense is not read')
    model, distortion = known_distortion(REALSENSE_MODELS.get(kind, 'none'), coefficients)
    size = int(record['width']), int(record['height'])
    fx, fy, cx, cy = (float(record[name]) for name in ('fx', 'fy', 'ppx', 'ppy'))
    return CameraIntrinsics(*size, fx, fy, cx, cy, model, distortion)


def _has(*keys: str) -> Callable[[Record], bool]:
    return lambda record: any(key in record for key in keys)


def _refused(name: str, advice: str) -> Callable[[Record], CameraIntrinsics]:
    def refuse(record: Record) -> CameraIntrinsics:
        raise CalibrationError(f'{name} is not read: {advice}')

    return refuse


# In this order: whether a record is of the format, and its reader.
FORMATS: Sequence[tuple[Callable[[Record], bool], Callable[[Record], CameraIntrinsics]]] = (
    (_has('camera_matrix', 'Camera_Matrix', 'cameraMatrix', 'CameraMatrix', 'mtx'), _opencv),
    (lambda record: 'K' in record and not {'width', 'height'} <= record.keys(), _opencv),
    (_has('projection_parameters', 'mirror_parameters', 'model_type'), _vins),
    (_has('ppx'), _realsense),
    (_has('k', 'K'), _camera_info),
    (lambda record: any(re.fullmatch('cam[0-9]+', str(key)) for key in record), _kalibr),
    (_has('resolution'), _kalibr_camera),
    (_has('Camera', 'Camera.fx', 'Camera1.fx'), _orb_slam),
    (is_nerfstudio, read_nerfstudio),
    (
        lambda record: any(re.fullmatch('imu[0-9]+', str(k)) for k in record),
        _refused("Kalibr's imu.yaml", 'the camchain has the camera'),
    ),
    (
        lambda record: 'frames' in record and isinstance(record['frames'], list),
        _refused('a transforms.json without fl_x', 'it has no intrinsics'),
    ),
    (_has('parameters'), _open3d),
    (lambda record: 'intrinsic_matrix' in record.get('intrinsic', record), _open3d),
    (_has('P0', 'P_rect_00', 'K_00'), _refused('a KITTI calib.txt', 'it has no image size')),
    (_has('M1', 'K1'), _refused('a stereo calibration', 'write one camera to a file of its own')),
)


def numbers(value: Any) -> list[float]:
    """
    Return the numbers of a matrix, row by row.

    :param value: a list of numbers or rows, or a mapping whose `data` holds one.
    """
    if isinstance(value, Mapping):
        value = value['data']
    flat: list[float] = []
    for item in value:
        flat.extend(numbers(item) if isinstance(item, list) else [float(item)])
    return flat
