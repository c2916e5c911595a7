# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the viewer of a node remembers, for messages hold only the present."""

from dataclasses import replace

import numpy as np

from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.viewer.first_seen import FirstSeen
from ttt3r_ros.viewer.kept_views import KeptViews, MOST_VIEWS
from ttt3r_ros.viewer.scene import View

SECOND = 1_000_000_000
RGB = np.zeros((2, 2, 3), np.uint8)


def row(first, end):
    return (np.array([[x, -3, 0] for x in range(first, end)], np.float32) + 0.5) * 0.1


def path_of(count, a_T_map=None):
    poses = np.stack([transform(np.eye(3), [x, 0, 0]) for x in range(count)])
    return Trajectory(
        SECOND * np.arange(1, count + 1), poses if a_T_map is None else a_T_map @ poses
    )


def view_at(number):
    return View(SECOND * (number + 1), transform(np.eye(3), [number, 0, 1]), RGB, None, 1.0)


def test_a_voxel_keeps_the_time_at_which_it_came():
    seen = FirstSeen(0.1)

    first = seen.of(row(-5, 5), 1.0)
    second = seen.of(row(0, 8), 2.5)
    third = seen.of(row(-5, 8), 4.0)

    assert first.tolist() == [1.0] * 10
    assert second.tolist() == [1.0] * 5 + [2.5] * 3
    assert third.tolist() == [4.0] * 5 + [1.0] * 5 + [2.5] * 3  # what went away comes anew


def test_images_move_with_the_path_when_it_is_corrected():
    kept, path = KeptViews(), path_of(4)
    for number in range(4):
        kept.add(view_at(number), path)
    moved = transform(rotation_about([0, 0, 1], 0.5), [3, 4, 0])

    views = kept.along(path_of(4, moved))

    expected = np.stack([moved @ view_at(number).map_T_camera for number in range(4)])
    np.testing.assert_allclose(np.stack([v.map_T_camera for v in views]), expected, atol=1e-9)


def test_images_are_kept_in_bounded_number_and_a_jump_back_begins_anew():
    kept, path = KeptViews(), path_of(10 * MOST_VIEWS)
    for number in range(10 * MOST_VIEWS):
        kept.add(view_at(number), path)

    stamps = [view.stamp_ns for view in kept.along(path)]
    assert MOST_VIEWS // 2 <= len(stamps) < MOST_VIEWS
    assert len(set(np.diff(stamps).tolist())) == 1  # evenly spread
    assert stamps[-1] > 0.9 * path.stamps_ns[-1]

    kept.add(replace(view_at(2)), path)

    assert [view.stamp_ns for view in kept.along(path)] == [3 * SECOND]
