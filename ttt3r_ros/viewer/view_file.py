# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a run folder holds for the viewer besides map and trajectory: view.npz."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, IO
import zipfile

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array32, Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.viewer.scene import Cloud, KeyPlaces, Scene, View

VIEW_FILE = 'view.npz'
VERSION = 1
# Depth is stored in whole millimetres.
MM = 1000.0


class ViewFileError(UserError):
    """A file is no view of a run that can be shown."""


def write_view(file: IO[bytes], scene: Scene) -> None:
    """
    Write what a scene has besides the files of every run; the cloud only by its ages.

    :param file: open for binary writing.
    :param scene: of a run that has ended.
    """
    views, keys = scene.views, scene.keys
    images = [_encoded('.jpg', view.rgb[..., ::-1]) for view in views]
    depths = [_encoded('.png', _millimetres(view)) for view in views]
    truth = scene.truth
    arrays: dict[str, NDArray[Any]] = {
        'version': np.array(VERSION),
        'voxel_size': np.array(scene.voxel_size),
        'view_stamps_ns': np.array([view.stamp_ns for view in views], np.int64),
        'view_poses': np.array([view.map_T_camera for view in views]).reshape(-1, 4, 4),
        'view_fovs': np.array([view.fov for view in views]),
        'image_bytes': np.array([len(image) for image in images], np.int64),
        'images': np.frombuffer(b''.join(images), np.uint8),
        'depth_bytes': np.array([len(depth) for depth in depths], np.int64),
        'depths': np.frombuffer(b''.join(depths), np.uint8),
    }
    if scene.cloud.seen_s is not None:
        arrays['seen_s'] = scene.cloud.seen_s.astype(np.float32)
    if keys is not None:
        arrays |= {'key_places': keys.places, 'loops': keys.loops}
    if truth is not None:
        arrays |= {'truth_stamps_ns': truth.stamps_ns, 'truth_poses': truth.poses}
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def add_view(file: IO[bytes], scene: Scene) -> Scene:
    """
    Return a scene with what `write_view` wrote.

    :param file: open for binary reading.
    :param scene: with the cloud of the same run.
    :raises ViewFileError: when the file is damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return _with(scene, {name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, cv2.error) as error:
        raise ViewFileError(f'{VIEW_FILE} cannot be read: {error}') from error


def _with(scene: Scene, arrays: dict[str, NDArray[Any]]) -> Scene:
    if int(arrays['version']) != VERSION:
        raise ValueError(f'its version is {arrays["version"]}, readable is {VERSION}')
    images = _pieces(arrays['images'], arrays['image_bytes'])
    depths = _pieces(arrays['depths'], arrays['depth_bytes'])
    stamps, poses = arrays['view_stamps_ns'].tolist(), arrays['view_poses']
    views = tuple(
        View(stamp, pose, _image(image), _depth(depth), float(fov))
        for stamp, pose, image, depth, fov in zip(
            stamps, poses, images, depths, arrays['view_fovs']
        )
    )
    cloud, ages = scene.cloud, arrays.get('seen_s')
    if ages is not None and ages.shape == (len(cloud),):
        cloud = Cloud(cloud.points, cloud.colors, cloud.confidence, ages)
    keys = None
    if 'key_places' in arrays:
        keys = KeyPlaces(arrays['key_places'], arrays['loops'])
    truth = scene.truth
    if 'truth_poses' in arrays:
        truth = Trajectory(arrays['truth_stamps_ns'], arrays['truth_poses'])
    return replace(
        scene,
        cloud=cloud,
        voxel_size=float(arrays['voxel_size']),
        views=views,
        newest=views[-1] if views else None,
        keys=keys,
        truth=truth,
    )


def _encoded(suffix: str, picture: NDArray[Any]) -> bytes:
    _, encoded = cv2.imencode(suffix, np.ascontiguousarray(picture))
    return encoded.tobytes()


def _millimetres(view: View) -> NDArray[np.uint16]:
    depth = np.zeros(view.rgb.shape[:2]) if view.depth is None else view.depth
    known = np.where(np.isfinite(depth), depth, 0.0)
    return np.clip(np.rint(known * MM), 0, np.iinfo(np.uint16).max).astype(np.uint16)


def _pieces(joined: Pixels, lengths: NDArray[np.int64]) -> list[Pixels]:
    return np.split(joined, np.cumsum(lengths)[:-1]) if len(lengths) else []


def _image(encoded: Pixels) -> Pixels:
    picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError('an image is damaged')
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def _depth(encoded: Pixels) -> Array32 | None:
    picture = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ValueError('a depth is damaged')
    return (picture / MM).astype(np.float32) if picture.any() else None
