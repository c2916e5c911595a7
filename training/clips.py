# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Clips of the simulated world: rendered by worker processes, drawn from a pool."""

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

FIRST_VALIDATION_SEED = 1_000_000_000  # training never draws a seed from here on


@dataclass(frozen=True)
class Shot:
    """
    A film that is planned and not yet taken.

    world_T_camera: (L, 4, 4). seed: of the sensor's noise.
    """

    world: World
    intrinsics: CameraIntrinsics
    world_T_camera: Array
    sensor: Sensor
    seed: int


@dataclass(frozen=True)
class Clip:
    """
    A film of the world, in the memory of the device that rendered it.

    rgb: (L, H, W, 3) uint8. depth: (L, H, W) float16 metres along z. world_T_camera: (L, 4, 4).
    intrinsics: of all its frames.
    """

    rgb: Tensor
    depth: Tensor
    world_T_camera: Array
    intrinsics: CameraIntrinsics


@dataclass(frozen=True)
class ClipSettings:
    """
    What is filmed.

    families: letters to draw worlds from, repeated for weight ('SSML'). width, height: pixels.
    length: frames a clip. rates_hz: lowest and highest frame rate. clips_per_world: how many
    clips are taken before a new world is built.
    """

    families: str = 'SML'
    width: int = 128
    height: int = 96
    length: int = 64
    rates_hz: tuple[float, float] = (7.5, 30.0)
    clips_per_world: int = 2


def plan_shot(family: str, seed: int, settings: ClipSettings, world: World | None = None) -> Shot:
    """
    Plan a path through a world of a family; a seed always gives the same film.

    :param family: S, M or L.
    :param seed: of the path, the camera and the sensor, and of the world where none is given.
    :param settings: size and length of the clip.
    :param world: a world to film in, or None for the one of the seed.
    """
    rng = np.random.default_rng(seed)
    world = build_world(family, seed) if world is None else world
    rate = float(np.exp(rng.uniform(*np.log(settings.rates_hz))))
    seconds = settings.length / rate + 1.0
    make_path = robot_path if rng.random() < 0.5 else hand_path
    path = make_path(world, int(rng.integers(2**31)), seconds, rate)
    fov = float(rng.uniform(55, 90))
    return Shot(
        world,
        CameraIntrinsics.from_field_of_view(settings.width, settings.height, fov),
        path.world_T_camera[: settings.length],
        Sensor.random(rng),
        int(rng.integers(2**31)),
    )


def take(shot: Shot) -> Clip:
    """Render a film on the CPU."""
    rgb, depth = render_clip(
        shot.world, shot.intrinsics, shot.world_T_camera, sensor=shot.sensor, seed=shot.seed
    )
    half = torch.from_numpy(depth).half()
    return Clip(torch.from_numpy(rgb), half, shot.world_T_camera, shot.intrinsics)


def take_on_device(shot: Shot) -> Clip:
    """Render a film on the CUDA device, where it stays."""
    # Loads numba's CUDA target.
    from ttt3r_ros.simulation.renderer_cuda import CudaRenderer

    rgb, depth = CudaRenderer(shot.world).render_clip(
        shot.intrinsics, shot.world_T_camera, sensor=shot.sensor, seed=shot.seed
    )
    half = torch.as_tensor(depth, device='cuda').half()
    colours = torch.as_tensor(rgb, device='cuda')
    return Clip(colours, half, shot.world_T_camera, shot.intrinsics)


class Shots(IterableDataset[Shot]):
    """An endless stream of plans; worker i of a DataLoader makes its own."""

    def __init__(self, settings: ClipSettings, seed: int) -> None:
        """
        Remember what to film.

        :param settings: of the clips.
        :param seed: of everything drawn.
        """
        self._settings = settings
        self._seed = seed

    def __iter__(self) -> Iterator[Shot]:
        """Plan films in worlds of all families, a few in each."""
        worker = get_worker_info()
        rng = np.random.default_rng([self._seed, worker.id if worker else 0])
        while True:
            family = str(rng.choice(list(self._settings.families)))
            seed = int(rng.integers(FIRST_VALIDATION_SEED // 2))
            world = build_world(family, seed)
            for i in range(self._settings.clips_per_world):
                yield plan_shot(family, seed + i, self._settings, world)


class ClipPool:
    """
    A bounded store of clips that is renewed while sequences are drawn from it.

    A frame is drawn about `reuse` times before its clip is replaced: rendering is cheap but not
    free, and a clip gives many different training sequences. Workers plan the films; for a CPU
    they take them as well, for a CUDA device this process does, and they never leave it.
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
        Start filming.

        :param capacity: clips kept.
        :param seed: of everything filmed.
        :param reuse: how often each rendered frame is drawn, on average.
        :param workers: processes that plan and render; 0 does it in this one.
        :param device: where films are taken and kept.
        """
        on_device = device.type == 'cuda'
        made_by_workers: Callable[[Any], Any] = _as_it_is if on_device else take
        loader = DataLoader(
            Shots(settings, seed),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            collate_fn=made_by_workers,
        )
        self._films = map(take_on_device if on_device else _own, loader)
        self.clips: deque[Clip] = deque(maxlen=capacity)
        self._reuse = reuse
        self._frames_drawn = 0
        self.frames_rendered = 0

    def draw(self, count: int, frames: int, rng: np.random.Generator) -> list[Clip]:
        """
        Draw sequences: a random start, a random stride, forwards or backwards in time.

        :param count: how many.
        :param frames: frames of each.
        :param rng: where the numbers come from.
        """
        while not self.clips or self._frames_drawn > self._reuse * self.frames_rendered:
            clip = next(self._films)
            self.clips.append(clip)
            self.frames_rendered += len(clip.rgb)
        self._frames_drawn += count * frames
        chosen = [self.clips[i] for i in rng.integers(len(self.clips), size=count)]
        return [_sequence(clip, frames, rng) for clip in chosen]


def _as_it_is(shot: Shot) -> Shot:
    return shot


def _own(clip: Clip) -> Clip:
    """Copy a clip out of the shared memory it was sent in: each piece holds an open file."""
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
