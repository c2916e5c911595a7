# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np

from ttt3r_ros.mapping.key_frame_support import KeyFrameSupport
from ttt3r_ros.mapping.voxels import packed

A, BESIDE_A, B = packed(np.array([[4, 5, 20], [4, 4, 0], [0, 0, 0]]))  # A and the next: one place


def cells(*numbers):
    return np.array(numbers, np.int64)


def test_where_two_key_frames_agree_what_one_alone_has_is_not_confirmed():
    support = KeyFrameSupport()
    support.add(cells(A), 1)
    support.add(cells(BESIDE_A, B), 1)

    assert support.confirmed(cells(A, BESIDE_A, B)).tolist() == [True, True, False]


def test_where_none_agree_all_are_confirmed():
    support = KeyFrameSupport()
    support.add(cells(A, BESIDE_A), 1)  # one key frame, however many voxels of a place it has
    support.add(cells(B), 1)

    assert support.confirmed(cells(A, BESIDE_A, B)).all()
    assert support.confirmed(cells()).tolist() == []


def test_what_is_taken_back_has_never_been_there():
    support = KeyFrameSupport()
    for _ in range(2):
        support.add(cells(A), 1)
    support.add(cells(B, B + 1), 1)
    support.add(cells(A), -1)

    assert support.confirmed(cells(A, B)).all()


def test_counts_stay_when_the_table_grows_and_when_places_are_forgotten():
    rng, support = np.random.default_rng(0), KeyFrameSupport()
    for _ in range(2):
        support.add(cells(A), 1)
    for _ in range(30):
        others = packed(rng.integers(100, 4000, (3, 1000)).astype(float))
        support.add(others, 1)
        support.add(others, -1)

    assert support.confirmed(cells(A, B)).tolist() == [True, False]
