# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Reads calibrations from files and CameraInfo fields."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ttt3r_ros.arrays import Array
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics


def read_intrinsics(path: Path) -> CameraIntrinsics | None:
    """
    Read a camera.json, or the YAML of ROS' camera_calibration or of `ros2 topic echo`.

    :param path: the file.
    :returns: the intrinsics, or None where the file marks them as unknown.
    :raises CalibrationError: when it cannot be read or is incomplete.
    """
    record = _read_record(path)
    try:
        if 'camera_matrix' in record or 'k' in record:
            return _from_ros_yaml(record)
        return CameraIntrinsics.from_record(record)
    except CalibrationError as error:
        raise CalibrationError(f'{path}: {error}') from error


def read_mount(path: Path) -> Array | None:
    """
    Read the pose of a camera on its robot.

    :param path: a camera.json; its base_T_camera contains the four rows of a matrix.
    :returns: (4, 4) base_T_camera, metres, or None where the file has none.
    :raises CalibrationError: when it cannot be read or is no rigid transform.
    """
    record = _read_record(path)
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


def _read_record(path: Path) -> dict[str, Any]:
    try:
        # JSON is YAML, nearly to the last letter; tabs are what YAML minds.
        text = path.read_text(encoding='utf-8').replace('\t', ' ')
        record = next(yaml.safe_load_all(text), None)
    except FileNotFoundError:
        raise CalibrationError(f'there is no file {path}') from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise CalibrationError(f'cannot read {path} as a calibration: {reason}') from error
    if not isinstance(record, dict):
        raise CalibrationError(f'{path} holds no calibration: needed is camera.json or ROS YAML')
    return record


def _from_ros_yaml(record: dict[str, Any]) -> CameraIntrinsics | None:
    try:
        if 'k' in record:
            width, height = record['width'], record['height']
            matrix, distortion = record['k'], record.get('d', [])
        else:
            width, height = record['image_width'], record['image_height']
            matrix = record['camera_matrix']['data']
            distortion = record['distortion_coefficients']['data']
        return intrinsics_from_camera_info(
            int(width),
            int(height),
            str(record.get('distortion_model', '')),
            [float(value) for value in distortion],
            [float(value) for value in matrix],
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, CalibrationError):
            raise
        raise CalibrationError(f'the calibration is incomplete or malformed: {error!r}') from error


def intrinsics_from_camera_info(
    width: int, height: int, model: str, d: Sequence[float], k: Sequence[float]
) -> CameraIntrinsics | None:
    """
    Return the intrinsics of the fields of a sensor_msgs/CameraInfo.

    :param width: pixels.
    :param height: pixels.
    :param model: distortion model; without coefficients it does not matter.
    :param d: distortion coefficients.
    :param k: the 9 values of the camera matrix, row by row.
    :returns: the intrinsics, or None when the camera is not calibrated (a zero matrix).
    :raises CalibrationError: when the numbers are not those of a camera.
    """
    if len(k) != 9:
        raise CalibrationError(f'a camera matrix has 9 values, not {len(k)}')
    if k[0] == 0:
        return None
    if not any(d):
        model, d = 'none', ()
    return CameraIntrinsics(width, height, k[0], k[4], k[2], k[5], model, tuple(d))
