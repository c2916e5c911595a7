# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Compare the cost of the map with that of merging points by sorting them.

The map adds images, moves with all its key frames, and stays in one building. The other way is
the usual one: numpy.unique sorts the voxels of an image, and those that are new are inserted in a
sorted table; it has no grid, sees through nothing and cannot move. Both get the same images in
turns, and processor time is measured, so other load on the machine affects both alike.

Examples:
  OMP_NUM_THREADS=1 python -m benchmark.speed.map_cost
  OMP_NUM_THREADS=1 python -m benchmark.speed.map_cost --resolution 512x288 --images 60
  OMP_NUM_THREADS=1 python -m benchmark.speed.map_cost --stay 10000

"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
import sys
import time

import numpy as np
from tqdm import tqdm

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.bench.memory import resident
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.geometry import invert, rotation_about, Similarity, transform, transform_points
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.parts import MOST_COPIED
from ttt3r_ros.mapping.voxels import packed
from ttt3r_ros.mapping.world_map import MapImage, WorldMap
from ttt3r_ros.settings import MappingSettings
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import body_T_camera, robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.tools.options import image_size, positive_int
from ttt3r_ros.tracking.frame import Pointmap

SEED, HEIGHT_M, RATE_HZ = 7, 0.8, 10.0
IMAGES_PER_KEY = 5
MOST_KEYS = 60  # of those that stay
DRIFT_M, DRIFT_RAD = 0.01, 0.003


@dataclass(frozen=True, eq=False)
class Drive:
    """
    Images of a robot with exact depth.

    rgb: (T, h, w, 3). points: (T, h, w, 3), metres, camera frame. map_T_camera: (T, 4, 4).
    """

    rgb: Pixels
    points: Array32
    map_T_camera: Array
    focal_px: float

    @classmethod
    def through_a_building(cls, width: int, height: int, images: int) -> Drive:
        """
        Render a drive.

        :param width, height: of the images, pixels.
        :param images: their number.
        """
        world = build_world('S', SEED)
        path = robot_path(world, SEED, images / RATE_HZ, RATE_HZ, camera_height=HEIGHT_M, tilt=0.0)
        camera = CameraIntrinsics.from_field_of_view(width, height, 70.0)
        rgb, depth = render_clip(world, camera, path.world_T_camera)
        points = (camera.rays() * depth[..., None]).astype(np.float32)
        return cls(rgb, points, path.world_T_camera, camera.fx)

    def pointmap(self, number: int) -> Pointmap:
        """
        Return the points of an image.

        :param number: of the image.
        """
        points = self.points[number]
        return Pointmap(points, np.full(points.shape[:2], 3.0, np.float32), self.rgb[number])

    def images(self, drift: Array | None = None) -> Iterator[MapImage]:
        """
        Yield the images in order.

        :param drift: (4, 4), by which the whole drive lies beside the truth; None: by nothing.
        """
        for number, pose in enumerate(self.map_T_camera):
            key = number // IMAGES_PER_KEY
            map_T_key = self.map_T_camera[key * IMAGES_PER_KEY]
            key_T_camera = Similarity(invert(map_T_key) @ pose)
            if drift is not None:
                map_T_key = drift @ map_T_key
            yield MapImage(
                self.pointmap(number),
                key,
                key_T_camera,
                Similarity(map_T_key),
                body_T_camera(HEIGHT_M),
                self.focal_px,
            )


class SortedVoxels:
    """The mean point of each voxel, in a table that is kept sorted."""

    def __init__(self, voxel_size: float) -> None:
        """
        Begin with nothing.

        :param voxel_size: metres.
        """
        self._voxel_size = voxel_size
        self.keys, self._sums = np.empty(0, np.int64), np.empty((0, 7))

    def add(self, points: Array32, colors: Pixels, weight: Array32) -> None:
        """
        Add points.

        :param points: (N, 3), metres, map frame.
        :param colors: (N, 3).
        :param weight: (N,).
        """
        columns = np.ascontiguousarray(points.T)
        cells = packed(np.floor(columns / np.float32(self._voxel_size)))
        keys, _, voxel = np.unique(cells, return_index=True, return_inverse=True)
        values = (*columns, *colors.T, np.ones(len(points), np.float32))
        sums = np.stack([np.bincount(voxel, weight * value) for value in values], axis=1)
        place = np.searchsorted(self.keys, keys)
        known = np.zeros(len(keys), bool)
        inside = place < len(self.keys)
        known[inside] = self.keys[place[inside]] == keys[inside]
        self._sums[place[known]] += sums[known]
        self.keys = np.insert(self.keys, place[~known], keys[~known])
        self._sums = np.insert(self._sums, place[~known], sums[~known], axis=0)


def clock_ms() -> float:
    """Return the processor time of this thread, milliseconds."""
    return time.thread_time() * 1e3


def compare_images(drive: Drive) -> tuple[WorldMap, Array, Array]:
    """
    Add images in both ways.

    :returns: the map; milliseconds of each image, for the map and by sorting.
    """
    settings = MappingSettings()
    world, by_sorting = WorldMap(settings), SortedVoxels(settings.map.voxel_size)
    ours, theirs = [], []
    for image in tqdm(drive.images(), total=len(drive.rgb), unit='image'):
        begin = clock_ms()
        world.add(image)
        middle = clock_ms()
        pointmap, map_T_camera = image.pointmap, image.map_T_key.after(image.key_T_camera).a_T_b
        good = pointmap.reliable(settings.map.confidence_threshold, settings.map.max_range)
        by_sorting.add(
            pointmap.points_in(map_T_camera)[good],
            pointmap.colors[good],
            pointmap.confidence[good],
        )
        ours.append(middle - begin)
        theirs.append(clock_ms() - middle)
        if image.key % 4 == 3:
            world.snapshot()
    return world, np.array(ours), np.array(theirs)


def compare_moves(drive: Drive, world: WorldMap) -> tuple[int, int, float, float, float]:
    """
    Move all key frames, and fuse the same points anew by sorting.

    :returns: key frames; their points; milliseconds of the move and, by sorting, of their fusion;
        the longest step of the move.
    """
    world.voxels  # noqa: B018 - all is fused
    moved = transform(rotation_about([0.0, 0.0, 1.0], 0.05), [0.3, -0.2, 0.01])
    poses = {image.key: Similarity(moved @ image.map_T_key.a_T_b) for image in drive.images()}
    begin = clock_ms()
    world.move(poses)
    steps = [clock_ms() - begin]
    while not world.follows:
        begin = clock_ms()
        world.follow()
        steps.append(clock_ms() - begin)
    by_sorting, points, theirs = SortedVoxels(MappingSettings().map.voxel_size), 0, 0.0
    for _, share, in_map in world.shares():
        begin = clock_ms()
        placed = MappingSettings().map.voxel_size * transform_points(in_map.a_T_b, share.columns.T)
        by_sorting.add(placed, share.color.T, share.weight.astype(np.float32))
        theirs += clock_ms() - begin
        points += len(share)
    return len(poses), points, sum(steps), theirs, max(steps)


def stay(drive: Drive, images: int) -> list[list[str]]:
    """
    Drive the same way again and again, a little beside it, and let old key frames go.

    :param images: in all.
    :returns: rows of a table.
    """
    rng, world = np.random.default_rng(SEED), WorldMap(MappingSettings())
    rounds, rows, poses = -(-images // len(drive.rgb)), [], {}
    for number in tqdm(range(rounds), unit='round'):
        drift = transform(
            rotation_about([0.0, 0.0, 1.0], rng.normal(0.0, DRIFT_RAD)),
            [*rng.normal(0.0, DRIFT_M, 2), 0.0],
        )
        for image in drive.images(drift):
            key = number * len(drive.rgb) + image.key
            poses[key] = image.map_T_key
            world.add(replace(image, key=key))
            if len(poses) > MOST_KEYS:
                _let_go(world, poses)
        if (number + 1) * 5 // rounds > number * 5 // rounds:
            points = sum(len(share) for _, share, _ in world.shares())
            rows.append(
                [
                    str((number + 1) * len(drive.rgb)),
                    str(len(world.voxels)),
                    str(points),
                    f'{resident() / 2**20:.0f}',
                ]
            )
    return rows


def _let_go(world: WorldMap, poses: dict[int, Similarity]) -> None:
    """Remove the oldest key frame; the nearest one of the others inherits."""
    removed = min(poses)
    pose = poses.pop(removed)
    successor = min(
        poses,
        key=lambda key: float(np.abs(poses[key].a_T_b - pose.a_T_b).sum()),
    )
    world.hand_over(removed, successor, poses[successor].inverse().after(pose))


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.map_cost',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--resolution', type=image_size, default=(224, 160), metavar='WxH')
    parser.add_argument('--images', type=positive_int, default=100, help='of the drive')
    parser.add_argument('--stay', type=positive_int, default=0, help='images in one building')
    arguments = parser.parse_args(argv)
    width, height = arguments.resolution
    drive = Drive.through_a_building(width, height, arguments.images)
    if arguments.stay:
        head = ['images', 'voxels', 'points of key frames', 'resident [MB]']
        print(
            Table(f'{width}x{height}, one building', head, stay(drive, arguments.stay)).markdown()
        )
        return 0
    world, ours, theirs = compare_images(drive)
    begin = clock_ms()
    world.snapshot()
    copied = clock_ms() - begin
    keys, points, move, fusion, step = compare_moves(drive, world)
    rows = [
        ['an image, median', *_compared(np.median(ours), np.median(theirs))],
        ['an image, mean', *_compared(ours.mean(), theirs.mean())],
        [f'{keys} key frames that move, {points} points', *_compared(move, fusion)],
        ['the same, 1000 points', *_compared(1e3 * move / points, 1e3 * fusion / points)],
        ['the longest step of it', f'{step:.1f}', '', ''],
        [f'a snapshot, at most {MOST_COPIED} voxels', f'{copied:.1f}', '', ''],
    ]
    head = ['', 'map [ms]', 'by sorting [ms]', 'ratio']
    print(Table(f'{width}x{height}, processor time', head, rows).markdown())
    return 0


def _compared(ours: float, theirs: float) -> tuple[str, str, str]:
    return f'{ours:.2f}', f'{theirs:.2f}', f'{ours / theirs:.2f}'


if __name__ == '__main__':
    sys.exit(main())
