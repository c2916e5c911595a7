# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""When the points of a map were seen first, for maps that come without ages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array32


class FirstSeen:
    """Remember the voxels of the map before; what is new in the next one was just seen."""

    def __init__(self, voxel_size: float) -> None:
        """
        Begin with nothing seen.

        :param voxel_size: metres.
        """
        self._voxel_size = voxel_size
        self._cells: NDArray[np.int64] = np.empty(0, np.int64)  # sorted
        self._seconds: Array32 = np.empty(0, np.float32)

    def of(self, points: Array32, now_s: float) -> Array32:
        """
        Return when each point was seen first.

        :param points: (V, 3) of the whole map, metres.
        :param now_s: the time of this map, seconds.
        :returns: (V,) seconds.
        """
        x, y, z = (np.floor(points.T / self._voxel_size).astype(np.int64) + HALF_RANGE) & MASK
        cells = (x << 42) | (y << 21) | z
        seconds = np.full(len(cells), now_s, np.float32)
        if len(self._cells):
            at = np.minimum(np.searchsorted(self._cells, cells), len(self._cells) - 1)
            known = self._cells[at] == cells
            seconds[known] = self._seconds[at[known]]
        order = np.argsort(cells)
        self._cells, self._seconds = cells[order], seconds[order]
        return seconds


# Of the 21 bits for each axis.
HALF_RANGE, MASK = 1 << 20, (1 << 21) - 1
