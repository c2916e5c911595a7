# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The voxels of the map in parts, so that what has not changed is not copied again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ttt3r_ros.arrays import Array, Array32, Mask
from ttt3r_ros.mapping.key_frame_support import KeyFrameSupport
from ttt3r_ros.mapping.voxels import (
    CellIndex,
    cube_mask,
    FixedPoints,
    Integers,
    SummedVoxels,
    unpacked,
    VoxelCloud,
    VoxelSums,
)

PART_BITS = 5
PART_SIDE = 1 << PART_BITS  # voxels
PART_MASK = cube_mask(PART_BITS)

# So many voxels are copied for one publication, about 20 ms.
MOST_COPIED = 300_000

# An empty part is listed for so many generations, so that subscribers learn of it.
EMPTY_FOR = 100

# A voxel counts so many more misses than hits at most, and leaves at the first.
MOST_MISSES, FEWEST_MISSES = 4, -4


@dataclass(frozen=True, eq=False)
class Part:
    """
    A cube of the map with PART_SIDE voxels a side.

    generation: of the map when it changed last. voxels: maybe none. voxel_size: metres.
    """

    generation: int
    voxels: SummedVoxels
    voxel_size: float

    @cached_property
    def cloud(self) -> VoxelCloud:
        """Return its points; computed by whoever asks first."""
        return self.voxels.cloud(self.voxel_size)


@dataclass(frozen=True, eq=False)
class Parts:
    """
    The map at one time; it never changes.

    generation: rises with each change. parts: by their corners.
    """

    generation: int
    parts: Mapping[int, Part]

    def __len__(self) -> int:
        """Return the number of voxels."""
        return sum(len(part.voxels.cells) for part in self.parts.values())

    def points(self) -> VoxelCloud:
        """Return all points; they are computed in the thread that asks."""
        return VoxelCloud.joined([part.cloud for part in self.parts.values()])

    def changed_since(self, generation: int) -> dict[tuple[int, int, int], VoxelCloud]:
        """
        Return the parts that are new, changed or empty since a time.

        :param generation: of the map then.
        :returns: points by the least corner of their part, in voxels.
        """
        changed = [corner for corner, part in self.parts.items() if part.generation > generation]
        x, y, z = unpacked(np.array(changed, np.int64)).tolist()
        return {place: self.parts[corner].cloud for place, corner in zip(zip(x, y, z), changed)}


class PartedVoxels:
    """
    The sums of the map, and which rows of them are in which part.

    A row also counts how often it was seen through.

    support: numbers of key frames that have points in each place, by which what is published is
    confirmed.
    """

    def __init__(self, voxel_size: float) -> None:
        """
        Begin with nothing.

        :param voxel_size: metres.
        """
        self.voxel_size = voxel_size
        self._sums = VoxelSums()
        self.support = KeyFrameSupport()
        self._parts: dict[int, Part] = {}
        self._generation = 0
        self._dirty: set[int] = set()  # corners of parts that changed since they were copied
        self._begin_layout()

    def __len__(self) -> int:
        """Return the number of voxels."""
        return len(self._sums)

    @property
    def generation(self) -> int:
        """Return how often copies of parts were renewed."""
        return self._generation

    def add(self, points: FixedPoints, sign: int = 1) -> frozenset[int]:
        """
        Add points, or subtract those that were added.

        :param sign: 1 or -1.
        :returns: corners of the parts in which they lie.
        """
        rows = self._sums.add(points, sign)
        if self._sums.layout != self._layout:
            self._begin_layout()
        self._number_new_rows()
        changed = np.zeros(len(self._corners), bool)
        changed[self._part[rows]] = True
        corners = frozenset(self._corners.cells[changed].tolist())
        self._dirty |= corners
        return corners

    def _begin_layout(self) -> None:
        """Begin with the rows as they are numbered now; their misses are forgotten."""
        self._layout = self._sums.layout
        self._misses = np.empty(0, np.int8)
        self._part = np.empty(0, np.int32)  # the number of the part of each row
        self._corners = CellIndex()  # of parts, by their numbers
        self._numbered = 0  # rows that have a part
        self._rows: list[list[Integers]] = []  # of each part, in pieces
        self._grouped = 0  # rows that are there

    def _number_new_rows(self) -> None:
        first, self._numbered = self._numbered, self._sums.used
        if self._numbered > len(self._part):
            more = max(self._numbered, 2 * len(self._part)) - len(self._part)
            self._part = np.append(self._part, np.zeros(more, np.int32))
            self._misses = np.append(self._misses, np.zeros(more, np.int8))
        part = self._corners.numbers(self._sums.cells[first:] & PART_MASK)
        self._part[first : self._numbered] = part

    def _group_new_rows(self) -> None:
        """Sort rows into their parts; late, since many together cost less."""
        first, self._grouped = self._grouped, self._numbered
        self._rows += [[] for _ in range(len(self._rows), len(self._corners))]
        part = self._part[first : self._numbered]
        order, counts = np.argsort(part, kind='stable'), np.bincount(part)
        ends, numbers = np.cumsum(counts), np.flatnonzero(counts)
        for number in numbers.tolist():
            piece = order[ends[number] - counts[number] : ends[number]]
            self._rows[number].append(first + piece)

    def _rows_in(self, number: int) -> Integers:
        pieces = self._rows[number]
        if len(pieces) > 1:
            self._rows[number] = pieces = [np.concatenate(pieces)]
        return pieces[0]

    # ---- what is published

    def snapshot(self, most: int = MOST_COPIED) -> Parts:
        """
        Return the map; parts that have not changed are those of the last time.

        :param most: voxels that are copied, about; parts beyond them stay as they were.
        """
        self._group_new_rows()
        copied, renewed = 0, {}
        numbers = {corner: number for number, corner in enumerate(self._corners.cells.tolist())}
        for corner in sorted(self._dirty, key=self._age):
            rows = np.empty(0, np.int64)
            if corner in numbers:
                rows = self._sums.live(self._rows_in(numbers[corner]))
            if copied and copied + len(rows) > most:
                break
            copied += len(rows)
            shown = rows[self.support.confirmed(self._sums.cells[rows])]
            renewed[corner] = self._sums.rows(shown)
        if renewed:
            self._generation += 1
            self._dirty -= renewed.keys()
            oldest_empty = self._generation - EMPTY_FOR
            kept = {
                corner: part
                for corner, part in self._parts.items()
                if len(part.voxels.cells) or part.generation > oldest_empty
            }
            self._parts = kept | {
                corner: Part(self._generation, voxels, self.voxel_size)
                for corner, voxels in renewed.items()
            }
        return Parts(self._generation, self._parts)

    def _age(self, corner: int) -> tuple[int, int]:
        part = self._parts.get(corner)
        return (-1 if part is None else part.generation), corner

    def whole(self) -> Parts:
        """Return the map, however much has to be copied."""
        return self.snapshot(len(self) + 1)

    # ---- what is seen through

    def near(self, place: Array, reach: float, ahead: Array) -> tuple[Integers, Array32]:
        """
        Return voxels before a camera.

        :param place: (3,) of the camera, metres.
        :param reach: metres.
        :param ahead: (3,) unit vector.
        :returns: rows; (3, N) their middles, metres, as seen from the place.
        """
        self._group_new_rows()
        to_part = (unpacked(self._corners.cells).T + PART_SIDE / 2) * self.voxel_size - place
        radius = 0.5 * 3**0.5 * PART_SIDE * self.voxel_size
        close = (to_part**2).sum(axis=1) < (reach + radius) ** 2
        numbers = np.flatnonzero(close & (to_part @ ahead > -radius)).tolist()
        rows = np.concatenate([np.empty(0, np.int64), *map(self._rows_in, numbers)])
        rows = self._sums.live(rows)
        middles = (unpacked(self._sums.cells[rows]) + 0.5) * self.voxel_size - place[:, None]
        return rows, middles.astype(np.float32)

    def means(self, rows: Integers, place: Array) -> Array32:
        """
        Return the points of voxels.

        :param rows: (N,) their numbers.
        :param place: (3,) metres.
        :returns: (3, N), metres, as seen from the place.
        """
        cloud = self._sums.rows(rows).cloud(self.voxel_size)
        points = np.ascontiguousarray((cloud.points - place).T, np.float32)
        return points

    def count(self, rows: Integers, missed: Mask, hit: Mask) -> Integers:
        """
        Count misses of voxels, and hits against them.

        :param rows: (N,) of voxels.
        :param missed: (N,) bool.
        :param hit: (N,) bool.
        :returns: cells that were missed too often; their count begins again.
        """
        misses = self._misses[rows] + missed.astype(np.int8) - hit.astype(np.int8)
        gone = misses >= MOST_MISSES
        self._misses[rows] = np.where(gone, 0, np.maximum(misses, FEWEST_MISSES))
        return self._sums.cells[rows[gone]]
