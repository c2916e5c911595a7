# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Images and exact depth of a world, rendered on the CPU (on CUDA: `renderer_cuda`)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import itertools
from typing import cast

import numpy as np

from ttt3r_ros.arrays import Array, Array32, Mask, Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.simulation.raycast import grey_level, pixel
from ttt3r_ros.simulation.scalar import compiled, f32, scalar
from ttt3r_ros.simulation.sensor import Sensor
from ttt3r_ros.simulation.tables import CAMERA, Records, Tables
from ttt3r_ros.simulation.world import World

# The rays of `smooth` through a pixel, pixels from its middle.
RAYS = np.array([[0, 0], [-0.3, -0.15], [0.15, -0.3], [0.3, 0.15], [-0.15, 0.3]], dtype=np.float32)
EDGE = 24  # grey levels between neighbours, at least, for `smooth`


class CameraOutsideError(UserError):
    """A camera stands in a wall or outside the building."""


def render(
    world: World,
    intrinsics: CameraIntrinsics,
    world_T_camera: Array,
    *,
    smooth: bool = False,
    sensor: Sensor | None = None,
    seed: int = 0,
) -> tuple[Pixels, Array32]:
    """
    Render one image.

    :param intrinsics: of a camera without distortion.
    :param world_T_camera: (4, 4), optical frame.
    :param smooth: average five rays in pixels at edges; two to three times slower.
    :param sensor: whose faults the image gets; None for none.
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
    world_T_camera: Array,
    *,
    smooth: bool = False,
    sensor: Sensor | None = None,
    seed: int = 0,
    threads: int = 1,
) -> tuple[Pixels, Array32]:
    """
    Render many images; the interpreter's lock is released, so threads can render in parallel.

    :param world_T_camera: (T, 4, 4); the other parameters are those of `render`.
    :param threads: among which the frames are divided.
    :returns: (T, H, W, 3) colours; (T, H, W) float32 depth, metres along the optical axis.
    :raises CameraOutsideError: naming the first camera in a wall or outside.
    """
    cameras = prepare_cameras(world, intrinsics, world_T_camera)
    count = len(cameras)
    rgb = np.empty((count, intrinsics.height, intrinsics.width, 3), dtype=np.uint8)
    depth = np.empty((count, intrinsics.height, intrinsics.width), dtype=np.float32)

    def work(part: slice) -> None:
        seen = cast(Records, cameras[part])
        render_frames(world.tables, seen, rgb[part], depth[part])
        if smooth:
            smooth_edges(world.tables, seen, RAYS, rgb[part])

    bounds = np.linspace(0, count, threads + 1).astype(int)
    parts = [slice(a, b) for a, b in itertools.pairwise(bounds)]
    if threads == 1:
        work(parts[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, parts))
    return (rgb if sensor is None else sensor.capture(rgb, seed)), depth


def compile_renderer(world: World) -> None:
    """
    Compile the renderer, or load it from numba's cache, so that no image waits for it.

    :param world: any.
    """
    camera = CameraIntrinsics.from_field_of_view(8, 6, 60.0)
    render_clip(world, camera, np.empty((0, 4, 4)), smooth=True)


def prepare_cameras(world: World, intrinsics: CameraIntrinsics, world_T_camera: Array) -> Records:
    """
    Return the cameras as the ray caster takes them.

    :param world_T_camera: (T, 4, 4), optical frame.
    :returns: (T,) rows of CAMERA.
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
    cameras = np.zeros(len(cells), CAMERA).view(np.recarray)
    cameras.pose = world_T_camera[:, :3, :]
    cameras.fx, cameras.fy = intrinsics.fx, intrinsics.fy
    cameras.cx, cameras.cy = intrinsics.cx, intrinsics.cy
    cameras.cell = cells
    return cameras


@scalar
def write_pixel(rgb: Pixels, red: float, green: float, blue: float) -> None:
    """
    Write linear light into a pixel.

    :param rgb: (3,).
    """
    rgb[0] = int(grey_level(red) + f32(0.5))
    rgb[1] = int(grey_level(green) + f32(0.5))
    rgb[2] = int(grey_level(blue) + f32(0.5))


@scalar
def render_frames(tables: Tables, cameras: Records, rgb: Pixels, depth: Array32) -> None:
    """
    Write images and depth, one ray per pixel, see `raycast.pixel`.

    :param cameras: (T,) rows of CAMERA.
    :param rgb: (T, H, W, 3).
    :param depth: (T, H, W), metres along the optical axis.
    """
    for frame in range(len(cameras)):
        for row in range(rgb.shape[1]):
            for column in range(rgb.shape[2]):
                r, g, b, z = pixel(tables, cameras[frame], f32(column), f32(row))
                depth[frame, row, column] = z
                write_pixel(rgb[frame, row, column], r, g, b)


@compiled
def smooth_edges(tables: Tables, cameras: Records, rays: Array32, rgb: Pixels) -> None:
    """
    Replace the pixels that differ from a neighbour by the mean of several rays.

    :param cameras: (T,) rows of CAMERA.
    :param rays: (K, 2) x and y from the middle of a pixel, pixels.
    :param rgb: (T, H, W, 3).
    """
    share = f32(1.0) / f32(len(rays))
    for frame in range(len(cameras)):
        edges = find_edges(rgb[frame])
        for row in range(rgb.shape[1]):
            for column in range(rgb.shape[2]):
                if not edges[row, column]:
                    continue
                red, green, blue = f32(0.0), f32(0.0), f32(0.0)
                for ray in range(len(rays)):
                    x, y = f32(column) + rays[ray, 0], f32(row) + rays[ray, 1]
                    r, g, b, _ = pixel(tables, cameras[frame], x, y)
                    red, green, blue = red + r, green + g, blue + b
                write_pixel(rgb[frame, row, column], red * share, green * share, blue * share)


@compiled
def find_edges(rgb: Pixels) -> Mask:
    """Mark both of two pixels of (H, W, 3), side by side or one above the other, that differ."""
    height, width = rgb.shape[0], rgb.shape[1]
    edges = np.zeros((height, width), dtype=np.bool_)
    for row in range(height):
        for column in range(width):
            for channel in range(3):
                here = f32(rgb[row, column, channel])
                right = here if column + 1 == width else f32(rgb[row, column + 1, channel])
                below = here if row + 1 == height else f32(rgb[row + 1, column, channel])
                if abs(right - here) > f32(EDGE):
                    edges[row, column] = edges[row, column + 1] = True
                if abs(below - here) > f32(EDGE):
                    edges[row, column] = edges[row + 1, column] = True
    return edges
