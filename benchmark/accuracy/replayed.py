# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A drive located by tracker and back end, kept so that maps of it can be fused again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.accuracy.drives import Drive
from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import Similarity
from ttt3r_ros.graph.additions import Correction, SynchronousExecutor
from ttt3r_ros.graph.back_end import BackEnd
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.trail import Trail
from ttt3r_ros.mapping.world_map import MapImage, WorldMap
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.settings import OdometrySettings, TrackingSettings
from ttt3r_ros.simulation.odometry import measure_motion, WHEELS
from ttt3r_ros.tracking.frame import Pointmap
from ttt3r_ros.tracking.guard import Guard
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.tracker import Tracker

SURE = 10.0  # confidence of exact depth


@dataclass(frozen=True, eq=False)
class Said:
    """What a network says of an image, see `tracker.Prediction`."""

    points_camera: Array32
    confidence: Array32
    world_T_camera: Array
    gains: Array32


class ReplayedPredictor:
    """
    A network whose predictions are known: of each image those that the drive holds.

    image: number of the image that it is shown next; its state is empty.
    """

    patch = 16
    checkpoint_name, checkpoint_sha256, checkpoint_note = 'replayed', '', ''
    resize = staticmethod(resize_on_host)

    def __init__(self, drive: Drive) -> None:
        """Take the drive."""
        self._drive = drive
        self.image = 0

    def fit(self, width: int, height: int) -> ImageFit:
        """Return that images stay as they are."""
        return ImageFit((width, height), (width, height), 0, 0, width, height)

    def advise(self, settings: TrackingSettings) -> TrackingSettings:
        """Return the settings as they are."""
        return settings

    def initial_state(self) -> None:
        """Return nothing."""

    def step(self, rgb_fitted: Pixels, state: None, write: bool = True) -> tuple[Said, None]:
        """Return what the drive holds of the image."""
        k = self.image
        return Said(
            self._drive.points_camera(k),
            np.asarray(self._drive.confidence[k], np.float32),
            self._drive.track_T_camera[k],
            np.full(1, 0.5, np.float32),
        ), None


def rays_of(drive: Drive) -> Array32:
    """Return the rays of the pixels at depth 1, (h, w, 3)."""
    return _camera(drive).rays().astype(np.float32)


def _camera(drive: Drive) -> CameraIntrinsics:
    height, width = drive.images.shape[1:3]
    (fx, _, cx), (_, fy, cy) = drive.camera[:2].tolist()
    return CameraIntrinsics(width, height, fx, fy, cx, cy)


@dataclass(frozen=True, eq=False)
class Step:
    """
    One image, and what the graph made of it.

    image: its number. still: whether the map takes nothing of it. scale: units of `track` per
    unit of the depth. key, key_T_camera, map_T_key: as MapImage has them. correction: what has
    changed since the step before, or None.
    """

    image: int
    still: bool
    scale: float
    key: int
    key_T_camera: Similarity
    map_T_key: Similarity
    correction: Correction | None


@dataclass(frozen=True, eq=False)
class Located:
    """
    A drive as located.

    drive: with the depth that was used. steps: of the images that were not refused. images: (N,)
    numbers of those that are in the map at the end. map_T_camera: (N, 4, 4), by the last estimate.
    """

    drive: Drive
    steps: Sequence[Step]
    images: NDArray[np.int64]
    map_T_camera: Array


def locate(drive: Drive, wheels: str, seed: int) -> Located:
    """
    Run tracker and back end over a drive, as the mapper does.

    :param wheels: a preset of the simulation.
    :param seed: of the wheels.
    """
    per_image = len(drive.world_T_base) // len(drive)
    odom_T_base = measure_motion(drive.world_T_base, WHEELS[wheels], seed)[::per_image]
    predictor, camera = ReplayedPredictor(drive), _camera(drive)
    settings = TrackingSettings(reset_interval=0)
    tracker, guard = Tracker(predictor, settings), Guard(settings)
    back_end, trail, steps = (
        BackEnd(OdometrySettings(wheels=wheels), SynchronousExecutor()),
        Trail(),
        [],
    )
    for k in range(len(drive)):
        predictor.image = k
        observation = Observation(
            np.array(drive.images[k]),
            int(drive.stamps_ns[k]),
            camera,
            drive.base_T_camera,
            odom_T_base[k],
        )
        try:
            guard.before(observation)
            tracked, state = tracker.look(observation)
            guard.after(tracked, observation)
        except UserError:
            continue
        tracker.keep(state)
        located = back_end.locate(tracked, observation)
        trail.add(located)
        if not tracked.pose.still:
            back_end.add(located)
        correction = back_end.correction()
        if correction is not None:
            trail.move(correction)
        took = MapImage.of(located)
        steps.append(
            Step(
                k,
                tracked.pose.still,
                tracked.scale,
                took.key,
                took.key_T_camera,
                took.map_T_key,
                correction,
            )
        )
    path = trail.trajectory()
    return Located(drive, steps, np.searchsorted(drive.stamps_ns, path.stamps_ns), path.poses)


def images_of(located: Located) -> Iterator[tuple[Step, MapImage | None]]:
    """
    Return the steps of a drive with what the map takes of them, None where that is nothing.

    :param located: the drive.
    """
    rays, drive = rays_of(located.drive), located.drive
    for step in located.steps:
        if step.still:
            yield step, None
            continue
        depth = np.asarray(drive.depth[step.image], np.float32) * np.float32(step.scale)
        pointmap = Pointmap(
            rays * depth[..., None],
            np.asarray(drive.confidence[step.image], np.float32),
            np.array(drive.images[step.image]),
        )
        yield (
            step,
            MapImage(
                pointmap,
                step.key,
                step.key_T_camera,
                step.map_T_key,
                drive.base_T_camera,
                float(drive.camera[0, 0]),
            ),
        )


def fuse(
    located: Located,
    world_map: WorldMap,
    after: Callable[[int], None] = lambda image: None,
    first: int = 0,
) -> None:
    """
    Show a drive to a map, as the mapper does.

    :param world_map: an empty one.
    :param after: is called with the number of each image when the map has taken it.
    :param first: image that the map sees.
    """
    for step, image in images_of(located):
        if image is not None and step.image >= first:
            world_map.add(image)
        if step.correction is not None:
            for removed in step.correction.removed:
                world_map.hand_over(removed.number, removed.successor, removed.similarity())
            world_map.move(step.correction.map_T_key, step.correction.bends)
        after(step.image)
