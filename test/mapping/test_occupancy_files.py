# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
from PIL import Image
import pytest
import yaml

from ttt3r_ros.mapping.occupancy import Occupancy
from ttt3r_ros.mapping.occupancy_files import (
    OccupancyFileError,
    read_occupancy,
    write_description,
    write_picture,
)

CELLS = np.array([[0, 100, -1], [-1, -1, 0]], np.int8)
PLAN = Occupancy(CELLS, 0.05, -8.0, 7 * 0.05)


def write(folder, plan=PLAN):
    with (folder / 'map.pgm').open('wb') as picture, (folder / 'map.yaml').open('wb') as text:
        write_picture(picture, plan)
        write_description(text, plan)


def test_map_server_would_read_the_cells_that_were_written(tmp_path):
    write(tmp_path)

    # What nav2_map_server does with the mode trinary.
    told = yaml.safe_load((tmp_path / 'map.yaml').read_text())
    assert (told['mode'], told['negate']) == ('trinary', 0)
    with Image.open(tmp_path / told['image']) as picture:
        occupancy = 1.0 - np.asarray(picture.convert('L')) / 255.0
    values = np.full(occupancy.shape, -1)
    values[occupancy < told['free_thresh']] = 0
    values[occupancy > told['occupied_thresh']] = 100
    np.testing.assert_array_equal(values[::-1], CELLS)  # the first row of a grid is the lowest
    assert told['resolution'] == 0.05
    assert told['origin'] == [-8.0, 0.35, 0.0]


def test_a_plan_comes_back_as_it_was(tmp_path):
    write(tmp_path)

    read = read_occupancy(tmp_path)

    np.testing.assert_array_equal(read.cells, CELLS)
    assert (read.resolution, read.x, read.y) == (0.05, -8.0, 0.35)


@pytest.mark.parametrize(
    ('name', 'content', 'said'),
    [
        ('map.yaml', b'image: map.pgm\n', 'as this program writes'),
        ('map.pgm', b'P6\n3 2\n255\n', 'as this program writes'),
        ('map.pgm', b'P5\n3 2\n255\n12345', 'it has 5 pixels'),
    ],
)
def test_a_plan_that_cannot_be_read_is_refused(tmp_path, name, content, said):
    write(tmp_path)
    (tmp_path / name).write_bytes(content)

    with pytest.raises(OccupancyFileError, match=said):
        read_occupancy(tmp_path)


def test_a_folder_without_a_plan_is_refused(tmp_path):
    with pytest.raises(OccupancyFileError, match='no occupancy grid can be read'):
        read_occupancy(tmp_path)
