# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How many key frames have points in each place of the map."""

from __future__ import annotations

import numpy as np

from ttt3r_ros.arrays import Mask
from ttt3r_ros.mapping.voxels import CellIndex, cube_mask, Integers

# A place is a cube of so many bits a side, 2 voxels: depths of two key frames differ by more
# than a voxel on the same surface.
PLACE_MASK = cube_mask(1)
ENOUGH = 2  # key frames that confirm each other


class KeyFrameSupport:
    """Count the key frames that have points in each place."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._index = CellIndex()
        self._count = np.zeros(self._index.room, np.int32)

    def add(self, cells: Integers, number: int) -> None:
        """
        Count key frames, or with a negative number take back what was counted.

        :param cells: (N,) packed coordinates of all their voxels.
        :param number: of key frames for which they stand.
        """
        if len(self._index) + len(cells) > self._index.room:
            self._pack(len(cells))
        # Once a place, however many voxels of it are among them.
        self._count[self._index.numbers(cells & PLACE_MASK)] += number

    def _pack(self, more: int) -> None:
        """Forget the places without key frames, and make room for so many more."""
        used = np.flatnonzero(self._count[: len(self._index)])
        places, count, room = self._index.cells[used], self._count[used], self._index.room
        while 2 * len(places) + more > room:
            room *= 2
        self._index, self._count = CellIndex(room), np.zeros(room, np.int32)
        self._count[self._index.numbers(places)] = count

    def confirmed(self, cells: Integers) -> Mask:
        """
        Return which voxels are to be shown, (N,): those in places of several key frames.

        Where key frames agree on surfaces, what one alone has beside them is mostly wrong. Where
        just one has looked there are no such places, and all voxels are shown.

        :param cells: (N,) packed coordinates of the voxels of one part of the map.
        """
        if not len(cells):
            return np.zeros(0, bool)
        numbers = self._index.known(cells & PLACE_MASK)
        several: Mask = (numbers >= 0) & (self._count.take(numbers, mode='clip') >= ENOUGH)
        return several if several.any() else ~several
