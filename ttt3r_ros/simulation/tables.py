# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The tables that describe a building to the ray caster, as numpy structured types.

A building is made of cells: axis-aligned boxes of air, one for each room and one for each
doorway. A portal is an opening in a face of a cell that leads to the next cell; whatever face
is not portal is wall, floor or ceiling, and decals (pictures, door frames, rugs) lie flat on
it. Solid parts (boxes, cylinders, spheres) stand in a cell and are gathered in groups with a
bounding box, one piece of furniture each. So a ray walks from cell to cell and meets only the
few things of each, and every ray ends somewhere.

x and y are horizontal, z is up, metres, the floor is z = 0. Faces are numbered 0 to 5: -x, +x,
-y, +y, -z, +z. A range of rows is its first row and one past its last. Every type is aligned
as in C, without which a CUDA device would load it byte by byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ttt3r_ros.arrays import Pixels

Records = np.recarray[Any, np.dtype[np.record]]

BOX, CYLINDER, SPHERE = range(3)
PLAIN, BRICKS, PLANKS, TILES, STRIPES, BLOTCHES, BOOKS, DOTS, WEAVE, IMAGE = range(10)

CELL = np.dtype(
    [
        ('low', np.float32, 3),  # corner x, y, z
        ('high', np.float32, 3),
        ('groups', np.int64, 2),  # range
        ('portals', np.int64, 2),  # range
        ('decals', np.int64, 7),  # first of each face, one past the last of +z
        ('materials', np.int64, 6),  # of each face
        ('light', np.float32, 3),  # x, y, z of the lamp
        ('light_color', np.float32, 3),  # linear RGB
        ('ambient', np.float32, 3),  # linear RGB of the light from everywhere
        ('skirting', np.float32),  # height of the skirting board, metres
        ('origin', np.float32, 2),  # x, y where the textures of its faces begin
    ],
    align=True,
)
PORTAL = np.dtype(
    [
        ('face', np.int64),
        ('low', np.float32),  # along y on an x face, along x on a y face
        ('high', np.float32),
        ('bottom', np.float32),  # z
        ('top', np.float32),
        ('cell', np.int64),  # where it leads
    ],
    align=True,
)
# Where decals overlap, the first one is seen.
DECAL = np.dtype(
    [
        ('low', np.float32),  # along y on an x face, along x on the others
        ('high', np.float32),
        ('bottom', np.float32),  # z; y on floor and ceiling
        ('top', np.float32),
        ('material', np.int64),
    ],
    align=True,
)
GROUP = np.dtype(
    [
        ('low', np.float32, 3),  # corner x, y, z of the bounding box
        ('high', np.float32, 3),
        ('parts', np.int64, 2),  # range
    ],
    align=True,
)
PART = np.dtype(
    [
        ('kind', np.int64),  # BOX, CYLINDER or SPHERE
        ('center', np.float32, 3),  # x, y, z
        # Half sizes of a box; radius, radius, half height of a cylinder; radius of a sphere.
        ('half', np.float32, 3),
        ('cos', np.float32),  # turn of a box about z
        ('sin', np.float32),
        ('material', np.int64),
        ('offset', np.float32),  # shifts its texture, metres
    ],
    align=True,
)
MATERIAL = np.dtype(
    [
        ('kind', np.int64),  # PLAIN to IMAGE
        ('colors', np.float32, (3, 3)),  # ground, second, third: linear RGB
        ('period_u', np.float32),  # metres per repetition
        ('period_v', np.float32),
        ('noise', np.float32),  # relative amplitude of the noise over everything
        ('grain', np.float32),  # metres per cell of that noise, first octave
        ('seed', np.int64),
        ('gloss', np.float32),  # strength of the highlight
        ('glow', np.float32),  # light of its own
        ('image', np.int64),  # row of the images, for IMAGE
    ],
    align=True,
)

CAMERA = np.dtype(
    [
        ('pose', np.float32, (3, 4)),  # world_T_camera, optical frame
        ('fx', np.float32),  # pixels
        ('fy', np.float32),
        ('cx', np.float32),
        ('cy', np.float32),
        ('cell', np.int64),  # around the camera
    ],
    align=True,
)


class Tables(NamedTuple):
    """
    A building, as the ray caster takes it.

    cells, portals, decals, groups, parts, materials: rows of CELL, PORTAL and so on. images:
    (K, S, S, 3) uint8, pictures that materials show.
    """

    cells: Records
    portals: Records
    decals: Records
    groups: Records
    parts: Records
    materials: Records
    images: Pixels


def record(table: np.dtype[np.void], /, **values: Any) -> np.record:
    """
    Return a new row of a table.

    :param table: CELL, PORTAL and so on.
    :param values: fields by their names; the others are zero.
    :raises ValueError: when there is no field of a name.
    """
    row: np.record = np.zeros(1, table).view(np.recarray)[0]
    for name, value in values.items():
        row[name] = value
    return row


def records(table: np.dtype[np.void], rows: Sequence[np.record]) -> Records:
    """
    Return rows as one table, of which each field is an attribute.

    :param table: CELL, PORTAL and so on.
    """
    return np.array(list(rows), dtype=table).view(np.recarray)
