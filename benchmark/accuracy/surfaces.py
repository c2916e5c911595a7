# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How far the points and cells of a map are from the true surfaces of a simulated world."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ttt3r_ros.arrays import Array, Mask
from ttt3r_ros.mapping.occupancy import FREE, Occupancy, OCCUPIED
from ttt3r_ros.settings import OccupancySettings
from ttt3r_ros.simulation.world import World

AT_ONCE = 20_000  # points, which are compared with all parts
HEIGHTS = 17  # of a column over a cell


def from_surface(world: World, points: Array, floor: bool = True) -> Array:
    """
    Return the distance of points to the nearest surface, negative inside walls and things.

    :param points: (N, 3) metres, world frame.
    :param floor: count the floors as surfaces.
    """
    parts = [
        _from_surface(world, points[first : first + AT_ONCE], floor)
        for first in range(0, len(points), AT_ONCE)
    ]
    return np.concatenate([np.empty(0), *parts])


def _from_surface(world: World, points: Array, floor: bool) -> Array:
    distance = world.clearance(points, floor)
    buried = np.isneginf(distance)
    # The air is a union of boxes, so from inside a wall its nearest point lies on a surface.
    low, high = world.tables.cells.low, world.tables.cells.high
    places = points[buried, None, :]
    beside = np.maximum(np.maximum(low - places, places - high), 0.0)
    distance[buried] = -np.linalg.norm(beside, axis=-1).min(axis=1)
    return distance


def cells_right(
    world: World, occupancy: Occupancy, world_T_map: Array, within: float, share: int = 1
) -> dict[int, Mask]:
    """
    Return which known cells of a grid are right.

    An occupied one is right where a surface at the height of an obstacle is near its middle; a
    free one where its middle is in the air at all these heights, or a surface is near.

    :param occupancy: the grid.
    :param world_T_map: (4, 4).
    :param within: how near, metres.
    :param share: only each so-many-th cell is examined.
    :returns: for FREE and OCCUPIED, (N,) of the cells that are said to be so.
    """
    settings = OccupancySettings()
    heights = np.linspace(settings.min_height, settings.max_height, HEIGHTS)
    found: dict[int, Mask] = {}
    for value in (FREE, OCCUPIED):
        row, column = np.argwhere(occupancy.cells == value)[::share].T
        middles = np.zeros((len(row), 3))
        middles[:, 0] = occupancy.x + (column + 0.5) * occupancy.resolution
        middles[:, 1] = occupancy.y + (row + 0.5) * occupancy.resolution
        places = middles @ world_T_map[:3, :3].T + world_T_map[:3, 3]
        columns = np.repeat(places, HEIGHTS, axis=0)
        columns[:, 2] = np.tile(heights, len(places))
        distance = from_surface(world, columns, floor=False).reshape(-1, HEIGHTS)
        right = (np.abs(distance) <= within).any(axis=1)
        if value == FREE:
            right |= (distance >= 0).all(axis=1)
        found[value] = np.asarray(right)
    return found


def still_there(points: NDArray[np.floating], others: NDArray[np.floating], near: float) -> Mask:
    """
    Return which points have one of the others near them, (N,).

    :param points, others: (N, 3), (M, 3), metres.
    :param near: metres.
    """
    if not len(others):
        return np.zeros(len(points), bool)
    distance, _ = cKDTree(others).query(points, distance_upper_bound=near)
    found: Mask = np.isfinite(distance)
    return found
