# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from ttt3r_ros.mapping.voxels import MOST_WEIGHT, VoxelMap


class SlowVoxels:
    """The same map from a dict of lists, a point at a time."""

    def __init__(self, size):
        self.size, self.voxels = size, {}

    def add(self, points, colors, confidence):
        frame = {}
        for point, color, weight in zip(points, colors, confidence):
            key = tuple(int(np.floor(p / np.float32(self.size))) for p in point)
            value = weight * np.array([*point, *color, 1.0], np.float64)
            frame[key] = frame.get(key, 0) + value
        for key, value in frame.items():
            total = self.voxels.get(key, 0) + value
            self.voxels[key] = total * min(1.0, MOST_WEIGHT / total[6])

    def sorted(self):
        rows = np.array([self.voxels[key] for key in sorted(self.voxels)])
        return rows[:, :6] / rows[:, 6:], rows[:, 6]


def random_frame(rng, count=400, spread=1.0, most=9.0):
    return (
        rng.uniform(-spread, spread, (count, 3)).astype(np.float32),
        rng.integers(0, 256, (count, 3), dtype=np.uint8),
        rng.uniform(1, most, count).astype(np.float32),
    )


def by_cell(cloud, size):
    cells = np.floor(cloud.points / np.float32(size)).astype(int)
    order = np.lexsort(cells.T[::-1])
    return cloud.points[order], cloud.colors[order], cloud.confidence[order]


@pytest.mark.parametrize('most', [9.0, 400.0])
def test_the_map_equals_a_dict_filled_point_by_point(most):
    rng = np.random.default_rng(0)
    fast, slow = VoxelMap(0.25, 10_000), SlowVoxels(0.25)

    for _ in range(8):
        frame = random_frame(rng, most=most)
        fast.add(*frame)
        slow.add(*frame)

    points, colors, confidence = by_cell(fast.points(), 0.25)
    expected, weight = slow.sorted()
    assert len(fast) == len(expected)
    np.testing.assert_allclose(points, expected[:, :3], atol=2e-6)
    assert np.abs(colors - expected[:, 3:]).max() <= 0.501
    np.testing.assert_allclose(confidence, weight, atol=1e-6 * MOST_WEIGHT)


def test_two_points_of_one_voxel_become_their_weighted_mean():
    voxels = VoxelMap(1.0, 10)

    voxels.add(
        np.array([[[0.2, 0.5, -0.5]], [[0.6, 0.5, -0.5]]], np.float32),
        np.array([[[0, 10, 200]], [[40, 10, 100]]], np.uint8),
        np.array([[1.0], [3.0]], np.float32),
    )

    cloud = voxels.points()
    np.testing.assert_allclose(cloud.points, [[0.5, 0.5, -0.5]], atol=1e-6)
    np.testing.assert_array_equal(cloud.colors, [[30, 10, 125]])
    np.testing.assert_array_equal(cloud.confidence, [4.0])


def test_both_sides_of_zero_are_different_voxels():
    voxels = VoxelMap(1.0, 10)
    points = np.array([[0.1, 0.1, 0.1], [-0.1, 0.1, 0.1], [0.1, -0.1, 0.1], [0.1, 0.1, -0.1]])

    voxels.add(points.astype(np.float32), np.zeros((4, 3), np.uint8), np.ones(4, np.float32))

    assert len(voxels) == 4


def test_the_map_stays_bounded_and_keeps_what_was_seen_last():
    rng = np.random.default_rng(1)
    voxels = VoxelMap(1.0, 1000)

    for frame in range(60):
        points = rng.uniform(0, 1, (90, 3)) + [frame, 0, 0] + np.arange(90)[:, None] * [0, 1, 0]
        colors = np.full((90, 3), frame, np.uint8)
        voxels.add(points.astype(np.float32), colors, np.ones(90, np.float32))
        assert len(voxels) <= 1000

    newest = set(voxels.points().colors[:, 0])
    # 875 to 1000 of them are kept, 90 a frame: always the last nine frames whole.
    assert newest >= set(range(51, 60))
    assert min(newest) >= 48


def test_a_voxel_that_is_seen_again_outlives_those_that_are_not():
    voxels = VoxelMap(1.0, 100)
    here = np.full((1, 3), -5.5, np.float32)

    for frame in range(500):
        new = np.array([[frame + 0.5, 0.5, 0.5]], np.float32)
        points = np.concatenate([here, new])
        voxels.add(points, np.zeros((2, 3), np.uint8), np.ones(2, np.float32))

    cloud = voxels.points()
    (row,) = np.flatnonzero((cloud.points == here).all(axis=1))
    assert cloud.confidence[row] == 500  # it was never dropped in between


def test_of_voxels_last_seen_together_the_older_go_first():
    voxels = VoxelMap(1.0, 300)
    old, new = (np.mgrid[0:200, y : y + 1, 0:1].reshape(3, -1).T + 0.5 for y in (9, 0))
    both = np.concatenate([old, new]).astype(np.float32)

    for points in (both[:200], both):
        voxels.add(points, np.zeros_like(points, np.uint8), np.ones(len(points), np.float32))

    rows = voxels.points().points[:, 1]
    # 400 are too many: 300 - 300 / 8 stay.
    assert ((rows < 1).sum(), (rows > 1).sum()) == (200, 63)


class SlowMemory:
    """Which voxels stay: a dict from cell to (frame that saw it last, first), sorted in need."""

    def __init__(self, most):
        self.most, self.frames, self.ages = most, 0, {}

    def add(self, cells):
        self.frames += 1
        for cell in cells:
            self.ages[cell] = self.frames, self.ages.get(cell, (0, self.frames))[1]
        if len(self.ages) > self.most:
            oldest = sorted(self.ages, key=self.ages.get)
            for cell in oldest[: len(oldest) - self.most + self.most // 8]:
                del self.ages[cell]

    def of_group(self):
        return np.bincount([group for group, _ in self.ages], minlength=self.frames)


def test_the_voxels_that_stay_are_those_of_a_dict_sorted_by_age():
    rng = np.random.default_rng(4)
    fast, slow = VoxelMap(1.0, 1000), SlowMemory(1000)

    for frame in range(200):  # each sees a group of its own, and some of the last ones again
        groups = {frame, *rng.integers(max(0, frame - 20), frame + 1, 3).tolist()}
        cells = [(group, number) for group in groups for number in range(30 + group % 7)]
        points = np.array([(*cell, 0) for cell in cells], np.float32) + np.float32(0.5)
        fast.add(points, np.zeros_like(points, np.uint8), np.ones(len(points), np.float32))
        slow.add(cells)

        stayed = np.bincount(fast.points().points[:, 0].astype(int), minlength=frame + 1)
        np.testing.assert_array_equal(stayed, slow.of_group())


def test_a_full_map_loses_few_voxels_at_a_time():
    voxels = VoxelMap(1.0, 100_000)

    for frame in range(60):
        points = np.mgrid[0:40, 0:50, frame : frame + 1].reshape(3, -1).T.astype(np.float32)
        voxels.add(points, np.zeros_like(points, np.uint8), np.ones(len(points), np.float32))
        assert len(voxels) >= min(2000 * (frame + 1), 100_000 - 4096)


def test_a_frame_larger_than_the_map_still_leaves_it_bounded():
    voxels = VoxelMap(0.1, 100)

    voxels.add(*random_frame(np.random.default_rng(2), 5000))

    assert 80 <= len(voxels) <= 100


def test_points_that_are_no_points_are_left_out():
    voxels = VoxelMap(1.0, 10)
    points = np.array(
        [[np.nan, 0, 0], [np.inf, 0, 0], [0, 2e6, 0], [0.5, 0.5, 0.5], [3, 3, 3], [4, 4, 4]]
    )
    confidence = np.array([2, 2, 2, 2, np.nan, 0])

    voxels.add(
        points.astype(np.float32), np.zeros((6, 3), np.uint8), confidence.astype(np.float32)
    )

    np.testing.assert_array_equal(voxels.points().points, [[0.5, 0.5, 0.5]])


def test_an_empty_frame_changes_nothing():
    voxels = VoxelMap(1.0, 10)

    voxels.add(*random_frame(np.random.default_rng(3), 0))

    assert len(voxels) == 0
    assert voxels.points().points.shape == (0, 3)


def test_a_full_voxel_still_follows_a_scene_that_changes():
    voxels = VoxelMap(1.0, 10)
    weight, black = np.array([10.0], np.float32), np.zeros((1, 3), np.uint8)

    for x, frames in ((0.1, 1000), (0.9, 300)):
        for _ in range(frames):
            voxels.add(np.array([[x, 0.5, 0.5]], np.float32), black, weight)

    # Each new look has a weight of 10 in 1010: the old place decays as (1000 / 1010)^n.
    left = (1000 / 1010) ** 300
    assert voxels.points().points[0, 0] == pytest.approx(0.9 - 0.8 * left, abs=1e-4)
