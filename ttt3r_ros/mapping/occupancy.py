# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The map as an occupancy grid of the floor: free, occupied and unknown cells.

A cell is seen occupied where points lie on it between the least and the largest height of
obstacles. It is seen free where the camera sees the floor: between the nearest and the farthest
visible part of the floor in its direction, and before the nearest obstacle there. What the
camera looks over (the floor at its feet, what stands behind a table) is not seen. Cells sum such
evidence within bounds, so that what leaves, people above all, soon disappears.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Array32, Mask
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import transform
from ttt3r_ros.settings import OccupancySettings
from ttt3r_ros.tracking.frame import Pointmap

FREE, OCCUPIED, UNKNOWN = 0, 100, -1

# Evidence is a log-odds in steps of 0.4: being seen occupied adds OCCUPIED_STEP, being seen
# free adds FREE_STEP. A cell is what two views agree on; ten views empty the surest one.
OCCUPIED_STEP, FREE_STEP = 2, -1
SURELY_OCCUPIED, SURELY_FREE = 8, -5
OCCUPIED_FROM, FREE_UP_TO = 3, -2

# Points on a cell that make it an obstacle; single ones fly off the edges of things.
FEWEST_POINTS = 2

# About so many columns and rows of an image are used.
COLUMNS, ROWS = 256, 96

# The grid grows by so much at once, because subscribers restart at each new size.
CHUNK_M = 4.0


class OccupancyError(UserError):
    """An occupancy grid does not fit the settings."""


@dataclass(frozen=True, eq=False)
class Occupancy:
    """
    An occupancy grid as published.

    cells: (rows along y, columns along x) int8, FREE, OCCUPIED or UNKNOWN. resolution: edge of
    a cell, metres. x, y: outer corner of the first cell, metres, map frame.
    """

    cells: NDArray[np.int8]
    resolution: float
    x: float
    y: float


class OccupancyGrid:
    """
    Sum the evidence of images about the floor, in bounded memory.

    overflowed: whether a part was dropped because the grid had its largest size.
    """

    def __init__(self, settings: OccupancySettings, camera_height: float = 0.0) -> None:
        """
        Begin with an empty grid.

        :param camera_height: of a camera alone above a level floor, metres; 0: unknown.
        """
        self.overflowed = False
        self._settings = settings
        self._camera_height = camera_height
        self._resolution = settings.resolution
        self._directions = round(2 * math.pi * settings.range / self._resolution)
        self._chunk = math.ceil(CHUNK_M / self._resolution)  # cells
        chunks = math.floor(settings.max_side / (self._chunk * self._resolution))
        self._longest = chunks * self._chunk  # cells
        self._first = np.zeros(2, np.int64)  # x and y of the first cell, in cells
        self._evidence = np.zeros((0, 0), np.int8)  # rows along y, columns along x

    def __len__(self) -> int:
        """Return the number of cells, known or not."""
        return self._evidence.size

    def add(
        self,
        pointmap: Pointmap,
        good: Mask,
        map_T_camera: Array,
        floor_T_camera: Array | None,
    ) -> None:
        """
        Add what one image shows.

        :param pointmap: of the image, metres.
        :param good: (h, w) bool, its points that are good enough for a map.
        :param map_T_camera: (4, 4), metres.
        :param floor_T_camera: (4, 4), metres, to the frame of the robot, which stands on the
            floor, z up. None: the map is level, and the camera has the height of the settings;
            if that is unknown, or the grid is not enabled, nothing is added.
        """
        if not self._settings.enabled:
            return
        if floor_T_camera is None:
            if not self._camera_height:
                return
            above = [0.0, 0.0, self._camera_height]
            floor_T_camera = transform(map_T_camera[:3, :3], above)
        height, width = good.shape
        some = (slice(None, None, height // ROWS or 1), slice(None, None, width // COLUMNS or 1))
        points = pointmap.points_camera[some][good[some]]
        rays = points @ map_T_camera[:2, :3].T.astype(np.float32)
        heights = points @ floor_T_camera[2, :3].astype(np.float32)
        heights += np.float32(floor_T_camera[2, 3])
        low, high = self._settings.min_height, self._settings.max_height
        used = (heights >= -low) & (heights <= high)
        used &= np.hypot(*rays.T) <= self._settings.range
        if used.any():
            self._add_rays(map_T_camera[:2, 3], rays[used], heights[used] >= low)

    def _add_rays(self, camera: Array, rays: Array32, is_obstacle: Mask) -> None:
        """
        Add evidence to the cells between the camera and its points.

        :param camera: (2,) x and y, metres, map frame.
        :param rays: (N, 2) from there to points, metres, map frame.
        :param is_obstacle: (N,) bool, whether they lie on an obstacle, else on the floor.
        """
        resolution = self._resolution
        # Cells are counted from that of the camera, for which float32 is exact enough.
        center = np.floor(camera / resolution).astype(np.int64)
        offset = camera - center * resolution
        cells = np.floor((rays + offset.astype(np.float32)) / np.float32(resolution))
        # One cell more: a direction is as wide at the end of its range.
        first = np.minimum(cells.min(axis=0), 0).astype(np.int64) - 1
        end = np.maximum(cells.max(axis=0), 0).astype(np.int64) + 2
        columns, rows = end - first
        cell = ((cells[:, 1] - first[1]) * columns + cells[:, 0] - first[0]).astype(np.int64)
        counts = np.bincount(cell[is_obstacle], minlength=rows * columns)
        occupied = counts >= FEWEST_POINTS

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
        evidence = self._cover(center + first, center + end)
        np.clip(evidence + step, SURELY_FREE, SURELY_OCCUPIED, out=evidence)

    def _floor_in_view(
        self, rays: Array32, is_floor: Mask, is_solid: Mask
    ) -> tuple[Array32, Array32]:
        """
        Return the range in which the floor is seen, in each direction around the camera.

        :param rays: (N, 2) from the camera to points, metres, map frame.
        :param is_floor: (N,) bool, whether they lie on the floor.
        :param is_solid: (N,) bool, whether they lie on what ends the view.
        :returns: (directions,) least and largest distance, metres; where the least is larger,
            no floor is seen.
        """
        ranges, direction = np.hypot(*rays.T), self._direction(*rays.T)
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

    def _cover(self, first: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int8]:
        """
        Grow by whole chunks until a rectangle of cells lies in the grid.

        :param first: (2,) its least x and y.
        :param end: (2,) one past its largest.
        :returns: (rows, columns), a view of the evidence there.
        """
        old_first, old_end = self._first, self._first + self._evidence.shape[::-1]
        new_first = first // self._chunk * self._chunk
        new_end = -(-end // self._chunk) * self._chunk
        if len(self):
            grown_down = new_first < old_first
            new_first, new_end = np.minimum(new_first, old_first), np.maximum(new_end, old_end)
            too_long = new_end - new_first > self._longest
            self.overflowed |= bool(too_long.any())
            cut_first = too_long & ~grown_down
            new_end = np.where(too_long & grown_down, new_first + self._longest, new_end)
            new_first = np.where(cut_first, new_end - self._longest, new_first)
        if (new_first != old_first).any() or (new_end != old_end).any():
            old = self._evidence
            self._first = new_first
            self._evidence = np.zeros((new_end - new_first)[::-1], np.int8)
            common_first = np.maximum(old_first, new_first)
            common_end = np.maximum(np.minimum(old_end, new_end), common_first)
            self._view(common_first, common_end)[:] = old[
                _rectangle(common_first - old_first, common_end - old_first)
            ]
        return self._view(first, end)

    def _view(self, first: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int8]:
        return self._evidence[_rectangle(first - self._first, end - self._first)]

    def occupancy(self) -> Occupancy:
        """Return the present grid."""
        cells = np.full(self._evidence.shape, UNKNOWN, np.int8)
        cells[self._evidence >= OCCUPIED_FROM] = OCCUPIED
        cells[self._evidence <= FREE_UP_TO] = FREE
        x, y = (self._first * self._resolution).tolist()
        return Occupancy(cells, self._resolution, x, y)

    def resume(self, occupancy: Occupancy) -> None:
        """
        Continue with a saved grid; its known cells get the most evidence there is.

        :raises OccupancyError: when its cells have another size, or are too many.
        """
        if occupancy.resolution != self._resolution:
            raise OccupancyError(
                f'the occupancy grid has cells of {occupancy.resolution:g} m, '
                f'occupancy.resolution is {self._resolution:g}: make them equal'
            )
        size = np.array(occupancy.cells.shape[::-1])
        if (size > self._longest).any():
            raise OccupancyError(
                f'the occupancy grid has {size[0]} x {size[1]} cells, occupancy.max_side allows '
                f'{self._longest}: raise it'
            )
        self._first = np.round(np.array([occupancy.x, occupancy.y]) / self._resolution).astype(
            np.int64
        )
        self._evidence = np.zeros(occupancy.cells.shape, np.int8)
        self._evidence[occupancy.cells == OCCUPIED] = SURELY_OCCUPIED
        self._evidence[occupancy.cells == FREE] = SURELY_FREE


def _rectangle(first: NDArray[np.int64], end: NDArray[np.int64]) -> tuple[slice, slice]:
    return slice(first[1], end[1]), slice(first[0], end[0])
