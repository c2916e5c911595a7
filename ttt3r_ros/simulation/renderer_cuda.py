# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Images and exact depth of a world, rendered on a CUDA device, for training."""

from __future__ import annotations

from typing import Any

import numba.cuda
import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.errors import UserError
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.simulation.raycast import pixel
from ttt3r_ros.simulation.renderer import prepare_cameras, write_pixel
from ttt3r_ros.simulation.scalar import f32
from ttt3r_ros.simulation.sensor import capture_pixel, Sensor
from ttt3r_ros.simulation.tables import Tables
from ttt3r_ros.simulation.world import World

THREADS = 128  # of a block

cuda: Any = numba.cuda  # which has no types


class NoCudaError(UserError):
    """There is no CUDA device that numba can use."""


class CudaRenderer:
    """A world in the memory of a CUDA device."""

    def __init__(self, world: World) -> None:
        """
        Copy a world to the current device.

        :raises NoCudaError: when numba finds no device.
        """
        if not cuda.is_available():
            raise NoCudaError('numba finds no CUDA device here: render on the CPU instead')
        self._world = world
        self._tables = Tables(*map(cuda.to_device, world.tables))

    def render_clip(
        self,
        intrinsics: CameraIntrinsics,
        world_T_camera: Array,
        *,
        sensor: Sensor | None = None,
        seed: int = 0,
    ) -> tuple[Any, Any]:
        """
        Render many images; they stay on the device.

        :param intrinsics: of a camera without distortion.
        :param world_T_camera: (T, 4, 4), optical frame.
        :param sensor: whose faults the image gets; None for none.
        :param seed: of the sensor's noise.
        :returns: device arrays: (T, H, W, 3) uint8 colours and (T, H, W) float32 depth, metres;
            `torch.as_tensor(array, device='cuda')` takes them without a copy.
        :raises CameraOutsideError: naming the first camera in a wall or outside.
        """
        cameras = prepare_cameras(self._world, intrinsics, world_T_camera)
        shape = (len(cameras), intrinsics.height, intrinsics.width)
        rgb = cuda.device_array((*shape, 3), dtype=np.uint8)
        depth = cuda.device_array(shape, dtype=np.float32)
        blocks = -(-depth.size // THREADS)
        _render_pixels[blocks, THREADS](self._tables, cuda.to_device(cameras), rgb, depth)
        if sensor is None:
            return rgb, depth
        taken = cuda.device_array_like(rgb)
        blocks = -(-rgb.size // THREADS)
        _capture_values[blocks, THREADS](rgb, cuda.to_device(sensor.settings(seed)), taken)
        return taken, depth


@cuda.jit(fastmath=True)
def _render_pixels(tables, cameras, rgb, depth):  # type: ignore[no-untyped-def]
    """Render one pixel per thread, see `raycast.pixel`."""
    index = cuda.grid(1)
    count, height, width = depth.shape
    if index >= count * height * width:
        return
    frame = index // (height * width)
    row = index // width % height
    column = index % width
    red, green, blue, z = pixel(tables, cameras[frame], f32(column), f32(row))
    depth[frame, row, column] = z
    write_pixel(rgb[frame, row, column], red, green, blue)


@cuda.jit(fastmath=True)
def _capture_values(rgb, settings, taken):  # type: ignore[no-untyped-def]
    """Compute one value of one pixel per thread, see `sensor.capture_pixel`."""
    index = cuda.grid(1)
    count, height, width, channels = rgb.shape
    if index >= count * height * width * channels:
        return
    frame = index // (height * width * channels)
    row = index // (width * channels) % height
    column = index // channels % width
    channel = index % channels
    taken[frame, row, column, channel] = capture_pixel(
        rgb, settings[0], frame, row, column, channel
    )
