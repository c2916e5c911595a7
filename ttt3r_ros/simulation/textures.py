# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Procedural textures: a material and a place on a surface result in a colour.

Places are metres along the surface (u, v). `footprint` is the width in metres that one pixel
covers there: detail finer than it fades to its mean, which keeps distant surfaces from
flickering.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.simulation.scalar import f32, floor, larger, scalar, smaller
from ttt3r_ros.simulation.tables import (
    BLOTCHES,
    BOOKS,
    BRICKS,
    DOTS,
    IMAGE,
    PLANKS,
    STRIPES,
    Tables,
    TILES,
    WEAVE,
)


class Place(NamedTuple):
    """A place on a surface: metres along it, v upwards on walls; the same as shares, 0 to 1."""

    u: float
    v: float
    share_u: float
    share_v: float


@scalar
def clamp01(x: float) -> float:
    """Return a number limited to 0 to 1."""
    return smaller(larger(x, f32(0.0)), f32(1.0))


@scalar
def scrambled(x: int, y: int, seed: int) -> int:
    """Return 24 random bits, a hash of three whole numbers."""
    h = x * 0x5851F42D4C957F2D + y * 0x14057B7EF767814F + seed * 0x2545F4914F6CDD1D
    h = (h ^ (h >> 29)) * 0x369DEA0F31A53F85
    return (h >> 40) & 0xFFFFFF


@scalar
def random01(x: int, y: int, seed: int) -> float:
    """Return a number of [0, 1), a hash of a lattice point."""
    return f32(scrambled(x, y, seed)) * f32(1.0 / 16777216.0)


@scalar
def value_noise(x: float, y: float, seed: int) -> float:
    """Return -1 to 1, interpolated smoothly between random numbers on the integer lattice."""
    i, j = floor(x), floor(y)
    fx, fy = x - f32(i), y - f32(j)
    fx = fx * fx * (f32(3.0) - f32(2.0) * fx)
    fy = fy * fy * (f32(3.0) - f32(2.0) * fy)
    low = random01(i, j, seed) * (f32(1.0) - fx) + random01(i + 1, j, seed) * fx
    high = random01(i, j + 1, seed) * (f32(1.0) - fx) + random01(i + 1, j + 1, seed) * fx
    return f32(2.0) * (low + (high - low) * fy) - f32(1.0)


@scalar
def visible(period: float, footprint: float) -> float:
    """Return the share of a pattern that a pixel resolves: 1 all of it, 0 only its mean."""
    return clamp01(f32(1.6) - f32(1.6) * footprint / period)


@scalar
def line(distance: float, half_width: float, footprint: float) -> float:
    """Return the cover of a pixel, 0 to 1, by a line whose middle is `distance` away."""
    edge = larger(footprint, f32(0.002))
    return clamp01((half_width - distance) / edge + f32(0.5))


@scalar
def rough(u: float, v: float, grain: float, seed: int, footprint: float) -> float:
    """Return the sum of octaves of noise, about -1 to 1, as far as a pixel resolves them."""
    total = f32(0.55) * value_noise(u / grain, v / grain, seed)
    seen = visible(f32(0.27) * grain, footprint)
    if seen > f32(0.0):
        size = f32(0.27) * grain
        total += f32(0.35) * seen * value_noise(u / size, v / size, seed + 1)
        seen = visible(f32(0.07) * grain, footprint)
        if seen > f32(0.0):
            size = f32(0.07) * grain
            total += f32(0.3) * seen * value_noise(u / size, v / size, seed + 2)
    return total


@scalar
def bricks(
    material: np.record, u: float, v: float, footprint: float
) -> tuple[float, float, float]:
    """Return a running bond: shares of the second colour (mortar) and the third, brightness."""
    size_u, size_v, seed = material.period_u, material.period_v, int(material.seed)
    row = floor(v / size_v)
    shifted = u / size_u + f32(0.5) * f32(row & 1)
    column = floor(shifted)
    fu = (shifted - f32(column)) * size_u
    fv = v - f32(row) * size_v
    to_edge = smaller(smaller(fu, size_u - fu), smaller(fv, size_v - fv))
    gap = f32(0.035) * smaller(size_u, f32(3.0) * size_v)
    mortar = line(to_edge, gap, footprint) * visible(size_v, footprint)
    tone = random01(column, row, seed)
    seen = visible(size_u, footprint)
    shade = f32(1.0) + f32(0.4) * (tone - f32(0.5)) * seen
    return mortar, (f32(1.0) - mortar) * random01(column, row, seed + 7) * f32(0.7), shade


@scalar
def planks(
    material: np.record, u: float, v: float, footprint: float
) -> tuple[float, float, float]:
    """Return boards of random offset along u, with grain, as `bricks`."""
    size_u, size_v, seed = material.period_u, material.period_v, int(material.seed)
    row = floor(v / size_v)
    shifted = u / size_u + random01(row, 3, seed) * f32(5.0)
    column = floor(shifted)
    fu = (shifted - f32(column)) * size_u
    fv = v - f32(row) * size_v
    to_edge = smaller(smaller(fu, size_u - fu), smaller(fv, size_v - fv))
    seen = visible(size_v, footprint)
    gap = line(to_edge, f32(0.006), footprint) * seen
    tone = random01(column, row, seed)
    grain = value_noise(u / (f32(3.0) * size_v), f32(9.0) * v / size_v, seed + row + 31 * column)
    shade = f32(1.0) + seen * (f32(0.45) * (tone - f32(0.5)) + f32(0.14) * grain)
    third = (f32(1.0) - gap) * random01(column, row, seed + 5) * f32(0.6)
    return gap, third, shade


@scalar
def tiles(material: np.record, u: float, v: float, footprint: float) -> tuple[float, float, float]:
    """Return a chequered grid with grout, as `bricks`."""
    size_u, size_v, seed = material.period_u, material.period_v, int(material.seed)
    column, row = floor(u / size_u), floor(v / size_v)
    fu, fv = u - f32(column) * size_u, v - f32(row) * size_v
    to_edge = smaller(smaller(fu, size_u - fu), smaller(fv, size_v - fv))
    seen = visible(smaller(size_u, size_v), footprint)
    grout = line(to_edge, f32(0.006), footprint) * seen
    odd = f32((column + row) & 1) * seen + f32(0.5) * (f32(1.0) - seen)
    shade = f32(1.0) + f32(0.22) * (random01(column, row, seed) - f32(0.5)) * seen
    return odd * (f32(1.0) - grout), grout, shade


@scalar
def stripes(
    material: np.record, u: float, v: float, footprint: float
) -> tuple[float, float, float]:
    """Return stripes along v, some with a thin line of the third colour, as `bricks`."""
    size_u, seed = material.period_u, int(material.seed)
    column = floor(u / size_u)
    fu = u - f32(column) * size_u
    seen = visible(size_u, footprint)
    width = size_u * (f32(0.3) + f32(0.4) * random01(3, 5, seed))
    band = clamp01((width - fu) / larger(footprint, f32(0.004)) + f32(0.5))
    thin = line(abs(fu - f32(0.8) * size_u), f32(0.04) * size_u, footprint)
    if column & 1:
        thin = f32(0.0)
    mix = band * seen + f32(0.5) * (f32(1.0) - seen)
    return mix * (f32(1.0) - thin), thin * seen, f32(1.0)


@scalar
def blotches(
    material: np.record, u: float, v: float, footprint: float
) -> tuple[float, float, float]:
    """Return warped noise, like stone, leather and camouflage, as `bricks`."""
    size_u, size_v, seed = material.period_u, material.period_v, int(material.seed)
    warp = value_noise(u / size_u, v / size_v, seed)
    second = value_noise(f32(1.9) * u / size_u + warp, f32(1.9) * v / size_v - warp, seed + 1)
    sharp = f32(1.0) + f32(6.0) * random01(1, 2, seed)
    mix = clamp01(f32(0.5) + sharp * second * f32(0.5))
    vein = clamp01(f32(1.0) - f32(9.0) * abs(warp + f32(0.5) * second))
    return mix * (f32(1.0) - vein), vein * visible(size_u * f32(0.2), footprint), f32(1.0)


@scalar
def books(material: np.record, u: float, v: float, footprint: float) -> tuple[float, float, float]:
    """Return books of random colour, thickness and height, as `bricks`."""
    size_u, size_v, seed = material.period_u, material.period_v, int(material.seed)
    column = floor(u / size_u)
    fu = u / size_u - f32(column)
    split = f32(0.3) + f32(0.4) * random01(column, 9, seed)
    book = 2 * column
    to_edge = smaller(abs(fu - split), smaller(fu, f32(1.0) - fu)) * size_u
    if fu > split:
        book += 1
    row = floor(v / size_v)
    height = v / size_v - f32(row)
    tone = random01(book, row, seed)
    dark = line(to_edge, f32(0.0015), footprint)
    label = f32(0.0)
    middle = f32(0.25) + f32(0.5) * random01(book, row, seed + 4)
    if abs(height - middle) < f32(0.07):
        label = f32(0.8)
    shade = (f32(0.45) + f32(1.1) * random01(book, row, seed + 3)) * (f32(1.0) - f32(0.7) * dark)
    if height > f32(0.8) + f32(0.2) * random01(book, row, seed + 2):
        shade = f32(0.15)
    seen = visible(f32(0.6) * size_u, footprint)
    first = (tone * (f32(1.0) - label)) * seen + f32(0.4) * (f32(1.0) - seen)
    third = larger(label, f32(0.6) * random01(book, row, seed + 6)) * seen
    return first * (f32(1.0) - third), third, shade * seen + f32(0.75) * (f32(1.0) - seen)


@scalar
def dots(material: np.record, u: float, v: float, footprint: float) -> tuple[float, float, float]:
    """Return staggered dots of the second and the third colour, as `bricks`."""
    size_u, size_v, seed = material.period_u, material.period_v, int(material.seed)
    row = floor(v / size_v)
    shifted = u / size_u + f32(0.5) * f32(row & 1)
    column = floor(shifted)
    du = (shifted - f32(column) - f32(0.5)) * size_u
    dv = v - (f32(row) + f32(0.5)) * size_v
    radius = (
        f32(0.28) * smaller(size_u, size_v) * (f32(0.6) + f32(0.7) * random01(row, column, seed))
    )
    cover = line(math.sqrt(du * du + dv * dv), radius, footprint) * visible(size_u, footprint)
    third = f32(0.0)
    if random01(column, row, seed + 1) > f32(0.6):
        third = cover
    return cover - third, third, f32(1.0)


@scalar
def weave(material: np.record, u: float, v: float, footprint: float) -> tuple[float, float, float]:
    """Return a cloth with coloured bands in both directions, as `bricks`."""
    size_u, size_v, seed = material.period_u, material.period_v, int(material.seed)
    seen = visible(size_u, footprint)
    wide = random01(floor(u / size_u), 1, seed)
    high = random01(floor(v / size_v), 2, seed)
    thread = random01(floor(f32(8.0) * u / size_u), floor(f32(8.0) * v / size_v), seed)
    fine = visible(f32(0.125) * size_u, footprint)
    shade = f32(1.0) + f32(0.3) * (thread - f32(0.5)) * fine
    return wide * seen * f32(0.9), high * (f32(1.0) - f32(0.9) * wide * seen) * seen, shade


@scalar
def image_texel(image: Pixels, su: float, sv: float, channel: int) -> float:
    """
    Return one channel of an image at (0 to 1, 0 to 1), bilinear, as linear light.

    :param image: (H, W, 3) uint8.
    """
    height, width = image.shape[0], image.shape[1]
    x = clamp01(su) * f32(width - 1)
    y = (f32(1.0) - clamp01(sv)) * f32(height - 1)
    i = floor(smaller(x, f32(width) - f32(1.5)))
    j = floor(smaller(y, f32(height) - f32(1.5)))
    fx, fy = x - f32(i), y - f32(j)
    top = f32(image[j, i, channel]) * (f32(1.0) - fx)
    top += f32(image[j, i + 1, channel]) * fx
    bottom = f32(image[j + 1, i, channel]) * (f32(1.0) - fx)
    bottom += f32(image[j + 1, i + 1, channel]) * fx
    value = (top + (bottom - top) * fy) * f32(1.0 / 255.0)
    return value * value


@scalar
def pattern(
    material: np.record, u: float, v: float, footprint: float
) -> tuple[float, float, float]:
    """Return the pattern of a material, as `bricks`."""
    kind = material.kind
    if kind == BRICKS:
        return bricks(material, u, v, footprint)
    if kind == PLANKS:
        return planks(material, u, v, footprint)
    if kind == TILES:
        return tiles(material, u, v, footprint)
    if kind == STRIPES:
        return stripes(material, u, v, footprint)
    if kind == BLOTCHES:
        return blotches(material, u, v, footprint)
    if kind == BOOKS:
        return books(material, u, v, footprint)
    if kind == DOTS:
        return dots(material, u, v, footprint)
    if kind == WEAVE:
        return weave(material, u, v, footprint)
    return f32(0.0), f32(0.0), f32(1.0)


@scalar
def albedo(
    tables: Tables, material: np.record, place: Place, footprint: float
) -> tuple[float, float, float]:
    """
    Return the linear colour of a surface.

    :param material: row of MATERIAL.
    :param footprint: metres that one pixel covers.
    :returns: red, green, blue, 0 to about 1.
    """
    u, v = place.u, place.v
    second, third, shade = pattern(material, u, v, footprint)
    if material.noise > f32(0.0):
        grain = rough(u, v, material.grain, int(material.seed) + 11, footprint)
        shade *= f32(1.0) + material.noise * grain
    shade = larger(shade, f32(0.0))
    first = f32(1.0) - second - third
    colors = material.colors
    red = (colors[0, 0] * first + colors[1, 0] * second + colors[2, 0] * third) * shade
    green = (colors[0, 1] * first + colors[1, 1] * second + colors[2, 1] * third) * shade
    blue = (colors[0, 2] * first + colors[1, 2] * second + colors[2, 2] * third) * shade
    if material.kind == IMAGE:
        image = tables.images[material.image]
        red *= image_texel(image, place.share_u, place.share_v, 0)
        green *= image_texel(image, place.share_u, place.share_v, 1)
        blue *= image_texel(image, place.share_u, place.share_v, 2)
    return red, green, blue
