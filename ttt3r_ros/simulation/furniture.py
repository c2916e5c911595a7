# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Pieces of furniture as lists of solid parts.

A piece has its own axes: x along its width, y out of the wall it leans on (its back is y = 0),
z up from the floor. So it fills x in [-width / 2, width / 2] and y in [0, depth].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

import numpy as np

from ttt3r_ros.simulation.materials import Palette
from ttt3r_ros.simulation.tables import BOX, CYLINDER, SPHERE


@dataclass(frozen=True)
class Part:
    """One solid. center and half: x, y, z metres; half as `tables.PART`; yaw: radians."""

    kind: int
    center: tuple[float, float, float]
    half: tuple[float, float, float]
    material: int
    yaw: float = 0.0


@dataclass(frozen=True)
class Piece:
    """A piece of furniture and the rectangle of floor it takes, metres."""

    width: float
    depth: float
    parts: list[Part]


Maker = Callable[[np.random.Generator, Palette], Piece]


def block(
    low: tuple[float, float, float], high: tuple[float, float, float], material: int
) -> Part:
    """
    Make a box from two opposite corners.

    :param low: x, y, z, metres.
    :param high: x, y, z, metres.
    :param material: row of the palette.
    """
    center = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2)
    half = ((high[0] - low[0]) / 2, (high[1] - low[1]) / 2, (high[2] - low[2]) / 2)
    return Part(BOX, center, half, material)


def post(x: float, y: float, radius: float, low: float, high: float, material: int) -> Part:
    """Make an upright cylinder between two heights."""
    return Part(CYLINDER, (x, y, (low + high) / 2), (radius, radius, (high - low) / 2), material)


def ball(x: float, y: float, z: float, radius: float, material: int) -> Part:
    """Make a sphere."""
    return Part(SPHERE, (x, y, z), (radius, radius, radius), material)


def cupboard(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make a cupboard with two doors of another material."""
    w, d, h = rng.uniform(0.6, 1.4), rng.uniform(0.35, 0.6), rng.uniform(0.7, 2.1)
    body, door = palette.pick(rng, 'wood'), palette.pick(rng, rng.choice(['wood', 'paint']))
    knob = palette.pick(rng, 'metal')
    front = d - 0.025
    parts = [block((-w / 2, 0, 0), (w / 2, front, h), body)]
    for side in (-1, 1):
        inner, outer = side * 0.01, side * (w / 2 - 0.03)
        low, high = min(inner, outer), max(inner, outer)
        parts.append(block((low, front, 0.08), (high, front + 0.02, h - 0.04), door))
        parts.append(ball(side * 0.05, front + 0.022, 0.5 * h, 0.018, knob))
    return Piece(w, d, parts)


def bookshelf(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make an open shelf with rows of books."""
    w, d = rng.uniform(0.7, 1.3), rng.uniform(0.28, 0.36)
    shelves = int(rng.integers(2, 6))
    step = rng.uniform(0.32, 0.4)
    h = shelves * step + 0.06
    wood = palette.pick(rng, 'wood')
    parts = [
        block((-w / 2, 0, 0), (-w / 2 + 0.03, d, h), wood),
        block((w / 2 - 0.03, 0, 0), (w / 2, d, h), wood),
        block((-w / 2 + 0.03, 0, 0), (w / 2 - 0.03, 0.02, h), wood),
    ]
    for shelf in range(shelves + 1):
        z = shelf * step
        parts.append(block((-w / 2 + 0.03, 0.02, z), (w / 2 - 0.03, d, z + 0.03), wood))
        if shelf == shelves:
            break
        length = rng.uniform(0.3, 1.0) * (w - 0.1)
        start = -w / 2 + 0.04 + rng.uniform(0, w - 0.08 - length)
        top = z + 0.03 + rng.uniform(0.2, 0.27)
        books = palette.pick(rng, 'books')
        parts.append(block((start, 0.03, z + 0.03), (start + length, d - 0.06, top), books))
    return Piece(w, d, parts)


def _clutter(
    rng: np.random.Generator, palette: Palette, w: float, d: float, z: float, y: float
) -> list[Part]:
    """Return up to four small things on a table top of w by d whose middle is (0, y)."""
    parts: list[Part] = []
    spots = rng.permutation([-0.36, -0.12, 0.12, 0.36])[: rng.integers(1, 5)]
    for spot in spots:
        x, back = spot * w, y + rng.uniform(-0.25, 0.25) * d
        material = palette.pick(rng, rng.choice(['paint', 'metal', 'fabric', 'poster']))
        size = rng.uniform(0.06, 0.13)
        kind = rng.integers(4)
        if kind == 0:
            parts.append(ball(x, back, z + size, size, material))
        elif kind == 1:
            parts.append(post(x, back, 0.6 * size, z, z + rng.uniform(0.1, 0.3), material))
        elif kind == 2:
            half = (size, 0.7 * size, 0.5 * size)
            yaw = rng.uniform(0, math.pi)
            parts.append(Part(BOX, (x, back, z + 0.5 * size), half, material, yaw))
        else:  # a screen on a foot
            foot, screen = palette.pick(rng, 'metal'), palette.pick(rng, 'poster')
            yaw = rng.uniform(-0.4, 0.4)
            parts.append(post(x, back, 0.05, z, z + 0.12, foot))
            parts.append(Part(BOX, (x, back, z + 0.25), (0.2, 0.015, 0.13), screen, yaw))
    return parts


def table(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make a table with four legs and things on it."""
    w, d, h = rng.uniform(0.8, 1.7), rng.uniform(0.5, 0.9), rng.uniform(0.45, 0.8)
    top, leg = palette.pick(rng, 'wood'), palette.pick(rng, rng.choice(['wood', 'metal']))
    parts = [block((-w / 2, 0, h - 0.04), (w / 2, d, h), top)]
    for x in (-w / 2 + 0.06, w / 2 - 0.06):
        for y in (0.06, d - 0.06):
            parts.append(block((x - 0.03, y - 0.03, 0), (x + 0.03, y + 0.03, h - 0.04), leg))
    return Piece(w, d, parts + _clutter(rng, palette, w, d, h, d / 2))


def round_table(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make a round table on one leg."""
    radius, h = rng.uniform(0.35, 0.65), rng.uniform(0.5, 0.8)
    top, leg = palette.pick(rng, 'wood'), palette.pick(rng, 'metal')
    parts = [
        post(0, radius, radius, h - 0.04, h, top),
        post(0, radius, 0.05, 0.03, h - 0.04, leg),
        post(0, radius, 0.6 * radius, 0, 0.03, leg),
    ]
    return Piece(2 * radius, 2 * radius, parts + _clutter(rng, palette, radius, radius, h, radius))


def chair(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make a chair: seat, back and four legs."""
    w, seat, h = rng.uniform(0.4, 0.5), rng.uniform(0.4, 0.5), rng.uniform(0.8, 1.05)
    cloth, leg = palette.pick(rng, 'fabric'), palette.pick(rng, 'metal')
    parts = [
        block((-w / 2, 0, seat - 0.06), (w / 2, w, seat), cloth),
        block((-w / 2, 0, seat), (w / 2, 0.05, h), cloth),
    ]
    for x in (-w / 2 + 0.03, w / 2 - 0.03):
        for y in (0.03, w - 0.03):
            parts.append(post(x, y, 0.02, 0, seat - 0.06, leg))
    return Piece(w, w, parts)


def sofa(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make a sofa with cushions."""
    w, d = rng.uniform(1.2, 2.2), rng.uniform(0.75, 0.95)
    cloth, cushion = palette.pick(rng, 'fabric'), palette.pick(rng, 'fabric')
    parts = [
        block((-w / 2, 0, 0.05), (w / 2, d, 0.4), cloth),
        block((-w / 2, 0, 0.4), (w / 2, 0.22, rng.uniform(0.75, 0.95)), cloth),
        block((-w / 2, 0.22, 0.4), (-w / 2 + 0.2, d, 0.6), cloth),
        block((w / 2 - 0.2, 0.22, 0.4), (w / 2, d, 0.6), cloth),
    ]
    for x in (-0.25 * w, 0.2 * w):
        yaw = rng.uniform(-0.3, 0.3)
        parts.append(Part(BOX, (x, 0.33, 0.55), (0.2, 0.07, 0.15), cushion, yaw))
    return Piece(w, d, parts)


def bed(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make a bed whose head is at the wall."""
    w, d = rng.uniform(0.9, 1.6), rng.uniform(1.9, 2.1)
    wood, sheet = palette.pick(rng, 'wood'), palette.pick(rng, 'fabric')
    cover, pillow = palette.pick(rng, 'fabric'), palette.pick(rng, 'paint')
    return Piece(w, d, [
        block((-w / 2, 0, 0), (w / 2, d, 0.28), wood),
        block((-w / 2, 0, 0.28), (w / 2, 0.06, rng.uniform(0.7, 1.1)), wood),
        block((-w / 2 + 0.03, 0.06, 0.28), (w / 2 - 0.03, d - 0.03, 0.46), sheet),
        block((-w / 2 + 0.02, 0.7, 0.3), (w / 2 - 0.02, d - 0.02, 0.5), cover),
        block((-0.3 * w, 0.12, 0.46), (0.3 * w, 0.5, 0.58), pillow),
    ])  # fmt: skip


def plant(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make a plant in a pot."""
    radius, h = rng.uniform(0.14, 0.22), rng.uniform(0.25, 0.45)
    pot, leaves = palette.pick(rng, 'paint'), palette.pick(rng, 'leaves')
    middle = 0.3
    parts = [
        post(0, middle, radius, 0, h, pot),
        post(0, middle, 0.025, h, h + 0.5, palette.pick(rng, 'wood')),
    ]
    for _ in range(rng.integers(3, 7)):
        size = rng.uniform(0.09, 0.17)
        x, y = rng.uniform(-0.12, 0.12, 2)
        parts.append(ball(x, middle + y, h + rng.uniform(0.15, 0.75), size, leaves))
    return Piece(0.6, 0.6, parts)


def floor_lamp(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make a lamp on a thin pole."""
    h, pole = rng.uniform(1.2, 1.8), palette.pick(rng, 'metal')
    return Piece(0.4, 0.4, [
        post(0, 0.2, 0.14, 0, 0.03, pole),
        post(0, 0.2, 0.015, 0.03, h - 0.15, pole),
        ball(0, 0.2, h, rng.uniform(0.1, 0.17), palette.pick(rng, 'lamp')),
    ])  # fmt: skip


def crates(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make a pile of boxes, each turned at random."""
    size = rng.uniform(0.35, 0.6)
    reach = size * 1.35
    parts, z = [], 0.0
    for _ in range(rng.integers(1, 4)):
        half = size * rng.uniform(0.3, 0.5)
        high = rng.uniform(0.2, 0.5)
        role = rng.choice(['paint', 'wood', 'poster', 'metal'])
        yaw = rng.uniform(0, math.pi)
        parts.append(
            Part(BOX, (0, reach / 2, z + high / 2), (half, 0.8 * half, high / 2),
                 palette.pick(rng, role), yaw)
        )  # fmt: skip
        z += high
    return Piece(reach, reach, parts)


def column(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make a round column, low or almost as high as a room."""
    radius = rng.uniform(0.12, 0.28)
    h = rng.choice([rng.uniform(0.4, 1.3), 2.3])
    cloth = palette.pick(rng, rng.choice(['paint', 'wall', 'fabric']))
    parts = [post(0, radius, radius, 0, h, cloth)]
    if h < 1.5:
        parts.append(ball(0, radius, h + 0.15, 0.15, palette.pick(rng, 'paint')))
    return Piece(2 * radius, 2 * radius, parts)


def ball_pile(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make balls that lie on the floor."""
    parts = []
    for x in (-0.25, 0.0, 0.25)[: rng.integers(1, 4)]:
        radius = rng.uniform(0.08, 0.17)
        y = 0.3 + rng.uniform(-0.1, 0.1)
        role = rng.choice(['paint', 'fabric', 'leaves'])
        parts.append(ball(x, y, radius, radius, palette.pick(rng, role)))
    return Piece(0.8, 0.6, parts)


def partition(rng: np.random.Generator, palette: Palette) -> Piece:
    """Make a thin panel with a picture, on two feet."""
    w, h = rng.uniform(0.8, 1.6), rng.uniform(1.2, 1.9)
    panel, foot = (
        palette.pick(rng, rng.choice(['poster', 'paint', 'wall'])),
        palette.pick(rng, 'metal'),
    )
    parts = [block((-w / 2, 0.15, 0.12), (w / 2, 0.18, h), panel)]
    for x in (-0.4 * w, 0.4 * w):
        parts.append(block((x - 0.02, 0.0, 0), (x + 0.02, 0.33, 0.04), foot))
        parts.append(block((x - 0.02, 0.14, 0.04), (x + 0.02, 0.15, h), foot))
    return Piece(w, 0.33, parts)


AT_WALL: tuple[Maker, ...] = (
    cupboard, cupboard, bookshelf, bookshelf, table, sofa, bed, plant, floor_lamp, crates, chair,
    column,
)  # fmt: skip
FREE_STANDING: tuple[Maker, ...] = (
    table, round_table, chair, crates, column, ball_pile, partition, plant,
)  # fmt: skip
