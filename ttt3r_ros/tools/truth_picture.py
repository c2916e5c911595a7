# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The picture of a drive whose truth is known: the map in the building, and both paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

import cv2
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Mask
from ttt3r_ros.geometry import invert, transform_points
from ttt3r_ros.mapping.occupancy import FREE, Occupancy, UNKNOWN
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.simulation.world import PLAN_RESOLUTION, World
from ttt3r_ros.tools.captions import Caption, length_text
from ttt3r_ros.tools.occupancy_picture import draw_occupancy
from ttt3r_ros.tools.preview import (
    chosen_samples,
    draw_cloud_from_above,
    draw_scale_bar,
    draw_strip,
    GAP,
    HALO,
    limits,
    MARGIN,
    Sheet,
    strip_height,
    TEXT,
    TITLE,
    WARNING,
    widened,
    WIDTH,
)
from ttt3r_ros.tools.run_record import Sample
from ttt3r_ros.tools.truth import Joined
from ttt3r_ros.trajectory import Trajectory

TRUTH, ESTIMATE = '#2a9d8f', '#d1002b'
WALL, FURNITURE, FLOOR = 2, 1, 0
SHADES = ListedColormap(['#ffffff', '#9a9a96', '#222222'])  # of the plan, in this order
WALL_LINE, FURNITURE_LINE, ON_GRID = '#111111', '#55554f', '#e07a00'

# Of the picture, pixels.
PLAN = (800, 520)
ERRORS = 150
BETWEEN = 50

# What lies higher above the floor hides it from above, metres.
CEILING_M = 1.4
WALLS_AT_M = 1.0  # a height at which rooms end at walls
SPOKES = 60


@dataclass(frozen=True, eq=False)
class TruePlan:
    """
    What stands on the floor of a building.

    cells: (rows along y, columns along x) WALL, FURNITURE or FLOOR. low: (2,) metres, outer
    corner of the first one. Their edge is PLAN_RESOLUTION.
    """

    cells: NDArray[np.uint8]
    low: Array

    @classmethod
    def of(cls, world: World) -> TruePlan:
        """
        Read it off a building.

        :param world: the building.
        """
        plan = world.plan()
        # Clearances are rounded down by a pixel, so the last free one before an obstacle is 0.
        free = cv2.dilate((plan.clearance > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        rows, columns = np.indices(free.shape)
        places = plan.places(np.stack([rows, columns], axis=-1)).reshape(-1, 2)
        heights = np.full((len(places), 1), WALLS_AT_M)
        in_room = world.cells_at(np.hstack([places, heights])).reshape(free.shape) >= 0
        cells = np.where(free, FLOOR, np.where(in_room, FURNITURE, WALL)).astype(np.uint8)
        return cls(cells, plan.low)

    @property
    def high(self) -> Array:
        """Return the outer corner of the last cell, (2,) metres."""
        return self.low + PLAN_RESOLUTION * np.array(self.cells.shape[::-1])

    def extent(self) -> tuple[float, float, float, float]:
        """Return smallest and largest x, smallest and largest y, metres."""
        return (*(self.low[0], self.high[0]), *(self.low[1], self.high[1]))

    def outlines(self, what: Mask) -> list[Array]:
        """
        Return the lines around cells.

        :param what: (H, W) bool, which of `cells`.
        :returns: closed lines, (N, 2) metres each.
        """
        found, _ = cv2.findContours(what.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        closed = [np.concatenate([line, line[:1]])[:, 0] for line in found if len(line) > 3]
        return [self.low + PLAN_RESOLUTION * (line + 0.5) for line in closed]


def draw_drive(
    file: IO[bytes],
    caption: Caption,
    cloud: VoxelCloud,
    joined: Joined,
    world: World,
    voxel_size: float,
    floor: Occupancy | None = None,
    samples: list[Sample] | None = None,
) -> None:
    """
    Draw the picture.

    :param file: open for binary writing; gets a PNG.
    :param caption: the text.
    :param cloud: the map, in the map frame; may be empty.
    :param joined: both paths.
    :param world: the building.
    :param voxel_size: of the map, metres.
    :param floor: the occupancy grid, in the map frame, or None.
    :param samples: images of the run; may be missing.
    """
    shown = chosen_samples(samples or [])
    top = TEXT + (WARNING if caption.warning else 0) + TITLE
    below = top + PLAN[1] + BETWEEN + ERRORS + BETWEEN
    sheet = Sheet(WIDTH, below + (round(2 * strip_height(shown)) + TITLE + 2 * GAP) * bool(shown))
    sheet.write(caption)
    plan = TruePlan.of(world)
    in_world = VoxelCloud(
        np.asarray(transform_points(joined.world_T_map, cloud.points), np.float32),
        cloud.colors,
        cloud.confidence,
    )
    low, high = _limits(in_world, joined, plan)
    beside: list[Occupancy | TruePlan] = [plan] if floor is None else [floor, plan]
    axes = sheet.axes(MARGIN + 15, top, PLAN[0] - 15, PLAN[1])
    _draw_map(axes, in_world, joined, plan, voxel_size, *widened(low, high, PLAN[0] / PLAN[1]))
    left = MARGIN + PLAN[0] + BETWEEN
    tall = (below - top - BETWEEN) / len(beside) - BETWEEN / 2
    for number, part in enumerate(beside):
        place = (left, top + number * (tall + BETWEEN), WIDTH - left - MARGIN, tall)
        small = sheet.axes(*place)
        _draw_floor(small, part, plan, joined)
        around = widened(low, high, place[2] / tall)
        small.set(xlim=(around[0][0], around[1][0]), ylim=(around[0][1], around[1][1]))
    _draw_errors(sheet.axes(MARGIN + 45, top + PLAN[1] + BETWEEN, PLAN[0] - 45, ERRORS), joined)
    if shown:
        draw_strip(sheet, below, Trajectory(joined.stamps_ns, _moved(joined)), shown)
    sheet.save(file)


def _moved(joined: Joined) -> Array:
    """Return poses at the estimated places, for their colours over time only."""
    poses = np.tile(np.eye(4), (len(joined.stamps_ns), 1, 1))
    poses[:, :3, 3] = joined.estimate
    return poses


def _limits(cloud: VoxelCloud, joined: Joined, plan: TruePlan) -> tuple[Array, Array]:
    """Return what is shown."""
    paths = np.concatenate([joined.truth, joined.estimate])[:, :2]
    low, high = limits(cloud.points[:, :2], paths)
    # Points behind the walls need no room.
    low = np.minimum(np.maximum(low, plan.low), paths.min(axis=0) - 0.3)
    high = np.maximum(np.minimum(high, plan.high), paths.max(axis=0) + 0.3)
    return low, high


def _draw_map(
    axes: Axes,
    cloud: VoxelCloud,
    joined: Joined,
    plan: TruePlan,
    voxel_size: float,
    low: Array,
    high: Array,
) -> None:
    """Draw the map on the true walls, and both paths."""
    height = joined.truth[:, 2].min()
    below = cloud.points[:, 2] <= max(height, 0.0) + CEILING_M
    lowest = VoxelCloud(cloud.points[below], cloud.colors[below], cloud.confidence[below])
    draw_cloud_from_above(axes, lowest, low, high, voxel_size)
    walls = np.zeros((*plan.cells.shape, 4), np.uint8)
    walls[plan.cells == WALL] = (17, 17, 17, 255)
    axes.imshow(walls, origin='lower', extent=plan.extent(), interpolation='nearest')
    axes.add_collection(_outlines(plan, FURNITURE, FURNITURE_LINE))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    spokes = np.linspace(0, len(joined.truth) - 1, min(SPOKES, len(joined.truth))).astype(int)
    lines = np.stack([joined.truth[spokes, :2], joined.estimate[spokes, :2]], axis=1)
    axes.plot(*joined.truth[:, :2].T, color=HALO, lw=8, solid_capstyle='round')
    axes.plot(*joined.truth[:, :2].T, color=TRUTH, lw=6, solid_capstyle='round', label='true path')
    axes.add_collection(LineCollection(list(lines), colors=[ESTIMATE], linewidths=1.0))
    axes.plot(*joined.estimate[:, :2].T, color=ESTIMATE, lw=1.6, label='estimated path')
    axes.plot(*joined.truth[0, :2], 'o', color='black', mec=HALO, ms=9, label='start of both')
    axes.plot(*joined.estimate[-1, :2], 's', color=ESTIMATE, mec=HALO, ms=8, label='end')
    axes.plot([], [], color=WALL_LINE, lw=4, label='true walls')
    axes.legend(loc='upper right', fontsize=8)
    axes.set_title('the map from above, in the building; metres', fontsize=10)
    draw_scale_bar(axes, low, high)


def _outlines(plan: TruePlan, what: int, color: str) -> LineCollection:
    lines = plan.outlines(plan.cells == what)
    return LineCollection(lines, colors=[color], linewidths=0.9)


def _draw_floor(axes: Axes, part: Occupancy | TruePlan, plan: TruePlan, joined: Joined) -> None:
    """Draw the occupancy grid with the true walls, or the true plan."""
    if isinstance(part, TruePlan):
        axes.imshow(part.cells, cmap=SHADES, origin='lower', extent=part.extent(), vmin=0, vmax=2)
        axes.set_title('true plan: walls black, furniture grey', fontsize=10)
        axes.plot(*joined.truth[:, :2].T, color=TRUTH, lw=2.0)
        axes.tick_params(labelsize=8)
        return
    turned = in_the_world(part, joined, plan)
    draw_occupancy(axes, turned)
    axes.plot(*joined.estimate[:, :2].T, color=ESTIMATE, lw=1.2)
    right = f' ({100 * truly_free(turned, plan):.0f} % right); orange: walls'
    axes.set_title(axes.get_title() + right, fontsize=10)
    axes.add_collection(_outlines(plan, WALL, ON_GRID))


def in_the_world(floor: Occupancy, joined: Joined, plan: TruePlan) -> Occupancy:
    """
    Return an occupancy grid in the frame of the world.

    :param floor: in the map frame.
    :param joined: where the map is in the world.
    :param plan: gives the cells.
    """
    rows, columns = floor.cells.shape
    low, size = plan.low, PLAN_RESOLUTION
    row, column = np.indices(plan.cells.shape)
    places = np.stack([column, row], axis=-1).reshape(-1, 2) * size + size / 2 + low
    height = np.full((len(places), 1), joined.truth[0, 2])
    there_in_map = transform_points(invert(joined.world_T_map), np.hstack([places, height]))
    at = np.floor((there_in_map[:, :2] - [floor.x, floor.y]) / floor.resolution).astype(int)
    inside = ((at >= 0) & (at < [columns, rows])).all(axis=1)
    cells = np.full(len(places), UNKNOWN, np.int8)
    cells[inside] = floor.cells[at[inside, 1], at[inside, 0]]
    return Occupancy(cells.reshape(row.shape), size, float(low[0]), float(low[1]))


def truly_free(floor: Occupancy, plan: TruePlan) -> float:
    """
    Return which part of the free cells of a grid is free in the building.

    :param floor: in the cells of the plan.
    :param plan: the truth.
    :returns: from 0 to 1; 1 where nothing is free.
    """
    free = floor.cells == FREE
    return float((plan.cells[free] == FLOOR).mean()) if free.any() else 1.0


def _draw_errors(axes: Axes, joined: Joined) -> None:
    """Plot how far off the estimate is, over the way."""
    way, errors = joined.travelled(), joined.errors()
    axes.fill_between(way, errors, color=ESTIMATE, alpha=0.2, lw=0)
    axes.plot(way, errors, color=ESTIMATE, lw=1.4)
    axes.annotate(
        length_text(errors[-1]),
        (way[-1], errors[-1]),
        xytext=(4, 0),
        textcoords='offset points',
        fontsize=8,
        color=ESTIMATE,
        va='center',
    )
    axes.set(xlim=(0, max(1.05 * way[-1], 0.1)), ylim=(0, None))
    axes.set_title('how far off [m], after so many metres', fontsize=10)
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=8)
    axes.spines[['top', 'right']].set_visible(False)
