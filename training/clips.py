# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Clips of the simulated world: rendered in worker processes, sampled from a pool."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info, IterableDataset

from ttt3r_ros.arrays import Array
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import hand_path, robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.simulation.sensor import Sensor
from ttt3r_ros.simulation.world import World

FIRST_VALIDATION_SEED = 1_000_000_000  # training seeds are below this


@dataclass(frozen=True)
class ClipSpec:
    """
    Everything that is needed to render a clip.

    world_T_camera: (L, 4, 4), metres. seed: of the sensor noise.
    """

    world: World
    intrinsics: CameraIntrinsics
    world_T_camera: Array
    sensor: Sensor
    seed: int


@dataclass(frozen=True)
class Clip:
    """
    A rendered image sequence with its ground truth, in the memory of the rendering device.

    rgb: (L, H, W, 3) uint8. depth: (L, H, W) float16, metres along z. world_T_camera: (L, 4, 4),
    metres. intrinsics: of all frames.
    """

    rgb: Tensor
    depth: Tensor
    world_T_camera: Array
    intrinsics: CameraIntrinsics


@dataclass(frozen=True)
class ClipSettings:
    """
    Worlds, image size and length of the clips.

    families: letters of the world families; a repeated letter gets a higher weight ('SSML').
    width, height: pixels. length: frames per clip. rates_hz: lowest and highest frame rate.
    clips_per_world: clips that are rendered before a new world is built.
    """

    families: str = 'SML'
    width: int = 128
    height: int = 96
    length: int = 64
    rates_hz: tuple[float, float] = (7.5, 30.0)
    clips_per_world: int = 2


def draw_clip_spec(
    family: str, seed: int, settings: ClipSettings, world: World | None = None
) -> ClipSpec:
    """
    Draw the path, the camera and the sensor of a clip; equal seeds make equal clips.

    :param family: S, M or L.
    :param seed: of the path, the camera and the sensor, and of the world where `world` is None.
    :param settings: image size, length and frame rates of the clip.
    :param world: the world of the clip, or None to build the one of the seed.
    """
    rng = np.random.default_rng(seed)
    world = build_world(family, seed) if world is None else world
    rate = float(np.exp(rng.uniform(*np.log(settings.rates_hz))))
    seconds = settings.length / rate + 1.0
    make_path = robot_path if rng.random() < 0.5 else hand_path
    path = make_path(world, int(rng.integers(2**31)), seconds, rate)
    fov = float(rng.uniform(55, 90))
    return ClipSpec(
        world,
        CameraIntrinsics.from_field_of_view(settings.width, settings.height, fov),
        path.world_T_camera[: settings.length],
        Sensor.random(rng),
        int(rng.integers(2**31)),
    )


def render_on_cpu(spec: ClipSpec) -> Clip:
    """Render a clip on the CPU."""
    rgb, depth = render_clip(
        spec.world, spec.intrinsics, spec.world_T_camera, sensor=spec.sensor, seed=spec.seed
    )
    half = torch.from_numpy(depth).half()
    return Clip(torch.from_numpy(rgb), half, spec.world_T_camera, spec.intrinsics)


def render_on_cuda(spec: ClipSpec) -> Clip:
    """Render a clip on the CUDA device; its tensors stay in GPU memory."""
    # Loads numba's CUDA target.
    from ttt3r_ros.simulation.renderer_cuda import CudaRenderer

    rgb, depth = CudaRenderer(spec.world).render_clip(
        spec.intrinsics, spec.world_T_camera, sensor=spec.sensor, seed=spec.seed
    )
    half = torch.as_tensor(depth, device='cuda').half()
    colours = torch.as_tensor(rgb, device='cuda')
    return Clip(colours, half, spec.world_T_camera, spec.intrinsics)


class ClipSpecs(IterableDataset[ClipSpec]):
    """An endless stream of clip specs; each worker of a DataLoader draws different ones."""

    def __init__(self, settings: ClipSettings, seed: int) -> None:
        """
        Construct the data set.

        :param settings: worlds, size and length of the clips.
        :param seed: of all random numbers.
        """
        self._settings = settings
        self._seed = seed

    def __iter__(self) -> Iterator[ClipSpec]:
        """Draw clip specs in worlds of all families, `clips_per_world` in each world."""
        worker = get_worker_info()
        rng = np.random.default_rng([self._seed, worker.id if worker else 0])
        while True:
            family = str(rng.choice(list(self._settings.families)))
            seed = int(rng.integers(FIRST_VALIDATION_SEED // 2))
            world = build_world(family, seed)
            for i in range(self._settings.clips_per_world):
                yield draw_clip_spec(family, seed + i, self._settings, world)


class ClipPool:
    """
    A bounded pool of clips that is renewed while sequences are sampled from it.

    A frame is sampled about `reuse` times before its clip is replaced: rendering takes time, and
    one clip yields many different training sequences. Workers draw the clip specs. They also
    render them when training on a CPU; on a CUDA device this process renders them there.
    """

    def __init__(
        self,
        settings: ClipSettings,
        capacity: int,
        seed: int,
        reuse: float,
        workers: int,
        device: torch.device,
    ) -> None:
        """
        Start the workers.

        :param settings: worlds, size and length of the clips.
        :param capacity: largest number of clips in the pool.
        :param seed: of all clips.
        :param reuse: how often each rendered frame is sampled, on average.
        :param workers: number of worker processes; with 0 this process does their work.
        :param device: device that renders and stores the clips.
        """
        on_device = device.type == 'cuda'
        worker_output: Callable[[Any], Any] = _as_it_is if on_device else render_on_cpu
        loader = DataLoader(
            ClipSpecs(settings, seed),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            collate_fn=worker_output,
        )
        self._rendered = map(render_on_cuda if on_device else _own, loader)
        self.clips: deque[Clip] = deque(maxlen=capacity)
        self._reuse = reuse
        self._frames_drawn = 0
        self.frames_rendered = 0

    def draw(self, count: int, frames: int, rng: np.random.Generator) -> list[Clip]:
        """
        Sample sequences with random start, stride and direction of time.

        :param count: number of sequences.
        :param frames: frames of each sequence.
        :param rng: source of the random numbers.
        :returns: `count` clips of `frames` frames.
        """
        while not self.clips or self._frames_drawn > self._reuse * self.frames_rendered:
            clip = next(self._rendered)
            self.clips.append(clip)
            self.frames_rendered += len(clip.rgb)
        self._frames_drawn += count * frames
        chosen = [self.clips[i] for i in rng.integers(len(self.clips), size=count)]
        return [_sequence(clip, frames, rng) for clip in chosen]


def _as_it_is(spec: ClipSpec) -> ClipSpec:
    return spec


def _own(clip: Clip) -> Clip:
    """Copy a clip out of shared memory, where each tensor keeps a file descriptor open."""
    return replace(clip, rgb=clip.rgb.clone(), depth=clip.depth.clone())


def _sequence(clip: Clip, frames: int, rng: np.random.Generator) -> Clip:
    longest = (len(clip.rgb) - 1) // max(frames - 1, 1)
    stride = min(int(rng.integers(1, 7)), longest)
    start = int(rng.integers(len(clip.rgb) - stride * (frames - 1)))
    index = start + stride * np.arange(frames)
    if rng.random() < 0.5:
        index = index[::-1]
    frame = torch.from_numpy(index.copy())
    return Clip(clip.rgb[frame], clip.depth[frame], clip.world_T_camera[index], clip.intrinsics)
