# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The picture of a run: the map from above with the path, and images with their depth."""

from __future__ import annotations

import io
from typing import IO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
import numpy as np
from PIL import Image

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.tools.run_record import Sample
from ttt3r_ros.trajectory import Trajectory

PATH, HALO = '#e4002b', 'white'
ROWS = 4
MAP_PIXELS = 640
# What lies higher above the path hides the floor: ceilings, lamps.
HEADROOM_M = 0.3


def draw_preview(
    file: IO[bytes],
    title: str,
    cloud: VoxelCloud,
    trajectory: Trajectory,
    samples: list[Sample],
    voxel_size: float,
) -> None:
    """
    Draw the picture.

    :param file: open for binary writing; gets a PNG.
    :param title: one line.
    :param cloud: the map; may be empty.
    :param trajectory: at least one pose.
    :param samples: at least one; some are chosen, evenly.
    :param voxel_size: of the map, metres.
    """
    figure = Figure(figsize=(12.5, 7), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    # Names of files may have dollars, and bytes that are no text.
    shown = title.encode(errors='replace').decode()
    figure.suptitle(shown, fontsize=11, parse_math=False)
    left, right = figure.subfigures(1, 2, width_ratios=[1.55, 1], squeeze=False)[0]
    draw_map(left.subplots(), cloud, trajectory.poses[:, :3, 3], voxel_size)

    chosen = np.linspace(0, len(samples) - 1, min(ROWS, len(samples))).round().astype(int)
    grid = right.subplots(ROWS, 2, squeeze=False)
    for row in grid.ravel():
        row.set_axis_off()
    for row, which in zip(grid, chosen):
        _draw_sample(row[0], row[1], samples[which])
    drawn = io.BytesIO()
    figure.savefig(drawn, format='png')
    # A palette makes the file a third as large, and hardly shows.
    picture = Image.open(drawn).convert('RGB')
    picture.quantize(256, Image.Quantize.MEDIANCUT).save(file, format='PNG', optimize=True)


def draw_map(axes: Axes, cloud: VoxelCloud, positions: Array, voxel_size: float) -> None:
    """
    Draw a map from above with a path.

    :param axes: axes of the drawing.
    :param cloud: the map; may be empty.
    :param positions: (N, 3) of the path, metres, map frame, N >= 1.
    :param voxel_size: of the map, metres.
    """
    low, high = _limits(cloud.points[:, :2], positions[:, :2])
    pixel = max(voxel_size, float(np.max(high - low)) / MAP_PIXELS)
    picture = seen_from_above(cloud, low, high, pixel, positions[:, 2].max() + HEADROOM_M)
    rows, columns = picture.shape[:2]
    extent = (low[0], low[0] + columns * pixel, low[1], low[1] + rows * pixel)
    axes.imshow(picture, origin='lower', extent=extent, interpolation='nearest')
    halo = [withStroke(linewidth=3.5, foreground=HALO)]
    axes.plot(positions[:, 0], positions[:, 1], color=PATH, lw=1.6, path_effects=halo)
    for which, shape, name in ((0, 'o', 'start'), (-1, 's', 'end')):
        axes.plot(*positions[which, :2], shape, color=PATH, mec=HALO, ms=8, label=name, zorder=3)
    axes.legend(loc='upper right', fontsize=8)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel='x [m]', ylabel='y [m]')
    axes.set_facecolor('#f4f4f2')
    axes.grid(alpha=0.25, lw=0.6)
    axes.set_title(f'map from above, {len(cloud.points):,} voxels', fontsize=10)
    _draw_scale_bar(axes, low, high)


def _limits(points: Array32, positions: Array) -> tuple[Array, Array]:
    """Return limits around the path and nearly all points; outliers are outside."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    if len(points):
        low = np.minimum(low, np.percentile(points, 1, axis=0))
        high = np.maximum(high, np.percentile(points, 99, axis=0))
    margin = 0.04 * max(float(np.max(high - low)), 0.5)
    return low - margin, high + margin


def seen_from_above(
    cloud: VoxelCloud,
    low: Array,
    high: Array,
    pixel: float,
    ceiling: float,
) -> Pixels:
    """
    Render the points below a height from above; the highest point of a pixel is visible.

    :param cloud: the map.
    :param low: (2,) smallest x and y of the picture, metres, map frame.
    :param high: (2,) largest x and y of the picture, metres, map frame.
    :param pixel: edge of a pixel, metres.
    :param ceiling: largest visible z, metres, map frame.
    :returns: (rows, columns, 4) uint8 RGBA, transparent without a point, y upwards.
    """
    columns, rows = (np.ceil((high - low) / pixel).astype(int)).tolist()
    picture = np.zeros((rows, columns, 4), np.uint8)
    order = np.argsort(cloud.points[:, 2], kind='stable')
    order = order[cloud.points[order, 2] <= ceiling]
    cells = np.floor((cloud.points[order, :2] - low) / pixel).astype(np.int64)
    inside = ((cells >= 0) & (cells < [columns, rows])).all(axis=1)
    u, v = cells[inside].T
    # Of equal indices numpy keeps the last assignment: the highest point.
    picture[v, u, :3] = cloud.colors[order[inside]]
    picture[v, u, 3] = 255
    return picture


def _draw_scale_bar(axes: Axes, low: Array, high: Array) -> None:
    width = float(high[0] - low[0])
    power = 10.0 ** np.floor(np.log10(width / 4))
    length = max(factor * power for factor in (1, 2, 5) if factor * power <= width / 4)
    x, y = high[0] - 0.04 * width - length, low[1] + 0.04 * float(high[1] - low[1])
    halo = [withStroke(linewidth=5, foreground=HALO)]
    axes.plot([x, x + length], [y, y], color='black', lw=2.5, path_effects=halo)
    axes.annotate(
        f'{length:g} m',
        (x + length / 2, y),
        xytext=(0, 5),
        textcoords='offset points',
        ha='center',
        fontsize=9,
        path_effects=[withStroke(linewidth=3, foreground=HALO)],
    )


def _draw_sample(image_axes: Axes, depth_axes: Axes, sample: Sample) -> None:
    image_axes.imshow(sample.rgb)
    image_axes.set_title(f'frame {sample.index}', fontsize=8)
    known = sample.depth[sample.depth > 0]
    near, far = np.percentile(known, [2, 98]) if len(known) else (0.0, 0.0)
    depth_axes.imshow(sample.depth, cmap='turbo', vmin=near, vmax=max(far, near + 1e-6))
    depth_axes.set_title(f'depth {near:.2f} to {far:.2f} m', fontsize=8)
