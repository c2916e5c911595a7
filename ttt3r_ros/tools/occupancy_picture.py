# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The drawing of an occupancy grid."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
import numpy as np

from ttt3r_ros.mapping.occupancy import FREE, Occupancy, OCCUPIED, UNKNOWN

SHADES = {FREE: '#ffffff', OCCUPIED: '#222222', UNKNOWN: '#c9c9c5'}


def draw_occupancy(axes: Axes, floor: Occupancy) -> None:
    """
    Draw an occupancy grid.

    :param axes: axes of the drawing.
    :param floor: the grid.
    """
    rows, columns = floor.cells.shape
    size = floor.resolution
    colors = ListedColormap([SHADES[value] for value in (UNKNOWN, FREE, OCCUPIED)])
    levels = BoundaryNorm([UNKNOWN - 0.5, FREE - 0.5, FREE + 0.5, OCCUPIED + 0.5], 3)
    axes.imshow(
        floor.cells,
        cmap=colors,
        norm=levels,
        origin='lower',
        extent=(floor.x, floor.x + columns * size, floor.y, floor.y + rows * size),
        interpolation='nearest',
    )
    axes.set_facecolor(SHADES[UNKNOWN])
    axes.tick_params(labelsize=8)
    free_m2 = np.count_nonzero(floor.cells == FREE) * size**2
    axes.set_title(f'occupancy grid: {free_m2:.0f} m² free', fontsize=10)
