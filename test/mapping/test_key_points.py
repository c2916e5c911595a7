# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The points of one key frame: when they are displaced, and which of them are ghosts."""

import numpy as np
import pytest

from ttt3r_ros.geometry import IDENTITY, Similarity
from ttt3r_ros.mapping.key_points import KeyPoints
from ttt3r_ros.mapping.voxels import packed, VoxelPoints

VOXEL = 0.1  # metres


def row_of(count):
    """Return points in the middles of cells 0, 1, ... along x."""
    columns = np.full((3, count), 0.5, np.float32)
    columns[0] += np.arange(count)
    return VoxelPoints(columns, np.zeros((3, count), np.uint8), np.full(count, 16, np.int32))


def cells(*x):
    return packed(np.array([x, np.zeros(len(x)), np.zeros(len(x))]))


def fused(points, more=0):
    here = Similarity(IDENTITY)
    grown = row_of(len(points) + more) if more else points
    return KeyPoints(here, here, 0, grown, points, here, cells(*range(len(points))))


@pytest.mark.parametrize(('shift', 'displaced'), [(0.49, False), (0.51, True)])
def test_points_are_displaced_by_more_than_half_a_voxel(shift, displaced):
    key = fused(row_of(4))
    pose = np.eye(4)
    pose[2, 3] = shift * VOXEL
    key.map_T_key = Similarity(pose)

    assert key.is_displaced(VOXEL) == displaced


@pytest.mark.parametrize('more', [0, 2], ids=['all fused', 'more since'])
def test_points_in_ghost_cells_are_dropped_from_what_is_fused_and_what_is_not(more):
    key = fused(row_of(4), more)
    key.ghosts = [cells(5, 1), cells(1, 3)]

    ghosts = key.take_ghosts()
    dropped = key.drop(ghosts, VOXEL)

    np.testing.assert_array_equal(dropped.cells, cells(1, 3))
    np.testing.assert_array_equal(key.cells, cells(0, 2))
    np.testing.assert_allclose(key.fused.columns[0], [0.5, 2.5], atol=1e-6)
    remaining = [0.5, 2.5, 4.5] if more else [0.5, 2.5]
    np.testing.assert_allclose(key.points.columns[0], remaining, atol=1e-6)
    assert key.ghosts == []


def beside(count, row, weight):
    """Return a key frame with points in cells 0, 1, ... along x of a row of its own."""
    columns = row_of(count).columns + np.array([[0.0], [row], [0.0]], np.float32)
    weights = np.full(count, 16 * weight, np.int32)
    here = Similarity(IDENTITY)
    return KeyPoints(here, here, row, VoxelPoints(columns, np.zeros((3, count), 'u1'), weights))


def rows_of(key):
    """Return how many points a key frame has in each row."""
    return dict(zip(*np.unique(np.floor(key.points.columns[1]), return_counts=True)))


def test_a_key_frame_that_takes_over_many_keeps_as_many_points_as_two_and_the_heaviest():
    key = beside(10, row=0, weight=2)

    for row, weight in enumerate([1, 3, 1, 5, 4, 1], start=1):
        key.take_over(beside(10, row, weight), Similarity(IDENTITY), VOXEL)

    assert rows_of(key) == {4: 10, 5: 10}
    assert key.last_seen == 6


def test_the_bound_does_not_grow_where_points_are_taken_over_twice():
    first, second = beside(10, row=0, weight=1), beside(8, row=1, weight=2)
    for row in (2, 3):
        first.take_over(beside(8, row, weight=row + 1), Similarity(IDENTITY), VOXEL)

    second.take_over(first, Similarity(IDENTITY), VOXEL)

    # Of 28 as many as twice the 10 that the first one had by itself.
    assert rows_of(second) == {1: 4, 2: 8, 3: 8}


def test_few_points_that_are_taken_over_all_stay_where_they_were():
    key, shift = beside(10, row=0, weight=1), np.eye(4)
    shift[0, 3] = 3 * VOXEL

    key.take_over(beside(10, row=0, weight=2), Similarity(shift), VOXEL)

    np.testing.assert_allclose(np.sort(key.points.columns[0]), np.arange(13) + 0.5, atol=1e-4)
    order = np.argsort(key.points.columns[0])
    expected = 16 * np.array([1] * 3 + [3] * 7 + [2] * 3)
    np.testing.assert_array_equal(key.points.weight[order], expected)
