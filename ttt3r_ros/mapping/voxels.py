# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The map: one point per voxel, merged from all frames, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
import itertools

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Array32, Pixels

# The weight of a voxel is bounded, so that it can follow a scene that changes.
MOST_WEIGHT = 1000.0

# When the map is full this part of its voxels is dropped, but at most so many.
DROPPED_PART = 8
MOST_SPARE = 4096

NEVER = np.iinfo(np.int32).max

BITS_PER_AXIS = 21
HALF_RANGE = 1 << (BITS_PER_AXIS - 1)


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


class VoxelMap:
    """
    Merge points into voxels.

    Voxels are rows of tables, found by a sorted list of their packed coordinates. When a frame
    would make them more than max_voxels, those seen longest ago are dropped, and a few more, so
    that not every frame has to search for them; among voxels last seen by the same frame the
    older go first. The cost depends on how many are dropped: no frame takes much longer than
    others.
    """

    def __init__(self, voxel_size: float, max_voxels: int) -> None:
        """
        Begin with an empty map.

        :param voxel_size: edge of a voxel, metres, > 0.
        :param max_voxels: most voxels kept, >= 1.
        """
        self._voxel_size = voxel_size
        self._max_voxels = max_voxels
        self._frames = 0
        self._keys = np.empty(0, np.int64)  # sorted
        self._rows = np.empty(0, np.int32)  # of the voxel of each key, in the tables below
        # Memory that was never written costs nothing.
        self._values = np.empty((max_voxels, 7), np.float32)  # mean x y z r g b, weight
        self._key = np.empty(max_voxels, np.int64)
        self._born = np.empty(max_voxels, np.int32)  # the frame that saw the voxel first
        self._seen = np.empty(max_voxels, np.int32)  # and last; NEVER: the row is free
        self._used = 0  # rows; those behind them were never written
        self._free = np.empty(0, np.int32)  # rows among them
        self._last_seen: dict[int, int] = {}  # frame -> voxels that it saw last; in order

    def __len__(self) -> int:
        """Return the number of voxels."""
        return len(self._keys)

    def add(
        self,
        points_map: Array32,
        colors: Pixels,
        confidence: Array32,
    ) -> None:
        """
        Merge the points of one frame.

        Points that are not finite, have no positive confidence or lie more than a million
        voxels from the origin are left out.

        :param points_map: (..., 3) float32, metres, map frame.
        :param colors: (..., 3) uint8.
        :param confidence: (...) float32.
        """
        columns = np.ascontiguousarray(points_map.reshape(-1, 3).T)  # (3, N), fast to walk along
        cells = np.floor(columns / np.float32(self._voxel_size))
        weight = confidence.reshape(-1)
        # A comparison with NaN is false.
        good = (np.abs(cells) < HALF_RANGE).all(axis=0) & (weight > 0) & (weight < np.inf)
        chosen = np.flatnonzero(good)
        # Asked for the first index numpy sorts with an algorithm that makes use of what is in
        # order, and neighbouring pixels have neighbouring keys.
        packed = _packed(cells.take(chosen, axis=1))
        keys, _, voxel_of_point = np.unique(packed, return_index=True, return_inverse=True)
        weight = weight.take(chosen)
        total = np.bincount(voxel_of_point, weight)
        sums = [
            np.bincount(voxel_of_point, weight * column)
            for part in (columns, colors.reshape(-1, 3).T)
            for column in part.take(chosen, axis=1)
        ]
        self._merge(keys, np.stack([*(s / total for s in sums), total], axis=1))

    def points(self) -> VoxelCloud:
        """Return a copy of the present map."""
        values = self._values[: self._used][self._seen[: self._used] != NEVER]
        return VoxelCloud(
            values[:, :3].copy(), values[:, 3:6].round().astype(np.uint8), values[:, 6].copy()
        )

    def _merge(self, keys: NDArray[np.int64], values: Array) -> None:
        self._frames += 1
        place = np.searchsorted(self._keys, keys)
        known = np.zeros(len(keys), bool)
        inside = place < len(self._keys)
        known[inside] = self._keys[place[inside]] == keys[inside]
        self._update(self._rows[place[known]], values[known])
        keys, values = keys[~known], values[~known]
        too_many = len(self) + len(keys) - self._max_voxels
        if too_many > 0:
            count = too_many + min(self._max_voxels // DROPPED_PART, MOST_SPARE)
            old = min(count, len(self))
            if old:
                self._drop_oldest(old)
            keys, values = keys[count - old :], values[count - old :]
        self._insert(keys, values)

    def _update(self, rows: NDArray[np.int32], new: Array) -> None:
        old = self._values[rows]
        total = old[:, 6] + new[:, 6]
        merged = old + (new[:, 6] / total)[:, None] * (new - old)
        merged[:, 6] = np.minimum(total, MOST_WEIGHT)
        self._values[rows] = merged
        self._leave_last(rows)
        self._see(rows)

    def _see(self, rows: NDArray[np.int32]) -> None:
        """Record that this frame was the last to see some voxels."""
        self._seen[rows] = self._frames
        if len(rows):
            self._last_seen[self._frames] = self._last_seen.get(self._frames, 0) + len(rows)

    def _leave_last(self, rows: NDArray[np.int32]) -> None:
        """Subtract voxels from the count of the frame that saw them last."""
        for frame, count in zip(*np.unique(self._seen[rows], return_counts=True)):
            self._last_seen[int(frame)] -= int(count)
            if not self._last_seen[int(frame)]:
                del self._last_seen[int(frame)]

    def _insert(self, keys: NDArray[np.int64], values: Array) -> None:
        reused = self._free[: len(keys)]
        self._free = self._free[len(keys) :]
        first, self._used = self._used, self._used + len(keys) - len(reused)
        rows = np.concatenate([reused, np.arange(first, self._used, dtype=np.int32)])
        self._values[rows] = values
        self._values[rows, 6] = np.minimum(values[:, 6], MOST_WEIGHT)
        self._key[rows] = keys
        self._born[rows] = self._frames
        self._see(rows)
        place = np.searchsorted(self._keys, keys)
        self._keys = np.insert(self._keys, place, keys)
        self._rows = np.insert(self._rows, place, rows)

    def _drop_oldest(self, count: int) -> None:
        """Drop `count` voxels, >= 1, those seen longest ago."""
        totals = zip(self._last_seen, itertools.accumulate(self._last_seen.values()))
        newest = next(frame for frame, total in totals if total >= count)
        rows = np.flatnonzero(self._seen[: self._used] <= newest).astype(np.int32)
        by_age = np.lexsort((self._born[rows], self._seen[rows]))
        rows = rows[by_age[:count]]
        self._leave_last(rows)
        self._seen[rows] = NEVER
        self._free = np.concatenate([self._free, rows])
        place = np.searchsorted(self._keys, np.sort(self._key[rows]))
        self._keys = np.delete(self._keys, place)
        self._rows = np.delete(self._rows, place)


def _packed(cells: NDArray[np.floating]) -> NDArray[np.int64]:
    """Pack (3, N) cells, each within +-HALF_RANGE, into (N,) keys of 3 x 21 bits."""
    x, y, z = (cells + HALF_RANGE).astype(np.int64)
    keys: NDArray[np.int64] = (x << 2 * BITS_PER_AXIS) | (y << BITS_PER_AXIS) | z
    return keys
