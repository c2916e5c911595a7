# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The cameras of COLMAP, and of Nerfstudio, which has its models.

They count pixels from the corner of the first one, ROS and OpenCV from its centre.
"""

from __future__ import annotations

from collections.abc import Mapping
import math
import re
from typing import Any

from ttt3r_ros.intrinsics import (
    CalibrationError,
    CameraIntrinsics,
    known_distortion,
    OTHER_DISTORTION,
)

Record = Mapping[str, Any]

# Camera models of COLMAP, which Nerfstudio uses too: the parameters in their order.
COLMAP_MODELS = {
    'SIMPLE_PINHOLE': ('f', 'cx', 'cy'),
    'PINHOLE': ('fx', 'fy', 'cx', 'cy'),
    'SIMPLE_RADIAL': ('f', 'cx', 'cy', 'k1'),
    'RADIAL': ('f', 'cx', 'cy', 'k1', 'k2'),
    'OPENCV': ('fx', 'fy', 'cx', 'cy', 'k1', 'k2', 'p1', 'p2'),
    'FULL_OPENCV': ('fx', 'fy', 'cx', 'cy', 'k1', 'k2', 'p1', 'p2', 'k3', 'k4', 'k5', 'k6'),
    'OPENCV_FISHEYE': ('fx', 'fy', 'cx', 'cy', 'k1', 'k2', 'k3', 'k4'),
}
# What a transforms.json has of its camera, for all its frames or for each.
SHARED = (
    'camera_model',
    'is_fisheye',
    'w',
    'h',
    'fl_x',
    'fl_y',
    'camera_angle_x',
    'camera_angle_y',
) + ('cx', 'cy', 'k1', 'k2', 'k3', 'k4', 'p1', 'p2', 'distortion_params')
# What may stand in a transforms.json in place of single coefficients, in this order.
LISTED = ('k1', 'k2', 'k3', 'k4', 'p1', 'p2')
COLMAP_LINE = re.compile(r'^\s*[0-9]+\s+([A-Z_]+)\s+[0-9]+\s+[0-9]+\s+[-+.0-9eE\s]+$')


def is_colmap(text: str) -> bool:
    """
    Return whether a text is COLMAP's cameras.txt.

    :param text: of the whole file.
    """
    lines = _content(text)
    return bool(lines) and all(COLMAP_LINE.match(line) for line in lines)


def read_colmap(text: str) -> CameraIntrinsics:
    """
    Read COLMAP's cameras.txt.

    :param text: is_colmap.
    :raises CalibrationError: when it has several cameras, or one of an unknown model.
    :raises ValueError: when a number is none.
    """
    lines = _content(text)
    if len(lines) > 1:
        raise CalibrationError(f'COLMAP cameras.txt has {len(lines)} cameras: keep one line')
    _, model, width, height, *numbers = lines[0].split()
    names = _colmap_parameters(model)
    if len(numbers) != len(names):
        raise CalibrationError(f'COLMAP {model} has {len(names)} parameters, not {len(numbers)}')
    values = dict(zip(names, map(float, numbers)))
    return _from_colmap(model, int(width), int(height), values).plausible()


def _content(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith('#')]


def _colmap_parameters(model: str) -> tuple[str, ...]:
    if model not in COLMAP_MODELS:
        raise CalibrationError(
            f'camera model {model!r} is not one of {", ".join(COLMAP_MODELS)}: undistort first'
        )
    return COLMAP_MODELS[model]


def _from_colmap(
    model: str, width: int, height: int, values: Mapping[str, float]
) -> CameraIntrinsics:
    fx = values.get('fx', values.get('f'))
    if fx is None:
        raise CalibrationError('a focal length is missing')
    fisheye = model == 'OPENCV_FISHEYE'
    order = (
        ('k1', 'k2', 'k3', 'k4') if fisheye else ('k1', 'k2', 'p1', 'p2', 'k3', 'k4', 'k5', 'k6')
    )
    coefficients = [values.get(name, 0.0) for name in order]
    name, distortion = known_distortion('equidistant' if fisheye else 'plumb_bob', coefficients)
    cx, cy = values['cx'] - 0.5, values['cy'] - 0.5
    return CameraIntrinsics(width, height, fx, values.get('fy', fx), cx, cy, name, distortion)


def is_nerfstudio(record: Record) -> bool:
    """
    Return whether a record is a transforms.json with intrinsics.

    :param record: the fields of the file.
    """
    frames = record.get('frames')
    first = frames[0] if isinstance(frames, list) and frames else {}
    return any('fl_x' in one or 'camera_angle_x' in one for one in (record, first))


def read_nerfstudio(record: Record) -> CameraIntrinsics:
    """
    Read a transforms.json.

    :param record: is_nerfstudio.
    :raises CalibrationError: when its frames differ, or its lens is not understood.
    """
    record = _of_all_frames(record)
    if 'w' not in record or 'h' not in record:
        raise CalibrationError('the transforms.json has no w and h, the image size: add them')
    width, height = int(record['w']), int(record['h'])
    fx = _focal(record, 'fl_x', 'camera_angle_x', width)
    fy = _focal(record, 'fl_y', 'camera_angle_y', height) or fx
    listed = zip(LISTED, map(float, record.get('distortion_params') or ()))
    values = dict(listed) | {name: float(record[name]) for name in LISTED if name in record}
    other = [
        name
        for name in set(record) - {*LISTED, 'distortion_params'}
        if OTHER_DISTORTION.fullmatch(str(name)) and record[name] != 0
    ]
    if other:
        raise CalibrationError(f'the distortion {", ".join(sorted(other))} is not understood')
    values |= {'fx': fx, 'fy': fy}
    values |= {'cx': float(record.get('cx', width / 2)), 'cy': float(record.get('cy', height / 2))}
    fisheye = bool(record.get('is_fisheye'))  # of instant-ngp
    model = str(record.get('camera_model', 'OPENCV_FISHEYE' if fisheye else 'OPENCV'))
    _colmap_parameters(model)
    if model != 'OPENCV_FISHEYE' and values.get('k4'):
        # Of Nerfstudio's own formula it is the fourth radial term, which OpenCV does not have.
        raise CalibrationError(f'k4 of the camera model {model!r} is not read: undistort first')
    return _from_colmap(model, width, height, values)


def _of_all_frames(record: Record) -> Record:
    """Return the fields of a transforms.json with those that all of its frames share."""
    frames = record.get('frames')
    own = [frame for frame in frames if set(SHARED) & set(frame)] if frames else []
    shared = {name: own[0][name] for name in SHARED if name in own[0]} if own else {}
    for name in SHARED:
        values = [one.get(name) for one in own]
        if name in record and name in shared:
            values.append(record[name])
        if any(value != values[0] for value in values):
            raise CalibrationError(
                f'the frames of the transforms.json have different intrinsics ({name}): those of '
                'one camera are needed'
            )
    return {**record, **shared}


def _focal(record: Record, length: str, angle: str, side: int) -> float:
    """Return a focal length, pixels, that may be given as a field of view; 0: it is not given."""
    if length in record:
        return float(record[length])
    return 0.5 * side / math.tan(0.5 * float(record[angle])) if angle in record else 0.0
