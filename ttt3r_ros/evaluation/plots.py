# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Plots of estimated and true paths, and of their errors over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.evaluation.comparison import Compared
from ttt3r_ros.evaluation.errors import TrajectoryErrors
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.units import NANOSECONDS

TRUTH, ESTIMATE = '#404040', '#d1495b'
# Distinct also for those who see no red and green (Okabe and Ito).
COLORS = ('#d55e00', '#0072b2', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8c6d31')
DASHES = ('-', '--', '-.')
STATIC = 'camera that never moves'


def draw_estimates(file: IO[bytes], estimates: Sequence[Compared], form: str = 'png') -> None:
    """
    Plot all paths in the plane of the most motion, and their errors over time.

    The legend has the numbers; a camera that never moves is what an estimate must be better than.

    :param file: open for binary writing.
    :param estimates: at least one; the truth is that of the first.
    :param form: png, svg or pdf.
    """
    figure = Figure(figsize=(12, 6.2), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)
    path_axes, error_axes = figure.subplots(1, 2)
    first = estimates[0]
    across, up = plane_of(first.truth)
    true = first.truth[:, :3, 3]
    path_axes.plot(true[:, across], true[:, up], color=TRUTH, lw=3, alpha=0.6)
    path_axes.plot(*true[0, [across, up]], 'o', color=TRUTH, ms=7)
    begin = min(int(one.stamps_ns[0]) for one in estimates)
    for number, one in enumerate(estimates):
        color, dashes = line_of(number)
        positions = one.errors.aligned[:, :3, 3]
        path_axes.plot(positions[:, across], positions[:, up], color=color, ls=dashes, lw=1.4)
        seconds = (one.stamps_ns - begin) / NANOSECONDS
        error_axes.plot(seconds, one.errors.position_errors, color=color, ls=dashes, lw=1.4)
    error_axes.axhline(first.static, color=TRUTH, ls=':', lw=1.5)
    path_axes.set(
        xlabel=f'{"xyz"[across]} [m]',
        ylabel=f'{"xyz"[up]} [m]',
        title=f'true path (grey, from the dot), {first.errors.truth_path:.1f} m',
    )
    path_axes.axis('equal')
    error_axes.set(xlabel='time [s]', ylabel='position error [m]', ylim=(0, None))
    error_axes.set_title('position error after alignment')
    for axes in (path_axes, error_axes):
        axes.grid(alpha=0.3)
        axes.spines[['top', 'right']].set_visible(False)
    names = [*(one.legend() for one in estimates), f'{STATIC}: ATE {first.static:.3f} m']
    lines = error_axes.get_lines()
    figure.legend(lines, names, loc='outside lower center', ncols=2, frameon=False)
    figure.savefig(file, format=form)


def plane_of(poses: Array) -> tuple[int, int]:
    """
    Return the two axes along which a path extends most, in their order.

    :param poses: (N, 4, 4), metres.
    """
    extent = np.ptp(poses[:, :3, 3], axis=0)
    across, up = sorted(np.argsort(extent, kind='stable')[1:].tolist())
    return across, up


def line_of(number: int) -> tuple[str, str]:
    """
    Return colour and dashes of an estimate; each of the first 21 has a line of its own.

    :param number: of the estimate, from 0.
    """
    return COLORS[number % len(COLORS)], DASHES[number // len(COLORS) % len(DASHES)]


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
