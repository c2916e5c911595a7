# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Pictures and exact depth of a world, on the CPU (`renderer_cuda` is its twin)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import itertools

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.camera import CameraIntrinsics
from ttt3r_ros.errors import UserError
from ttt3r_ros.simulation.raycast import grey_level, pixel
from ttt3r_ros.simulation.scalar import f32, scalar
from ttt3r_ros.simulation.sensor import Sensor
from ttt3r_ros.simulation.world import World

Rgb = NDArray[np.uint8]
Depth = NDArray[np.float32]

# The first ray goes through the middle of the pixel and measures the depth.
ONE_RAY = np.zeros((1, 2), dtype=np.float32)
FIVE_RAYS = np.array(
    [[0, 0], [-0.3, -0.15], [0.15, -0.3], [0.3, 0.15], [-0.15, 0.3]], dtype=np.float32
)


class CameraOutsideError(UserError):
    """A camera stands in a wall or outside the building."""


def render(
    world: World,
    intrinsics: CameraIntrinsics,
    world_T_camera: NDArray[np.float64],
    *,
    smooth: bool = False,
    sensor: Sensor | None = None,
    seed: int = 0,
) -> tuple[Rgb, Depth]:
    """
    Take one picture.

    :param world: what there is to see.
    :param intrinsics: a camera without distortion.
    :param world_T_camera: (4, 4), optical frame.
    :param smooth: average five rays a pixel, for people who look; five times slower.
    :param sensor: what spoils the picture; None keeps it perfect.
    :param seed: of the sensor's noise.
    :returns: (H, W, 3) colours; (H, W) float32 depth, metres along the optical axis.
    :raises CameraOutsideError: when the camera stands in a wall or outside.
    """
    rgb, depth = render_clip(
        world, intrinsics, world_T_camera[None], smooth=smooth, sensor=sensor, seed=seed
    )
    return rgb[0], depth[0]


def render_clip(
    world: World,
    intrinsics: CameraIntrinsics,
    world_T_camera: NDArray[np.float64],
    *,
    smooth: bool = False,
    sensor: Sensor | None = None,
    seed: int = 0,
    threads: int = 1,
) -> tuple[Rgb, Depth]:
    """
    Take many pictures. The interpreter's lock is released, so threads can render side by side.

    :param world_T_camera: (T, 4, 4); the other parameters are those of `render`.
    :param threads: how many share the frames.
    :returns: (T, H, W, 3) colours; (T, H, W) float32 depth, metres along the optical axis.
    :raises CameraOutsideError: naming the first camera in a wall or outside.
    """
    lens, poses, cells = prepare_cameras(world, intrinsics, world_T_camera)
    count = len(poses)
    rgb = np.empty((count, intrinsics.height, intrinsics.width, 3), dtype=np.uint8)
    depth = np.empty((count, intrinsics.height, intrinsics.width), dtype=np.float32)
    rays = FIVE_RAYS if smooth else ONE_RAY

    def work(part: slice) -> None:
        render_frames(
            *world.tables(),
            lens,
            poses[part],
            cells[part],
            rays,
            rgb[part],
            depth[part],
        )

    bounds = np.linspace(0, count, threads + 1).astype(int)
    parts = [slice(a, b) for a, b in itertools.pairwise(bounds)]
    if threads == 1:
        work(parts[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, parts))
    return (rgb if sensor is None else sensor.capture(rgb, seed)), depth


def prepare_cameras(
    world: World, intrinsics: CameraIntrinsics, world_T_camera: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """
    Turn cameras into what the ray caster takes.

    :returns: (4,) fx, fy, cx, cy; (T, 3, 4) poses; (T,) cell around each camera.
    :raises CameraOutsideError: naming the first camera in a wall or outside.
    """
    if intrinsics.distortion_model != 'none':
        raise UserError('the simulated camera has no distortion: use without_distortion()')
    cells = world.cells_at(world_T_camera[:, :3, 3])
    if (cells < 0).any():
        first = int((cells < 0).argmax())
        place = np.round(world_T_camera[first, :3, 3], 2)
        raise CameraOutsideError(
            f'camera {first} at {place} stands in a wall or outside the building; '
            'take a place inside a room'
        )
    lens = np.array([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy], np.float32)
    return lens, np.ascontiguousarray(world_T_camera[:, :3, :], dtype=np.float32), cells


@scalar
def render_frames(
    cells: NDArray[np.float32],
    portals: NDArray[np.float32],
    decals: NDArray[np.float32],
    groups: NDArray[np.float32],
    parts: NDArray[np.float32],
    materials: NDArray[np.float32],
    images: Rgb,
    lens: NDArray[np.float32],
    poses: NDArray[np.float32],
    cell_of: NDArray[np.int64],
    rays: NDArray[np.float32],
    rgb: Rgb,
    depth: Depth,
) -> None:
    """Fill (T, H, W, 3) colours and (T, H, W) depth, see `raycast.pixel`."""
    share = f32(1.0) / f32(len(rays))
    for frame in range(poses.shape[0]):
        for row in range(rgb.shape[1]):
            for column in range(rgb.shape[2]):
                red, green, blue = f32(0.0), f32(0.0), f32(0.0)
                for ray in range(len(rays)):
                    x, y = f32(column) + rays[ray, 0], f32(row) + rays[ray, 1]
                    r, g, b, z = pixel(
                        cells, portals, decals, groups, parts, materials, images,
                        lens, poses[frame], cell_of[frame], x, y,
                    )  # fmt: skip
                    red, green, blue = red + r, green + g, blue + b
                    if ray == 0:
                        depth[frame, row, column] = z
                rgb[frame, row, column, 0] = int(grey_level(red * share) + f32(0.5))
                rgb[frame, row, column, 1] = int(grey_level(green * share) + f32(0.5))
                rgb[frame, row, column, 2] = int(grey_level(blue * share) + f32(0.5))
