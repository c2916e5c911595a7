# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Points summed in voxels, in integers: what was added can be subtracted again, to the bit.

Sums of integers do not depend on their order, so a map from which points were taken, or to which
they were added in another order, is the same map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Array32, Mask, Pixels
from ttt3r_ros.geometry import Similarity

Integers = NDArray[np.int64]

# The weight of a voxel of a key frame is bounded, so that it can follow a scene that changes.
MOST_WEIGHT = 1000.0

# Fixed point: a weight is counted in 1 / 16, a place in its voxel in 1 / 65536 of the edge.
WEIGHT_STEPS, OFFSET_STEPS = 16, 1 << 16
MOST_STEPS = round(MOST_WEIGHT * WEIGHT_STEPS)

BITS_PER_AXIS = 21
HALF_RANGE = 1 << (BITS_PER_AXIS - 1)
AXIS_MASK = (1 << BITS_PER_AXIS) - 1


def cube_mask(bits: int) -> int:
    """
    Return the mask that leaves of packed coordinates those of the cube in which a voxel lies.

    :param bits: of the side of the cubes in voxels, a power of two.
    """
    axis = AXIS_MASK & ~((1 << bits) - 1)
    return (axis << 2 * BITS_PER_AXIS) | (axis << BITS_PER_AXIS) | axis


# A multiplicative hash: 2^64 divided by the golden ratio (Knuth, TAOCP 3, 6.4).
HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
FEWEST_ROWS = 1 << 12


@dataclass(frozen=True, eq=False)
class VoxelCloud:
    """
    The points of a map.

    points: (V, 3) float32, metres, map frame. colors: (V, 3) uint8. confidence: (V,) float32,
    the summed confidence of all observations of the voxel, at most MOST_WEIGHT.
    """

    points: Array32
    colors: Pixels
    confidence: Array32

    @classmethod
    def joined(cls, clouds: list[VoxelCloud]) -> VoxelCloud:
        """Return the points of several clouds, which may be none."""
        none = cls(
            np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8), np.empty(0, np.float32)
        )
        return cls(
            np.concatenate([none.points, *(cloud.points for cloud in clouds)]),
            np.concatenate([none.colors, *(cloud.colors for cloud in clouds)]),
            np.concatenate([none.confidence, *(cloud.confidence for cloud in clouds)]),
        )


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """
    Points in fixed point.

    cells: (N,) packed coordinates of their voxels. offset: (3, N) in 1 / OFFSET_STEPS of a voxel.
    color: (3, N) uint8. weight: (N,) in 1 / WEIGHT_STEPS, at least 1.
    """

    cells: Integers
    offset: Integers
    color: Pixels
    weight: Integers

    @classmethod
    def of(
        cls, columns: NDArray[np.floating], color: Pixels, weight: NDArray[np.floating]
    ) -> FixedPoints:
        """
        Round points.

        Points that are not finite, have no positive weight or lie more than a million voxels
        from the origin are left out.

        :param columns: (3, N), in sides of a voxel.
        :param color: (3, N).
        :param weight: (N,) confidence.
        """
        cells = np.floor(columns)
        # A comparison with NaN is false.
        good = (np.abs(cells) < HALF_RANGE).all(axis=0) & (weight > 0) & (weight < np.inf)
        if not good.all():
            columns, color, weight = columns[:, good], color[:, good], weight[good]
            cells = cells[:, good]
        steps = np.rint(np.minimum(weight, MOST_WEIGHT) * WEIGHT_STEPS).astype(np.int64)
        return cls(packed(cells), _offset(columns, cells), color, np.maximum(steps, 1))


@dataclass(frozen=True, eq=False)
class VoxelPoints:
    """
    Points, each the mean of a voxel, in the frame in which they were summed.

    columns: (3, N) float32, in voxels. color: (3, N) uint8. weight: (N,) int32 in
    1 / WEIGHT_STEPS.
    """

    columns: Array32
    color: Pixels
    weight: NDArray[np.int32]

    def __len__(self) -> int:
        """Return their number."""
        return len(self.weight)

    @classmethod
    def of(cls, cloud: VoxelCloud, voxel_size: float) -> VoxelPoints:
        """
        Return the points of a cloud.

        :param voxel_size: metres.
        """
        columns = np.ascontiguousarray(cloud.points.T / np.float32(voxel_size), np.float32)
        weight = np.maximum(np.rint(cloud.confidence * WEIGHT_STEPS), 1).astype(np.int32)
        return cls(columns, np.ascontiguousarray(cloud.colors.T), weight)

    def placed(self, a_T_b: Similarity) -> FixedPoints:
        """
        Return the points in another frame, the same bits for the same arguments.

        :param a_T_b: from their frame, in voxels.
        """
        x, y, z = self.columns
        linear = (a_T_b.scale * a_T_b.a_T_b[:3, :3]).astype(np.float32)
        shift = a_T_b.a_T_b[:3, 3].astype(np.float32)
        # Written out: a matrix product may round differently from one library to the next.
        columns = np.stack([m[0] * x + m[1] * y + m[2] * z + t for m, t in zip(linear, shift)])
        cells = np.floor(columns)
        if len(self) and max(-cells.min(), cells.max()) >= HALF_RANGE:
            # Rows stay rows: what a correction throws out of the range piles up at its edge.
            columns = np.clip(columns, 1 - HALF_RANGE, HALF_RANGE - 1)
            cells = np.floor(columns)
        weight = self.weight.astype(np.int64)
        return FixedPoints(packed(cells), _offset(columns, cells), self.color, weight)

    def chosen(self, which: Mask | Integers) -> VoxelPoints:
        """
        Return part of the points.

        :param which: (N,) bool, or their numbers.
        """
        return VoxelPoints(self.columns[:, which], self.color[:, which], self.weight[which])

    def corners(self) -> Array:
        """Return the corners of the box around the points, (8, 3), in voxels."""
        box = np.stack([self.columns.min(axis=1), self.columns.max(axis=1)]).astype(np.float64)
        x, y, z = (axis.ravel() for axis in np.meshgrid(*box.T))
        return np.stack([x, y, z], axis=1)


class CellIndex:
    """
    Number cells; a number stays.

    They are found by a hash: the cost of a look-up does not depend on how many there are.
    """

    def __init__(self, room: int = FEWEST_ROWS) -> None:
        """
        Begin with nothing.

        :param room: for so many cells; it grows.
        """
        self._used = 0
        self._cells = np.empty(room, np.int64)
        self._bits = int(2 * room - 1).bit_length()
        self._slots = np.full(1 << self._bits, -1, np.int32)  # numbers; -1: none

    def __len__(self) -> int:
        """Return the number of cells."""
        return self._used

    @property
    def room(self) -> int:
        """Return how many cells there may be before it grows."""
        return len(self._cells)

    @property
    def cells(self) -> Integers:
        """Return all cells by their numbers; not to be written to."""
        return self._cells[: self._used]

    def numbers(self, cells: Integers) -> Integers:
        """
        Return the number of each cell; new cells get new numbers.

        :param cells: (N,).
        """
        numbers, slots = self._find(cells)
        missing = np.flatnonzero(numbers < 0)
        if self._used + len(missing) > self.room:
            self._grow(self._used + len(missing))
            numbers, slots = self._find(cells)
        while len(missing):
            # All write where they are, and who finds himself there has won the slot.
            self._slots[slots[missing]] = missing
            won = missing[self._slots[slots[missing]] == missing]
            numbers[won] = np.arange(self._used, self._used + len(won))
            self._cells[numbers[won]] = cells[won]
            self._slots[slots[won]] = numbers[won]
            self._used += len(won)
            missing = missing[numbers[missing] < 0]
            numbers[missing], slots[missing] = self._find(cells[missing])
            missing = missing[numbers[missing] < 0]
        return numbers

    def known(self, cells: Integers) -> Integers:
        """
        Return the number of each cell, -1 of those that have none.

        :param cells: (N,).
        """
        return self._find(cells)[0]

    def _find(self, cells: Integers) -> tuple[Integers, Integers]:
        """Return the number of each cell, -1 for none, and the slot where it is or would be."""
        slots = hashed(cells, self._bits)
        numbers = self._slots.take(slots).astype(np.int64)
        others = np.flatnonzero((self._cells.take(numbers, mode='clip') != cells) & (numbers >= 0))
        while len(others):
            slots[others] = (slots[others] + 1) & (len(self._slots) - 1)
            found = self._slots[slots[others]].astype(np.int64)
            numbers[others] = found
            others = others[(found >= 0) & (self._cells[found] != cells[others])]
        return numbers, slots

    def _grow(self, least: int) -> None:
        larger = CellIndex(max(least, 2 * self.room))
        larger._cells[: self._used] = self.cells
        larger._used = self._used
        numbers, slots = np.arange(self._used), hashed(self.cells, larger._bits)
        while len(numbers):
            free = larger._slots[slots] < 0
            larger._slots[slots[free]] = numbers[free]
            waiting = larger._slots[slots] != numbers
            numbers, slots = numbers[waiting], (slots[waiting] + 1) & (len(larger._slots) - 1)
        self.__dict__.update(larger.__dict__)


class VoxelSums:
    """
    Sums of the points in each voxel, as rows of tables.

    Rows keep their numbers until the tables are packed anew, without the voxels that lost all
    their points; `layout` counts how often.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.layout = 0
        self._allocate(FEWEST_ROWS)

    def _allocate(self, rows: int) -> None:
        # Memory that was never written costs nothing.
        self._index = CellIndex(rows)
        self._weight = np.zeros(rows, np.int64)
        self._sums = np.zeros((rows, 6), np.int64)  # of x y z r g b, times the weight

    def __len__(self) -> int:
        """Return the number of voxels that hold points."""
        return int(np.count_nonzero(self._weight[: self.used]))

    @property
    def used(self) -> int:
        """Return the number of rows, with and without points."""
        return len(self._index)

    @property
    def cells(self) -> Integers:
        """Return the packed coordinates of all rows, (used,); not to be written to."""
        return self._index.cells

    def live(self, rows: Integers) -> Integers:
        """
        Return which of some rows hold points.

        :param rows: (N,) their numbers.
        """
        alive: Integers = rows[self._weight[rows] > 0]
        return alive

    def add(self, points: FixedPoints, sign: int = 1) -> Integers:
        """
        Add points, or subtract those that were added.

        :param sign: 1 or -1.
        :returns: (N,) the row of each point.
        """
        if self.used + len(points.cells) > self._index.room:
            self._pack(len(points.cells))
        rows = self._index.numbers(points.cells)
        weight = sign * points.weight
        np.add.at(self._weight, rows, weight)
        flat, at = self._sums.reshape(-1), self._sums.shape[1] * rows
        for number, column in enumerate((*points.offset, *points.color)):
            np.add.at(flat, at + number, column * weight)
        return rows

    def _pack(self, more: int) -> None:
        """Leave voxels without points out, and make room for so many more."""
        kept, rows = self.all(), self._index.room
        while 2 * len(kept.cells) + more > rows:
            rows *= 2
        self._allocate(rows)
        self.layout += 1
        at = self._index.numbers(kept.cells)
        self._weight[at], self._sums[at] = kept.weight, kept.sums

    def bound_weights(self) -> None:
        """Scale voxels down to MOST_WEIGHT; their means stay."""
        over = np.flatnonzero(self._weight[: self.used] > MOST_STEPS)
        self._sums[over] = self._sums[over] * MOST_STEPS // self._weight[over, None]
        self._weight[over] = MOST_STEPS

    def rows(self, rows: Integers) -> SummedVoxels:
        """
        Return a copy of some rows.

        :param rows: (N,) their numbers.
        """
        return SummedVoxels(
            self.cells.take(rows), self._weight.take(rows), self._sums.take(rows, axis=0)
        )

    def all(self) -> SummedVoxels:
        """Return a copy of all voxels; those that came first are first."""
        return self.rows(np.flatnonzero(self._weight[: self.used]))


@dataclass(frozen=True, eq=False)
class SummedVoxels:
    """
    Voxels and their sums.

    cells: (V,) packed coordinates. weight: (V,) in 1 / WEIGHT_STEPS. sums: (V, 6) of the offsets
    x y z in the voxel and of r g b, times the weights.
    """

    cells: Integers
    weight: Integers
    sums: Integers

    def _means(self) -> tuple[Array, Pixels]:
        """Return the mean points, (3, V), in voxels, and their colours, (V, 3)."""
        means = self.sums / self.weight[:, None]
        offset = (means[:, :3].T + 0.5) / OFFSET_STEPS
        return unpacked(self.cells) + offset, np.rint(means[:, 3:]).astype(np.uint8)

    def points(self) -> VoxelPoints:
        """Return the means in voxels."""
        columns, color = self._means()
        weight = self.weight.astype(np.int32)
        return VoxelPoints(columns.astype(np.float32), np.ascontiguousarray(color.T), weight)

    def cloud(self, voxel_size: float) -> VoxelCloud:
        """
        Return the means in metres.

        :param voxel_size: metres.
        """
        columns, color = self._means()
        points = np.ascontiguousarray((columns * voxel_size).T, np.float32)
        confidence = np.minimum(self.weight / WEIGHT_STEPS, MOST_WEIGHT).astype(np.float32)
        return VoxelCloud(points, color, confidence)


def _offset(columns: NDArray[np.floating], cells: NDArray[np.floating]) -> Integers:
    steps = (columns - cells) * columns.dtype.type(OFFSET_STEPS)
    offset: Integers = steps.astype(np.int64)
    return offset


def packed(cells: NDArray[np.floating]) -> Integers:
    """
    Pack the coordinates of voxels.

    :param cells: (3, N), whole numbers within +-HALF_RANGE.
    :returns: (N,), 21 bits an axis.
    """
    x, y, z = (cells + HALF_RANGE).astype(np.int64)
    keys: Integers = (x << 2 * BITS_PER_AXIS) | (y << BITS_PER_AXIS) | z
    return keys


def unpacked(cells: Integers) -> Integers:
    """
    Return the coordinates of packed voxels.

    :param cells: (N,), as of `packed`.
    :returns: (3, N).
    """
    x, y = cells >> 2 * BITS_PER_AXIS, (cells >> BITS_PER_AXIS) & AXIS_MASK
    return np.stack([x, y, cells & AXIS_MASK]) - HALF_RANGE


def hashed(cells: Integers, bits: int) -> Integers:
    """
    Return a hash of packed voxels.

    :param cells: (N,), as of `packed`.
    :param bits: of the hash.
    :returns: (N,), 0 to 2^bits - 1.
    """
    values = (cells.astype(np.uint64) * HASH_FACTOR) >> np.uint64(64 - bits)
    short: Integers = values.astype(np.int64)
    return short
