# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is counted as a ghost, and which images a map has seen."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.accuracy import map_bars, replayed


@pytest.mark.parametrize(
    ('left', 'later', 'gone'),
    [(0, 0, 1.0), (40, 0, 0.6), (40, 30, 0.9), (30, 40, 1.0)],
)
def test_points_that_images_without_the_thing_put_there_are_no_ghost(left, later, gone):
    assert map_bars.Ghosts(100, left, later, 0.0).gone == pytest.approx(gone, abs=1e-12)


def test_a_ghost_is_what_lies_where_the_thing_was_and_on_no_surface(monkeypatch):
    seen = SimpleNamespace(world='a wall at x = 2.3', thing=np.array([2.0, 1.0, 0.85]))
    monkeypatch.setattr(map_bars, 'from_surface', lambda world, points: points[:, 0] - 2.3)
    ghost, also_ghost = [2.0, 1.0, 0.85], [1.9, 1.4, 1.5]
    too_far, on_the_wall, too_high = [2.0, 1.6, 0.85], [2.25, 1.0, 0.85], [2.0, 1.0, 2.05]

    points = np.array([ghost, also_ghost, too_far, on_the_wall, too_high])

    assert map_bars._count_ghosts(seen, points, map_bars.EXACT) == 2


def test_a_map_may_begin_with_a_later_image(monkeypatch):
    steps = [(SimpleNamespace(image=k, correction=None), f'image {k}') for k in (0, 2, 4, 6)]
    monkeypatch.setattr(replayed, 'images_of', lambda located: steps)
    added, after = [], []

    replayed.fuse(None, SimpleNamespace(add=added.append), after.append, first=3)

    assert added == ['image 4', 'image 6']
    assert after == [0, 2, 4, 6]
