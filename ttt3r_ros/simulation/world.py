# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The simulated world: a building as six flat tables.

A building is made of cells: axis-aligned boxes of air, one for each room and one for each
doorway. A portal is an opening in a face of a cell that leads to the next cell; whatever face
is not portal is wall, floor or ceiling, and decals (pictures, door frames, rugs) lie flat on
it. Solid parts (boxes, cylinders, spheres) stand in a cell and are gathered in groups with a
bounding box, one piece of furniture each. So a ray walks from cell to cell and meets only the
few things of each, and every ray ends somewhere.

x and y are horizontal, z is up, metres, the floor is z = 0. The capital constants name the
columns of the tables; columns that count or point are whole numbers stored as floats.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.simulation.textures import MATERIAL_COLUMNS

FloatTable = NDArray[np.float32]
Tables = tuple[
    FloatTable, FloatTable, FloatTable, FloatTable, FloatTable, FloatTable, NDArray[np.uint8]
]

CELL_LOW = 0  # x, y, z
CELL_HIGH = 3  # x, y, z
CELL_GROUPS = 6  # first group, one past the last
CELL_PORTALS = 8  # first portal, one past the last
CELL_MATERIALS = 10  # of the faces -x, +x, -y, +y, -z, +z
CELL_LIGHT = 16  # x, y, z of the lamp
CELL_LIGHT_COLOR = 19  # linear RGB
CELL_AMBIENT = 22  # linear RGB of the light from everywhere
CELL_SKIRTING = 25  # height of the skirting board, metres
CELL_DECALS = 26  # first decal of each face, one past the last of +z
CELL_COLUMNS = 33

PORTAL_FACE = 0  # 0 to 5: -x, +x, -y, +y, -z, +z
PORTAL_LOW = 1  # along y on an x face, along x on a y face
PORTAL_HIGH = 2
PORTAL_BOTTOM = 3  # z
PORTAL_TOP = 4
PORTAL_CELL = 5  # where it leads
PORTAL_COLUMNS = 6

# Where decals overlap, the first one is seen.
DECAL_LOW = 0  # along y on an x face, along x on the others
DECAL_HIGH = 1
DECAL_BOTTOM = 2  # z; y on floor and ceiling
DECAL_TOP = 3
DECAL_MATERIAL = 4
DECAL_COLUMNS = 5

GROUP_LOW = 0  # bounding box: x, y, z
GROUP_HIGH = 3
GROUP_PARTS = 6  # first part, one past the last
GROUP_COLUMNS = 8

PART_KIND = 0
PART_CENTER = 1  # x, y, z
PART_HALF = 4  # half sizes of a box; radius, radius, half height of a cylinder; radius of a sphere
PART_COS = 7  # turn of a box about z
PART_SIN = 8
PART_MATERIAL = 9
PART_OFFSET = 10  # shifts its texture, metres
PART_COLUMNS = 11

BOX, CYLINDER, SPHERE = range(3)

PLAN_RESOLUTION = 0.05  # metres, of the map of clearances
OVERHEAD = 1.95  # parts that begin higher are no obstacle


@dataclass(frozen=True)
class World:
    """
    A building with everything in it; immutable.

    cells (C, CELL_COLUMNS), portals (P, PORTAL_COLUMNS), decals (D, DECAL_COLUMNS),
    groups (G, GROUP_COLUMNS), parts (N, PART_COLUMNS), materials (M, MATERIAL_COLUMNS): float32.
    images (K, S, S, 3) uint8: pictures that materials show.
    """

    cells: FloatTable
    portals: FloatTable
    decals: FloatTable
    groups: FloatTable
    parts: FloatTable
    materials: FloatTable
    images: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """
        Check the tables and make them read-only.

        :raises ValueError: when a table has the wrong type or width.
        """
        widths = {
            'cells': CELL_COLUMNS,
            'portals': PORTAL_COLUMNS,
            'decals': DECAL_COLUMNS,
            'groups': GROUP_COLUMNS,
            'parts': PART_COLUMNS,
            'materials': MATERIAL_COLUMNS,
        }
        for name, width in widths.items():
            table = getattr(self, name)
            if table.dtype != np.float32 or table.ndim != 2 or table.shape[1] != width:
                raise ValueError(
                    f'{name} must be (rows, {width}) float32, not {table.shape} {table.dtype}'
                )
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[3] != 3:
            raise ValueError(f'images must be (K, S, S, 3) uint8, not {self.images.shape}')
        for name in (*widths, 'images'):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name)))
            getattr(self, name).setflags(write=False)

    def tables(self) -> Tables:
        """Give all tables in the order in which the ray caster takes them."""
        return (
            self.cells,
            self.portals,
            self.decals,
            self.groups,
            self.parts,
            self.materials,
            self.images,
        )

    def cells_at(self, points: NDArray[np.floating]) -> NDArray[np.int64]:
        """
        Find the cell around each point.

        :param points: (N, 3) metres.
        :returns: (N,) row of cells, -1 inside a wall or outside the building.
        """
        low = self.cells[:, CELL_LOW : CELL_LOW + 3]
        high = self.cells[:, CELL_HIGH : CELL_HIGH + 3]
        places = np.asarray(points)[:, None, :]
        inside = np.all((places >= low) & (places <= high), axis=-1)
        return np.where(inside.any(axis=1), inside.argmax(axis=1), -1)

    def clearance(self, points: NDArray[np.floating], floor: bool = True) -> NDArray[np.float64]:
        """
        Measure how far points are from the nearest surface.

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

    def _distance_to_faces(
        self, cell: int, points: NDArray[np.float64], floor: bool
    ) -> NDArray[np.float64]:
        """Measure from inside a cell to its faces, around the openings in them."""
        row = self.cells[cell]
        first, last = int(row[CELL_PORTALS]), int(row[CELL_PORTALS + 1])
        nearest = np.full(len(points), np.inf)
        for face in range(6):
            if face == 4 and not floor:
                continue
            axis = face // 2
            bound = float(row[(CELL_HIGH if face % 2 else CELL_LOW) + axis])
            along = np.zeros(len(points))  # how deep in an opening the foot of the normal is
            for portal in self.portals[first:last]:
                if int(portal[PORTAL_FACE]) == face:
                    u, z = points[:, 1 - axis], points[:, 2]
                    depth = np.minimum(u - portal[PORTAL_LOW], portal[PORTAL_HIGH] - u)
                    # A doorway's sill is the floor: only its sides and its lintel are edges.
                    depth = np.minimum(depth, portal[PORTAL_TOP] - z)
                    along = np.maximum(along, depth)
            nearest = np.minimum(nearest, np.hypot(points[:, axis] - bound, along))
        return nearest

    def _distance_to_parts(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Measure to the nearest part, negative inside it."""
        if not len(self.parts):
            return np.full(len(points), np.inf)
        parts = self.parts.astype(np.float64)
        kind = parts[:, PART_KIND]
        half = parts[:, PART_HALF : PART_HALF + 3]
        offset = points[:, None, :] - parts[:, PART_CENTER : PART_CENTER + 3]
        cos, sin = parts[:, PART_COS], parts[:, PART_SIN]
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
        distance: NDArray[np.float64] = np.where(kind == SPHERE, sphere, inside + outside)
        return np.asarray(distance.min(axis=1), dtype=np.float64)

    def plan(self) -> Plan:
        """Draw the map of the building that camera paths are planned on."""
        low = self.cells[:, CELL_LOW : CELL_LOW + 2].min(axis=0).astype(np.float64) - 0.1
        high = self.cells[:, CELL_HIGH : CELL_HIGH + 2].max(axis=0) + 0.1
        width, height = np.ceil((high - low) / PLAN_RESOLUTION).astype(int)
        free = np.zeros((height, width), dtype=np.uint8)
        for cell in self.cells:
            a = np.round((cell[CELL_LOW : CELL_LOW + 2] - low) / PLAN_RESOLUTION).astype(int)
            b = np.round((cell[CELL_HIGH : CELL_HIGH + 2] - low) / PLAN_RESOLUTION).astype(int)
            free[a[1] : b[1], a[0] : b[0]] = 1
        for part in self.parts:
            if part[PART_CENTER + 2] - part[PART_HALF + 2] < OVERHEAD:
                _draw_obstacle(free, part, low)
        distance = cv2.distanceTransform(free, cv2.DIST_L2, 5) * PLAN_RESOLUTION
        # The middle of the first pixel that is not free is up to one pixel inside the obstacle.
        return Plan(low, np.maximum(distance - PLAN_RESOLUTION, 0.0).astype(np.float32))


def _draw_obstacle(
    free: NDArray[np.uint8], part: NDArray[np.float32], low: NDArray[np.float64]
) -> None:
    """Mark where a part stands as not free."""
    center = (part[PART_CENTER : PART_CENTER + 2] - low) / PLAN_RESOLUTION - 0.5
    half = part[PART_HALF : PART_HALF + 2] / PLAN_RESOLUTION
    if part[PART_KIND] == BOX:
        cos, sin = part[PART_COS], part[PART_SIN]
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
class Plan:
    """
    The building from above.

    low: (2,) metres, outer corner of the first pixel. clearance: (rows along y, columns along x)
    float32, metres from the middle of a pixel to the nearest wall or obstacle, never too large.
    """

    low: NDArray[np.float64]
    clearance: FloatTable

    def pixels(self, points: NDArray[np.floating]) -> NDArray[np.int64]:
        """
        Give the row and column of the pixel of each place.

        :param points: (..., 2) metres.
        """
        cells = np.floor((np.asarray(points) - self.low) / PLAN_RESOLUTION).astype(np.int64)
        rows = np.clip(cells[..., 1], 0, self.clearance.shape[0] - 1)
        columns = np.clip(cells[..., 0], 0, self.clearance.shape[1] - 1)
        return np.stack([rows, columns], axis=-1)

    def places(self, pixels: NDArray[np.integer]) -> NDArray[np.float64]:
        """
        Give the middles of pixels.

        :param pixels: (..., 2) row and column.
        :returns: (..., 2) x and y, metres.
        """
        return np.asarray(pixels)[..., ::-1] * PLAN_RESOLUTION + 0.5 * PLAN_RESOLUTION + self.low

    def clearance_at(self, points: NDArray[np.floating]) -> FloatTable:
        """
        Look up the clearance of places.

        :param points: (..., 2) metres.
        """
        pixels = self.pixels(points)
        return self.clearance[pixels[..., 0], pixels[..., 1]]
