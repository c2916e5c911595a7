# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Maps from above, drawn alike so that they can be compared."""

from __future__ import annotations

from collections.abc import Sequence
import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.evaluation.comparison import Compared
from ttt3r_ros.evaluation.plots import TRUTH
from ttt3r_ros.tools.comparison_run import RunResult
from ttt3r_ros.tools.point_view import below_ceiling
from ttt3r_ros.tools.preview import draw_cloud_from_above

MARGIN_M = 0.5
NEARLY_ALL = (3, 97)  # per cent of the points


def frame_of(results: Sequence[RunResult]) -> Array:
    """
    Return the limits of all pictures: the usual extent of a map, so that no bad one shrinks all.

    :param results: of at least one run.
    :returns: (2, 2) least and largest x and y, metres, map frame.
    """
    extents = []
    for one in results:
        path = one.trajectory.poses[:, :2, 3]
        low, high = path.min(axis=0), path.max(axis=0)
        if len(one.cloud.points):
            inner = np.percentile(one.cloud.points[:, :2], NEARLY_ALL, axis=0)
            low, high = np.minimum(low, inner[0]), np.maximum(high, inner[1])
        extents.append([low - MARGIN_M, high + MARGIN_M])
    return np.asarray(np.median(extents, axis=0))


def draw_map_of(
    result: RunResult, errors: Compared | None, frame: Array, line: tuple[str, str]
) -> bytes:
    """
    Draw the points of a run from above, with the estimated and the true path.

    :param errors: against the truth, or None.
    :param frame: (2, 2) least and largest x and y, metres, map frame.
    :param line: colour and dashes of the estimated path.
    :returns: a PNG file.
    """
    width, height = frame[1] - frame[0]
    side = 5.2
    figure = Figure(figsize=(side, side * float(np.clip(height / width, 0.4, 1.6))), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.09, 0.08, 0.89, 0.9))
    poses, voxel_size = result.trajectory.poses, result.summary['settings']['map']['voxel_size']
    draw_cloud_from_above(axes, below_ceiling(result.cloud, poses), frame[0], frame[1], voxel_size)
    if errors is not None:
        true = _in_map(errors)
        axes.plot(true[:, 0], true[:, 1], color=TRUTH, lw=4, alpha=0.6)
    path, (color, dashes) = poses[:, :2, 3], line
    axes.plot(*path.T, color=color, ls=dashes, lw=1.8)
    axes.plot(*path[0], 'o', color=color, ms=6)
    file = io.BytesIO()
    figure.savefig(file, format='png')
    return file.getvalue()


def _in_map(errors: Compared) -> Array:
    """Return the true positions in the frame of the estimate, (N, 3) metres."""
    truth_T_map = errors.errors.alignment.a_T_b  # after SE(3)
    positions: Array = (errors.truth[:, :3, 3] - truth_T_map[:3, 3]) @ truth_T_map[:3, :3]
    return positions
