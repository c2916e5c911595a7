# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The picture of a demo: map and occupancy grid, estimated and true path, error over time."""

from __future__ import annotations

from typing import IO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.evaluation.errors import TrajectoryErrors
from ttt3r_ros.evaluation.plots import draw_position_errors, TRUTH
from ttt3r_ros.mapping.occupancy import FREE, Occupancy, OCCUPIED, UNKNOWN
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.tools.preview import draw_map, HALO, PATH
from ttt3r_ros.trajectory import Trajectory

SHADES = {FREE: '#ffffff', OCCUPIED: '#222222', UNKNOWN: '#c9c9c5'}


def draw_demo(
    file: IO[bytes],
    title: str,
    cloud: VoxelCloud,
    plan: Occupancy | None,
    estimate: Trajectory,
    comparison: tuple[TrajectoryErrors, Trajectory] | None,
    voxel_size: float,
) -> None:
    """
    Draw the picture.

    :param file: open for binary writing; gets a PNG.
    :param title: one line.
    :param cloud: the map; may be empty.
    :param plan: the occupancy grid, or None.
    :param estimate: in the frame of the map, at least one pose.
    :param comparison: the errors and the true poses, or None where the truth is unknown.
    :param voxel_size: edge of a voxel, metres.
    """
    figure = Figure(figsize=(12.5, 6), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    beside = [
        name for name, given in (('plan', plan), ('errors', comparison)) if given is not None
    ]
    parts = figure.subplot_mosaic(
        [['map', name] for name in beside] or [['map']],
        width_ratios=[1.4, 1] if beside else None,
    )
    positions = estimate.poses[:, :3, 3]
    draw_map(parts['map'], cloud, positions, voxel_size)
    if comparison is not None:
        errors, truth = comparison
        _draw_truth(parts['map'], errors, truth)
        draw_position_errors(parts['errors'], errors, truth)
        parts['errors'].grid(alpha=0.3)
        parts['errors'].spines[['top', 'right']].set_visible(False)
    if plan is not None:
        _draw_plan(parts['plan'], plan, positions)
        parts['plan'].set(xlim=parts['map'].get_xlim(), ylim=parts['map'].get_ylim())
    figure.savefig(file, format='png')


def _draw_truth(axes: Axes, errors: TrajectoryErrors, truth: Trajectory) -> None:
    """Draw the true path into the map, aligned with the estimate."""
    moved = errors.alignment
    true_positions = truth.poses[:, :3, 3] - moved.translation
    in_map = true_positions @ moved.rotation / moved.scale
    halo = [withStroke(linewidth=3, foreground=HALO)]
    axes.plot(*in_map[:, :2].T, '--', color=TRUTH, lw=1.4, path_effects=halo, label='truth')
    for set_limits, limits, truth_along in (
        (axes.set_xlim, axes.get_xlim(), in_map[:, 0]),
        (axes.set_ylim, axes.get_ylim(), in_map[:, 1]),
    ):
        set_limits(min(limits[0], truth_along.min()), max(limits[1], truth_along.max()))
    axes.legend(loc='upper right', fontsize=8)


def _draw_plan(axes: Axes, plan: Occupancy, positions: Array) -> None:
    """Draw the occupancy grid with the path."""
    rows, columns = plan.cells.shape
    extent = (
        plan.x,
        plan.x + columns * plan.resolution,
        plan.y,
        plan.y + rows * plan.resolution,
    )
    colors = ListedColormap([SHADES[value] for value in (UNKNOWN, FREE, OCCUPIED)])
    levels = BoundaryNorm([UNKNOWN - 0.5, FREE - 0.5, FREE + 0.5, OCCUPIED + 0.5], 3)
    axes.imshow(
        plan.cells,
        cmap=colors,
        norm=levels,
        origin='lower',
        extent=extent,
        interpolation='nearest',
    )
    axes.plot(positions[:, 0], positions[:, 1], color=PATH, lw=1.2)
    axes.set_facecolor(SHADES[UNKNOWN])
    free_m2 = np.count_nonzero(plan.cells == FREE) * plan.resolution**2
    axes.set_title(f'occupancy grid: {free_m2:.0f} m² free', fontsize=10)
