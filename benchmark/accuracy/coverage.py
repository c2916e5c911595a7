# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Which part of a floor plan an occupancy grid shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from benchmark.accuracy.drives import Drive
from ttt3r_ros.arrays import Array, Mask
from ttt3r_ros.geometry import transform_points
from ttt3r_ros.mapping.occupancy import FREE, Occupancy, OccupancyGrid, OCCUPIED
from ttt3r_ros.settings import MapSettings, OccupancySettings
from ttt3r_ros.simulation.world import FloorPlan, PLAN_RESOLUTION
from ttt3r_ros.tracking.frame import Pointmap

FLOOR_M = 0.1  # a cell is on the floor of the plan where that is farther from all walls
WALL_M = 0.15  # an edge of the plan is shown where the middle of an occupied cell is so near
SURE = 10.0  # confidence of a true depth


@dataclass(frozen=True)
class Coverage:
    """
    What a grid shows of a plan.

    floor: share of its free area that is free in the grid. walls: share of the length of its
    edges, of walls and furniture, where the grid is occupied.
    """

    floor: float
    walls: float


def points_of(grid: Occupancy, kind: int) -> Array:
    """
    Return the middles of the cells of one kind, (N, 3) metres, map frame.

    :param kind: FREE or OCCUPIED.
    """
    rows, columns = np.nonzero(grid.cells == kind)
    middles = np.stack([columns, rows, np.zeros_like(rows)], axis=1) + [0.5, 0.5, 0.0]
    points: Array = middles * grid.resolution + [grid.x, grid.y, 0.0]
    return points


def coverage(grid: Occupancy, world_T_map: Array, plan: FloorPlan) -> Coverage:
    """
    Compare a grid with a plan.

    :param world_T_map: (4, 4).
    """
    free, occupied = (
        np.asarray(transform_points(world_T_map, points_of(grid, kind)))[:, :2]
        for kind in (FREE, OCCUPIED)
    )
    floor = (plan.clearance_at(free) > FLOOR_M).sum() * grid.resolution**2
    whole = (plan.clearance > FLOOR_M).sum() * PLAN_RESOLUTION**2
    apart, _ = cKDTree(occupied).query(plan.places(np.argwhere(_edges(plan))))
    return Coverage(float(floor / whole), float((apart < WALL_M).mean()))


def _edges(plan: FloorPlan) -> Mask:
    """Return the pixels of walls and furniture next to free ones."""
    free = (plan.clearance > 0).astype(np.uint8)
    edges: Mask = (free == 0) & (cv2.dilate(free, np.ones((3, 3), np.uint8)) > 0)
    return edges


def true_grids(drives: Sequence[Drive], every: int) -> list[Occupancy]:
    """
    Return what true depths at true poses show by the same rules: what the drive allows.

    :param drives: of each camera, at the same stamps.
    :param every: images after which a grid is returned.
    """
    grid, grids = OccupancyGrid(OccupancySettings()), []
    for k in range(len(drives[0])):
        for drive in drives:
            pointmap, pose = _true_points(drive, k), drive.world_T_camera[k]
            good = pointmap.reliable(1.0, MapSettings().fused_range)
            seen = grid.look(pointmap, good, pose, drive.base_T_camera)
            if seen is not None:
                grid.add(k // every, seen)
        if (k + 1) % every == 0:
            grids.append(grid.occupancy())
    return grids


def _true_points(drive: Drive, k: int) -> Pointmap:
    depth = np.asarray(drive.truth_depth[k], np.float32)
    (fx, _, cx), (_, fy, cy) = drive.camera[:2]
    v, u = np.indices(depth.shape, np.float32)
    points = np.stack([(u - cx) / fx * depth, (v - cy) / fy * depth, depth], axis=-1)
    return Pointmap(
        points.astype(np.float32), np.full(depth.shape, SURE, np.float32), drive.images[k]
    )
