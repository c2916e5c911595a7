# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The test data: sequences of the simulated world, and recorded video."""

from __future__ import annotations

from dataclasses import dataclass, replace
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.clips import FIRST_VALIDATION_SEED
from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.evaluation.errors import associate
from ttt3r_ros.geometry import invert
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.inputs.sequence import open_sequence
from ttt3r_ros.inputs.source import InputError, InputFrame
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import hand_path, robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.simulation.sensor import Sensor
from ttt3r_ros.trajectory import read_trajectory

# Not even the choice of the best weights during training has seen these worlds and paths.
FIRST_SEED = FIRST_VALIDATION_SEED + 1_000_000
# On these methods are chosen, so that what is reported of the chosen ones is not flattered.
FIRST_CHOICE_SEED = FIRST_VALIDATION_SEED + 2_000_000
PATHS = {'robot': robot_path, 'hand': hand_path}
MAX_STAMP_DIFFERENCE_NS = 20_000_000


@dataclass(frozen=True, eq=False)
class ImageSequence:
    """
    Images with their ground truth.

    name: of the world and the path. group: the family of the world, or the recording. kind:
    robot, hand or video. rgb: (T, H, W, 3) uint8. depth: (T, H, W) float16, metres along z, 0 is
    unknown. world_T_camera: (T, 4, 4), metres, the world being the first camera. stamps_ns: (T,)
    int64, nanoseconds. intrinsics: of all images.
    """

    name: str
    group: str
    kind: str
    rgb: Pixels
    depth: NDArray[np.float16]
    world_T_camera: Array
    stamps_ns: NDArray[np.int64]
    intrinsics: CameraIntrinsics

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.rgb)

    def every(self, step: int) -> ImageSequence:
        """Return every step-th image: the same path at a lower rate."""
        return replace(
            self,
            rgb=self.rgb[::step],
            depth=self.depth[::step],
            world_T_camera=self.world_T_camera[::step],
            stamps_ns=self.stamps_ns[::step],
        )


def simulated(
    family: str,
    kind: str,
    number: int,
    frames: int,
    rate_hz: float,
    fit: ImageFit,
    first_seed: int = FIRST_SEED,
) -> ImageSequence:
    """
    Render a path through a world that is not in the training data; equal arguments, equal images.

    :param family: S, M or L.
    :param kind: robot or hand.
    :param number: index of the sequence of this family and kind, from 0.
    :param frames: number of images.
    :param rate_hz: images per second.
    :param fit: the size of the images.
    :param first_seed: seed of sequence 0; the next one has the next seed.
    """
    seed = first_seed + number
    rng = np.random.default_rng([seed, list(PATHS).index(kind)])
    world = build_world(family, seed)
    path = PATHS[kind](world, int(rng.integers(2**31)), frames / rate_hz, rate_hz)
    fov = float(rng.uniform(55, 90))
    intrinsics = CameraIntrinsics.from_field_of_view(fit.width, fit.height, fov)
    rgb, depth = render_clip(
        world,
        intrinsics,
        path.world_T_camera,
        sensor=Sensor.random(rng),
        seed=int(rng.integers(2**31)),
    )
    return ImageSequence(
        f'{family} {kind} {number}',
        family,
        kind,
        rgb,
        depth.astype(np.float16),
        _from_first(path.world_T_camera),
        path.stamps_ns,
        intrinsics,
    )


def recorded(folder: Path, architecture: Architecture, most: int) -> ImageSequence:
    """
    Read the images of a recording that have a true pose, resized for a network.

    :param folder: in the layout that `ttt3r simulate` writes, with groundtruth.txt.
    :param architecture: of the network.
    :param most: largest number of images.
    """
    source = open_sequence(folder)
    if source.intrinsics is None:
        raise InputError(f'{folder} needs a calibration in camera.json')
    frames = [frame for frame in source.frames(1) if isinstance(frame, InputFrame)][:most]
    truth = read_trajectory(folder, 'groundtruth.txt')
    stamps_ns = np.array([frame.stamp_ns for frame in frames])
    mine, theirs = associate(stamps_ns, truth.stamps_ns, MAX_STAMP_DIFFERENCE_NS)
    frames = [frames[i] for i in mine]
    height, width = frames[0].rgb.shape[:2]
    fit = architecture.fit(width, height)
    return ImageSequence(
        folder.name,
        folder.name,
        'video',
        np.stack([fit.apply(frame.rgb, resize_on_host) for frame in frames]),
        np.stack([_recorded_depth(folder, frame.index, fit) for frame in frames]),
        _from_first(truth.poses[theirs]),
        stamps_ns[mine],
        fit.intrinsics(source.intrinsics),
    )


def _recorded_depth(folder: Path, index: int, fit: ImageFit) -> NDArray[np.float16]:
    """Read the depth of an image, the nearest value of each resized pixel; 0 without a file."""
    path = folder / 'depth' / f'{index:06d}.png'
    if not path.is_file():
        return np.zeros((fit.height, fit.width), np.float16)
    per_metre = json.loads((folder / 'camera.json').read_text())['depth_scale_per_m']
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) / per_metre
    resized = cv2.resize(depth, fit.resized, interpolation=cv2.INTER_NEAREST)
    layout = resized[fit.top : fit.top + fit.height, fit.left : fit.left + fit.width]
    depth_of_fit: NDArray[np.float16] = layout.astype(np.float16)
    return depth_of_fit


def _from_first(world_T_camera: Array) -> Array:
    return invert(world_T_camera[0]) @ world_T_camera
