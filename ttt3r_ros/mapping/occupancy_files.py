# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Occupancy grids as files that Nav2's map_server loads: map.pgm, described by map.yaml."""

from __future__ import annotations

from pathlib import Path
import re
from typing import IO

import numpy as np

from ttt3r_ros.errors import UserError
from ttt3r_ros.mapping.occupancy import FREE, Occupancy, OCCUPIED, UNKNOWN

PICTURE, DESCRIPTION = 'map.pgm', 'map.yaml'
GREY = {FREE: 254, OCCUPIED: 0, UNKNOWN: 205}

# map_server takes (255 - grey) / 255 for the occupancy. That of UNKNOWN is 0.1961, so it has to
# lie above free_thresh; with the 0.25 of many examples it would be free.
DESCRIPTION_TEXT = f"""\
image: {PICTURE}
mode: trinary
resolution: {{resolution}}
origin: [{{x}}, {{y}}, 0.0]
negate: 0
occupied_thresh: 0.65
free_thresh: 0.196
"""
NUMBER = r'(-?\d+(?:\.\d+)?(?:e-?\d+)?)'
DESCRIBED = re.compile(rf'\nresolution: {NUMBER}\norigin: \[{NUMBER}, {NUMBER}, 0\.0\]\n')


class OccupancyFileError(UserError):
    """A file has no readable occupancy grid."""


def write_picture(file: IO[bytes], occupancy: Occupancy) -> None:
    """
    Write the cells as a grey picture, y upwards.

    :param file: open for binary writing; its name is PICTURE.
    """
    rows, columns = occupancy.cells.shape
    grey = np.zeros((rows, columns), np.uint8)
    for value, level in GREY.items():
        grey[occupancy.cells == value] = level
    file.write(f'P5\n{columns} {rows}\n255\n'.encode())
    file.write(grey[::-1].tobytes())


def write_description(file: IO[bytes], occupancy: Occupancy) -> None:
    """
    Write the resolution and origin of the picture.

    :param file: open for binary writing; its name is DESCRIPTION, beside the picture.
    """
    x, y = round(occupancy.x, 6), round(occupancy.y, 6)
    text = DESCRIPTION_TEXT.format(resolution=occupancy.resolution, x=x, y=y)
    file.write(text.encode())


def read_occupancy(folder: Path) -> Occupancy:
    """
    Read a grid that this program wrote.

    :param folder: with the picture and its description.
    :raises OccupancyFileError: when they are missing, of another kind, or damaged.
    """
    try:
        text = (folder / DESCRIPTION).read_text(encoding='utf-8')
        picture = (folder / PICTURE).read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise OccupancyFileError(f'no occupancy grid can be read: {error}') from error
    described = DESCRIBED.search(text)
    header = re.match(rb'P5\n(\d+) (\d+)\n255\n', picture)
    if described is None or header is None:
        raise OccupancyFileError(f'{folder} has no occupancy grid as this program writes them')
    columns, rows = int(header[1]), int(header[2])
    pixels = picture[header.end() :]
    if not pixels or len(pixels) != rows * columns:
        raise OccupancyFileError(f'{folder / PICTURE} is damaged: it has {len(pixels)} pixels')
    grey = np.frombuffer(pixels, np.uint8).reshape(rows, columns)[::-1]
    cells = np.full((rows, columns), UNKNOWN, np.int8)
    for value, level in GREY.items():
        cells[grey == level] = value
    resolution, x, y = (float(number) for number in described.groups())
    return Occupancy(cells, resolution, x, y)
