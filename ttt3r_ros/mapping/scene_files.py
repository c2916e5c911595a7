# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Images with their poses and the points of a map, as COLMAP and nerfstudio read them.

Both have their pixel centres at halves, ours are at integers. COLMAP has camera_T_world with y
down and z ahead; nerfstudio has world_T_camera with y up and z behind. The world is the map, z up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import json
from typing import Any, IO

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, quaternion_from_rotation
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics
from ttt3r_ros.mapping.voxels import VoxelCloud

OPENCV_T_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
RATIONAL = ('k1', 'k2', 'p1', 'p2', 'k3', 'k4', 'k5', 'k6')
FISHEYE = ('k1', 'k2', 'k3', 'k4')


@dataclass(frozen=True, eq=False)
class PosedImage:
    """
    An image with its pose.

    name: of its file. map_T_camera: (4, 4), metres, optical frame. camera: its calibration.
    """

    name: str
    map_T_camera: Array
    camera: CameraIntrinsics


def cameras_of(images: Sequence[PosedImage]) -> list[CameraIntrinsics]:
    """Return the different cameras of some images, in the order of their first ones."""
    return list(dict.fromkeys(image.camera for image in images))


def write_colmap_cameras(file: IO[bytes], images: Sequence[PosedImage]) -> None:
    """
    Write cameras.txt with the cameras of some images, numbered from 1.

    :param file: open for binary writing.
    :raises CalibrationError: when COLMAP has no such distortion.
    """
    file.write(b'# CAMERA_ID MODEL WIDTH HEIGHT PARAMS\n')
    for number, camera in enumerate(cameras_of(images), start=1):
        model, named = _colmap_model(camera)
        pinhole = camera.fx, camera.fy, camera.cx + 0.5, camera.cy + 0.5
        numbers = ' '.join(repr(float(number)) for number in (*pinhole, *named.values()))
        file.write(f'{number} {model} {camera.width} {camera.height} {numbers}\n'.encode())


def write_colmap_images(file: IO[bytes], images: Sequence[PosedImage]) -> None:
    """
    Write images.txt: camera_T_world, quaternions with w first, and no 2D points.

    :param file: open for binary writing.
    :param images: of the cameras that write_colmap_cameras writes.
    """
    camera_number = {camera: k for k, camera in enumerate(cameras_of(images), start=1)}
    file.write(b'# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, and a line of 2D points\n')
    for number, image in enumerate(images, start=1):
        camera_T_map = invert(image.map_T_camera)
        x, y, z, w = quaternion_from_rotation(camera_T_map[:3, :3]).tolist()
        numbers = ' '.join(f'{value:.9f}' for value in (w, x, y, z, *camera_T_map[:3, 3]))
        camera = camera_number[image.camera]
        file.write(f'{number} {numbers} {camera} {image.name}\n\n'.encode())


def write_colmap_points(file: IO[bytes], cloud: VoxelCloud) -> None:
    """
    Write points3D.txt, without the images that saw them.

    :param file: open for binary writing.
    """
    file.write(b'# POINT3D_ID X Y Z R G B ERROR TRACK[] as (IMAGE_ID, POINT2D_IDX)\n')
    rows = zip(cloud.points.tolist(), cloud.colors.tolist())
    for number, ((x, y, z), (red, green, blue)) in enumerate(rows, start=1):
        file.write(f'{number} {x:.5f} {y:.5f} {z:.5f} {red} {green} {blue} 0\n'.encode())


def write_nerfstudio(file: IO[bytes], images: Sequence[PosedImage], cloud: str) -> None:
    """
    Write transforms.json; the images have their intrinsics each where their cameras differ.

    :param file: open for binary writing.
    :param images: with names relative to the file.
    :param cloud: name of the PLY file with the points, relative to the file.
    :raises CalibrationError: when nerfstudio has no such distortion, or not both of two lenses.
    """
    cameras = {camera: _nerfstudio_camera(camera) for camera in cameras_of(images)}
    models = {record['camera_model'] for record in cameras.values()}
    if len(models) > 1:
        raise CalibrationError('nerfstudio has one camera model for all images: undistort first')
    shared = len(cameras) == 1
    record: dict[str, Any] = {
        **(next(iter(cameras.values())) if shared else {'camera_model': models.pop()}),
        'ply_file_path': cloud,
        'frames': [
            {
                'file_path': image.name,
                'transform_matrix': (image.map_T_camera @ OPENCV_T_OPENGL).tolist(),
                **({} if shared else cameras[image.camera]),
            }
            for image in images
        ],
    }
    file.write((json.dumps(record, indent=1) + '\n').encode())


def _nerfstudio_camera(camera: CameraIntrinsics) -> dict[str, Any]:
    model, named = _colmap_model(camera)
    beyond = [name for name in ('k4', 'k5', 'k6') if model == 'FULL_OPENCV' and named[name]]
    if beyond:
        raise CalibrationError(
            f'nerfstudio has no {", ".join(beyond)} of {camera.distortion_model}: undistort first'
        )
    return {
        'camera_model': 'OPENCV_FISHEYE' if model == 'OPENCV_FISHEYE' else 'OPENCV',
        'w': camera.width,
        'h': camera.height,
        'fl_x': camera.fx,
        'fl_y': camera.fy,
        'cx': camera.cx + 0.5,
        'cy': camera.cy + 0.5,
        **{name: value for name, value in named.items() if value},
    }


def _colmap_model(camera: CameraIntrinsics) -> tuple[str, dict[str, float]]:
    """Return the name of COLMAP's model and its coefficients, in its order."""
    given = camera.distortion
    if not any(given):
        return 'PINHOLE', {}
    if camera.distortion_model == 'equidistant':
        return 'OPENCV_FISHEYE', dict(zip(FISHEYE, given))
    if any(given[len(RATIONAL) :]):
        raise CalibrationError(
            f'COLMAP has no model for {len(given)} coefficients of {camera.distortion_model}: '
            'undistort first'
        )
    padded = [*given, *[0.0] * len(RATIONAL)][: len(RATIONAL)]
    model, count = ('FULL_OPENCV', len(RATIONAL)) if any(padded[4:]) else ('OPENCV', 4)
    return model, dict(zip(RATIONAL[:count], padded))
