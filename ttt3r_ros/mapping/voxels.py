# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The map: one point per voxel, merged from all frames, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Evidence beyond this is forgotten, so that a voxel can still follow a scene that changes.
MOST_WEIGHT = 1000.0

# Part of the voxels that goes at once when the map is full, so that most frames need not sort.
DROPPED_PART = 8

BITS_PER_AXIS = 21
HALF_RANGE = 1 << (BITS_PER_AXIS - 1)


@dataclass(frozen=True, eq=False)
class VoxelCloud:
    """
    The points of a map.

    points: (V, 3) float32, metres, map frame. colors: (V, 3) uint8. confidence: (V,) float32,
    the summed confidence of all observations of the voxel, at most MOST_WEIGHT.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8]
    confidence: NDArray[np.float32]


class VoxelMap:
    """
    Merge points into voxels.

    Voxels are rows of two growing tables; a sorted list of their packed coordinates finds
    them. When there are more than max_voxels, those seen longest ago go, an eighth of
    max_voxels more than needed; among voxels last seen by the same frame the older go first.
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
        self._rows = np.empty(0, np.int64)  # of the voxel of each key, in the tables below
        self._values = np.empty((0, 7), np.float32)  # mean x y z r g b, weight
        self._last_frame = np.empty(0, np.int64)  # that saw the voxel

    def __len__(self) -> int:
        """Give the number of voxels."""
        return len(self._keys)

    def add(
        self,
        points_map: NDArray[np.float32],
        colors: NDArray[np.uint8],
        confidence: NDArray[np.float32],
    ) -> None:
        """
        Merge the points of one frame.

        Points that are not finite, have no positive confidence or lie more than a million
        voxels from the origin are left out.

        :param points_map: (..., 3) float32, metres, map frame.
        :param colors: (..., 3) uint8.
        :param confidence: (...) float32.
        """
        cells = np.floor(points_map.reshape(-1, 3) / np.float32(self._voxel_size))
        weight = confidence.reshape(-1)
        # A comparison with NaN is false.
        good = (np.abs(cells) < HALF_RANGE).all(axis=1) & (weight > 0) & (weight < np.inf)
        keys, voxel_of_point = np.unique(_packed(cells[good]), return_inverse=True)
        weight = weight[good]
        columns = (*points_map.reshape(-1, 3)[good].T, *colors.reshape(-1, 3)[good].T)
        total = np.bincount(voxel_of_point, weight)
        sums = [np.bincount(voxel_of_point, weight * column) for column in columns]
        self._merge(keys, np.stack([*(s / total for s in sums), total], axis=1))

    def points(self) -> VoxelCloud:
        """Give a copy of the map as it is now."""
        values = self._values[: len(self)]
        return VoxelCloud(
            values[:, :3].copy(), values[:, 3:6].round().astype(np.uint8), values[:, 6].copy()
        )

    def _merge(self, keys: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        self._frames += 1
        place = np.searchsorted(self._keys, keys)
        known = np.zeros(len(keys), bool)
        inside = place < len(self._keys)
        known[inside] = self._keys[place[inside]] == keys[inside]
        self._update(self._rows[place[known]], values[known])
        self._insert(place[~known], keys[~known], values[~known])
        if len(self) > self._max_voxels:
            self._drop_oldest()

    def _update(self, rows: NDArray[np.int64], new: NDArray[np.float64]) -> None:
        old = self._values[rows]
        total = old[:, 6] + new[:, 6]
        merged = old + (new[:, 6] / total)[:, None] * (new - old)
        merged[:, 6] = np.minimum(total, MOST_WEIGHT)
        self._values[rows] = merged
        self._last_frame[rows] = self._frames

    def _insert(
        self, place: NDArray[np.intp], keys: NDArray[np.int64], values: NDArray[np.float64]
    ) -> None:
        first, end = len(self), len(self) + len(keys)
        if end > len(self._values):
            capacity = max(2 * len(self._values), end)
            self._values = np.resize(self._values, (capacity, 7))
            self._last_frame = np.resize(self._last_frame, capacity)
        self._values[first:end] = values
        self._values[first:end, 6] = np.minimum(values[:, 6], MOST_WEIGHT)
        self._last_frame[first:end] = self._frames
        self._keys = np.insert(self._keys, place, keys)
        self._rows = np.insert(self._rows, place, np.arange(first, end))

    def _drop_oldest(self) -> None:
        count = len(self)
        keep = self._max_voxels - self._max_voxels // DROPPED_PART
        # The rows are in the order in which voxels appeared, and a stable sort keeps it.
        newest = np.argsort(self._last_frame[:count], kind='stable')[count - keep :]
        newest.sort()
        kept = np.zeros(count, bool)
        kept[newest] = True
        new_row = np.cumsum(kept) - 1
        of_key = kept[self._rows]
        self._keys = self._keys[of_key]
        self._rows = new_row[self._rows[of_key]]
        self._values = self._values[newest]
        self._last_frame = self._last_frame[newest]


def _packed(cells: NDArray[np.floating]) -> NDArray[np.int64]:
    """Pack (N, 3) cells, each within +-HALF_RANGE, into (N,) keys of 3 x 21 bits."""
    x, y, z = (cells.T + HALF_RANGE).astype(np.int64)
    keys: NDArray[np.int64] = (x << 2 * BITS_PER_AXIS) | (y << BITS_PER_AXIS) | z
    return keys
