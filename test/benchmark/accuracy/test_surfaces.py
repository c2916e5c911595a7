# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from benchmark.accuracy.surfaces import cells_right, from_surface, still_there
from benchmark.accuracy.vanishing import with_cylinder
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.occupancy import FREE, Occupancy, OCCUPIED
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import robot_path
from ttt3r_ros.simulation.renderer import render

CAMERA = CameraIntrinsics.from_field_of_view(64, 48, 70.0)


@pytest.fixture(scope='module')
def flat():
    """Return a world and a pose of a camera in it."""
    world = build_world('S', 7)
    path = robot_path(world, 7, 5.0, 1.0, camera_height=0.8, tilt=0.0)
    return world, path.world_T_camera[0]


def seen_from(world, world_T_camera):
    """Return what a camera sees, (N, 3), in the world."""
    _, depth = render(world, CAMERA, world_T_camera)
    points = (CAMERA.rays() * depth[..., None]).reshape(-1, 3)
    return points @ world_T_camera[:3, :3].T + world_T_camera[:3, 3]


def test_what_a_camera_sees_lies_on_surfaces_and_what_is_moved_does_not(flat):
    world, camera = flat
    points = seen_from(world, camera)

    assert np.abs(from_surface(world, points)).max() < 0.01
    half_way = camera[:3, 3] + 0.5 * (points - camera[:3, 3])
    ahead = np.linalg.norm(points - camera[:3, 3], axis=1)
    assert (from_surface(world, half_way) <= 0.5 * ahead + 0.01).all()


@pytest.mark.parametrize('depth', [0.03, 0.5, 2.0])
def test_outside_the_building_the_outer_wall_is_the_nearest(flat, depth):
    world, _ = flat
    low = world.tables.cells.low.min(axis=0).astype(float)
    corner = world.tables.cells.low.argmin(axis=0)[0]
    middle = 0.5 * (world.tables.cells.low[corner] + world.tables.cells.high[corner])
    point = np.array([[low[0] - depth, middle[1], 1.0]])

    assert from_surface(world, point)[0] == pytest.approx(-depth, abs=1e-5)


def test_cells_are_right_where_the_world_has_what_they_say(flat):
    world, camera = flat
    robot, wall = camera[:2, 3], world.tables.cells.low[:, :2].min(axis=0)
    cells = np.full((1, 2), FREE, np.int8)
    cells[0, 1] = OCCUPIED
    at_robot = Occupancy(cells, 0.05, robot[0] - 0.025, robot[1] - 0.025)
    outside = Occupancy(cells, 0.05, wall[0] - 1.0, wall[1] - 1.0)

    right = [cells_right(world, one, np.eye(4), 0.1) for one in (at_robot, outside)]

    assert [bool(one[FREE][0]) for one in right] == [True, False]
    assert [bool(one[OCCUPIED][0]) for one in right] == [False, False]


def test_something_more_stands_before_the_camera_and_all_else_stays(flat):
    world, camera = flat
    middle = camera[:3, 3] + 1.5 * camera[:3, 2]
    middle[2] = 0.85

    more = with_cylinder(world, middle)

    (_, before), (_, after) = (render(one, CAMERA, camera) for one in (world, more))
    assert after[24, 32] == pytest.approx(1.25, abs=0.01)
    changed = after != before
    assert 0.05 < changed.mean() < 0.4
    assert (after[changed] < before[changed]).all()


def test_points_are_still_there_where_others_are_near():
    points = np.array([[0.0, 0, 0], [1.0, 0, 0]])

    assert still_there(points, points + [0.05, 0, 0], 0.1).all()
    assert list(still_there(points, points[:1], 0.1)) == [True, False]
    assert not still_there(points, points[:0], 0.1).any()
