# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Evidence of one image about the cells of the floor.

A cell is seen occupied where points lie on it between the least and the largest height of
obstacles. It is seen free where the camera sees the floor: between the nearest and the farthest
visible part of the floor in its direction, and before the nearest obstacle there. What the
camera looks over (the floor at its feet, what stands behind a table) is not seen.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Array32, Mask
from ttt3r_ros.geometry import transform
from ttt3r_ros.mapping.evidence import Evidence, FREE_STEP, OCCUPIED_STEP
from ttt3r_ros.settings import OccupancySettings
from ttt3r_ros.tracking.frame import Pointmap

# Points of a full image on a cell that make it an obstacle: of what is 5 cm by 20 cm at 4 m there
# are ten. Single ones fly off the edges of things, and where depth errs they are spread thinly.
MOST_NEEDED, FEWEST_NEEDED = 8, 2

# About so many columns and rows of an image are used.
COLUMNS, ROWS = 256, 72


class FloorView:
    """See the floor in single images."""

    def __init__(self, settings: OccupancySettings, camera_height: float = 0.0) -> None:
        """
        Take the settings.

        :param camera_height: of a camera alone above a level floor, metres; 0: unknown.
        """
        self._settings = settings
        self._camera_height = camera_height
        self._resolution = settings.resolution
        self._directions = round(2 * math.pi * settings.range / self._resolution)

    def look(
        self,
        pointmap: Pointmap,
        good: Mask,
        map_T_camera: Array,
        floor_T_camera: Array | None,
    ) -> Evidence | None:
        """
        Return what one image shows of the floor.

        :param pointmap: of the image, metres.
        :param good: (h, w) bool, its points that are good enough for a map.
        :param map_T_camera: (4, 4), metres.
        :param floor_T_camera: (4, 4), metres, to the frame of the robot, which stands on the
            floor, z up. None: the map is level, and the camera has the height of the settings.
        :returns: None where nothing is seen of it, the height is unknown, or no grid is wanted.
        """
        if not self._settings.enabled:
            return None
        if floor_T_camera is None:
            if not self._camera_height:
                return None
            above = [0.0, 0.0, self._camera_height]
            floor_T_camera = transform(map_T_camera[:3, :3], above)
        height, width = good.shape
        some = (slice(None, None, height // ROWS or 1), slice(None, None, width // COLUMNS or 1))
        used_pixels = good[some]
        points = pointmap.points_camera[some][used_pixels].T
        # Written out: numpy is slow along short axes.
        x, y, heights = (
            sum(np.float32(m) * axis for m, axis in zip(row, points))
            for row in (*map_T_camera[:2, :3], floor_T_camera[2, :3])
        )
        heights += np.float32(floor_T_camera[2, 3])
        low, high = self._settings.min_height, self._settings.max_height
        used = np.flatnonzero(
            (heights >= -low)
            & (heights <= high)
            & (x * x + y * y <= np.float32(self._settings.range**2))
        )
        if not len(used):
            return None
        rays, is_obstacle = np.stack([x.take(used), y.take(used)]), heights.take(used) >= low
        first, step = self._along_rays(
            map_T_camera[:2, 3], rays, is_obstacle, points_needed(used_pixels.size)
        )
        floor = map_T_camera[2, 3] - floor_T_camera[2, 3]
        return Evidence.of(first, step, float(floor / self._resolution))

    def _along_rays(
        self, camera: Array, rays: Array32, is_obstacle: Mask, needed: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
        """
        Return what is added to the cells between the camera and its points.

        :param camera: (2,) x and y, metres, map frame.
        :param rays: (2, N) from there to points, metres, map frame.
        :param is_obstacle: (N,) bool, whether they lie on an obstacle, else on the floor.
        :param needed: of them on a cell.
        :returns: (2,) x and y of the first cell; (rows, columns) int8.
        """
        resolution = self._resolution
        # Cells are counted from that of the camera, for which float32 is exact enough.
        center = np.floor(camera / resolution).astype(np.int64)
        offset = camera - center * resolution
        shifted = rays + offset.astype(np.float32)[:, None]
        cells = np.floor(shifted / np.float32(resolution)).astype(np.int32)
        # One cell more: a direction is as wide at the end of its range.
        first = np.minimum(cells.min(axis=1), 0).astype(np.int64) - 1
        end = np.maximum(cells.max(axis=1), 0).astype(np.int64) + 2
        columns, rows = end - first
        cell = (cells[1] - first[1]) * columns + cells[0] - first[0]
        counts = np.bincount(cell[is_obstacle], minlength=rows * columns)
        occupied = counts >= needed

        is_solid = is_obstacle & occupied[cell]
        nearest, farthest = self._floor_in_view(rays, ~is_obstacle, is_solid)

        x, y = (
            ((np.arange(first[axis], end[axis]) + 0.5) * resolution - offset[axis]).astype(
                np.float32
            )
            for axis in (0, 1)
        )
        distance, towards = np.hypot(x, y[:, None]), self._direction(x, y[:, None])
        free = (nearest[towards] <= distance) & (distance <= farthest[towards])

        occupied = occupied.reshape(rows, columns)
        step = np.where(occupied, OCCUPIED_STEP, np.where(free, FREE_STEP, 0)).astype(np.int8)
        return center + first, step

    def _floor_in_view(
        self, rays: Array32, is_floor: Mask, is_solid: Mask
    ) -> tuple[Array32, Array32]:
        """
        Return the range in which the floor is seen, in each direction around the camera.

        :param rays: (2, N) from the camera to points, metres, map frame.
        :param is_floor: (N,) bool, whether they lie on the floor.
        :param is_solid: (N,) bool, whether they lie on what ends the view.
        :returns: (directions,) least and largest distance, metres; where the least is larger,
            no floor is seen.
        """
        ranges, direction = np.hypot(*rays), self._direction(*rays)
        nearest, farthest = (np.full(self._directions, limit, np.float32) for limit in (np.inf, 0))
        np.minimum.at(nearest, direction[is_floor], ranges[is_floor])
        np.maximum.at(farthest, direction[is_floor], ranges[is_floor])
        # The cell before an obstacle may hold a part of it.
        before = ranges[is_solid] - np.float32(self._resolution)
        np.minimum.at(farthest, direction[is_solid], before)
        return nearest, farthest

    def _direction(self, x: Array32, y: Array32) -> NDArray[np.int64]:
        """Return the index of the direction of each (x, y) from the camera."""
        turns = np.arctan2(y, x) * np.float32(0.5 / math.pi) + np.float32(0.5)
        direction: NDArray[np.int64] = (turns * np.float32(self._directions)).astype(np.int64)
        # The last direction ends where the first begins.
        return np.minimum(direction, self._directions - 1)


def points_needed(pixels: int) -> int:
    """
    Return how many points on a cell make it an obstacle.

    :param pixels: of the image that are used.
    """
    return max(FEWEST_NEEDED, round(MOST_NEEDED * pixels / (COLUMNS * ROWS)))
