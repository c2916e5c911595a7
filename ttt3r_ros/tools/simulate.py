# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Film a procedural indoor world: images, exact depth and exact poses."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import json
import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ttt3r_ros.atomic import atomic_file, new_folder, OutputError
from ttt3r_ros.geometry import BODY_T_OPTICAL, invert
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.simulation.building import build_world, FAMILIES
from ttt3r_ros.simulation.camera_path import body_T_camera, CameraPath, hand_path, robot_path
from ttt3r_ros.simulation.odometry import noisy_odometry
from ttt3r_ros.simulation.renderer import render, render_clip
from ttt3r_ros.simulation.sensor import Sensor
from ttt3r_ros.simulation.world import World
from ttt3r_ros.tools.bag_file import BagFile, STORAGES
from ttt3r_ros.tools.options import image_size, positive_float, positive_int
from ttt3r_ros.trajectory import seconds_text, Trajectory, write_trajectory

EXAMPLES = """examples:
  ttt3r simulate --output drive                            60 s of family S by a robot
  ttt3r simulate --output walk --family L --path hand --seconds 20 --size 640x480
  ttt3r simulate --output bag --bag --storage mcap
  ttt3r simulate --contact-sheet families.png              a picture of the three families

families of worlds
  S   one building of eight rooms, the same for every seed: the seed chooses the path
  M   every seed another building, materials from one fixed palette
  L   everything varies

writes into the output folder
  video.mp4 and timestamps.txt   or, with --bag, the rosbag2 bag/
  groundtruth.txt                stamp tx ty tz qx qy qz qw (world_T_camera, TUM format)
  camera.json                    intrinsics, frame rate and how all this was made
  depth.txt, depth/NNNNNN.png    16 bit, millimetres

The folder appears when it is complete; Ctrl-C leaves nothing."""

PER_METRE = 1000  # of the depth images
BAG_START_NS = 1_700_000_000 * 1_000_000_000  # bags begin at a plausible time, videos at 0
CHUNK = 16  # frames rendered in one call, between two looks at the keyboard

Image = NDArray[np.uint8]
Array = NDArray[np.float64]
Write = Callable[[int, int, Image], None]  # index, stamp in nanoseconds, image


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Declare the options.

    :param parser: takes them.
    """
    parser.epilog = EXAMPLES
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument('--output', type=Path, metavar='DIR', help='new, or empty')
    goal.add_argument(
        '--contact-sheet', type=Path, metavar='FILE.png', help='only draw the three families'
    )
    parser.add_argument(
        '--family', choices=list(FAMILIES), default='S', help='of worlds (default S)'
    )
    parser.add_argument('--seed', type=int, default=7, metavar='N', help='default 7')
    parser.add_argument(
        '--path', choices=('robot', 'hand'), default='robot', help='who carries the camera'
    )
    parser.add_argument('--seconds', type=positive_float, default=60.0, metavar='X', help='60')
    parser.add_argument('--rate', type=positive_float, default=15.0, metavar='HZ', help='15')
    parser.add_argument(
        '--speed', type=positive_float, default=0.6, metavar='M/S', help='at most (default 0.6)'
    )
    parser.add_argument(
        '--size', type=image_size, default=(320, 240), metavar='WxH', help='pixels (320x240)'
    )
    parser.add_argument(
        '--fov',
        type=field_of_view,
        default=70.0,
        metavar='DEG',
        help='horizontal field of view (default 70)',
    )
    parser.add_argument(
        '--camera-height',
        type=camera_height,
        default=0.8,
        metavar='M',
        help='of the robot, 0.2 to 1.7 (default 0.8)',
    )
    parser.add_argument(
        '--tilt',
        type=float,
        default=0.0,
        metavar='DEG',
        help="of the robot's camera, positive looks up (default 0)",
    )
    parser.add_argument(
        '--noise',
        type=float,
        default=2.0,
        metavar='X',
        help='of the sensor, in grey levels of 255; 0 keeps the images perfect (default 2)',
    )
    parser.add_argument(
        '--depth-every', type=positive_int, default=5, metavar='N', help='write every N-th (5)'
    )
    parser.add_argument('--bag', action='store_true', help='write a rosbag2, not a video')
    parser.add_argument('--storage', choices=list(STORAGES), default='sqlite3', help='of the bag')


def field_of_view(text: str) -> float:
    """
    Read an angle that a pinhole camera can have, for argparse.

    :param text: as typed.
    :raises ArgumentTypeError: when it is none.
    """
    return _between(text, 10.0, 150.0)


def camera_height(text: str) -> float:
    """
    Read a height that keeps clear of floor and doors, for argparse.

    :param text: as typed.
    :raises ArgumentTypeError: when it does not.
    """
    return _between(text, 0.2, 1.7)


def _between(text: str, low: float, high: float) -> float:
    number = float(text)
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f'{text} must be {low:g} to {high:g}')
    return number


def run(arguments: argparse.Namespace) -> int:
    """
    Film, or draw the contact sheet.

    :param arguments: the parsed options.
    :returns: the exit code.
    :raises OutputError: when the output cannot be written.
    """
    if arguments.contact_sheet is not None:
        with atomic_file(arguments.contact_sheet) as file:
            file.write(_png(contact_sheet()[..., ::-1]))
        print(f'wrote {arguments.contact_sheet}')
        return 0
    with new_folder(arguments.output) as folder:
        _film(arguments, folder)
    print(f'wrote {arguments.output}')
    return 0


def _film(arguments: argparse.Namespace, folder: Path) -> None:
    world = build_world(arguments.family, arguments.seed)
    path = _path(arguments, world)
    start_ns = BAG_START_NS if arguments.bag else 0
    stamps_ns = path.stamps_ns + start_ns
    width, height = arguments.size
    intrinsics = CameraIntrinsics.from_field_of_view(width, height, arguments.fov)
    with (folder / 'groundtruth.txt').open('wb') as file:
        write_trajectory(file, Trajectory(stamps_ns, path.world_T_camera))
    (folder / 'camera.json').write_text(
        json.dumps(_camera_record(arguments, intrinsics, len(path)), indent=1) + '\n'
    )
    (folder / 'depth').mkdir()
    sink = (
        _bag(arguments, folder, intrinsics, path) if arguments.bag else _video(arguments, folder)
    )
    listing = ['# 16-bit PNG, millimetres, registered to rgb', '# frame_index seconds depth_file']
    with sink as write:
        for index, rgb, depth in _frames(arguments, world, intrinsics, path):
            write(index, int(stamps_ns[index]), rgb)
            if index % arguments.depth_every == 0:
                name = f'depth/{index:06d}.png'
                millimetres = np.round(depth * PER_METRE).clip(0, 65535).astype(np.uint16)
                (folder / name).write_bytes(_png(millimetres))
                listing.append(f'{index} {seconds_text(int(stamps_ns[index]))} {name}')
    (folder / 'depth.txt').write_text('\n'.join(listing) + '\n')


def _path(arguments: argparse.Namespace, world: World) -> CameraPath:
    if arguments.path == 'hand':
        return hand_path(
            world, arguments.seed, arguments.seconds, arguments.rate, speed=arguments.speed
        )
    return robot_path(
        world,
        arguments.seed,
        arguments.seconds,
        arguments.rate,
        speed=arguments.speed,
        camera_height=arguments.camera_height,
        tilt=math.radians(arguments.tilt),
    )


def _base_T_camera(arguments: argparse.Namespace) -> Array:
    """Give the mount: a robot's base is on the floor, a hand-held one is the camera itself."""
    if arguments.path == 'hand':
        return BODY_T_OPTICAL
    return body_T_camera(arguments.camera_height, math.radians(arguments.tilt))


def _camera_record(
    arguments: argparse.Namespace, intrinsics: CameraIntrinsics, frames: int
) -> dict[str, object]:
    return {
        **intrinsics.to_record(),
        'fps': arguments.rate,
        'frames': frames,
        'color': 'rgb',
        'timestamps': 'exact',
        'depth_scale_per_m': PER_METRE,
        'depth_invalid': 0,
        'depth_registered_to_rgb': True,
        'source': f'simulated: family {arguments.family}, seed {arguments.seed}, '
        f'{arguments.path} path',
    }


def _frames(
    arguments: argparse.Namespace, world: World, intrinsics: CameraIntrinsics, path: CameraPath
) -> Iterator[tuple[int, Image, NDArray[np.float32]]]:
    """Render in chunks; gives index, image, depth."""
    sensor = Sensor(noise=arguments.noise) if arguments.noise > 0 else None
    with tqdm(total=len(path), unit='frame', desc='filming') as progress:
        for first in range(0, len(path), CHUNK):
            poses = path.world_T_camera[first : first + CHUNK]
            # The number of the chunk goes into the seed: no two frames share their noise.
            seed = arguments.seed * 1_000_003 + first
            clip = render_clip(
                world, intrinsics, poses, smooth=True, sensor=sensor, seed=seed, threads=2
            )
            for offset, (rgb, depth) in enumerate(zip(*clip)):
                yield first + offset, rgb, depth
                progress.update()


def _png(image: NDArray[np.integer]) -> bytes:
    return bytes(cv2.imencode('.png', image)[1])


@contextmanager
def _video(arguments: argparse.Namespace, folder: Path) -> Iterator[Write]:
    """Write video.mp4 and timestamps.txt."""
    codec = cv2.VideoWriter.fourcc(*'mp4v')
    video = cv2.VideoWriter(str(folder / 'video.mp4'), codec, arguments.rate, arguments.size)
    if not video.isOpened():
        raise OutputError('this OpenCV cannot write mp4v video; use --bag')
    stamps = ['# frame_index timestamp_seconds']

    def write(index: int, stamp_ns: int, rgb: Image) -> None:
        video.write(np.ascontiguousarray(rgb[..., ::-1]))
        stamps.append(f'{index} {seconds_text(stamp_ns)}')

    try:
        yield write
    finally:
        video.release()
    (folder / 'timestamps.txt').write_text('\n'.join(stamps) + '\n')


@contextmanager
def _bag(
    arguments: argparse.Namespace, folder: Path, intrinsics: CameraIntrinsics, path: CameraPath
) -> Iterator[Write]:
    """Write bag/."""
    base_T_camera = _base_T_camera(arguments)
    odom_T_base = noisy_odometry(path.world_T_camera @ invert(base_T_camera), arguments.seed)
    velocity = velocities(odom_T_base, arguments.rate)
    with BagFile(folder / 'bag', arguments.storage, intrinsics, base_T_camera) as bag:

        def write(index: int, stamp_ns: int, rgb: Image) -> None:
            bag.write(stamp_ns, rgb, odom_T_base[index], velocity[index])

        yield write


def velocities(odom_T_base: Array, rate_hz: float) -> Array:
    """
    Differentiate a motion.

    :param odom_T_base: (T, 4, 4), at a constant rate.
    :param rate_hz: of the poses.
    :returns: (T, 6) metres and radians a second, in the base frame.
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


def contact_sheet() -> Image:
    """Draw a row of pictures of each family, the last one as depth."""
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
    """Find a place of a hand-held path that sees far, for a good picture."""
    path = hand_path(world, seed, 40.0, 1.0)
    thumbnail = CameraIntrinsics.from_field_of_view(16, 12, 80.0)
    _, depth = render_clip(world, thumbnail, path.world_T_camera)
    farthest: Array = path.world_T_camera[int(np.argmax(np.log(depth).mean(axis=(1, 2))))]
    return farthest
