# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from ttt3r_ros.geometry import rotation_about, Similarity, transform
from ttt3r_ros.mapping.voxels import (
    CellIndex,
    FixedPoints,
    MOST_WEIGHT,
    packed,
    unpacked,
    VoxelPoints,
    VoxelSums,
)

SIZE = 0.25
# A place is kept in 1 / 65536 of a voxel, a weight in 1 / 16.
PLACE_ATOL, WEIGHT_ATOL = 2e-5, 1 / 32


class SlowVoxels:
    """The same sums from a dict, a point at a time, in floating point."""

    def __init__(self):
        self.voxels = {}

    def add(self, columns, color, weight):
        for point, rgb, w in zip(columns.T, color.T, weight):
            key = tuple(np.floor(point).astype(int))
            self.voxels[key] = self.voxels.get(key, 0) + w * np.array([*point, *rgb, 1.0])

    def sorted(self):
        rows = np.array([self.voxels[key] for key in sorted(self.voxels)])
        return rows[:, :6] / rows[:, 6:], rows[:, 6]


def random_points(rng, count=400, spread=4.0):
    return (
        rng.uniform(-spread, spread, (3, count)),
        rng.integers(0, 256, (3, count), dtype=np.uint8),
        rng.integers(1, 9, count).astype(float),
    )


def state(sums):
    """Return all bits of the voxels, whatever the order of their rows."""
    rows = sums.all()
    order = np.argsort(rows.cells)
    return np.column_stack([rows.cells, rows.weight, rows.sums])[order]


def test_the_sums_equal_a_dict_filled_point_by_point():
    rng = np.random.default_rng(0)
    fast, slow = VoxelSums(), SlowVoxels()

    for _ in range(8):
        points = random_points(rng)
        fast.add(FixedPoints.of(*points))
        slow.add(*points)

    cloud = fast.all().cloud(SIZE)
    order = np.lexsort(np.floor(cloud.points / SIZE).T[::-1])
    expected, weight = slow.sorted()
    assert len(fast) == len(expected)
    np.testing.assert_allclose(cloud.points[order] / SIZE, expected[:, :3], atol=PLACE_ATOL)
    assert np.abs(cloud.colors[order] - expected[:, 3:]).max() <= 0.501
    np.testing.assert_allclose(cloud.confidence[order], weight, atol=1e-3)


def test_two_points_of_one_voxel_become_their_weighted_mean():
    columns = np.array([[0.2, 0.6], [0.5, 0.5], [-0.5, -0.5]])
    color = np.array([[0, 40], [10, 10], [200, 100]], np.uint8)
    sums = VoxelSums()

    sums.add(FixedPoints.of(columns, color, np.array([1.0, 3.0])))

    cloud = sums.all().cloud(2.0)
    np.testing.assert_allclose(cloud.points, [[1.0, 1.0, -1.0]], atol=2.0 * PLACE_ATOL)
    np.testing.assert_array_equal(cloud.colors, [[30, 10, 125]])
    np.testing.assert_allclose(cloud.confidence, [4.0], atol=1e-5)


def test_both_sides_of_zero_are_different_voxels():
    columns = np.array([[0.1, -0.1, 0.1, 0.1], [0.1, 0.1, -0.1, 0.1], [0.1, 0.1, 0.1, -0.1]])
    sums = VoxelSums()

    sums.add(FixedPoints.of(columns, np.zeros((3, 4), np.uint8), np.ones(4)))

    assert len(sums) == 4


def test_points_that_are_no_points_are_left_out():
    columns = np.array(
        [[np.nan, 0, 0], [np.inf, 0, 0], [0, 2e6, 0], [0.5] * 3, [3] * 3, [4] * 3]
    ).T
    weight = np.array([2, 2, 2, 2, np.nan, 0])

    points = FixedPoints.of(columns, np.zeros((3, 6), np.uint8), weight)

    assert points.cells.tolist() == packed(np.zeros((3, 1))).tolist()


def test_a_cell_is_unpacked_as_it_was_packed():
    cells = np.array([[-(1 << 20), -1, 0, (1 << 20) - 1], [5, -7, 0, 2], [1, 2, -3, 0]])

    np.testing.assert_array_equal(unpacked(packed(cells.astype(float))), cells)


def test_what_is_added_and_subtracted_in_any_order_leaves_the_same_bits():
    rng = np.random.default_rng(1)
    shares = [FixedPoints.of(*random_points(rng)) for _ in range(12)]
    steps = [(share, 1) for share in shares] + [(share, -1) for share in shares[6:]]
    expected = VoxelSums()
    for share in shares[:6]:
        expected.add(share)

    for _ in range(5):
        sums = VoxelSums()
        for step in rng.permutation(len(steps)):
            sums.add(*steps[step])
        np.testing.assert_array_equal(state(sums), state(expected))


def test_the_mean_of_points_in_another_frame_is_the_mean_in_that_frame():
    columns, color, weight = random_points(np.random.default_rng(2), count=50)
    points = VoxelPoints(columns.astype(np.float32), color, weight.astype(np.int32))
    turn, shift, scale = rotation_about([1, 2, 3], 0.7), np.array([5.0, -3.0, 0.4]), 1.7
    sums = VoxelSums()

    sums.add(points.placed(Similarity(transform(turn, shift), scale)))

    slow = SlowVoxels()
    slow.add(scale * turn @ columns + shift[:, None], color, weight)
    cloud = sums.all().cloud(1.0)
    order = np.lexsort(np.floor(cloud.points).T[::-1])
    np.testing.assert_allclose(cloud.points[order], slow.sorted()[0][:, :3], atol=PLACE_ATOL)


def test_each_cell_has_one_number_that_stays():
    rng = np.random.default_rng(3)
    index, expected = CellIndex(16), {}

    for _ in range(50):
        cells = rng.integers(0, 5000, 300) << 21  # neighbours fall on the same slots
        numbers = index.numbers(cells)
        for cell in np.unique(cells).tolist():
            expected.setdefault(cell, int(numbers[cells == cell][0]))
        assert [expected[cell] for cell in cells.tolist()] == numbers.tolist()

    assert sorted(expected.values()) == list(range(len(index)))


def test_voxels_that_lost_all_points_take_no_room():
    rng = np.random.default_rng(4)
    sums, sizes = VoxelSums(), []

    for number in range(200):
        columns, color, weight = random_points(rng)
        share = FixedPoints.of(columns + 50 * number, color, weight)
        sums.add(share)
        sums.add(share, -1)
        sizes.append(sums.used)

    assert len(sums) == 0
    assert max(sizes) <= 4096


def test_a_full_voxel_still_follows_a_scene_that_changes():
    sums, black = VoxelSums(), np.zeros((3, 1), np.uint8)

    for x, images in ((0.1, 1000), (0.9, 300)):
        for _ in range(images):
            sums.add(FixedPoints.of(np.array([[x], [0.5], [0.5]]), black, np.array([10.0])))
            sums.bound_weights()

    cloud = sums.all().cloud(1.0)
    assert cloud.confidence[0] == MOST_WEIGHT
    # Each new look has a weight of 10 in 1010: the old place decays as (1000 / 1010)^n.
    left = (1000 / 1010) ** 300
    assert cloud.points[0, 0] == pytest.approx(0.9 - 0.8 * left, abs=1e-4)
