# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Saved maps become one: points and grid go where the key frames do."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from ttt3r_ros.geometry import rotation_about, Similarity, transform
from ttt3r_ros.mapping.merging import merge_maps, MergeError
from ttt3r_ros.mapping.occupancy import FREE, Occupancy, OCCUPIED, UNKNOWN
from ttt3r_ros.mapping.voxels import VoxelCloud

AWAY = Similarity(transform(rotation_about([0, 0, 1], np.pi / 2), [7.0, -3.0, 0.0]), 1.1)
SIZE = 0.05


@pytest.fixture(scope='module')
def maps(drive_map):
    """Return two drives of one room and one of another, by name."""
    return {
        'monday': drive_map(range(18)),
        'tuesday': drive_map(range(8, 30), AWAY),
        'friday': drive_map(range(21, 31), AWAY),
        'cellar': drive_map(range(20), AWAY, room=1),
    }


def named(maps, *names):
    return [(name, maps[name]) for name in names]


def test_points_of_both_maps_lie_on_each_other(maps, drive_map):
    stored, _ = merge_maps(named(maps, 'monday', 'tuesday'), SIZE)

    world = drive_map(range(30)).cloud.points
    off, _ = cKDTree(stored.cloud.points).query(world)
    assert np.percentile(off, 99) < 0.05
    off, _ = cKDTree(world).query(stored.cloud.points)
    assert off.max() < 0.06
    assert len(stored.cloud.points) == pytest.approx(len(world), rel=0.05, abs=0)
    assert stored.cloud.confidence.max() > 9.0  # five of each map


def test_what_joins_a_map_is_told(maps):
    _, (joined,) = merge_maps(named(maps, 'monday', 'tuesday'), SIZE)

    assert joined.name == 'tuesday'
    assert len(joined.numbers) == 22
    assert joined.overlaps
    back = joined.map_T_before.after(AWAY)
    np.testing.assert_allclose(back.a_T_b, np.eye(4), atol=0.05)


def test_maps_that_meet_by_way_of_another_are_joined_in_any_order(maps):
    stored, joined = merge_maps(named(maps, 'monday', 'friday', 'tuesday'), SIZE)

    assert [one.name for one in joined] == ['tuesday', 'friday']
    numbers = {frame.number for frame in stored.graph.frames}
    assert all(numbers.intersection(one.numbers) for one in joined)
    assert len(stored.graph.paths(numbers)) == 3


@pytest.mark.parametrize(
    ('names', 'words'),
    [
        (('monday', 'cellar'), 'cellar shows no place of monday for certain'),
        (
            ('monday', 'cellar', 'tuesday'),
            'cellar shows no place of monday or tuesday for certain',
        ),
    ],
)
def test_a_map_that_shows_no_place_of_the_others_is_refused(maps, names, words):
    with pytest.raises(MergeError, match=words):
        merge_maps(named(maps, *names), SIZE)


def test_maps_of_different_networks_are_refused(maps):
    other = replace(maps['tuesday'], network='others')
    with pytest.raises(MergeError, match='tuesday was made with the weights others, monday'):
        merge_maps([('monday', maps['monday']), ('tuesday', other)], SIZE)


@pytest.mark.parametrize('lacks', ['graph', 'cloud'])
def test_a_map_that_cannot_be_recognised_is_refused(maps, lacks):
    poor = replace(maps['tuesday'], graph=None)
    if lacks == 'cloud':
        poor = replace(maps['tuesday'], cloud=VoxelCloud.joined([]))
    with pytest.raises(MergeError, match='tuesday has no key frames'):
        merge_maps([('monday', maps['monday']), ('tuesday', poor)], SIZE)


def floor_plan(x, y, cells, size=SIZE):
    return Occupancy(np.array(cells, np.int8), size, x, y)


def state_at(plan, x, y):
    column, row = int((x - plan.x) // plan.resolution), int((y - plan.y) // plan.resolution)
    rows, columns = plan.cells.shape
    return plan.cells[row, column] if 0 <= row < rows and 0 <= column < columns else UNKNOWN


def test_the_grids_become_one(maps, drive_map):
    """A square of half a metre each; the second map is turned by a right angle to the left."""
    cells = np.zeros((10, 10))
    first = replace(maps['monday'], occupancy=floor_plan(0.0, 1.0, cells))
    away = Similarity(transform(rotation_about([0, 0, 1], np.pi / 2), [7.0, -3.0, 0.0]))
    walled = cells.copy()
    walled[9] = OCCUPIED  # at the largest y
    # What is x in the first map is y in the second one; (1, 1) lies there at (7 - 1, -3 + 1).
    second = replace(drive_map(range(8, 30), away), occupancy=floor_plan(6.0 - 0.5, -2.0, walled))

    stored, _ = merge_maps([('monday', first), ('tuesday', second)], SIZE)

    plan = stored.occupancy
    assert plan.resolution == SIZE
    for y in (1.1, 1.25, 1.4):
        assert [state_at(plan, x, y) for x in (-0.1, 0.1, 0.4, 0.7, 0.9)] == [
            UNKNOWN, FREE, FREE, UNKNOWN, UNKNOWN
        ]  # fmt: skip
        assert [state_at(plan, x, y) for x in (1.1, 1.4, 1.475, 1.6)] == [
            FREE, FREE, OCCUPIED, UNKNOWN
        ]  # fmt: skip
    assert (plan.cells == FREE).sum() == pytest.approx(100 + 90, abs=8)
    assert (plan.cells == OCCUPIED).sum() == pytest.approx(10, abs=2)


def test_a_map_without_a_grid_leaves_that_of_the_other(maps):
    first = replace(maps['monday'], occupancy=floor_plan(1.0, 1.0, np.zeros((10, 10))))

    stored, _ = merge_maps([('monday', first), ('tuesday', maps['tuesday'])], SIZE)

    assert (stored.occupancy.cells == FREE).sum() == pytest.approx(100, abs=5)


def test_grids_of_different_cells_are_refused(maps):
    first = replace(maps['monday'], occupancy=floor_plan(0.0, 0.0, [[0, 0]]))
    second = replace(maps['tuesday'], occupancy=floor_plan(0.0, 0.0, [[0, 0]], 0.1))
    with pytest.raises(MergeError, match=r'cells of 0\.05 and 0\.1 m'):
        merge_maps([('monday', first), ('tuesday', second)], SIZE)
