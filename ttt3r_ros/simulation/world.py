# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A simulated world: the tables of a building, the distances in it and its floor plan."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.simulation.tables import (
    BOX,
    CELL,
    CYLINDER,
    DECAL,
    GROUP,
    MATERIAL,
    PART,
    PORTAL,
    SPHERE,
    Tables,
)

PLAN_RESOLUTION = 0.05  # metres, of the map of clearances
OVERHEAD = 1.95  # parts that begin higher are no obstacle


@dataclass(frozen=True)
class World:
    """A building with everything in it; immutable."""

    tables: Tables

    def __post_init__(self) -> None:
        """
        Check the tables and make them read-only.

        :raises ValueError: when a table has the wrong type or shape.
        """
        rows = {
            'cells': CELL,
            'portals': PORTAL,
            'decals': DECAL,
            'groups': GROUP,
            'parts': PART,
            'materials': MATERIAL,
        }
        for name, kind in rows.items():
            table = getattr(self.tables, name)
            if table.dtype != kind or table.ndim != 1:
                raise ValueError(f'{name} must be (rows,) {kind}, not {table.shape} {table.dtype}')
        images = self.tables.images
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise ValueError(f'images must be (K, S, S, 3) uint8, not {images.shape}')
        for table in self.tables:
            table.setflags(write=False)

    def cells_at(self, points: NDArray[np.floating]) -> NDArray[np.int64]:
        """
        Return the cell around each point.

        :param points: (N, 3) metres.
        :returns: (N,) rows of cells, -1 inside a wall or outside the building.
        """
        cells, places = self.tables.cells, np.asarray(points)[:, None, :]
        inside = np.all((places >= cells.low) & (places <= cells.high), axis=-1)
        return np.where(inside.any(axis=1), inside.argmax(axis=1), -1)

    def clearance(self, points: NDArray[np.floating], floor: bool = True) -> Array:
        """
        Compute the distance from points to the nearest surface.

        :param points: (N, 3) metres.
        :param floor: count the floors as surfaces.
        :returns: (N,) metres; negative inside a part, -inf inside a wall.
        """
        points = np.asarray(points, dtype=np.float64)
        result = np.full(len(points), -np.inf)
        cell_of = self.cells_at(points)
        for cell in np.unique(cell_of[cell_of >= 0]):
            mine = cell_of == cell
            walls = self._distance_to_faces(cell, points[mine], floor)
            result[mine] = np.minimum(walls, self._distance_to_parts(points[mine]))
        return result

    def _distance_to_faces(self, cell: int, points: Array, floor: bool) -> Array:
        """Return the distance (N,) from points in a cell to its faces or the edges of openings."""
        row = self.tables.cells[cell]
        portals = self.tables.portals[slice(*row.portals)]
        nearest = np.full(len(points), np.inf)
        for face in range(6):
            if face == 4 and not floor:
                continue
            axis = face // 2
            bound = float((row.high if face % 2 else row.low)[axis])
            along = np.zeros(len(points))  # how deep in an opening the foot of the normal is
            for portal in portals:
                if portal.face == face:
                    u, z = points[:, 1 - axis], points[:, 2]
                    depth = np.minimum(u - portal.low, portal.high - u)
                    # A doorway's sill is the floor: only its sides and its lintel are edges.
                    depth = np.minimum(depth, portal.top - z)
                    along = np.maximum(along, depth)
            nearest = np.minimum(nearest, np.hypot(points[:, axis] - bound, along))
        return nearest

    def _distance_to_parts(self, points: Array) -> Array:
        """Return the distance (N,) from points to the nearest part, negative inside it."""
        parts = self.tables.parts
        if not len(parts):
            return np.full(len(points), np.inf)
        kind, half = parts.kind, parts.half.astype(np.float64)
        offset = points[:, None, :] - parts.center
        cos, sin = parts.cos.astype(np.float64), parts.sin.astype(np.float64)
        x = np.abs(cos * offset[..., 0] + sin * offset[..., 1])
        y = np.abs(cos * offset[..., 1] - sin * offset[..., 0])
        z = np.abs(offset[..., 2])
        radial = np.hypot(offset[..., 0], offset[..., 1])
        # A cylinder is a rectangle in (radial, z), a sphere is a point grown by its radius.
        side = np.where(kind == CYLINDER, radial, x) - half[:, 0]
        other = np.where(kind == CYLINDER, -np.inf, y - half[:, 1])
        over = z - half[:, 2]
        inside = np.minimum(np.maximum(np.maximum(side, other), over), 0.0)
        outside = np.sqrt(
            np.maximum(side, 0) ** 2 + np.maximum(other, 0) ** 2 + np.maximum(over, 0) ** 2
        )
        sphere = np.sqrt((offset**2).sum(axis=-1)) - half[:, 0]
        distance: Array = np.where(kind == SPHERE, sphere, inside + outside)
        return np.asarray(distance.min(axis=1), dtype=np.float64)

    def plan(self) -> FloorPlan:
        """Return the floor plan, on which routes are found."""
        cells = self.tables.cells
        low = cells.low[:, :2].min(axis=0).astype(np.float64) - 0.1
        high = cells.high[:, :2].max(axis=0) + 0.1
        width, height = np.ceil((high - low) / PLAN_RESOLUTION).astype(int)
        free = np.zeros((height, width), dtype=np.uint8)
        for cell in cells:
            a = np.round((cell.low[:2] - low) / PLAN_RESOLUTION).astype(int)
            b = np.round((cell.high[:2] - low) / PLAN_RESOLUTION).astype(int)
            free[a[1] : b[1], a[0] : b[0]] = 1
        for part in self.tables.parts:
            if part.center[2] - part.half[2] < OVERHEAD:
                _draw_obstacle(free, part, low)
        distance = cv2.distanceTransform(free, cv2.DIST_L2, 5) * PLAN_RESOLUTION
        # The middle of the first pixel that is not free is up to one pixel inside the obstacle.
        return FloorPlan(low, np.maximum(distance - PLAN_RESOLUTION, 0.0).astype(np.float32))


def _draw_obstacle(free: Pixels, part: np.record, low: Array) -> None:
    """Clear the pixels that a part covers."""
    center = (part.center[:2] - low) / PLAN_RESOLUTION - 0.5
    half = part.half[:2] / PLAN_RESOLUTION
    if part.kind == BOX:
        cos, sin = part.cos, part.sin
        along = np.array([cos, sin]) * half[0]
        across = np.array([-sin, cos]) * half[1]
        corners = center + np.array(
            [along + across, along - across, -along - across, -along + across]
        )
        cv2.fillConvexPoly(free, np.round(corners * 16).astype(np.int32), 0, shift=4)
    else:
        middle = tuple(int(c) for c in np.round(center * 16))
        cv2.circle(free, middle, int(np.ceil(half[0] * 16)), 0, -1, shift=4)


@dataclass(frozen=True)
class FloorPlan:
    """
    A floor plan: the distance to walls and obstacles, from above.

    low: (2,) metres, outer corner of the first pixel. clearance: (rows along y, columns along x)
    float32, metres from the middle of a pixel to the nearest wall or obstacle, never too large.
    """

    low: Array
    clearance: Array32

    def pixels(self, points: NDArray[np.floating]) -> NDArray[np.int64]:
        """
        Return the row and column of the pixel around each point.

        :param points: (..., 2) x and y, metres.
        :returns: (..., 2) row and column, of the nearest pixel for points outside.
        """
        cells = np.floor((np.asarray(points) - self.low) / PLAN_RESOLUTION).astype(np.int64)
        rows = np.clip(cells[..., 1], 0, self.clearance.shape[0] - 1)
        columns = np.clip(cells[..., 0], 0, self.clearance.shape[1] - 1)
        return np.stack([rows, columns], axis=-1)

    def places(self, pixels: NDArray[np.integer]) -> Array:
        """
        Return the middles of pixels.

        :param pixels: (..., 2) row and column.
        :returns: (..., 2) x and y, metres.
        """
        return np.asarray(pixels)[..., ::-1] * PLAN_RESOLUTION + 0.5 * PLAN_RESOLUTION + self.low

    def clearance_at(self, points: NDArray[np.floating]) -> Array32:
        """
        Return the clearance at points.

        :param points: (..., 2) x and y, metres.
        :returns: (...) metres.
        """
        pixels = self.pixels(points)
        return self.clearance[pixels[..., 0], pixels[..., 1]]
