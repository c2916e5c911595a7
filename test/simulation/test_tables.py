# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Rows of tables, and what a world refuses."""

import numpy as np
import pytest

from ttt3r_ros.simulation import tables as t
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.world import World

TYPES = [t.CELL, t.PORTAL, t.DECAL, t.GROUP, t.PART, t.MATERIAL, t.CAMERA]


def test_a_row_holds_what_was_named_and_zeros():
    row = t.record(t.PORTAL, face=3, low=-0.5, cell=7)

    assert row.tolist() == (3, -0.5, 0.0, 0.0, 0.0, 7)


def test_a_row_refuses_a_field_that_its_table_lacks():
    with pytest.raises(ValueError, match='lenght'):
        t.record(t.PORTAL, lenght=1.0)


def test_a_table_keeps_its_rows_in_order_and_shows_its_fields():
    rows = [t.record(t.GROUP, low=(k, 0, 0), parts=(k, k + 1)) for k in range(3)]

    table = t.records(t.GROUP, rows)

    assert table.low[:, 0].tolist() == [0.0, 1.0, 2.0]
    assert table.parts.tolist() == [[0, 1], [1, 2], [2, 3]]


@pytest.mark.parametrize('rows', [[], ()])
def test_a_table_may_be_empty(rows):
    assert t.records(t.DECAL, rows).shape == (0,)


@pytest.mark.parametrize('row_type', TYPES)
def test_every_field_is_aligned_as_in_c(row_type):
    assert row_type.isalignedstruct
    for field, offset in row_type.fields.values():
        assert offset % field.base.itemsize == 0


@pytest.mark.parametrize('name', ['cells', 'portals', 'decals', 'groups', 'parts', 'materials'])
def test_a_world_refuses_a_table_of_another_type(name):
    tables = build_world('M', 0).tables
    wrong = np.zeros((3, 5), dtype=np.float32)

    with pytest.raises(ValueError, match=f'{name} must be'):
        World(tables._replace(**{name: wrong}))


def test_a_world_refuses_grey_images():
    tables = build_world('M', 0).tables

    with pytest.raises(ValueError, match='images must be'):
        World(tables._replace(images=tables.images[..., 0]))


def test_the_tables_of_a_world_are_read_only():
    for table in build_world('M', 0).tables:
        assert not table.flags.writeable
