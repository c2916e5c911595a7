# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Random materials by the role they play in a building, and pictures for its walls."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field

import cv2
import numpy as np

from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.simulation.tables import (
    BLOTCHES,
    BOOKS,
    BRICKS,
    DOTS,
    IMAGE,
    MATERIAL,
    PLAIN,
    PLANKS,
    record,
    STRIPES,
    TILES,
    WEAVE,
)

IMAGE_SIZE = 96
IMAGES = 24
LETTERS = 'ABCDEFGHJKLMNPRSTUVWXYZ0123456789'

# Pattern: metres of one repetition along u (least, most), and its height as a share of that.
PATTERN_SIZES = {
    PLAIN: (1.0, 1.0, 1.0, 1.0),
    BRICKS: (0.2, 0.5, 0.28, 0.5),
    PLANKS: (0.9, 2.0, 0.08, 0.14),
    TILES: (0.15, 0.6, 0.7, 1.0),
    STRIPES: (0.08, 0.45, 1.0, 1.0),
    BLOTCHES: (0.2, 1.0, 0.5, 1.5),
    BOOKS: (0.06, 0.12, 2.6, 4.0),
    DOTS: (0.12, 0.35, 0.8, 1.2),
    WEAVE: (0.06, 0.3, 0.7, 1.4),
}

# Role: how many, patterns, hue (from, to), saturation, value, noise, gloss.
ROLES = {
    'floor': (8, (PLANKS, PLANKS, TILES, TILES, WEAVE, BLOTCHES),
              (0.03, 0.14), (0.1, 0.6), (0.35, 0.75), (0.1, 0.35), (0.0, 0.25)),
    'wall': (10, (PLAIN, PLAIN, STRIPES, BRICKS, BRICKS, DOTS, PLANKS, BLOTCHES),
             (0.0, 1.0), (0.05, 0.45), (0.6, 0.95), (0.12, 0.35), (0.0, 0.03)),
    'ceiling': (5, (PLAIN, PLAIN, TILES, PLANKS),
                (0.05, 0.15), (0.0, 0.12), (0.8, 0.95), (0.05, 0.2), (0.0, 0.0)),
    'wood': (8, (PLANKS, BLOTCHES, PLAIN),
             (0.03, 0.12), (0.25, 0.7), (0.35, 0.85), (0.15, 0.4), (0.05, 0.3)),
    'paint': (10, (PLAIN, BLOTCHES, STRIPES, TILES, DOTS),
              (0.0, 1.0), (0.15, 0.85), (0.35, 0.95), (0.08, 0.35), (0.0, 0.5)),
    'fabric': (8, (WEAVE, STRIPES, DOTS, BLOTCHES),
               (0.0, 1.0), (0.2, 0.8), (0.3, 0.9), (0.15, 0.4), (0.0, 0.0)),
    'metal': (4, (PLAIN, BLOTCHES),
              (0.5, 0.65), (0.0, 0.15), (0.3, 0.8), (0.05, 0.2), (0.4, 0.8)),
    'books': (4, (BOOKS,), (0.0, 1.0), (0.4, 0.9), (0.4, 0.9), (0.05, 0.1), (0.0, 0.1)),
    'leaves': (3, (BLOTCHES, DOTS),
               (0.22, 0.38), (0.4, 0.8), (0.25, 0.6), (0.4, 0.7), (0.0, 0.1)),
    'trim': (4, (PLAIN,), (0.0, 1.0), (0.0, 0.4), (0.25, 0.95), (0.05, 0.15), (0.0, 0.2)),
    'lamp': (1, (PLAIN,), (0.1, 0.15), (0.05, 0.1), (0.95, 1.0), (0.0, 0.0), (0.0, 0.0)),
}  # fmt: skip


@dataclass
class Palette:
    """
    Materials to choose from.

    materials: rows for `World.materials`. images: (K, S, S, 3) uint8. by_role: rows of each role.
    """

    materials: list[np.record] = field(default_factory=list)
    images: list[Pixels] = field(default_factory=list)
    by_role: dict[str, list[int]] = field(default_factory=dict)

    def add(self, role: str, material: np.record) -> None:
        """Add a material to a role."""
        self.by_role.setdefault(role, []).append(len(self.materials))
        self.materials.append(material)

    def pick(self, rng: np.random.Generator, role: str) -> int:
        """Return the row of a random material of a role."""
        rows = self.by_role[role]
        return rows[int(rng.integers(len(rows)))]


def random_palette(rng: np.random.Generator, freedom: float) -> Palette:
    """
    Draw a palette.

    :param freedom: probability that a material has any colour and size, instead of plausible
        ones for its role.
    """
    palette = Palette()
    for role, (count, patterns, hue, saturation, value, noise, gloss) in ROLES.items():
        for _ in range(count):
            free = role != 'lamp' and rng.random() < freedom
            material = _random_material(
                rng,
                int(rng.choice(patterns)),
                (0.0, 1.0) if free else hue,
                (0.0, 0.9) if free else saturation,
                (0.3, 0.95) if free else value,
            )
            material.noise = rng.uniform(*noise) * (1.0 + free)
            material.gloss = rng.uniform(*gloss)
            if free:
                growth = np.exp(rng.normal(0.0, 0.5))
                material.period_u *= growth
                material.period_v *= growth
            if role == 'lamp':
                material.glow = 2.5
            palette.add(role, material)
    for number in range(IMAGES):
        window = number < 4
        palette.images.append(_window(rng) if window else _poster(rng))
        material = _image_material(number, glow=0.8 if window else 0.0)
        palette.add('window' if window else 'poster', material)
    return palette


def _image_material(image: int, glow: float) -> np.record:
    """Return the material that shows an image of the palette."""
    return record(
        MATERIAL,
        kind=IMAGE,
        colors=[[0.95] * 3, [0.0] * 3, [0.0] * 3],
        period_u=1.0,
        period_v=1.0,
        grain=1.0,
        gloss=0.1,
        glow=glow,
        image=image,
    )


def _color(
    rng: np.random.Generator,
    hue: tuple[float, float],
    saturation: tuple[float, float],
    value: tuple[float, float],
) -> Array:
    """Draw a colour with gamma (not linear): (3,), 0 to 1."""
    return np.array(
        colorsys.hsv_to_rgb(rng.uniform(*hue), rng.uniform(*saturation), rng.uniform(*value))
    )


def _random_material(
    rng: np.random.Generator,
    kind: int,
    hue: tuple[float, float],
    saturation: tuple[float, float],
    value: tuple[float, float],
) -> np.record:
    """Draw a material: three related colours, a size and a seed of a pattern."""
    first, other = (_color(rng, hue, saturation, value) for _ in range(2))
    second = other if kind in (BOOKS, WEAVE) else first + 0.6 * (other - first)
    third = _color(rng, hue, saturation, value)
    if kind == BRICKS:
        second = np.full(3, rng.uniform(0.45, 0.85))  # mortar
        third = np.clip(first * rng.uniform(0.6, 1.2), 0.0, 1.0)
    elif kind in (PLANKS, TILES):
        gap = first * rng.uniform(0.3, 0.6)
        if kind == PLANKS:
            second, third = gap, np.clip(first * rng.uniform(0.7, 1.2), 0.0, 1.0)
        else:
            third = gap
    elif kind == PLAIN:
        second = third = first
    least, most, flattest, tallest = PATTERN_SIZES[kind]
    material = record(MATERIAL, kind=kind, colors=np.stack([first, second, third]) ** 2)  # gamma 2
    material.period_u = rng.uniform(least, most)
    material.period_v = material.period_u * rng.uniform(flattest, tallest)
    material.grain = rng.uniform(0.25, 1.0)
    material.seed = rng.integers(1, 4000)
    return material


def _vivid(rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw a strong colour, 0 to 255."""
    red, green, blue = 255.0 * _color(rng, (0.0, 1.0), (0.2, 1.0), (0.15, 1.0))
    return float(red), float(green), float(blue)


def _poster(rng: np.random.Generator) -> Pixels:
    """Draw a poster: a ground, then shapes, a landscape or a table, and often letters."""
    size = IMAGE_SIZE
    image = np.empty((size, size, 3), dtype=np.uint8)
    top, bottom = np.array(_vivid(rng)), np.array(_vivid(rng))
    blend = np.linspace(0.0, 1.0, size)[:, None, None] * (rng.random() < 0.5)
    image[:] = top * (1 - blend) + bottom * blend
    motif = rng.integers(4)
    if motif == 0:
        for _ in range(rng.integers(4, 12)):
            center = tuple(int(c) for c in rng.integers(0, size, 2))
            cv2.circle(image, center, int(rng.integers(4, 28)), _vivid(rng), -1, cv2.LINE_AA)
    elif motif == 1:
        for _ in range(rng.integers(4, 10)):
            corners = rng.integers(-10, size + 10, (rng.integers(3, 6), 2)).astype(np.int32)
            cv2.fillPoly(image, [corners], _vivid(rng), cv2.LINE_AA)
    elif motif == 2:
        columns = np.arange(size)
        for layer in range(4):
            wave = np.sin(columns * rng.uniform(0.03, 0.15) + rng.uniform(0, 6))
            ridge = 30 + 15 * layer + 9 * wave
            image[np.arange(size)[:, None] > ridge[None, :]] = _vivid(rng)
    else:
        cells = int(rng.integers(5, 13))
        grid = np.array([_vivid(rng), _vivid(rng), _vivid(rng)])[
            rng.integers(0, 3, (cells, cells))
        ]
        image[:] = cv2.resize(grid.astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST)
    for line in range(rng.integers(0, 5)):
        text = ''.join(rng.choice(list(LETTERS), rng.integers(3, 9)))
        place = (int(rng.integers(2, 20)), int(18 + 19 * line + rng.integers(-3, 4)))
        scale, weight = float(rng.uniform(0.4, 0.9)), int(rng.integers(1, 4))
        cv2.putText(
            image, text, place, int(rng.integers(0, 5)), scale, _vivid(rng), weight, cv2.LINE_AA
        )
    edge = int(rng.integers(0, 5))
    if edge:
        cv2.rectangle(image, (0, 0), (size - 1, size - 1), _vivid(rng), edge)
    return image


def _window(rng: np.random.Generator) -> Pixels:
    """Draw the view through a window: sky, hills or houses, and the bars."""
    size = IMAGE_SIZE
    height = np.linspace(0.0, 1.0, size)[:, None, None]
    image = np.empty((size, size, 3), dtype=np.uint8)
    image[:] = np.array([120.0, 170.0, 235.0]) * (1 - height) + 235.0 * height
    for _ in range(rng.integers(2, 6)):
        center = (int(rng.integers(0, size)), int(rng.integers(5, 40)))
        axes = (int(rng.integers(8, 25)), int(rng.integers(2, 7)))
        cv2.ellipse(image, center, axes, 0, 0, 360, (245, 245, 250), -1, cv2.LINE_AA)
    for _ in range(rng.integers(3, 8)):
        left, top = int(rng.integers(-10, size)), int(rng.integers(40, 80))
        right = left + int(rng.integers(10, 35))
        wall = tuple(0.6 * c + 60 for c in _vivid(rng))
        cv2.rectangle(image, (left, top), (right, size), wall, -1)
        for x in range(left + 3, right - 3, 7):
            for y in range(top + 4, size, 9):
                cv2.rectangle(image, (x, y), (x + 2, y + 4), (60, 70, 90), -1)
    for k in range(3):
        at = k * (size - 1) // 2
        cv2.line(image, (at, 0), (at, size), (240, 240, 235), 4)
        cv2.line(image, (0, at), (size, at), (240, 240, 235), 4)
    return image
