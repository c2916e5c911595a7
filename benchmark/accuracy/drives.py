# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Drives with the predictions of the network, kept on disk: an experiment takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmark.accuracy.sequences import FIRST_SEED, recorded
from ttt3r_ros.arrays import Array, Array32
from ttt3r_ros.atomic import new_folder
from ttt3r_ros.geometry import BODY_T_OPTICAL, invert, rotation_about, transform
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.model.predictor import Predictor
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.settings import TrackingSettings
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import body_T_camera, CameraPath, hand_path, robot_path
from ttt3r_ros.simulation.odometry import measure_motion, WHEELS
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.simulation.row import build_row, build_twins
from ttt3r_ros.simulation.sensor import Sensor
from ttt3r_ros.simulation.world import World
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.tracker import Tracker

# The rig of the demo.
SECONDS, IMAGE_RATE, WHEELS_PER_IMAGE = 60.0, 10.0, 4
WIDTH, HEIGHT, FIELD_OF_VIEW = 320, 240, 70.0
CAMERA_HEIGHT = 0.8
SENSOR = Sensor()
# Where the other cameras of a robot are mounted: metres ahead and left of the front one, radians.
MOUNTS = {'left': (-0.1, 0.1, 0.5 * np.pi), 'back': (-0.2, 0.0, np.pi)}

PARKED_SECONDS = 30.0
# A person of this size, metres, walks to and fro so far from the camera.
PERSON_WIDTH, PERSON_TOP, PERSON_DISTANCE, PERSON_SPEED = 0.5, 1.75, 2.0, 0.8

# What a good depth network gets wrong: a smooth part and a scale for each image.
DEPTH_SMOOTH_ERROR, DEPTH_SCALE_ERROR = 0.07, 0.07

# Counts what the product does otherwise with the same network: older drives are filmed again.
CACHED = 2

ROWS = {'row': build_row, 'twins': build_twins}

OTHER_ROUTE = 1000  # added to the number of a drive: another route through its building


@dataclass(frozen=True, eq=False)
class Drive:
    """
    One drive as cached: images, what the network made of them, and the truth.

    images: (T, h, w, 3) uint8, fitted. depth: (T, h, w) float16, metres along z, 0 is unknown.
    confidence: (T, h, w) float16, 1 means none. truth_depth: (T, h, w) float16. stamps_ns: (T,).
    track_T_camera: (T, 4, 4), of the network, its segments chained. segment: (T,) number.
    focal_px: (T,) of the fitted image, as the pointmap implies. camera: (3, 3) of the fitted
    image, the truth. base_T_camera: (4, 4). world_T_base: (T * WHEELS_PER_IMAGE, 4, 4) truth.
    """

    images: NDArray[np.uint8]
    depth: NDArray[np.float16]
    confidence: NDArray[np.float16]
    truth_depth: NDArray[np.float16]
    stamps_ns: NDArray[np.int64]
    track_T_camera: Array
    segment: NDArray[np.int64]
    focal_px: Array
    camera: Array
    base_T_camera: Array
    world_T_base: Array

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def world_T_camera(self) -> Array:
        """Return the true poses of the images, (T, 4, 4)."""
        poses: Array = self.world_T_base[:: len(self.world_T_base) // len(self)]
        return poses @ self.base_T_camera

    def points_camera(self, k: int) -> Array32:
        """
        Return the points of an image as the network has them, (h, w, 3), camera frame.

        They lie along the rays of the focal length that it believes in; of the true one where
        `focal_px` is 0.

        :param k: index of the image.
        """
        height, width = self.images.shape[1:3]
        (fx, _, cx), (_, fy, cy) = self.camera[:2].tolist()
        believed = float(self.focal_px[k]) / math.sqrt(fx * fy) or 1.0
        camera = CameraIntrinsics(width, height, believed * fx, believed * fy, cx, cy)
        return camera.rays() * np.asarray(self.depth[k], np.float32)[..., None]

    def by_wheels(self, wheels: str | None, seed: int) -> Array | None:
        """
        Return the odometry at the images, (T, 4, 4) odom_T_base; None without wheels.

        :param wheels: a preset, or None for the camera alone.
        :param seed: of the errors.
        """
        if wheels is None:
            return None
        measured = measure_motion(self.world_T_base, WHEELS[wheels], seed)
        at_images: Array = measured[:: len(measured) // len(self)]
        return at_images

    def save(self, folder: Path) -> None:
        """Write each array into a file of its own."""
        for field in fields(self):
            np.save(folder / f'{field.name}.npy', getattr(self, field.name))

    @classmethod
    def load(cls, folder: Path) -> Drive:
        """Read a drive; its large arrays stay on disk until they are used."""
        arrays = {
            field.name: np.load(folder / f'{field.name}.npy', mmap_mode='r')
            for field in fields(cls)
        }
        return cls(**{k: v if v.nbytes > 1_000_000 else np.array(v) for k, v in arrays.items()})


@dataclass(frozen=True)
class Front:
    """
    The network as the product runs it.

    weights: the hash that keys the cache. interval: images of a segment.
    """

    predictor: Predictor
    weights: str
    interval: int

    def fit(self, width: int, height: int) -> ImageFit:
        """Return how images of a size are fitted."""
        return self.predictor.fit(width, height)


def drive_of(front: Front, cache: Path, name: str) -> Drive:
    """
    Return a drive, filmed and shown to the network unless it was before.

    :param cache: folder of all drives.
    :param name: family (or one of ROWS), kind and number, for example S_robot_0; kinds are robot,
        left and back (other cameras of the same robot on the same drive), hand, parked and
        person. Numbers that differ by OTHER_ROUTE are drives of one building.
    """
    family, kind, number = name.split('_')
    makers: dict[str, Callable[[World, int], tuple[CameraPath, Array]]] = {
        'robot': _robot,
        'hand': _hand,
        'parked': _parked,
        'person': _parked,
        **{camera: partial(_other_camera, *mount) for camera, mount in MOUNTS.items()},
    }
    make = makers[kind]

    def sequence() -> Drive:
        build = ROWS.get(family) or partial(build_world, family)
        world = build(FIRST_SEED + int(number) % OTHER_ROUTE)
        drive = filmed(front, world, *make(world, FIRST_SEED + int(number)))
        return _with_person(drive) if kind == 'person' else drive

    return cached(front, cache, name, sequence)


def office_of(front: Front, cache: Path, folder: Path) -> Drive:
    """
    Return a recording with emulated depth: the sensor's, wrong as a good network's is.

    :param cache: folder of all drives.
    :param folder: of the recording.
    """
    drive = cached(front, cache, folder.name, lambda: _office(front, folder))
    # Its depth is not the network's, so what that believes of the camera says nothing of it.
    return replace(drive, focal_px=np.zeros(len(drive)))


def cached(front: Front, cache: Path, name: str, sequence: Callable[[], Drive]) -> Drive:
    folder = cache / f'{front.weights[:12]}_{CACHED}' / name
    if not folder.is_dir():
        drive = _seen(front, sequence(), name)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with new_folder(folder) as part:
            drive.save(part)
    return Drive.load(folder)


def _robot(world: World, seed: int, seconds: float = SECONDS) -> tuple[CameraPath, Array]:
    rate = IMAGE_RATE * WHEELS_PER_IMAGE
    path = robot_path(world, seed, seconds, rate, camera_height=CAMERA_HEIGHT, tilt=0.0)
    return path, body_T_camera(CAMERA_HEIGHT)


def _other_camera(
    ahead: float, left: float, yaw: float, world: World, seed: int
) -> tuple[CameraPath, Array]:
    """Return the path of another camera of the robot on the same drive."""
    path, base_T_front = _robot(world, seed)
    beside = transform(rotation_about((0.0, 0.0, 1.0), yaw), [ahead, left, 0.0])
    base_T_camera = beside @ base_T_front
    front_T_camera = invert(base_T_front) @ base_T_camera
    return CameraPath(path.stamps_ns, path.world_T_camera @ front_T_camera), base_T_camera


def _hand(world: World, seed: int) -> tuple[CameraPath, Array]:
    return hand_path(world, seed, SECONDS, IMAGE_RATE * WHEELS_PER_IMAGE), BODY_T_OPTICAL


def _parked(world: World, seed: int) -> tuple[CameraPath, Array]:
    """Stand where a drive has come to after a while."""
    path, base_T_camera = _robot(world, seed, 15.0)
    count = round(PARKED_SECONDS * IMAGE_RATE * WHEELS_PER_IMAGE)
    stamps_ns = np.round(np.arange(count) / (IMAGE_RATE * WHEELS_PER_IMAGE) * 1e9)
    poses = np.broadcast_to(path.world_T_camera[-1], (count, 4, 4))
    return CameraPath(stamps_ns.astype(np.int64), poses), base_T_camera


def filmed(front: Front, world: World, path: CameraPath, base_T_camera: Array) -> Drive:
    """
    Render the images; the predictions of the network are still missing.

    :param base_T_camera: (4, 4), metres.
    """
    intrinsics = CameraIntrinsics.from_field_of_view(WIDTH, HEIGHT, FIELD_OF_VIEW)
    fit = front.fit(WIDTH, HEIGHT)
    poses = path.world_T_camera[::WHEELS_PER_IMAGE]
    images = np.empty((len(poses), fit.height, fit.width, 3), np.uint8)
    truth = np.empty(images.shape[:3], np.float16)
    u, v = fit.to_original(*np.meshgrid(np.arange(1.0 * fit.width), np.arange(1.0 * fit.height)))
    nearest = np.rint(v).astype(int), np.rint(u).astype(int)
    for k, pose in enumerate(poses):
        rgb, depth = render_clip(world, intrinsics, pose[None], sensor=SENSOR, seed=k)
        images[k] = fit.apply(rgb[0], resize_on_host)
        truth[k] = depth[0][nearest]
    return _unseen(
        images,
        truth,
        path.stamps_ns[::WHEELS_PER_IMAGE],
        fit.intrinsics(intrinsics).matrix,
        base_T_camera,
        path.world_T_camera @ invert(base_T_camera),
    )


def _unseen(
    images: NDArray[np.uint8],
    truth_depth: NDArray[np.float16],
    stamps_ns: NDArray[np.int64],
    camera: Array,
    base_T_camera: Array,
    world_T_base: Array,
) -> Drive:
    count = len(images)
    return Drive(
        images=images,
        depth=np.zeros_like(truth_depth),
        confidence=np.ones_like(truth_depth),
        truth_depth=truth_depth,
        stamps_ns=stamps_ns,
        track_T_camera=np.tile(np.eye(4), (count, 1, 1)),
        segment=np.zeros(count, np.int64),
        focal_px=np.zeros(count),
        camera=camera,
        base_T_camera=base_T_camera,
        world_T_base=world_T_base,
    )


def _seen(front: Front, drive: Drive, name: str) -> Drive:
    """Run the network on the images, segment after segment; a depth that is there stays."""
    tracker = Tracker(front.predictor, TrackingSettings(reset_interval=front.interval))
    values: dict[str, list[Any]] = {'depth': [], 'confidence': [], 'pose': [], 'rest': []}
    for image, stamp_ns in zip(tqdm(drive.images, desc=name), drive.stamps_ns):
        frame, state = tracker.look(Observation(image, int(stamp_ns)))
        tracker.keep(state)
        assert frame.view.depth is not None
        values['depth'].append(frame.view.depth.astype(np.float16))
        values['confidence'].append(np.minimum(frame.pointmap.confidence, 1000).astype(np.float16))
        values['pose'].append(frame.network_T_camera)
        values['rest'].append((frame.segment, frame.camera.fx))
    segment, focal_px = zip(*values['rest'])
    seen = replace(
        drive,
        track_T_camera=np.stack(values['pose']),
        segment=np.array(segment),
        focal_px=np.array(focal_px),
    )
    if drive.depth.any():
        return seen
    return replace(
        seen, depth=np.stack(values['depth']), confidence=np.stack(values['confidence'])
    )


def _with_person(drive: Drive) -> Drive:
    """Paint a person who walks to and fro through the view, without a shadow."""
    images = drive.images.copy()
    height, width = images.shape[1:3]
    rng = np.random.default_rng(0)
    coat = rng.integers(40, 200, (height, width, 3)) // 32 * 32
    (fx, _, cx), (_, fy, cy) = drive.camera[:2]
    top = cy - fy * (PERSON_TOP - CAMERA_HEIGHT) / PERSON_DISTANCE
    bottom = cy + fy * CAMERA_HEIGHT / PERSON_DISTANCE
    half = 0.5 * fx * PERSON_WIDTH / PERSON_DISTANCE
    reach = 0.5 * width / fx * PERSON_DISTANCE + PERSON_WIDTH
    v, u = np.mgrid[:height, :width]
    for k, image in enumerate(images):
        way = (k / IMAGE_RATE * PERSON_SPEED) % (4 * reach)
        x = way - reach if way < 2 * reach else 3 * reach - way
        middle = cx + fx * x / PERSON_DISTANCE
        body = (np.abs(u - middle) < half) & (v > max(top, 0)) & (v < bottom)
        image[body] = coat[body.nonzero()[0], (u[body] - int(middle)) % width]
    return replace(drive, images=images)


def _office(front: Front, folder: Path) -> Drive:
    sequence = recorded(folder, front.predictor.architecture, 1_000_000)
    drive = _unseen(
        sequence.rgb,
        sequence.depth,
        sequence.stamps_ns,
        sequence.intrinsics.matrix,
        np.eye(4),
        sequence.world_T_camera,
    )
    rng = np.random.default_rng(0)
    depth = np.stack([one * depth_error(rng, one.shape) for one in sequence.depth])
    confidence = np.where(depth > 0, 10, 1)
    return replace(drive, depth=depth.astype(np.float16), confidence=confidence.astype(np.float16))


def depth_error(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw the factor by which a predicted depth is wrong: smooth over the image, and a scale."""
    coarse = rng.normal(0.0, 1.0, (3, 4)).astype(np.float32)
    smooth = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    smooth -= smooth.mean()
    smooth *= DEPTH_SMOOTH_ERROR / smooth.std()
    factor: NDArray[np.float32] = np.exp(smooth + rng.normal(0.0, DEPTH_SCALE_ERROR))
    return factor
