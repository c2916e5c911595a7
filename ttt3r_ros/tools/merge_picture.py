# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The picture of merged maps: from above, with the path of each and where they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.mapping.merging import Joined
from ttt3r_ros.mapping.storage import StoredMap
from ttt3r_ros.tools.point_view import below_ceiling
from ttt3r_ros.tools.preview import (
    draw_cloud_from_above,
    draw_scale_bar,
    HALO,
    limits,
    Sheet,
    widened,
)

# Distinct for most kinds of colour vision (Okabe and Ito).
COLORS = '#d55e00', '#0072b2', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'
OVERLAP = '#ffd700'


def draw_merged(
    file: IO[bytes],
    name: str,
    stored: StoredMap,
    joined: Sequence[Joined],
    voxel_size: float,
) -> None:
    """
    Draw the picture.

    :param file: open for binary writing; gets a PNG.
    :param name: of the first map.
    :param stored: the merged map.
    :param joined: how each of the others came to it.
    :param voxel_size: of the map, metres.
    """
    assert stored.graph is not None
    theirs = {number for one in joined for number in one.numbers}
    first = {frame.number for frame in stored.graph.frames} - theirs
    named = [(name, first), *((one.name, set(one.numbers)) for one in joined)]
    paths = [(Path(label).name, stored.graph.paths(numbers)) for label, numbers in named]
    sheet = Sheet(900, 860)
    axes = sheet.axes(50, 40, 820, 780)
    positions = np.concatenate([row for _, rows in paths for row in rows])
    seen = below_ceiling(stored.cloud, stored.graph.estimate.poses)
    low, high = widened(*limits(seen.points[:, :2], positions[:, :2]), 820 / 780)
    draw_cloud_from_above(axes, seen, low, high, voxel_size)
    draw_scale_bar(axes, low, high)
    _draw_overlaps(axes, stored, joined)
    for (label, rows), color in zip(paths, COLORS * (len(paths) // len(COLORS) + 1)):
        _draw_path(axes, label, rows, color)
    axes.legend(loc='upper right', fontsize=8)
    title = f'{len(paths)} maps from above, {len(stored.cloud.points):,} voxels; metres'
    axes.set_title(title, fontsize=10)
    sheet.save(file)


def _draw_path(axes: Axes, label: str, rows: Sequence[Array], color: str) -> None:
    halo = [withStroke(linewidth=3.5, foreground=HALO)]
    shown = label.encode(errors='replace').decode().replace('$', r'\$')
    for i, row in enumerate(rows):
        axes.plot(
            row[:, 0], row[:, 1], color=color, lw=1.6, path_effects=halo,
            label=None if i else shown,
        )  # fmt: skip
        axes.plot(*row[0, :2], 'o', color=color, mec=HALO, ms=8, zorder=3)


def _draw_overlaps(axes: Axes, stored: StoredMap, joined: Sequence[Joined]) -> None:
    """Mark the key frames that recognise each other, and link them."""
    assert stored.graph is not None
    at = {
        frame.number: pose[:2, 3]
        for frame, pose in zip(stored.graph.frames, stored.graph.estimate.poses)
    }
    owner = {number: i for i, one in enumerate(joined) for number in one.numbers}
    links = [
        (at[loop.forth.here], at[loop.forth.there])
        for loop in stored.graph.loops
        if owner.get(loop.forth.here) != owner.get(loop.forth.there)
    ]
    for i, ends in enumerate(links):
        axes.plot(
            *np.transpose(ends), 'o-', color=OVERLAP, lw=1.5, ms=4, alpha=0.7, zorder=1.5,
            label=None if i else 'recognise each other',
        )  # fmt: skip
