# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A corridor with a row of rooms, of which two may look the same: a trap for place recognition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ttt3r_ros.simulation.building import Builder, Door, FAMILIES, Room, WALL
from ttt3r_ros.simulation.furniture import Part
from ttt3r_ros.simulation.materials import random_palette
from ttt3r_ros.simulation.tables import Tables
from ttt3r_ros.simulation.world import World

WIDTH, DEPTH, HEIGHT = 4.2, 4.2, 2.7  # metres, of a room
CORRIDOR = 2.2
ROOMS = 3
DOOR_FROM, DOOR_WIDTH, DOOR_HEIGHT = 0.6, 1.1, 2.1
FAMILY = FAMILIES['M']


def build_row(seed: int) -> World:
    """
    Return a corridor with three rooms.

    The first and the last have the same furniture, in other materials: a path through this world
    is one through that of build_twins.

    :param seed: of all that is drawn.
    """
    return _builder(_Row, seed).build()


def build_twins(seed: int) -> World:
    """
    Return the same world, but that the last room is the first one once more, to the texture.

    :param seed: of all that is drawn.
    """
    return _builder(_Twins, seed).build()


class _Row(Builder):
    """Builds rooms of one size side by side, each with a door to a corridor."""

    def _divide(self) -> list[Room]:
        step = WIDTH + WALL
        length = ROOMS * step - WALL
        low = CORRIDOR + WALL
        rooms = [Room(np.zeros(2), np.array([length, CORRIDOR]), HEIGHT)]
        for i in range(ROOMS):
            corner = np.array([i * step, low])
            rooms.append(Room(corner, corner + [WIDTH, DEPTH], HEIGHT))
        return rooms

    def _join(self) -> list[Door]:
        corridor, *rooms = self.rooms
        doors = []
        for number, room in enumerate(rooms, start=1):
            low = float(room.low[0]) + DOOR_FROM
            door = Door(
                0, number, 1, corridor.high[1], room.low[1], low, low + DOOR_WIDTH, DOOR_HEIGHT
            )
            doors.append(door)
            corridor.doors.append(door)
            room.doors.append(door)
        return doors

    def build(self) -> World:
        self.rooms = self._divide()
        self.doors = self._join()
        for room in self.rooms[:-1]:
            self._furnish(room)
        self._fill(self.rooms[1], self.rooms[-1])
        tables = self._tables()
        self._finish(tables)
        return World(tables)

    def _fill(self, first: Room, last: Room) -> None:
        """Put the furniture of one room into the other one, and paint it anew."""
        drawn, self.rng = self.rng, np.random.default_rng(0)  # all else stays as it is drawn
        count = len(self.palette.materials)
        last.pieces = [
            [replace(part, material=int(self.rng.integers(count))) for part in piece]
            for piece in _moved_pieces(first, last)
        ]
        last.light = first.light + [_apart(first, last), 0.0, 0.0]
        self._frame_door(last, last.doors[0], self.palette.pick(self.rng, 'trim'))
        for wall in range(4):
            self._decorate(last, wall)
        self.rng = drawn

    def _finish(self, tables: Tables) -> None:
        """Change what has been drawn."""


class _Twins(_Row):
    """Makes the last room the first one once more."""

    def _fill(self, first: Room, last: Room) -> None:
        last.pieces = _moved_pieces(first, last)
        last.light = first.light + [_apart(first, last), 0.0, 0.0]
        for face, decals in enumerate(first.decals):
            for decal in decals:
                moved = decal.copy()
                if face >= 2:  # along x
                    moved.low = decal.low + _apart(first, last)
                    moved.high = decal.high + _apart(first, last)
                last.decals[face].append(moved)

    def _finish(self, tables: Tables) -> None:
        first, last = self.rooms[1], self.rooms[-1]
        _match(tables, 1, len(self.rooms) - 1, _apart(first, last))


def _apart(first: Room, last: Room) -> float:
    """Return how far one room is from another one along x, metres."""
    return float(last.low[0] - first.low[0])


def _moved_pieces(first: Room, last: Room) -> list[list[Part]]:
    by = _apart(first, last)
    return [
        [replace(part, center=(part.center[0] + by, *part.center[1:])) for part in piece]
        for piece in first.pieces
    ]


def _match(tables: Tables, first: int, last: int, by: float) -> None:
    """Copy materials, light and textures of one cell to another one beside it."""
    one, other = tables.cells[first], tables.cells[last]
    for name in ('materials', 'light_color', 'ambient', 'skirting'):
        other[name] = one[name]
    other['origin'] = one['origin'] + np.array([by, 0.0], np.float32)
    groups = (tables.groups[slice(*cell['groups'])] for cell in (one, other))
    (first_part, end), (first_copy, copy_end) = (
        (some[0]['parts'][0], some[-1]['parts'][1]) for some in groups
    )
    tables.parts.offset[first_copy:copy_end] = tables.parts.offset[first_part:end]


def _builder(kind: type[_Row], seed: int) -> _Row:
    palette = random_palette(np.random.default_rng([1]), FAMILY.freedom)
    return kind(np.random.default_rng([3, seed]), palette, FAMILY)
