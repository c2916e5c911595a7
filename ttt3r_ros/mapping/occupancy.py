# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The map as an occupancy grid of the floor: free, occupied and unknown cells.

Cells sum the evidence of images within bounds, so that what leaves, people above all, soon
disappears. The evidence is attached to key frames: where they move, it moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Mask
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import IDENTITY, scaled, Similarity
from ttt3r_ros.mapping.evidence import (
    Evidence,
    on_floor,
    rectangle,
    SURELY_FREE,
    SURELY_OCCUPIED,
)
from ttt3r_ros.mapping.floor_view import FloorView
from ttt3r_ros.settings import OccupancySettings
from ttt3r_ros.tracking.frame import Pointmap

FREE, OCCUPIED, UNKNOWN = 0, 100, -1
OCCUPIED_FROM, FREE_UP_TO = 3, -2

# The grid grows by so much at once, because subscribers restart at each new size.
CHUNK_M = 4.0

# A piece stays where it is until a corner of it is wrong by more than this.
MOST_SHIFT = 0.5  # cells

STAYED = Similarity(IDENTITY)


class OccupancyError(UserError):
    """An occupancy grid does not fit the settings."""


@dataclass(frozen=True, eq=False)
class Occupancy:
    """
    An occupancy grid as published.

    cells: (rows along y, columns along x) int8, FREE, OCCUPIED or UNKNOWN. resolution: edge of
    a cell, metres. x, y: outer corner of the first cell, metres, map frame.
    """

    cells: NDArray[np.int8]
    resolution: float
    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Piece:
    """
    The evidence of the images of a key frame.

    evidence: in the map as it was when the key frame began. map_T_birth: where that lies now.
    placed: the same in the map, moved.
    """

    evidence: Evidence
    map_T_birth: Similarity
    placed: Evidence


class OccupancyGrid:
    """
    Sum the evidence of images about the floor, in bounded memory.

    That of key frames is applied in the order in which they began, to a base layer of what is
    older than all of them, like a saved grid.

    overflowed: whether a part was dropped because the grid had its largest size.
    """

    def __init__(self, settings: OccupancySettings, camera_height: float = 0.0) -> None:
        """
        Begin with an empty grid.

        :param camera_height: of a camera alone above a level floor, metres; 0: unknown.
        """
        self.overflowed = False
        self._settings = settings
        self._view_of_floor = FloorView(settings, camera_height)
        self._resolution = settings.resolution
        self._chunk = math.ceil(CHUNK_M / self._resolution)  # cells
        chunks = math.floor(settings.max_side / (self._chunk * self._resolution))
        self._longest = chunks * self._chunk  # cells
        self._first = np.zeros(2, np.int64)  # x and y of the first cell, in cells
        # Rows along y, columns along x.
        self._evidence: NDArray[np.int8] = np.zeros((0, 0), np.int8)
        self._pieces: dict[int, Piece] = {}
        self._base: tuple[NDArray[np.int64], NDArray[np.int8]] | None = None

    def __len__(self) -> int:
        """Return the number of cells, known or not."""
        return self._evidence.size

    def look(
        self,
        pointmap: Pointmap,
        good: Mask,
        map_T_camera: Array,
        floor_T_camera: Array | None,
    ) -> Evidence | None:
        """
        Return what one image shows of the floor.

        :param pointmap: of the image, metres.
        :param good: (h, w) bool, its points that are good enough for a map.
        :param map_T_camera: (4, 4), metres.
        :param floor_T_camera: (4, 4), metres, as in FloorView.look; None: unknown.
        :returns: None where that is nothing, or no grid is wanted.
        """
        return self._view_of_floor.look(pointmap, good, map_T_camera, floor_T_camera)

    def add(self, key: int, seen: Evidence, map_T_birth: Similarity = STAYED) -> None:
        """
        Add what one image shows.

        :param key: number of the key frame to which it is attached.
        :param seen: in the map as it is now.
        :param map_T_birth: where the map as it was when the key frame began lies now.
        """
        old = self._pieces.get(key)
        if old is not None:
            map_T_birth = old.map_T_birth
        evidence = seen.moved(self._in_cells(map_T_birth.inverse()))
        if old is not None:
            reach = self._longest
            near = old.evidence.cropped(evidence.end - reach, evidence.first + reach)
            evidence = near.then(evidence) if near.steps.size else evidence
        self._place(key, evidence, map_T_birth)
        if key == next(reversed(self._pieces)):
            seen.apply(self._cover(seen.first, seen.end))
        else:  # others are applied after it
            self._fold()

    def _place(self, key: int, evidence: Evidence, map_T_birth: Similarity) -> None:
        placed = evidence.moved(self._in_cells(map_T_birth))
        self._pieces[key] = Piece(evidence, map_T_birth, placed)

    def take(self, keys: Iterable[int]) -> dict[int, Evidence]:
        """
        Remove key frames with their evidence.

        :param keys: their numbers.
        :returns: the evidence of each, in the map as it was when that began.
        """
        taken = {key: self._pieces.pop(key).evidence for key in keys if key in self._pieces}
        if taken:
            self._fold()
        return taken

    def adopt(self, key: int, evidence: Evidence, map_T_birth: Similarity) -> None:
        """
        Add the evidence of a key frame of another map.

        :param key: its number.
        :param evidence: in that map as it was when the key frame began.
        :param map_T_birth: where that lies in this map.
        """
        own = self._pieces.get(key)
        if own is None:
            self._place(key, evidence, map_T_birth)
            self._apply(self._pieces[key])
        else:
            to_own = own.map_T_birth.inverse().after(map_T_birth)
            both = own.evidence.then(evidence.moved(self._in_cells(to_own)))
            self._place(key, both, own.map_T_birth)
            self._fold()

    def move(self, map_T_birth: Mapping[int, Similarity]) -> None:
        """
        Move key frames; each stays until half a cell is wrong.

        :param map_T_birth: where the map as it was when they began lies now.
        """
        moved = {
            key: pose
            for key, pose in map_T_birth.items()
            if key in self._pieces and self._is_aside(self._pieces[key], pose)
        }
        for key, pose in moved.items():
            self._place(key, self._pieces[key].evidence, pose)
        if moved:
            self._fold()

    def hand_over(self, removed: int, successor: int, successor_T_removed: Similarity) -> None:
        """
        Attach the evidence of a key frame that was removed to another one.

        :param removed: the one that goes.
        :param successor: the one that stays.
        :param successor_T_removed: from the map when the one began to the map when the other did.
        """
        piece = self._pieces.get(removed)
        if piece is None:
            return
        order, moved = (
            list(self._pieces),
            piece.evidence.moved(self._in_cells(successor_T_removed)),
        )
        own = self._pieces.get(successor)
        if own is None:
            self._pieces[successor] = piece
            self._pieces = {key: self._pieces[key] for key in _renamed(order, removed, successor)}
            self._place(successor, moved, piece.map_T_birth.after(successor_T_removed.inverse()))
        else:
            earlier = order.index(removed) < order.index(successor)
            both = moved.then(own.evidence) if earlier else own.evidence.then(moved)
            del self._pieces[removed]
            self._place(successor, both, own.map_T_birth)
        self._fold()

    def forget(self, key: int) -> None:
        """
        Delete a key frame; its evidence becomes part of the base layer.

        :param key: its number.
        """
        piece = self._pieces.pop(key, None)
        if piece is None:
            return
        others, self._pieces = self._pieces, {key: piece}
        self._fold()
        self._base = self._first, self._evidence
        self._pieces = others
        self._fold()

    def _is_aside(self, piece: Piece, pose: Similarity) -> bool:
        corners, places = piece.evidence.corners(), []
        for a_T_b in (piece.map_T_birth, pose):
            linear, shift = on_floor(self._in_cells(a_T_b), piece.evidence.height)
            places.append(linear @ corners + shift[:, None])
        return bool(np.hypot(*(places[1] - places[0])).max() > MOST_SHIFT)

    def _in_cells(self, a_T_b: Similarity) -> Similarity:
        return Similarity(scaled(a_T_b.a_T_b, 1.0 / self._resolution), a_T_b.scale)

    def _fold(self) -> None:
        """Apply the evidence of all key frames anew."""
        self._evidence = np.zeros(self._evidence.shape, np.int8)
        if self._base is not None:
            first, cells = self._base
            self._cover(first, first + cells.shape[::-1])[:] = cells
        for piece in self._pieces.values():
            self._apply(piece)

    def _apply(self, piece: Piece) -> None:
        placed = piece.placed
        self._cover(placed.first, placed.end)
        # Far from each other, they may be larger than the grid.
        placed = placed.cropped(self._first, self._first + self._evidence.shape[::-1])
        placed.apply(self._view(placed.first, placed.end))

    def _cover(self, first: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int8]:
        """
        Grow by whole chunks until a rectangle of cells lies in the grid.

        :param first: (2,) its least x and y.
        :param end: (2,) one past its largest.
        :returns: (rows, columns), a view of the evidence there.
        """
        old_first, old_end = self._first, self._first + self._evidence.shape[::-1]
        new_first = first // self._chunk * self._chunk
        new_end = -(-end // self._chunk) * self._chunk
        if len(self):
            grown_down = new_first < old_first
            new_first, new_end = np.minimum(new_first, old_first), np.maximum(new_end, old_end)
            too_long = new_end - new_first > self._longest
            self.overflowed |= bool(too_long.any())
            cut_first = too_long & ~grown_down
            new_end = np.where(too_long & grown_down, new_first + self._longest, new_end)
            new_first = np.where(cut_first, new_end - self._longest, new_first)
        if (new_first != old_first).any() or (new_end != old_end).any():
            old = self._evidence
            self._first = new_first
            self._evidence = np.zeros((new_end - new_first)[::-1], np.int8)
            common_first = np.maximum(old_first, new_first)
            common_end = np.maximum(np.minimum(old_end, new_end), common_first)
            self._view(common_first, common_end)[:] = old[
                rectangle(common_first - old_first, common_end - old_first)
            ]
        return self._view(first, end)

    def _view(self, first: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int8]:
        return self._evidence[rectangle(first - self._first, end - self._first)]

    def occupancy(self) -> Occupancy:
        """Return the present grid."""
        cells = np.full(self._evidence.shape, UNKNOWN, np.int8)
        cells[self._evidence >= OCCUPIED_FROM] = OCCUPIED
        cells[self._evidence <= FREE_UP_TO] = FREE
        x, y = (self._first * self._resolution).tolist()
        return Occupancy(cells, self._resolution, x, y)

    def resume(self, occupancy: Occupancy) -> None:
        """
        Continue with a saved grid; its known cells get the most evidence there is.

        :raises OccupancyError: when its cells have another size, or are too many.
        """
        if occupancy.resolution != self._resolution:
            raise OccupancyError(
                f'the occupancy grid has cells of {occupancy.resolution:g} m, '
                f'occupancy.resolution is {self._resolution:g}: make them equal'
            )
        size = np.array(occupancy.cells.shape[::-1])
        if (size > self._longest).any():
            raise OccupancyError(
                f'the occupancy grid has {size[0]} x {size[1]} cells, occupancy.max_side allows '
                f'{self._longest}: raise it'
            )
        cells = np.zeros(occupancy.cells.shape, np.int8)
        cells[occupancy.cells == OCCUPIED] = SURELY_OCCUPIED
        cells[occupancy.cells == FREE] = SURELY_FREE
        self._first = np.round(np.array([occupancy.x, occupancy.y]) / self._resolution).astype(
            np.int64
        )
        self._evidence = cells
        self._base = self._first, cells.copy()


def _renamed(keys: list[int], old: int, new: int) -> list[int]:
    return [new if key == old else key for key in keys]
