# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np

from ttt3r_ros.mapping.parts import MOST_MISSES, PART_SIDE, PartedVoxels
from ttt3r_ros.mapping.voxels import FixedPoints

SIZE = 0.1


def at(*places):
    """Return points in the middle of voxels."""
    columns = np.array(places, float).T + 0.5
    return FixedPoints.of(columns, np.full(columns.shape, 7, np.uint8), np.ones(len(places)))


def test_all_parts_together_are_all_points():
    voxels = PartedVoxels(SIZE)
    places = [(0, 0, 0), (PART_SIDE, 0, 0), (-1, 3, -PART_SIDE)]
    voxels.add(at(*places))

    whole = voxels.whole()

    assert len(whole) == len(voxels) == 3
    assert len(whole.parts) == 3
    expected = sorted(((np.array(place) + 0.5) * SIZE).tolist() for place in places)
    np.testing.assert_allclose(sorted(whole.points().points.tolist()), expected, atol=1e-5)


def test_only_parts_that_changed_are_copied_and_named():
    voxels = PartedVoxels(SIZE)
    voxels.add(at((0, 0, 0), (PART_SIDE, 0, 0)))
    before = voxels.whole()

    voxels.add(at((PART_SIDE + 2, 0, 0)))
    after = voxels.whole()

    changed = after.changed_since(before.generation)
    assert list(changed) == [(PART_SIDE, 0, 0)]
    assert len(changed[PART_SIDE, 0, 0].points) == 2
    assert sum(after.parts[corner] is before.parts[corner] for corner in after.parts) == 1
    assert len(before) == 2  # it never changes
    assert voxels.whole().generation == after.generation


def test_a_part_that_lost_all_points_is_named_as_empty():
    voxels = PartedVoxels(SIZE)
    voxels.add(at((0, 0, 0), (PART_SIDE, 0, 0)))
    before = voxels.whole()

    voxels.add(at((0, 0, 0)), -1)
    after = voxels.whole()

    changed = after.changed_since(before.generation)
    assert {place: len(cloud.points) for place, cloud in changed.items()} == {(0, 0, 0): 0}
    assert len(after) == 1


def test_a_snapshot_copies_a_bounded_number_of_voxels_and_the_next_ones_the_rest():
    voxels = PartedVoxels(SIZE)
    for part in range(10):
        voxels.add(at(*((part * PART_SIDE + x, 0, 0) for x in range(20))))

    sizes = [len(voxels.snapshot(50)) for _ in range(6)]

    assert sizes == [40, 80, 120, 160, 200, 200]


def test_rows_keep_their_parts_when_the_tables_are_packed():
    rng = np.random.default_rng(0)
    voxels, kept = PartedVoxels(SIZE), {}
    for number in range(40):
        places = np.unique(rng.integers(-200, 200, (1500, 3)), axis=0)
        voxels.add(at(*places))
        if number % 8:
            voxels.add(at(*places), -1)
        else:
            kept[number] = places

    whole = voxels.whole()

    expected = np.unique(np.concatenate(list(kept.values())), axis=0)
    assert len(whole) == len(expected)
    for corner, cloud in whole.changed_since(0).items():
        cells = np.floor(cloud.points / SIZE).astype(int)
        assert (cells // PART_SIDE * PART_SIDE == corner).all()


def test_voxels_near_a_camera_are_those_ahead_and_in_reach():
    voxels = PartedVoxels(SIZE)
    ahead, behind, far = (5, 0, 0), (-9 * PART_SIDE, 0, 0), (20 * PART_SIDE, 0, 0)
    voxels.add(at(ahead, behind, far))
    place = np.array([-1.0, 0.0, 0.0])

    rows, middles = voxels.near(place, 4.0, np.array([1.0, 0.0, 0.0]))

    assert len(rows) == 1
    # (5 + 0.5) voxels of 0.1 m, seen from 1 m before the origin.
    np.testing.assert_allclose(middles[:, 0], [1.55, 0.05, 0.05], atol=1e-6)


def test_a_voxel_goes_after_four_more_misses_than_hits():
    voxels = PartedVoxels(SIZE)
    voxels.add(at((0, 0, 0)))
    row, yes, no = np.array([0]), np.array([True]), np.array([False])

    def missed(count):
        return [len(voxels.count(row, yes, no)) for _ in range(count)]

    assert missed(MOST_MISSES - 1) == [0] * (MOST_MISSES - 1)
    voxels.count(row, no, yes)
    assert missed(2) == [0, 1]
    # Hits that count are bounded: a thing that stood for long goes, too.
    for _ in range(100):
        voxels.count(row, no, yes)
    assert missed(2 * MOST_MISSES) == [0] * (2 * MOST_MISSES - 1) + [1]
