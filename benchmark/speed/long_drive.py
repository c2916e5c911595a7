# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Measure memory and time of the whole mapper while a robot stays in one building.

The network is a cheap predictor: the true depth, with a smooth error and a wrong scale in each
image, and motions that drift. The robot drives a way of many rooms to and fro, with wheels as
usual; the camera's images are noisy. Rendering is not counted.

Examples:
  OMP_NUM_THREADS=1 python -m benchmark.speed.long_drive
  OMP_NUM_THREADS=1 python -m benchmark.speed.long_drive --images 2000 --way 200 --building M

"""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Iterator, Sequence
import gc
import sys
import time

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmark.accuracy.drives import CAMERA_HEIGHT, depth_error
from benchmark.speed.timed_node import FreePredictor
from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.bench.memory import resident
from ttt3r_ros.geometry import invert, rotation_about, transform
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model.predictor import HostPrediction
from ttt3r_ros.settings import MappingSettings, OutputSettings
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import body_T_camera, robot_path
from ttt3r_ros.simulation.odometry import measure_motion, WHEELS
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.tools.options import positive_int
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.units import NANOSECONDS

SEED, RATE_HZ = 7, 10.0
WIDTH, HEIGHT, FIELD_OF_VIEW = 224, 160, 70.0  # what the network sees of the demo's camera
NOISES, NOISE = 8, 2.0  # of the images
TURN_SIGMA, SHIFT_SIGMA = 0.01, 0.02  # of the network's motion from image to image
REMEMBERED = 64  # images that a new segment may show to the network once more
GAINS = np.full(1, 0.5, np.float32)
ROWS = 10
HEAD = ['images', 'key frames', 'loops', 'voxels', 'resident [MB]', 'an image [ms]']
MEGABYTE = 2**20


class CheapNetwork(FreePredictor):
    """A network that is told the depth of each image before it is asked."""

    def __init__(self, network_T_camera: Array) -> None:
        """
        Begin before the first image.

        :param network_T_camera: (T, 4, 4) its own poses, which drift.
        """
        super().__init__(max(WIDTH, HEIGHT))
        self._poses = network_T_camera
        self._rng = np.random.default_rng(SEED)
        self._shown: OrderedDict[bytes, tuple[int, Array32]] = OrderedDict()
        self._rays = camera().rays()

    def show(self, number: int, rgb: Pixels, depth: Array32) -> None:
        """
        Take the next image.

        :param number: of the image.
        :param rgb: (H, W, 3), as it came.
        :param depth: (H, W), the truth.
        """
        self._shown[rgb.tobytes()] = number, depth * depth_error(self._rng, depth.shape)
        if len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)

    def step(self, rgb: Pixels, state: int, write: bool = True) -> tuple[HostPrediction, int]:
        """
        Return the depth, and the motion since the segment began.

        :param rgb: (h, w, 3) uint8, of an image that was shown.
        :param state: the number of the first image of the segment, from 1; 0 begins one.
        """
        number, depth = self._shown[rgb.tobytes()]
        first = state or number + 1
        points = (self._rays * depth[..., None]).astype(np.float32)
        confidence = np.full(depth.shape, 5.0, np.float32)
        pose = invert(self._poses[first - 1]) @ self._poses[number]
        return HostPrediction(points, confidence, pose, GAINS), first


def camera() -> CameraIntrinsics:
    """Return the camera of the robot."""
    return CameraIntrinsics.from_field_of_view(WIDTH, HEIGHT, FIELD_OF_VIEW)


def drifting(poses: Array, rng: np.random.Generator) -> Array:
    """
    Return poses whose motions from one to the next are a little wrong.

    :param poses: (T, 4, 4).
    """
    turns = rng.normal(0.0, TURN_SIGMA, len(poses))
    shifts = rng.normal(0.0, SHIFT_SIGMA, (len(poses), 3))
    path = [poses[0]]
    for before, after, turn, shift in zip(poses, poses[1:], turns, shifts):
        step = invert(before) @ after
        share = np.linalg.norm(step[:3, 3])
        path.append(
            path[-1]
            @ step
            @ transform(rotation_about([0.0, 1.0, 0.0], turn * share), shift * share)
        )
    return np.stack(path)


def drive(building: str, images: int, way: int) -> Iterator[tuple[Mapper, float]]:
    """
    Map a drive through a building.

    :param building: its family.
    :param images: how many.
    :param way: of how many images it is, one way.
    :returns: after each image the mapper, and the seconds of processor time it took.
    """
    world, rng = build_world(building, SEED), np.random.default_rng(SEED)
    path = robot_path(world, SEED, way / RATE_HZ, RATE_HZ, camera_height=CAMERA_HEIGHT, tilt=0.0)
    film, depth = render_clip(world, camera(), path.world_T_camera)
    noises = rng.normal(0.0, NOISE, (NOISES, *film.shape[1:])).astype(np.float32)
    places = to_and_fro(images, way)
    poses, base_T_camera = path.world_T_camera[places], body_T_camera(CAMERA_HEIGHT)
    wheels = measure_motion(poses @ invert(base_T_camera), WHEELS['usual'], SEED)
    network = CheapNetwork(drifting(poses, rng))
    mapper, path_of_node = Mapper(network, MappingSettings()), OutputSettings()
    mapper.trail.limit(path_of_node.path_max_poses, path_of_node.path_step)
    for number, at in enumerate(places):
        rgb = np.clip(film[at] + noises[number % NOISES], 0, 255).astype(np.uint8)
        network.show(number, rgb, depth[at])
        stamp_ns = round((1.0 + number / RATE_HZ) * NANOSECONDS)
        seen = Observation(rgb, stamp_ns, camera(), base_T_camera, wheels[number])
        begin = time.thread_time()
        mapper.observe(seen)
        mapper.integrate()
        yield mapper, time.thread_time() - begin


def to_and_fro(count: int, way: int) -> NDArray[np.intp]:
    """
    Return the places of images along a way that is driven to and fro, (count,).

    :param way: number of places.
    """
    at = np.arange(count) % max(1, 2 * way - 2)
    return np.minimum(at, 2 * way - 2 - at) if way > 1 else at


def _rows(progress: Iterator[tuple[Mapper, float]], images: int) -> Iterator[list[str]]:
    spent, every = [], max(1, images // ROWS)
    for number, (mapper, seconds) in enumerate(progress, 1):
        spent.append(seconds)
        if number % every == 0:
            gc.collect()
            keys = mapper.key_frames()
            counts = len(keys.map_T_camera), len(keys.loops), len(mapper.map.voxels)
            memory, mean_ms = resident() / MEGABYTE, 1e3 * float(np.mean(spent[-every:]))
            yield [str(number), *map(str, counts), f'{memory:.0f}', f'{mean_ms:.1f}']


def main(args: Sequence[str] | None = None) -> int:
    """
    Print the table, row by row.

    :param args: command line; None: of the process.
    :returns: the exit code.
    """
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.long_drive',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--images', type=positive_int, default=10_000)
    parser.add_argument('--building', choices=['S', 'M'], default='S')
    parser.add_argument('--way', type=positive_int, default=600, help='images of it, one way')
    options = parser.parse_args(args)
    progress = tqdm(
        drive(options.building, options.images, options.way), total=options.images, unit='image'
    )
    # Each row as soon as it is measured: the whole takes half an hour.
    for line in (HEAD, ['---', *['---:'] * (len(HEAD) - 1)]):
        print_row(line)
    for row in _rows(progress, options.images):
        print_row(row)
    return 0


def print_row(cells: Sequence[str]) -> None:
    """
    Print a row of a table in Markdown.

    :param cells: of the row.
    """
    sys.stdout.write(f'|{"|".join(cells)}|\n')
    sys.stdout.flush()


if __name__ == '__main__':
    sys.exit(main())
