# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Build a building from a seed: rooms, doors, furniture, pictures and lamps."""

from __future__ import annotations

from dataclasses import dataclass, field
import functools
import itertools
import math

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.errors import UserError
from ttt3r_ros.simulation.furniture import AT_WALL, FREE_STANDING, Maker, Part, Piece, post
from ttt3r_ros.simulation.materials import Palette, random_palette
from ttt3r_ros.simulation.tables import (
    BOX,
    CELL,
    DECAL,
    GROUP,
    MATERIAL,
    PART,
    PORTAL,
    record,
    records,
    Tables,
)
from ttt3r_ros.simulation.world import World

WALL = 0.16  # metres, thickness of inner walls
SMALLEST_ROOM = 2.4  # metres, shortest side
PASSAGE = 0.85  # metres, free width kept between things
DOOR_DEPTH = 0.9  # metres, floor kept free before a door


@dataclass(frozen=True)
class Family:
    """
    The ranges that a family of worlds draws from.

    rooms: how many, None for as many as the area holds. size: least and most width and depth of
    the building, metres. room_area: least and most area of a room, square metres.
    layout_varies, palette_varies: with the seed. freedom: of materials, see `random_palette`.
    light: standard deviation of the logarithm of the light's strength.
    """

    rooms: int | None
    size: tuple[float, float]
    room_area: tuple[float, float]
    layout_varies: bool
    palette_varies: bool
    freedom: float
    light: float


FAMILIES = {
    'S': Family(8, (11.0, 12.5), (16.0, 16.0), False, False, 0.1, 0.1),
    'M': Family(None, (6.5, 13.0), (12.0, 18.0), True, False, 0.1, 0.15),
    'L': Family(None, (5.5, 15.0), (9.0, 26.0), True, True, 0.5, 0.4),
}


class UnknownFamilyError(UserError):
    """There is no such family of worlds."""


def build_world(family: str, seed: int) -> World:
    """
    Return a world of a family.

    :param family: 'S', one building, the same for every seed; 'M', every seed another layout,
        materials of one fixed palette; 'L', everything varies.
    :param seed: of all that varies in the family.
    :returns: the world; equal arguments result in equal worlds.
    :raises UnknownFamilyError: when there is no such family.
    """
    if family not in FAMILIES:
        raise UnknownFamilyError(
            f'there is no family {family!r} of worlds: choose one of {", ".join(FAMILIES)}'
        )
    return _build(family, seed if FAMILIES[family].layout_varies else 0)


@functools.lru_cache(maxsize=4)
def _build(name: str, seed: int) -> World:
    family = FAMILIES[name]
    number = list(FAMILIES).index(name)
    layout_rng = np.random.default_rng([2, number, seed])
    palette_rng = layout_rng if family.palette_varies else np.random.default_rng([1])
    palette = random_palette(palette_rng, family.freedom)
    return Builder(layout_rng, palette, family).build()


@dataclass
class Room:
    """A room: low and high corner (x, y), height, and what stands in it."""

    low: Array
    high: Array
    height: float
    pieces: list[list[Part]] = field(default_factory=list)
    decals: list[list[np.record]] = field(default_factory=lambda: [[] for _ in range(6)])
    taken: list[tuple[int, Array, Array]] = field(default_factory=list)
    doors: list[Door] = field(default_factory=list)
    light: Array = field(default_factory=lambda: np.zeros(3))


@dataclass
class Door:
    """An opening between rooms a and b; b lies on the high side of a along `axis` (0 x, 1 y)."""

    a: int
    b: int
    axis: int
    near: float  # end of a along the axis
    far: float  # start of b
    low: float  # along the other axis
    high: float
    height: float

    @property
    def low_corner(self) -> tuple[float, float]:
        return (self.near, self.low) if self.axis == 0 else (self.low, self.near)

    @property
    def high_corner(self) -> tuple[float, float]:
        return (self.far, self.high) if self.axis == 0 else (self.high, self.far)


class Builder:
    """Builds one world; every step takes its numbers from one generator, in order."""

    def __init__(self, rng: np.random.Generator, palette: Palette, family: Family) -> None:
        self.rng, self.palette, self.family = rng, palette, family

    def build(self) -> World:
        self.rooms = self._divide()
        self.doors = self._join()
        for room in self.rooms:
            self._furnish(room)
        return World(self._tables())

    def _divide(self) -> list[Room]:
        """Return the rooms: a rectangle, split along longer sides until there are enough."""
        width, depth = self.rng.uniform(*self.family.size, 2)
        area = self.rng.uniform(*self.family.room_area)
        wanted = self.family.rooms or max(2, round(width * depth / area))
        rooms = [(np.zeros(2), np.array([width, depth]))]
        while len(rooms) < wanted:
            order = sorted(range(len(rooms)), key=lambda i: -np.prod(rooms[i][1] - rooms[i][0]))
            for i in order:
                low, high = rooms[i]
                axis = int(np.argmax(high - low))
                room_for = high[axis] - low[axis] - WALL - 2 * SMALLEST_ROOM
                if room_for > 0:
                    break
            else:
                break
            cut = low[axis] + SMALLEST_ROOM + room_for * self.rng.uniform(0.2, 0.8)
            first_high, second_low = high.copy(), low.copy()
            first_high[axis], second_low[axis] = cut, cut + WALL
            rooms[i : i + 1] = [(low, first_high), (second_low, high)]
        return [Room(low, high, self.rng.uniform(2.35, 3.1)) for low, high in rooms]

    def _join(self) -> list[Door]:
        """Return doors that connect all rooms, and some more, so that there are loops."""
        possible = []
        for a, first in enumerate(self.rooms):
            for b, second in enumerate(self.rooms):
                for axis in (0, 1):
                    other = 1 - axis
                    low = max(first.low[other], second.low[other])
                    high = min(first.high[other], second.high[other])
                    touching = abs(second.low[axis] - first.high[axis] - WALL) < 1e-6
                    if touching and high - low > 1.3:
                        possible.append((a, b, axis, low + 0.15, high - 0.15))
        group = list(range(len(self.rooms)))
        doors = []
        for k in self.rng.permutation(len(possible)):
            a, b, axis, low, high = possible[k]
            if group[a] == group[b] and self.rng.random() < 0.5:
                continue
            group = [group[a] if g == group[b] else g for g in group]
            width = min(self.rng.choice([0.95, 1.1, 1.8], p=[0.4, 0.4, 0.2]), high - low)
            start = self.rng.uniform(low, high - width)
            door = Door(
                a, b, axis, self.rooms[a].high[axis], self.rooms[b].low[axis],
                start, start + width, self.rng.uniform(2.0, 2.2),
            )  # fmt: skip
            doors.append(door)
            self.rooms[a].doors.append(door)
            self.rooms[b].doors.append(door)
        return doors

    # What stands in a room.

    def _furnish(self, room: Room) -> None:
        frame = self.palette.pick(self.rng, 'trim')
        for door in room.doors:
            self._frame_door(room, door, frame)
            low = np.array(door.low_corner)
            high = np.array(door.high_corner)
            low[door.axis] -= DOOR_DEPTH
            high[door.axis] += DOOR_DEPTH
            room.taken.append((-2, low, high))
        self._hang_lamp(room)
        size = room.high - room.low
        tries = round(2.2 * float(size.sum()))
        for _ in range(tries):
            self._place_at_wall(room, AT_WALL[int(self.rng.integers(len(AT_WALL)))])
        for _ in range(round(0.35 * float(size.prod()))):
            self._place_free(room, FREE_STANDING[int(self.rng.integers(len(FREE_STANDING)))])
        for wall in range(4):
            self._decorate(room, wall)
        if self.rng.random() < 0.6:
            self._lay_rug(room)

    def _frame_door(self, room: Room, door: Door, material: int) -> None:
        face = self._face_of(door, room)
        trim = 0.07
        top = door.height + trim
        # The opening itself is no wall, so one rectangle around it draws the frame.
        room.decals[face].append(_decal(door.low - trim, door.high + trim, 0.0, top, material))

    def _face_of(self, door: Door, room: Room) -> int:
        """Return the number of the face of a room that a door is in."""
        return 2 * door.axis + (1 if room is self.rooms[door.a] else 0)

    def _hang_lamp(self, room: Room) -> None:
        glowing, metal = self.palette.pick(self.rng, 'lamp'), self.palette.pick(self.rng, 'metal')
        x, y = room.low + (room.high - room.low) * self.rng.uniform(0.35, 0.65, 2)
        z = room.height - self.rng.choice([0.005, 0.25])
        wide = self.rng.uniform(0.12, 0.3)
        if self.rng.random() < 0.4:
            half = (2 * wide, 0.1, 0.025)
            lamp = Part(BOX, (x, y, z - 0.025), half, glowing, self.rng.choice([0.0, math.pi / 2]))
        else:
            lamp = post(x, y, wide, z - 0.055, z, glowing)
        room.pieces.append([lamp, post(x, y, 0.012, z, room.height, metal)])
        room.light = np.array([x, y, z - 0.1])

    def _is_free(self, room: Room, wall: int, low: Array, high: Array) -> bool:
        """Check that a rectangle is a passage away from all others; wall is -1 off walls."""
        for other_wall, other_low, other_high in room.taken:
            gap = np.maximum(low - other_high, other_low - high)
            needed = 0.0 if other_wall == -2 else PASSAGE
            if wall >= 0 and wall == other_wall:
                needed = 0.04
            if float(np.hypot(*np.maximum(gap, 0.0))) < needed or (gap < 0).all():
                return False
        return True

    def _place_at_wall(self, room: Room, make: Maker) -> None:
        piece = make(self.rng, self.palette)
        wall = int(self.rng.integers(4))
        axis = 0 if wall >= 2 else 1  # along the wall
        start, end = room.low[axis], room.high[axis]
        across = room.high[1 - axis] - room.low[1 - axis]
        if end - start < piece.width + 0.02 or across < piece.depth + 1.2:
            return
        along = self.rng.uniform(start + piece.width / 2 + 0.01, end - piece.width / 2 - 0.01)
        origin = _on_wall(room, wall, along, 0.003)
        yaw = WALL_YAW[wall]
        low, high = _footprint(piece, origin, yaw)
        if self._is_free(room, wall, low, high):
            room.taken.append((wall, low, high))
            room.pieces.append(_moved(piece.parts, origin, yaw))

    def _place_free(self, room: Room, make: Maker) -> None:
        piece = make(self.rng, self.palette)
        yaw = self.rng.uniform(-math.pi, math.pi)
        middle = self.rng.uniform(room.low, room.high)
        turned = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
        origin = middle - turned @ np.array([0.0, piece.depth / 2])
        low, high = _footprint(piece, origin, yaw)
        inside = (low - room.low > PASSAGE).all() and (room.high - high > PASSAGE).all()
        if inside and self._is_free(room, -1, low, high):
            room.taken.append((-1, low, high))
            room.pieces.append(_moved(piece.parts, origin, yaw))

    def _decorate(self, room: Room, wall: int) -> None:
        """Hang pictures and some windows on the free stretches of a wall."""
        axis = 0 if wall >= 2 else 1
        low, high = room.low[axis] + 0.1, room.high[axis] - 0.1
        hung: list[tuple[float, float]] = [
            (door.low - 0.1, door.high + 0.1) for door in room.doors
            if self._face_of(door, room) == wall
        ]  # fmt: skip
        for _ in range(round(1.6 * (high - low))):
            window = self.rng.random() < 0.12
            w = self.rng.uniform(0.9, 1.5) if window else self.rng.uniform(0.25, 0.9)
            h = self.rng.uniform(0.9, 1.2) if window else w * self.rng.uniform(0.6, 1.6)
            h = min(h, room.height - 1.1)
            if high - low <= w:
                continue
            along = self.rng.uniform(low + w / 2, high - w / 2)
            if any(along - w / 2 < b and along + w / 2 > a for a, b in hung):
                continue
            hung.append((along - w / 2 - 0.08, along + w / 2 + 0.08))
            z = self.rng.uniform(
                0.95 + h / 2, max(0.96 + h / 2, min(2.1, room.height - h / 2 - 0.1))
            )
            z = min(z, room.height - h / 2 - 0.05)
            material = self.palette.pick(self.rng, 'window' if window else 'poster')
            frame = self.palette.pick(self.rng, 'trim')
            a, b, bottom, top = along - w / 2, along + w / 2, z - h / 2, z + h / 2
            room.decals[wall].append(_decal(a, b, bottom, top, material))
            rim = 0.03
            room.decals[wall].append(_decal(a - rim, b + rim, bottom - rim, top + rim, frame))

    def _lay_rug(self, room: Room) -> None:
        """Lay a rug with a border on the floor."""
        size = (room.high - room.low) * self.rng.uniform(0.3, 0.6, 2)
        low = self.rng.uniform(room.low + 0.3, room.high - 0.3 - size)
        high = low + size
        border = self.rng.uniform(0.05, 0.2)
        cloth = self.palette.pick(self.rng, self.rng.choice(['fabric', 'fabric', 'poster']))
        edge = self.palette.pick(self.rng, 'fabric')
        for gap, material in ((border, cloth), (0.0, edge)):
            a, b = low + gap, high - gap
            room.decals[4].append(_decal(a[0], b[0], a[1], b[1], material))

    # The tables.

    def _tables(self) -> Tables:
        cells: list[np.record] = []
        portals: list[np.record] = []
        groups: list[np.record] = []
        parts: list[np.record] = []
        decals: list[np.record] = []
        for room in self.rooms:
            cell = record(CELL, low=(*room.low, 0.0), high=(*room.high, room.height))
            cell.groups = len(groups), len(groups) + len(room.pieces)
            for piece in room.pieces:
                groups.append(_group(piece, len(parts)))
                parts.extend(_row(part, self.rng) for part in piece)
            cell.portals = len(portals), len(portals) + len(room.doors)
            portals.extend(self._portal(door, self._face_of(door, room)) for door in room.doors)
            cell.decals = len(decals) + np.cumsum([0, *map(len, room.decals)])
            decals.extend(itertools.chain(*room.decals))
            self._finish_room(cell, room)
            cells.append(cell)
        for door in self.doors:
            cells.append(self._doorway(door, cells, portals))
        return Tables(
            cells=records(CELL, cells),
            portals=records(PORTAL, portals),
            decals=records(DECAL, decals),
            groups=records(GROUP, groups),
            parts=records(PART, parts),
            materials=records(MATERIAL, self.palette.materials),
            images=np.stack(self.palette.images),
        )

    def _finish_room(self, cell: np.record, room: Room) -> None:
        """Draw the materials and the light of a room."""
        wall = self.palette.pick(self.rng, 'wall')
        walls = [wall] * 4
        if self.rng.random() < 0.6:  # one wall that differs
            walls[int(self.rng.integers(4))] = self.palette.pick(self.rng, 'wall')
        floor, ceiling = (
            self.palette.pick(self.rng, 'floor'),
            self.palette.pick(self.rng, 'ceiling'),
        )
        cell.materials = [*walls, floor, ceiling]
        spread = self.family.light
        strength = math.exp(self.rng.normal(0.0, spread))
        tint = np.exp(self.rng.normal(0.0, 0.3 * spread, 3)) * [1.04, 1.0, 0.94]
        shared = self.rng.uniform(0.35, 0.6)
        cell.light = room.light
        cell.light_color = 2.6 * (1 - shared) * strength * tint
        cell.ambient = 1.15 * shared * strength * tint
        cell.skirting = self.rng.choice([0.0, 0.06, 0.1])

    def _portal(self, door: Door, face: int) -> np.record:
        """Return the opening to a doorway in a face of a room."""
        return record(
            PORTAL,
            face=face,
            low=door.low,
            high=door.high,
            top=door.height,
            cell=len(self.rooms) + self.doors.index(door),
        )

    def _doorway(self, door: Door, rooms: list[np.record], portals: list[np.record]) -> np.record:
        """Return the cell of a doorway, in the thickness of a wall; append its two portals."""
        a, b = rooms[door.a], rooms[door.b]
        cell = record(CELL, low=(*door.low_corner, 0.0), high=(*door.high_corner, door.height))
        cell.portals = len(portals), len(portals) + 2
        for face, room in ((2 * door.axis, door.a), (2 * door.axis + 1, door.b)):
            portal = self._portal(door, face)
            portal.cell = room
            portals.append(portal)
        trim = self.palette.by_role['trim'][0]
        cell.materials = [trim, trim, trim, trim, a.materials[4], trim]
        cell.light = 0.5 * (cell.low + cell.high)
        cell.ambient = 0.8 * (a.ambient + b.ambient)
        return cell


# A piece's y axis points out of the wall; walls are -x, +x, -y, +y.
WALL_YAW = (-math.pi / 2, math.pi / 2, 0.0, math.pi)


def _on_wall(room: Room, wall: int, along: float, gap: float) -> Array:
    """Return the point (x, y) of the floor along a wall, a gap away from it."""
    axis = wall // 2
    across = room.low[axis] + gap if wall % 2 == 0 else room.high[axis] - gap
    return np.array([across, along] if axis == 0 else [along, across])


def _footprint(piece: Piece, origin: Array, yaw: float) -> tuple[Array, Array]:
    """Return the low and high corner (x, y) of the bounding box of a placed piece."""
    x, y = 0.5 * piece.width, piece.depth
    corners = np.array([[-x, 0.0], [x, 0.0], [x, y], [-x, y]])
    turned = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    placed = corners @ turned.T + origin
    return placed.min(axis=0), placed.max(axis=0)


def _moved(parts: list[Part], origin: Array, yaw: float) -> list[Part]:
    """Return parts turned about z and moved to an origin on the floor."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    moved = []
    for part in parts:
        x, y, z = part.center
        center = (cos * x - sin * y + origin[0], sin * x + cos * y + origin[1], z)
        moved.append(Part(part.kind, center, part.half, part.material, part.yaw + yaw))
    return moved


def _group(parts: list[Part], first: int) -> np.record:
    """Return the group of the parts of a piece, with its bounding box."""
    lows, highs = [], []
    for part in parts:
        half = np.array(part.half)
        if part.kind == BOX:
            cos, sin = abs(math.cos(part.yaw)), abs(math.sin(part.yaw))
            half = np.array(
                [cos * half[0] + sin * half[1], sin * half[0] + cos * half[1], half[2]]
            )
        lows.append(np.array(part.center) - half)
        highs.append(np.array(part.center) + half)
    return record(
        GROUP,
        low=np.min(lows, axis=0) - 1e-4,
        high=np.max(highs, axis=0) + 1e-4,
        parts=(first, first + len(parts)),
    )


def _decal(low: float, high: float, bottom: float, top: float, material: int) -> np.record:
    return record(DECAL, low=low, high=high, bottom=bottom, top=top, material=material)


def _row(part: Part, rng: np.random.Generator) -> np.record:
    row = record(PART, kind=part.kind, center=part.center, half=part.half, material=part.material)
    quarters = part.yaw / (math.pi / 2)
    if abs(quarters - round(quarters)) < 1e-6:
        # A box turned by a right angle is a box that is not turned, and cheaper to meet.
        x, y, z = part.half
        row.half = (y, x, z) if round(quarters) % 2 else part.half
        row.cos = 1.0
    else:
        row.cos, row.sin = math.cos(part.yaw), math.sin(part.yaw)
    row.offset = rng.uniform(0.0, 50.0)
    return row
