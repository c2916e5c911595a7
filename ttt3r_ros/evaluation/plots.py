# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Plots of an estimated and a true path, and of the error over time."""

from __future__ import annotations

from typing import IO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np

from ttt3r_ros.evaluation.errors import TrajectoryErrors
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.units import NANOSECONDS

TRUTH, ESTIMATE = '#404040', '#d1495b'


def draw_errors(file: IO[bytes], errors: TrajectoryErrors, truth: Trajectory) -> None:
    """
    Plot both paths in the plane of the most motion, and the position error over time.

    :param file: open for binary writing; gets a PNG.
    :param errors: of the estimate.
    :param truth: the N poses of the comparison.
    """
    figure = Figure(figsize=(11, 5), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)
    path_axes, error_axes = figure.subplots(1, 2)

    true_positions = truth.poses[:, :3, 3]
    positions = errors.aligned[:, :3, 3]
    across, up = sorted(np.argsort(np.ptp(true_positions, axis=0), kind='stable')[1:])
    path_axes.plot(true_positions[:, across], true_positions[:, up], color=TRUTH, lw=2.2)
    path_axes.plot(positions[:, across], positions[:, up], color=ESTIMATE, lw=1.4)
    path_axes.plot(*true_positions[0, [across, up]], 'o', color=TRUTH, ms=6)
    path_axes.legend(['ground truth', 'estimate', 'start'], frameon=False)
    path_axes.set(
        xlabel=f'{"xyz"[across]} [m]',
        ylabel=f'{"xyz"[up]} [m]',
        title=f'Path, {errors.truth_path:.1f} m (scale {errors.alignment.scale:.3f})',
    )
    path_axes.axis('equal')

    draw_position_errors(error_axes, errors, truth)
    for axes in (path_axes, error_axes):
        axes.grid(alpha=0.3)
        axes.spines[['top', 'right']].set_visible(False)
    figure.savefig(file, format='png')


def draw_position_errors(axes: Axes, errors: TrajectoryErrors, truth: Trajectory) -> None:
    """
    Plot the position error over time.

    :param axes: axes of the plot.
    :param errors: of the estimate.
    :param truth: the N poses of the comparison.
    """
    seconds = (truth.stamps_ns - truth.stamps_ns[0]) / NANOSECONDS
    axes.fill_between(seconds, errors.position_errors, color=ESTIMATE, alpha=0.2, lw=0)
    axes.plot(seconds, errors.position_errors, color=ESTIMATE, lw=1.4)
    axes.axhline(errors.ate.rmse, color=TRUTH, lw=1, ls='--')
    axes.set(
        xlabel='time [s]',
        ylabel='position error [m]',
        title=f'ATE rmse {errors.ate.rmse:.3f} m (dashed), max {errors.ate.max:.3f} m',
        ylim=(0, None),
    )
