# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Calibration files."""

from __future__ import annotations

from pathlib import Path
import re
from typing import Any

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.inputs.calibration_formats import MALFORMED, read_record
from ttt3r_ros.inputs.colmap_cameras import is_colmap, read_colmap
from ttt3r_ros.inputs.yaml_text import read_yaml, YamlError
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics
from ttt3r_ros.trajectory import UTF_16

COLMAP_TEXT = '`colmap model_converter --output_type TXT` writes the cameras.txt of a COLMAP model'
# How files begin that hold numbers, but no text.
BINARY = {
    b'PK': 'an archive, as numpy.savez writes: write the calibration as YAML or JSON',
    b'\x93NUMPY': 'an array of NumPy: write the calibration as YAML or JSON',
    b'\x80': 'a pickle, which is not read: write the calibration as YAML or JSON',
}
KNOWN = (
    'camera.json, the YAML of ROS or OpenCV, Kalibr, ORB-SLAM, COLMAP (cameras.txt), Nerfstudio, '
    'Open3D (docs/inputs.md)'
)


def read_intrinsics(path: str | Path) -> CameraIntrinsics:
    """
    Read a camera.json, or a calibration of another program that `calibration_formats` knows.

    :param path: the file.
    :raises NotCalibrated: when the file states that the intrinsics are unknown, or all zero.
    :raises CalibrationError: when it cannot be read or misses something.
    """
    path = Path(path)
    text = _read_text(path)
    try:
        return read_colmap(text) if is_colmap(text) else read_record(_parse(path, text))
    except CalibrationError as error:
        raise type(error)(f'{path}: {error}') from error
    except MALFORMED as error:
        raise CalibrationError(
            f'{path}: the calibration is incomplete or malformed: {error!r}'
        ) from error


def read_mount(path: Path) -> Array | None:
    """
    Read the pose of a camera on its robot.

    :param path: a camera.json; its base_T_camera contains the four rows of a matrix.
    :returns: (4, 4) base_T_camera, metres, or None where the file has none.
    :raises CalibrationError: when it cannot be read or is no rigid transform.
    """
    record = _parse(path, _read_text(path))
    if 'base_T_camera' not in record:
        return None
    try:
        mount = np.array(record['base_T_camera'], dtype=np.float64)
    except (TypeError, ValueError):
        mount = np.empty(0)
    if mount.shape != (4, 4) or not _is_rigid(mount):
        raise CalibrationError(
            f'{path}: base_T_camera must hold the four rows of a rotation and a translation'
        )
    return mount


def _is_rigid(a_T_b: Array) -> bool:
    rotation = a_T_b[:3, :3]
    return bool(
        np.isfinite(a_T_b).all()
        and (a_T_b[3] == (0.0, 0.0, 0.0, 1.0)).all()
        and np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-3
        and np.linalg.det(rotation) > 0
    )


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CalibrationError(f'there is no file {path}') from None
    except OSError as error:
        raise CalibrationError(f'cannot read {path} as a calibration: {error}') from error
    for begin, advice in BINARY.items():
        if data.startswith(begin):
            raise CalibrationError(f'{path} is {advice}')
    if path.name.endswith('.bin') and b'\0' in data:
        raise CalibrationError(f'{path} is a binary file: {COLMAP_TEXT}')
    # A comment in an old encoding costs nothing.
    return data.decode('utf-16' if data[:2] in UTF_16 else 'utf-8-sig', errors='replace')


def _parse(path: Path, text: str) -> dict[str, Any]:
    # JSON is YAML, nearly to the last letter; tabs are what YAML minds. OpenCV writes a version
    # and a tag that YAML does not know.
    text = re.sub(r'\A((?:[^\S\n]*(?:#.*)?\n)*)%YAML[: ].*\n', r'\1', text.replace('\t', ' '))
    text = text.replace('!!opencv-matrix', '')
    if text.lstrip().startswith('<'):
        raise CalibrationError('XML is not read: write the calibration as YAML or JSON')
    if re.match(r'\s*(#[^\n]*\n\s*)*\[\w+\]', text):
        raise CalibrationError(
            'an INI file is not read: write YAML (camera_calibration has it as ost.yaml)'
        )
    try:
        record = read_yaml(text)
    except YamlError as error:
        raise CalibrationError(f'cannot read {path} as a calibration: {error}') from error
    if not isinstance(record, dict):
        raise CalibrationError(f'no calibration that is read: needed is {KNOWN}')
    return record
