# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One picture of a demo: the map from above, the estimated path on the true one, the error."""

from __future__ import annotations

from typing import IO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.tools.error_plot import draw_position_errors, TRUTH
from ttt3r_ros.tools.evaluation import TrajectoryErrors
from ttt3r_ros.tools.preview import draw_map, HALO
from ttt3r_ros.tum import Trajectory


def draw_demo(
    file: IO[bytes],
    title: str,
    cloud: VoxelCloud,
    estimate: Trajectory,
    comparison: tuple[TrajectoryErrors, Trajectory] | None,
    voxel_size: float,
) -> None:
    """
    Draw the picture.

    :param file: open for binary writing; gets a PNG.
    :param title: one line.
    :param cloud: the map; may be empty.
    :param estimate: in the frame of the map, at least one pose.
    :param comparison: the errors and the true poses they belong to, where the truth is known.
    :param voxel_size: of the map, metres.
    """
    figure = Figure(figsize=(12.5, 6), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    if comparison is None:
        draw_map(figure.subplots(), cloud, estimate.world_T_camera[:, :3, 3], voxel_size)
        figure.savefig(file, format='png')
        return
    errors, truth = comparison
    map_axes, error_axes = figure.subplots(1, 2, width_ratios=[1.4, 1])
    draw_map(map_axes, cloud, estimate.world_T_camera[:, :3, 3], voxel_size)
    moved = errors.alignment
    true_positions = truth.world_T_camera[:, :3, 3] - moved.translation
    in_map = true_positions @ moved.rotation / moved.scale
    halo = [withStroke(linewidth=3, foreground=HALO)]
    map_axes.plot(*in_map[:, :2].T, '--', color=TRUTH, lw=1.4, path_effects=halo, label='truth')
    for set_limits, limits, truth_along in (
        (map_axes.set_xlim, map_axes.get_xlim(), in_map[:, 0]),
        (map_axes.set_ylim, map_axes.get_ylim(), in_map[:, 1]),
    ):
        set_limits(min(limits[0], truth_along.min()), max(limits[1], truth_along.max()))
    map_axes.legend(loc='upper right', fontsize=8)
    draw_position_errors(error_axes, errors, truth)
    error_axes.grid(alpha=0.3)
    error_axes.spines[['top', 'right']].set_visible(False)
    figure.savefig(file, format='png')
