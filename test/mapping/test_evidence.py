# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from ttt3r_ros.geometry import rotation_about, Similarity, transform
from ttt3r_ros.mapping.evidence import Evidence, SURELY_FREE, SURELY_OCCUPIED

EVERY_VALUE = np.arange(SURELY_FREE, SURELY_OCCUPIED + 1, dtype=np.int8)


def one_cell(step, place=(0, 0)):
    return Evidence.of(np.array(place), np.full((1, 1), step, np.int8), 0.0)


def pose(x, y, yaw, scale=1.0, z=0.0):
    return Similarity(transform(rotation_about([0, 0, 1], yaw), [x, y, z]), scale)


@pytest.mark.parametrize('seed', range(5))
def test_all_images_of_a_key_frame_do_what_they_do_one_after_the_other(seed):
    steps = np.random.default_rng(seed).choice([2, -1, 0], 200).astype(np.int8)
    steps[50:100] = np.where(seed % 2, 2, -1)  # far beyond the bounds
    expected = EVERY_VALUE.astype(int)
    together = one_cell(0)
    for step in steps:
        expected = np.clip(expected + step, SURELY_FREE, SURELY_OCCUPIED)
        together = together.then(one_cell(step))

    found = EVERY_VALUE.copy()
    for row in found.reshape(-1, 1, 1):
        together.apply(row)

    np.testing.assert_array_equal(found, expected)


def test_two_rectangles_become_one_that_holds_both():
    both = one_cell(2, (3, -1)).then(one_cell(-1, (-2, 4)))
    cells = np.zeros((6, 6), np.int8)

    both.apply(cells)

    assert (both.first.tolist(), both.end.tolist()) == ([-2, -1], [4, 5])
    assert cells[0, 5] == 2  # row y = -1, column x = 3
    assert cells[5, 0] == -1
    assert np.count_nonzero(cells) == 2


def test_each_cell_of_moved_evidence_is_what_lies_at_its_middle():
    rng = np.random.default_rng(0)
    first, step = np.array([-7, 3]), rng.choice([2, -1, 0], (20, 30)).astype(np.int8)
    a_T_b = pose(4.3, -2.6, 0.7, 1.2)

    moved = Evidence.of(first, step, 0.0).moved(a_T_b)

    rows, columns = np.indices(moved.steps.shape[:2])
    middles = np.stack([columns + moved.first[0] + 0.5, rows + moved.first[1] + 0.5])
    turn, shift = a_T_b.a_T_b[:2, :2], a_T_b.a_T_b[:2, 3]
    back = np.tensordot(turn.T, middles - shift[:, None, None], 1) / 1.2
    x, y = np.floor(back).astype(int) - first[:, None, None]
    inside = (x >= 0) & (x < 30) & (y >= 0) & (y < 20)
    expected = np.where(inside, step[np.clip(y, 0, 19), np.clip(x, 0, 29)], 0)
    # Middles that fall on the border of two cells may go to either.
    assert (moved.steps[..., 0] != expected).mean() < 0.01
    assert np.count_nonzero(expected) > 200


def test_evidence_moved_by_whole_cells_and_quarter_turns_stays_whole():
    step = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    evidence = Evidence.of(np.array([2, 5]), step, 0.0)

    shifted = evidence.moved(pose(10.0, -3.0, 0.0))
    turned = evidence.moved(pose(0.0, 0.0, np.pi / 2))

    assert shifted.first.tolist() == [12, 2]
    np.testing.assert_array_equal(shifted.steps, evidence.steps)
    row, column = np.argwhere(turned.steps[..., 0] == -6)[0]
    # The cell of x 2 to 3, y 5 to 6 lies at x -6 to -5, y 2 to 3.
    assert (column + turned.first[0], row + turned.first[1]) == (-6, 2)
    assert sorted(turned.steps[..., 0][turned.steps[..., 0] != 0]) == sorted(step[step != 0])


def test_a_tilt_moves_the_floor_by_its_height():
    tilt = Similarity(transform(rotation_about([0, 1, 0], 0.5), [0, 0, 0]))
    step = np.full((1, 1), 2, np.int8)

    moved = Evidence.of(np.array([0, 0]), step, -20.0).moved(tilt)

    # x cos + z sin: the middle (0.5, -20) goes to 0.44 - 9.59.
    _, columns = np.nonzero(moved.steps[..., 0])
    assert (columns + moved.first[0]).tolist() == [-10]
    # -x sin + z cos.
    assert moved.height == pytest.approx(-0.5 * np.sin(0.5) - 20 * np.cos(0.5), abs=1e-9)
