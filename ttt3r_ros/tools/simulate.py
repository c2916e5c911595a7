# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Render a procedural indoor world: images, exact depth and exact poses."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import json
import math
from pathlib import Path
from shlex import quote

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.atomic import atomic_file, new_folder, OutputError
from ttt3r_ros.geometry import BODY_T_OPTICAL, invert
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.settings import SimulationSettings
from ttt3r_ros.simulation.building import build_world, FAMILIES
from ttt3r_ros.simulation.camera_path import body_T_camera, CameraPath, hand_path, robot_path
from ttt3r_ros.simulation.odometry import noisy_odometry
from ttt3r_ros.simulation.renderer import render, render_clip
from ttt3r_ros.simulation.sensor import Sensor
from ttt3r_ros.simulation.world import World
from ttt3r_ros.tools.bag_file import BagFile
from ttt3r_ros.tools.options import add_settings, named_path, read_settings
from ttt3r_ros.tools.terminal import print_next
from ttt3r_ros.trajectory import seconds_text, Trajectory, write_trajectory
from ttt3r_ros.units import NANOSECONDS

EXAMPLES = """examples:
  ttt3r simulate --output drive                            60 s of family S by a robot
  ttt3r simulate --output walk --family L --path hand --seconds 20 --width 640 --height 480
  ttt3r simulate --output bag --bag --storage mcap
  ttt3r simulate --contact-sheet families.png              images of the three families

families of buildings
  S   one building of eight rooms, the same for every seed: the seed chooses the path
  M   each seed has another building, materials from one fixed palette
  L   everything varies

writes into the output folder
  video.mp4 and timestamps.txt   or, with --bag, the rosbag2 bag/
  groundtruth.txt                stamp tx ty tz qx qy qz qw (world_T_camera, TUM format)
  camera.json                    intrinsics, frame rate and the options of the simulation
  depth.txt, depth/NNNNNN.png    16 bit, millimetres

--image-noise 0 simulates an ideal lens and sensor. The folder appears when it is complete;
after Ctrl-C there is none."""

BAG = 'bag'  # folder in the output
PER_METRE = 1000  # of the depth images
VIDEO_HEAD_BYTES = 4096
BAG_START_NS = 1_700_000_000 * NANOSECONDS  # bags begin at a plausible time, videos at 0
CHUNK = 16  # frames rendered in one call, between two looks at the keyboard

Write = Callable[[int, int, Pixels], None]  # index, stamp in nanoseconds, image


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument('--output', type=named_path, metavar='DIR', help='new, or empty')
    goal.add_argument(
        '--contact-sheet',
        type=named_path,
        metavar='FILE.png',
        help='PNG file: only draw images of the three families',
    )
    add_settings(parser, SimulationSettings)


def run(arguments: argparse.Namespace) -> int:
    """
    Render a drive, or draw the contact sheet.

    :param arguments: the parsed options.
    :returns: the exit code.
    :raises OutputError: when the output cannot be written.
    """
    if arguments.contact_sheet is not None:
        with atomic_file(arguments.contact_sheet) as file:
            file.write(_png(contact_sheet()[..., ::-1]))
        print_next(f'open {arguments.contact_sheet}')
        return 0
    settings = read_settings(arguments, SimulationSettings)
    with new_folder(arguments.output) as folder:
        _simulate(settings, folder)
    print(f'wrote {arguments.output}')
    recording = arguments.output / BAG if settings.bag else arguments.output
    print_next(f'ttt3r map {quote(str(recording))} --output {quote(f"{arguments.output}_map")}')
    return 0


def _simulate(settings: SimulationSettings, folder: Path) -> None:
    world = build_world(settings.family, settings.seed)
    path = _path(settings, world)
    start_ns = BAG_START_NS if settings.bag else 0
    stamps_ns = path.stamps_ns + start_ns
    intrinsics = CameraIntrinsics.from_field_of_view(
        settings.width, settings.height, settings.field_of_view
    )
    with (folder / 'groundtruth.txt').open('wb') as file:
        write_trajectory(file, Trajectory(stamps_ns, path.world_T_camera))
    (folder / 'camera.json').write_text(
        json.dumps(_camera_record(settings, intrinsics, len(path)), indent=1) + '\n'
    )
    (folder / 'depth').mkdir()
    sink = _bag(settings, folder, intrinsics, path) if settings.bag else _video(settings, folder)
    listing = ['# 16-bit PNG, millimetres, registered to rgb', '# frame_index seconds depth_file']
    with sink as write:
        for index, rgb, depth in _frames(settings, world, intrinsics, path):
            write(index, int(stamps_ns[index]), rgb)
            if index % settings.depth_every == 0:
                name = f'depth/{index:06d}.png'
                millimetres = np.round(depth * PER_METRE).clip(0, 65535).astype(np.uint16)
                (folder / name).write_bytes(_png(millimetres))
                listing.append(f'{index} {seconds_text(int(stamps_ns[index]))} {name}')
    (folder / 'depth.txt').write_text('\n'.join(listing) + '\n')


def _path(settings: SimulationSettings, world: World) -> CameraPath:
    if settings.path == 'hand':
        return hand_path(
            world, settings.seed, settings.seconds, settings.image_rate, speed=settings.speed
        )
    return robot_path(
        world,
        settings.seed,
        settings.seconds,
        settings.image_rate,
        speed=settings.speed,
        camera_height=settings.camera_height,
        tilt=math.radians(settings.camera_tilt_degrees),
    )


def _base_T_camera(settings: SimulationSettings) -> Array:
    """Return the mount: the base of a robot is on the floor, a hand-held one is the camera."""
    if settings.path == 'hand':
        return BODY_T_OPTICAL
    return body_T_camera(settings.camera_height, math.radians(settings.camera_tilt_degrees))


def _camera_record(
    settings: SimulationSettings, intrinsics: CameraIntrinsics, frames: int
) -> dict[str, object]:
    return {
        **intrinsics.to_record(),
        'fps': settings.image_rate,
        'frames': frames,
        'color': 'rgb',
        'timestamps': 'exact',
        'depth_scale_per_m': PER_METRE,
        'depth_invalid': 0,
        'depth_registered_to_rgb': True,
        'simulation': {'family': settings.family, 'seed': settings.seed},
        'source': f'simulated: family {settings.family}, seed {settings.seed}, '
        f'{settings.path} path',
    }


def _frames(
    settings: SimulationSettings, world: World, intrinsics: CameraIntrinsics, path: CameraPath
) -> Iterator[tuple[int, Pixels, Array32]]:
    """Render in chunks; yields index, image and depth, (H, W) metres."""
    sensor = Sensor(noise=settings.image_noise) if settings.image_noise > 0 else None
    with tqdm(total=len(path), unit='frame', desc='rendering') as progress:
        for first in range(0, len(path), CHUNK):
            poses = path.world_T_camera[first : first + CHUNK]
            # The number of the chunk goes into the seed: no two frames share their noise.
            seed = settings.seed * 1_000_003 + first
            clip = render_clip(
                world, intrinsics, poses, smooth=True, sensor=sensor, seed=seed, threads=2
            )
            for offset, (rgb, depth) in enumerate(zip(*clip)):
                yield first + offset, rgb, depth
                progress.update()


def _png(image: NDArray[np.integer]) -> bytes:
    return bytes(cv2.imencode('.png', image)[1])


@contextmanager
def _video(settings: SimulationSettings, folder: Path) -> Iterator[Write]:
    """Write video.mp4 and timestamps.txt."""
    path, codec = folder / 'video.mp4', cv2.VideoWriter.fourcc(*'mp4v')
    path.write_bytes(bytes(VIDEO_HEAD_BYTES))  # OpenCV does not tell why it cannot
    video = cv2.VideoWriter(
        str(path), codec, settings.image_rate, (settings.width, settings.height)
    )
    if not video.isOpened():
        raise OutputError('this OpenCV cannot write mp4v video; use --bag')
    stamps = ['# frame_index timestamp_seconds']

    def write(index: int, stamp_ns: int, rgb: Pixels) -> None:
        video.write(np.ascontiguousarray(rgb[..., ::-1]))
        stamps.append(f'{index} {seconds_text(stamp_ns)}')

    try:
        yield write
    finally:
        video.release()
    if cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) != len(stamps) - 1:
        raise OutputError(f'{path} is not whole: is the disk full?')
    (folder / 'timestamps.txt').write_text('\n'.join(stamps) + '\n')


@contextmanager
def _bag(
    settings: SimulationSettings, folder: Path, intrinsics: CameraIntrinsics, path: CameraPath
) -> Iterator[Write]:
    """Write bag/."""
    base_T_camera = _base_T_camera(settings)
    odom_T_base = noisy_odometry(path.world_T_camera @ invert(base_T_camera), settings.seed)
    velocity = velocities(odom_T_base, settings.image_rate)
    with BagFile(folder / BAG, settings.storage, intrinsics, base_T_camera) as bag:

        def write(index: int, stamp_ns: int, rgb: Pixels) -> None:
            bag.write(stamp_ns, rgb, odom_T_base[index], velocity[index])

        yield write


def velocities(odom_T_base: Array, rate_hz: float) -> Array:
    """
    Return the velocities of a motion.

    :param odom_T_base: (T, 4, 4), metres, at a constant rate.
    :param rate_hz: of the poses.
    :returns: (T, 6) linear and angular, metres and radians per second, base frame.
    """
    result = np.zeros((len(odom_T_base), 6))
    steps = invert(odom_T_base[:-1]) @ odom_T_base[1:]
    for k, step in enumerate(steps, start=1):
        turn = cv2.Rodrigues(step[:3, :3])[0][:, 0]
        result[k] = rate_hz * np.concatenate([step[:3, 3], turn])
    return result


# The contact sheet.

TILE = (216, 162)
COLUMNS = 5


def contact_sheet() -> Pixels:
    """Return a row of images of each family, the last one of depth."""
    intrinsics = CameraIntrinsics.from_field_of_view(*TILE, 80.0)
    rows = []
    for family in FAMILIES:
        tiles = []
        for seed in range(COLUMNS - 1):
            world = build_world(family, seed)
            pose = _view(world, seed)
            rgb, depth = render(world, intrinsics, pose, smooth=True)
            tiles.append(rgb)
        shown = np.clip(255 * (1 - depth / 8.0), 0, 255).astype(np.uint8)
        tiles.append(cv2.applyColorMap(shown, cv2.COLORMAP_TURBO)[..., ::-1])
        cv2.putText(tiles[0], family, (6, 26), 0, 0.9, (0, 0, 0), 4, cv2.LINE_AA)
        cv2.putText(tiles[0], family, (6, 26), 0, 0.9, (255, 255, 255), 2, cv2.LINE_AA)
        rows.append(np.hstack(tiles))
    return np.vstack(rows)


def _view(world: World, seed: int) -> Array:
    """Return the pose of a hand-held path with the largest depth, (4, 4)."""
    path = hand_path(world, seed, 40.0, 1.0)
    thumbnail = CameraIntrinsics.from_field_of_view(16, 12, 80.0)
    _, depth = render_clip(world, thumbnail, path.world_T_camera)
    farthest: Array = path.world_T_camera[int(np.argmax(np.log(depth).mean(axis=(1, 2))))]
    return farthest
