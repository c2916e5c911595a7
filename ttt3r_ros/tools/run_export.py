# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The results of a run, read from its folder and written in other formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cached_property
import json
from pathlib import Path
import shutil
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.errors import UserError
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.inputs.source import InputFrame
from ttt3r_ros.intrinsics import CameraIntrinsics, is_same_shape
from ttt3r_ros.mapping.cloud_files import read_ply, write_ply
from ttt3r_ros.mapping.files import write_cloud
from ttt3r_ros.mapping.scene_files import (
    PosedImage,
    write_colmap_cameras,
    write_colmap_images,
    write_colmap_points,
    write_nerfstudio,
)
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.tools.depth_images import PER_METRE
from ttt3r_ros.tracking.image_rotation import ImageRotation
from ttt3r_ros.trajectory import read_trajectory, Trajectory

JPEG_QUALITY = 95


class RunExport:
    """Reads the folder of a run, and its input again where images are needed."""

    def __init__(self, run: Path, source: str, topic: str, fps: float | None, every: int) -> None:
        """
        Read what all formats need.

        :param run: output folder of `ttt3r map`.
        :param source: the recording; empty: what the run names.
        :param topic: of the images, where a bag has several.
        :param fps: as for the run.
        :param every: write every N-th mapped image.
        :raises UserError: when it is no such folder.
        """
        self._run, self._topic, self._fps, self._every = run, topic, fps, every
        self._trajectory: Trajectory = read_trajectory(run, 'trajectory.txt')
        try:
            self._summary: dict[str, Any] = json.loads((run / 'summary.json').read_text())
        except (OSError, ValueError) as error:
            raise UserError(f'{run} is no output of ttt3r map: {error}') from error
        self._source = source or str(self._summary.get('input', ''))
        # Runs of older versions have the last calibration alone.
        last = self._summary.get('intrinsics')
        self._calibrations = self._summary.get('calibrations') or ([last] if last else [])
        self._size: tuple[int, int] | None = None
        camera = self._summary.get('settings', {}).get('camera', {})
        self._image_rotation = ImageRotation(camera.get('rotation', 0))

    def write(self, form: str, folder: Path) -> str:
        """
        Write one format.

        :param form: see `ttt3r export --help`.
        :param folder: exists.
        :returns: what was written, for the user.
        :raises UserError: when something is missing, or cannot be written.
        """
        writers: dict[str, Callable[[Path], str]] = {
            'tum': lambda folder: self._write_poses(folder, 'tum'),
            'kitti': lambda folder: self._write_poses(folder, 'kitti'),
            'colmap': self._write_colmap,
            'nerfstudio': self._write_nerfstudio,
            'depth-npz': self._write_depth_npz,
            'depth-png': self._write_depth_png,
        }
        if form in writers:
            return writers[form](folder)
        return write_cloud(folder / f'map.{form}', self._cloud)

    @cached_property
    def _cloud(self) -> VoxelCloud:
        path = self._run / 'map.ply'
        try:
            with path.open('rb') as file:
                return read_ply(file)
        except OSError as error:
            raise UserError(f'cannot read {path}: {error.strerror}') from error

    def _write_poses(self, folder: Path, form: str) -> str:
        path = folder / f'poses_{form}.txt'
        self._trajectory.save(path, form)
        return f'wrote {path}: {len(self._trajectory)} poses'

    def _write_colmap(self, folder: Path) -> str:
        scene = folder / 'colmap'
        images = self._write_images(scene / 'images', '')
        model = scene / 'sparse' / '0'
        model.mkdir(parents=True)
        with atomic_file(model / 'cameras.txt') as file:
            write_colmap_cameras(file, images)
        with atomic_file(model / 'images.txt') as file:
            write_colmap_images(file, images)
        with atomic_file(model / 'points3D.txt') as file:
            write_colmap_points(file, self._cloud)
        return f'wrote {scene}: {len(images)} images, {len(self._cloud.points)} points'

    def _write_nerfstudio(self, folder: Path) -> str:
        scene = folder / 'nerfstudio'
        images = self._write_images(scene / 'images', 'images/')
        with atomic_file(scene / 'sparse_pc.ply') as file:
            write_ply(file, self._cloud)
        with atomic_file(scene / 'transforms.json') as file:
            write_nerfstudio(file, images, 'sparse_pc.ply')
        return f'wrote {scene}: {len(images)} images, {len(self._cloud.points)} points'

    def _write_images(self, folder: Path, prefix: str) -> list[PosedImage]:
        """Write the mapped images as JPEG; return their names, poses and cameras."""
        folder.mkdir(parents=True)
        images: list[PosedImage] = []
        total = -(-len(self._trajectory) // self._every)
        frames = tqdm(self._mapped_frames(), total=total, desc='images', unit='image')
        for frame, pose in frames:
            height, width = frame.rgb.shape[:2]
            camera = self._camera(frame.stamp_ns, width, height)
            name = f'{frame.index:06d}.jpg'
            quality = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
            encoded = cv2.imencode('.jpg', frame.rgb[..., ::-1], quality)[1]
            with atomic_file(folder / name) as file:
                file.write(encoded.tobytes())
            images.append(PosedImage(f'{prefix}{name}', pose, camera))
        if not images:
            raise UserError(
                f'no image of {self._source} has the time of a pose of {self._run}: name the '
                'recording with --input, and --fps where ttt3r map had it'
            )
        return images

    def _mapped_frames(self) -> Iterator[tuple[InputFrame, Any]]:
        """Yield the images that have a pose, with it."""
        chosen = slice(None, None, self._every)
        stamps = self._trajectory.stamps_ns[chosen].tolist()
        pose_at = dict(zip(stamps, self._trajectory.poses[chosen]))
        source = open_source(self._source, self._topic, self._fps)
        with closing(source.frames(1)) as frames:
            for frame in frames:
                if isinstance(frame, InputFrame) and frame.stamp_ns in pose_at:
                    turned = replace(frame, rgb=self._image_rotation.picture(frame.rgb))
                    yield turned, pose_at.pop(frame.stamp_ns)
                if not pose_at:
                    return

    def _camera(self, stamp_ns: int, width: int, height: int) -> CameraIntrinsics:
        """Return the calibration of an image; without one the estimate of the network."""
        begun = [one for one in self._calibrations if one.get('from_ns', stamp_ns) <= stamp_ns]
        if begun:
            camera = CameraIntrinsics.from_record(begun[-1])
            if is_same_shape(width, height, camera.width, camera.height):
                return camera.resized(width, height)
            raise UserError(
                f'an image of {width}x{height} has the calibration of one of {camera.width}x'
                f'{camera.height}: is {self._source} what was mapped?'
            )
        self._size = self._size or (width, height)
        if self._size != (width, height):
            raise UserError('images of several sizes without calibration are not exported')
        focal = float(self._summary['focal_px'])
        return CameraIntrinsics(width, height, focal, focal, 0.5 * (width - 1), 0.5 * (height - 1))

    def _depth_images(self) -> list[Path]:
        images = sorted((self._run / 'depth').glob('[0-9]*.png'))
        if not images:
            raise UserError(f'{self._run / "depth"} has no images: map with --depth')
        return images

    def _write_depth_png(self, folder: Path) -> str:
        images = self._depth_images()
        target = folder / 'depth_png'
        target.mkdir()
        for path in images:
            shutil.copyfile(path, target / path.name)
        return f'wrote {target}: {len(images)} images, millimetres'

    def _write_depth_npz(self, folder: Path) -> str:
        images = self._depth_images()
        target = folder / 'depth_npz'
        target.mkdir()
        for path in images:
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if pixels is None:
                raise UserError(f'cannot read {path}')
            depth = (pixels / PER_METRE).astype(np.float32)
            with atomic_file(target / f'{path.stem}.npz') as file:
                np.savez_compressed(file, depth=depth)
        return f'wrote {target}: {len(images)} images, metres'
