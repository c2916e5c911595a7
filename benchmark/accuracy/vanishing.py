# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Drives during which a thing of the size of a person vanishes from in front of the robot."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np

from benchmark.accuracy.drives import (
    cached,
    CAMERA_HEIGHT,
    Drive,
    filmed,
    Front,
    IMAGE_RATE,
    SECONDS,
    WHEELS_PER_IMAGE,
)
from benchmark.accuracy.sequences import FIRST_SEED
from benchmark.accuracy.slam import CACHE
from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, rotation_angle
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import body_T_camera, CameraPath, robot_path
from ttt3r_ros.simulation.tables import CYLINDER, GROUP, PART, record, Records
from ttt3r_ros.simulation.world import World

BEFORE, AFTER = 30, 20  # images with the thing and without it
RADIUS, TOP = 0.25, 1.7  # metres
AHEAD = 2.2  # metres before the camera when it vanishes
ROOM = 0.15  # metres between it and other things, at least
LEAST_WAY, MOST_TURN = 0.8, np.radians(25.0)  # of the drive: a robot that stands maps nothing


@dataclass(frozen=True, eq=False)
class Vanishing:
    """
    A drive and what vanished.

    world: without the thing. thing: (3,) its middle, metres.
    """

    drive: Drive
    world: World
    thing: Array


def vanishing(front: Front, family: str, number: int) -> Vanishing:
    """
    Return a drive in which a thing vanishes, filmed unless it was before.

    :param family: of the world.
    :param number: of the drive.
    """
    seed = FIRST_SEED + number
    world = build_world(family, seed)
    rate = IMAGE_RATE * WHEELS_PER_IMAGE
    whole = robot_path(world, seed, SECONDS, rate, camera_height=CAMERA_HEIGHT, tilt=0.0)
    first, thing = _stretch(world, whole.world_T_camera[::WHEELS_PER_IMAGE])
    with_thing = with_cylinder(world, thing)

    def sequence() -> Drive:
        parts = [
            filmed(front, one, _cut(whole, begin, end), body_T_camera(CAMERA_HEIGHT))
            for one, begin, end in (
                (with_thing, first, first + BEFORE),
                (world, first + BEFORE, first + BEFORE + AFTER),
            )
        ]
        return _joined(*parts)

    return Vanishing(cached(front, CACHE, f'{family}_ghost_{number}', sequence), world, thing)


def _stretch(world: World, world_T_camera: Array) -> tuple[int, Array]:
    """Return the first image of a part of a drive, and where there is room before the robot."""
    for first in range(0, len(world_T_camera) - BEFORE - AFTER, 5):
        last = world_T_camera[first + BEFORE + AFTER - 1]
        middle, begin = world_T_camera[first + BEFORE], world_T_camera[first]
        thing = middle[:3, 3] + AHEAD * middle[:3, 2]
        thing[2] = 0.5 * TOP
        heights = np.linspace(0.1, TOP, 9)
        places = np.column_stack([np.tile(thing[:2], (9, 1)), heights])
        way = np.linalg.norm(last[:3, 3] - begin[:3, 3])
        turns = rotation_angle((invert(middle) @ np.stack([begin, last]))[:, :3, :3])
        clear = world.clearance(places, floor=False).min()
        beside = np.linalg.norm(world_T_camera[first:, :2, 3] - thing[:2], axis=1)
        if (
            way > LEAST_WAY
            and turns.max() < MOST_TURN
            and clear > RADIUS + ROOM
            and beside[: BEFORE + AFTER].min() > 2 * RADIUS
        ):
            return first, thing
    raise ValueError('the drive has no straight part with room before the robot')


def with_cylinder(world: World, middle: Array) -> World:
    """
    Return a world with one thing more, as large as a person.

    :param middle: (3,) metres, in a room.
    """
    tables, cell = world.tables, int(world.cells_at(middle[None])[0])
    half = np.array([RADIUS, RADIUS, 0.5 * TOP])
    part = record(
        PART,
        kind=CYLINDER,
        center=middle,
        half=half,
        cos=1.0,
        material=tables.parts[0].material,
    )
    count = len(tables.parts)
    group = record(GROUP, low=middle - half, high=middle + half, parts=(count, count + 1))
    cells, at = tables.cells.copy(), int(tables.cells[cell].groups[1])
    ranges = np.array(cells.groups)
    ranges[ranges >= at] += 1
    ranges[cell, 0] = tables.cells[cell].groups[0]
    ranges[cell, 1] = at + 1
    cells.groups[:] = ranges
    changed = tables._replace(
        cells=cells,
        groups=cast(Records, np.insert(tables.groups, at, group).view(np.recarray)),
        parts=cast(Records, np.append(tables.parts, part).view(np.recarray)),
    )
    return World(changed)


def _cut(path: CameraPath, begin: int, end: int) -> CameraPath:
    part = slice(WHEELS_PER_IMAGE * begin, WHEELS_PER_IMAGE * end)
    return replace(path, stamps_ns=path.stamps_ns[part], world_T_camera=path.world_T_camera[part])


def _joined(first: Drive, second: Drive) -> Drive:
    """Return one drive after the other; camera and mount are the same."""
    both: dict[str, Any] = {
        field.name: np.concatenate([getattr(first, field.name), getattr(second, field.name)])
        for field in fields(Drive)
        if field.name not in ('camera', 'base_T_camera')
    }
    return replace(first, **both)
