# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A room of 4 m by 2 m, of which a grid shows a part."""

import cv2
import numpy as np
import pytest

from benchmark.accuracy.coverage import coverage, FLOOR_M, true_grids, WALL_M
from benchmark.accuracy.drives import Drive
from ttt3r_ros.geometry import BODY_T_OPTICAL, rotation_about, transform
from ttt3r_ros.mapping.occupancy import FREE, Occupancy, OCCUPIED, UNKNOWN
from ttt3r_ros.simulation.world import FloorPlan, PLAN_RESOLUTION

LONG, WIDE, MARGIN = 4.0, 2.0, 0.5
SIZE = PLAN_RESOLUTION


@pytest.fixture(scope='module')
def plan():
    free = np.zeros(
        (round((WIDE + 2 * MARGIN) / SIZE), round((LONG + 2 * MARGIN) / SIZE)), np.uint8
    )
    edge = round(MARGIN / SIZE)
    free[edge:-edge, edge:-edge] = 1
    distance = cv2.distanceTransform(free, cv2.DIST_L2, 5) * SIZE
    clearance = np.maximum(distance - SIZE, 0.0).astype(np.float32)
    return FloorPlan(np.array([-MARGIN, -MARGIN]), clearance)


@pytest.mark.parametrize('share', [0.25, 0.5, 1.0])
def test_what_is_shown_is_the_share_of_area_and_of_edges(plan, share):
    cells = np.full((round(WIDE / SIZE) + 2, round(LONG / SIZE) + 2), OCCUPIED, np.int8)
    cells[1:-1, 1:-1] = FREE
    cells[:, 1 + round(share * LONG / SIZE) :] = UNKNOWN
    found = coverage(Occupancy(cells, SIZE, -SIZE, -SIZE), np.eye(4), plan)

    # Of the free area a margin is left out on all sides, of the map one side less.
    margin = FLOOR_M + SIZE
    floor = min(share * LONG - margin, LONG - 2 * margin) / (LONG - 2 * margin)
    assert found.floor == pytest.approx(floor, abs=0.03)
    around = 2 * (LONG + WIDE)
    walls = (WIDE + 2 * (share * LONG + WALL_M)) / around if share < 1 else 1 - WIDE / around
    assert found.walls == pytest.approx(walls, abs=0.04)


def test_a_grid_is_compared_where_the_map_lies(plan):
    cells = np.full((round(WIDE / SIZE) + 2, round(LONG / SIZE) + 2), OCCUPIED, np.int8)
    cells[1:-1, 1:-1] = FREE
    there = transform(rotation_about([0, 0, 1], np.pi), [LONG, WIDE, 0.0])  # the room is symmetric
    aside = transform(np.eye(3), [LONG / 2, 0.0, 0.0])
    grid = Occupancy(cells, SIZE, -SIZE, -SIZE)

    assert coverage(grid, there, plan).floor == pytest.approx(1.0, abs=0.03)
    assert coverage(grid, aside, plan).floor == pytest.approx(0.5, abs=0.05)


def test_true_depth_shows_the_floor_in_view():
    height, far = 0.8, 3.0
    v, _ = np.indices((60, 80), np.float64)
    below = np.maximum(v - 29.5, 0.0) / 60.0  # tangents
    depth = np.minimum(height / np.maximum(below, 1e-9), far)  # the floor, and a wall beyond it
    base_T_camera = transform(np.eye(3), [0.0, 0.0, height]) @ BODY_T_OPTICAL
    camera = np.array([[60.0, 0.0, 39.5], [0.0, 60.0, 29.5], [0.0, 0.0, 1.0]])
    count = 4
    drive = Drive(
        np.zeros((count, 60, 80, 3), np.uint8),
        *(np.broadcast_to(depth, (count, 60, 80)).astype(np.float16) for _ in range(3)),
        np.arange(count),
        np.tile(np.eye(4), (count, 1, 1)),
        np.zeros(count, np.int64),
        np.full(count, 60.0),
        camera,
        base_T_camera,
        np.tile(np.eye(4), (count, 1, 1)),
    )

    grids = true_grids([drive], 2)

    assert len(grids) == 2
    _, columns = np.nonzero(grids[-1].cells == FREE)
    x = grids[-1].x + (columns + 0.5) * grids[-1].resolution
    assert x.min() == pytest.approx(height / (30 / 60), abs=0.1)  # where the image ends
    assert x.max() == pytest.approx(far, abs=0.15)
