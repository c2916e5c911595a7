# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One measurement of the mapper on images of a simulated world: time and memory."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
import io
import itertools
import random
import sys
import time

import cv2
import numpy as np
import torch
from tqdm import tqdm

from ttt3r_ros.bench.memory import peak_resident, resident, restart_peak
from ttt3r_ros.bench.network import count_gflop, MatrixProduct, NetworkChoice
from ttt3r_ros.bench.report import (
    AROUND,
    Cost,
    DECODE,
    Fork,
    FRAME,
    MAPPER,
    Measured,
    Memory,
    MESSAGE,
    Spread,
    VOXELS,
)
from ttt3r_ros.bench.timed_predictor import MEMORY, STAGES, TimedPredictor, WHOLE
from ttt3r_ros.image_formats import rgb_from_encoded
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.settings import MappingSettings, MapSettings
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.tracking.frame import Pointmap
from ttt3r_ros.tracking.guard import OpenGuard
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.tracker import TrackerState
from ttt3r_ros.units import NANOSECONDS

SEQUENCE_FRAMES = 40
SEQUENCE_SEED = 7
RATE_HZ = 15.0
FIELD_OF_VIEW = 70.0
JPEG_QUALITY = 90

WARM_UP_FRAMES = 2
LEAST_FRAMES = 8
MARKS = (10, 100, 1_000, 10_000)
MOST_IN_WINDOW = 100  # frames up to a mark whose median is its cost
FORK_AT = 100  # frames after which a state is young
FORK_STEPS = 40


def render_images(width: int, height: int, frames: int = SEQUENCE_FRAMES) -> list[bytes]:
    """
    Render a path through a simulated world, forwards and backwards, to be repeated without a jump.

    :param width: pixels.
    :param height: pixels.
    :param frames: number of images in one direction.
    :returns: JPEG files.
    """
    world = build_world('S', SEQUENCE_SEED)
    path = robot_path(world, SEQUENCE_SEED, frames / RATE_HZ, RATE_HZ)
    camera = CameraIntrinsics.from_field_of_view(width, height, FIELD_OF_VIEW)
    rgb, _ = render_clip(world, camera, path.world_T_camera[:frames])
    quality = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
    there = [cv2.imencode('.jpg', image[..., ::-1], quality)[1].tobytes() for image in rgb]
    return there + there[-2:0:-1]


class BenchRun:
    """Maps a sequence with the mapper, frame by frame, and measures times."""

    def __init__(
        self,
        predictor: TimedPredictor,
        settings: MappingSettings,
        images: list[bytes],
        product: MatrixProduct,
    ) -> None:
        """
        Construct the mapper.

        :param settings: of the mapper, after those of the checkpoint were applied.
        :param images: JPEG files, repeated without end.
        :param product: the matrix product that the network is compared with.
        """
        self._predictor = predictor
        self._images = images
        self._mapper = Mapper(predictor, settings, OpenGuard)
        self._product = product
        self._make_message = message_maker(self._mapper.settings.map)
        self._chosen = random.Random(0)
        self._begin()

    def _begin(self) -> None:
        self._mapper.reset()
        self._predictor.times.clear()
        self._around: dict[str, list[float]] = {name: [] for name in (*AROUND, FRAME)}
        self._frames = 0

    def run(
        self, frames: int, seconds: float, before: int, progress: Callable[[], object]
    ) -> Measured:
        """
        Run the measurement.

        :param frames: largest number of frames, at least 1.
        :param seconds: time limit; the first few frames are always mapped.
        :param before: resident memory before the network was loaded, bytes.
        :param progress: called after each frame.
        """
        for _ in range(WARM_UP_FRAMES):
            self._frame()
        self._predictor.staged = True
        self._frame()
        self._begin()
        restart_peak()
        costs, young = [], None
        begin = time.perf_counter()
        while self._frames < frames:
            if self._frames >= LEAST_FRAMES and time.perf_counter() - begin > seconds:
                break
            # At random, lest it goes in step with the segments. Never in the first two.
            staged = self._frames > 1 and self._chosen.random() < 0.5
            self._predictor.staged = staged or self._frames == LEAST_FRAMES - 1
            self._frame()
            progress()
            if self._frames in MARKS:
                costs.append(self._cost())
            if self._frames == FORK_AT:
                young = self._mapper.state
        memory = Memory(before / 2**20, peak_resident() / 2**20, self._device_peak())
        self._product.round()
        if not costs or costs[-1].frame != self._frames:
            costs.append(self._cost())
        spreads = {
            name: Spread.of(milliseconds)
            for name, milliseconds in {**self._around, **self._predictor.times}.items()
            if milliseconds and (name != MEMORY or self._predictor.architecture.pose_memory)
        }
        fit = self._fit
        return Measured(
            frames=self._frames,
            resolution=fit.original,
            network_resolution=(fit.width, fit.height),
            segments_of=self._mapper.settings.tracking.reset_interval,
            stages=spreads,
            frames_per_s=1e3 / float(np.mean(self._around[FRAME])),
            gflop=count_gflop(self._predictor.architecture, fit.width, fit.height),
            peak_gflops=self._product.gflops,
            memory=memory,
            costs=costs,
            fork=self._fork(young) if young and self._frames > FORK_AT else None,
        )

    def _frame(self) -> None:
        """Map the next image, and record the time of each part."""
        predictor, around, mapper = self._predictor, self._around, self._mapper
        stamp_ns = round(self._frames / RATE_HZ * NANOSECONDS)
        moments, network = [time.perf_counter()], [self._network_ms()]
        rgb = rgb_from_encoded(io.BytesIO(self._images[self._frames % len(self._images)]))
        moments.append(time.perf_counter())
        located = mapper.observe(Observation(rgb, stamp_ns))
        self._fit = located.tracked.fit
        moments.append(time.perf_counter())
        network.append(self._network_ms())
        if self._make_message is not None:
            self._make_message(located.pointmap)
        moments.append(time.perf_counter())
        mapper.integrate()
        moments.append(time.perf_counter())
        network.append(self._network_ms())
        self._frames += 1

        decode, observe, message, integrate = (
            (b - a) * 1e3 for a, b in itertools.pairwise(moments)
        )
        in_observe, in_integrate = (b - a for a, b in itertools.pairwise(network))
        around[DECODE].append(decode)
        around[MAPPER].append(max(0.0, observe - in_observe))
        around[VOXELS].append(max(0.0, integrate - in_integrate))
        if self._make_message is not None:
            around[MESSAGE].append(message)
        if not predictor.staged:
            around[FRAME].append((moments[-1] - moments[0]) * 1e3)

    def _network_ms(self) -> float:
        """Return the time of all network steps so far, milliseconds."""
        return sum(sum(self._predictor.times[name]) for name in (WHOLE, *STAGES))

    def _cost(self) -> Cost:
        # Half of the frames are taken as a whole.
        window = min(self._frames, MOST_IN_WINDOW) // 2
        network, whole = self._predictor.times[WHOLE], self._around[FRAME]
        device = self._predictor.device
        on_device = torch.cuda.memory_allocated(device) / 2**20 if device.type == 'cuda' else None
        return Cost(
            self._frames,
            float(np.median(network[-window:])),
            float(np.median(whole[-window:])),
            len(self._mapper.map.voxels),
            resident() / 2**20,
            on_device,
        )

    def _device_peak(self) -> float | None:
        device = self._predictor.device
        return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == 'cuda' else None

    def _fork(self, young: TrackerState) -> Fork:
        """Alternate steps from both states, so that other load affects both alike."""
        old = self._mapper.state
        image = old.network.views[-1].image
        self._predictor.staged = False
        times = self._predictor.times[WHOLE]
        first = len(times)
        for _ in range(FORK_STEPS):
            for state in (young, old):
                self._predictor.step(image, state.network.recurrent)
        taken = times[first:]
        return Fork(
            FORK_STEPS,
            (young.frames, old.frames),
            (float(np.median(taken[::2])), float(np.median(taken[1::2]))),
        )


def message_maker(bounds: MapSettings) -> Callable[[Pointmap], object] | None:
    """Return the function that builds the cloud message; None without ROS 2."""
    if find_spec('rclpy') is None:
        return None
    from ttt3r_ros.node import messages

    def make(points: Pointmap) -> object:
        good = points.reliable(bounds.confidence_threshold, bounds.max_range)
        header = messages.header(0, 'camera')
        return messages.point_cloud(
            points.points_camera[good], points.colors[good], points.confidence[good], header
        )

    return make


def measure(
    choice: NetworkChoice,
    settings: MappingSettings,
    resolution: tuple[int, int],
    frames: int,
    seconds: float,
) -> Measured:
    """
    Load a network and measure it.

    :param choice: the network.
    :param settings: of the mapper; automatic ones are taken from the checkpoint.
    :param resolution: width and height of the images, pixels.
    :param frames: largest number of frames.
    :param seconds: time limit, approximate.
    """
    images = render_images(*resolution)
    product = MatrixProduct(choice.device, choice.precision)
    product.round()
    before = resident()
    if choice.device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(choice.device)
    predictor = choice.timed()
    run = BenchRun(predictor, settings, images, product)
    interval = 0.2 if sys.stderr.isatty() else 10.0
    with tqdm(total=frames, desc='bench', unit='frame', mininterval=interval) as progress:
        return run.run(frames, seconds, before, progress.update)
