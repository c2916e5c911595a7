# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Paths keep their distance, their bounds of speed and turn, and their promises of shape."""

import numpy as np
import pytest

from ttt3r_ros.geometry import invert, rotation_angle
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import (
    body_T_camera,
    cheapest_way,
    hand_path,
    NoRouteError,
    robot_path,
)
from ttt3r_ros.simulation.world import World

FAMILIES = ['S', 'M', 'L']
PATHS = [robot_path, hand_path]
RATE = 15.0


def speeds(path):
    return np.linalg.norm(np.diff(path.world_T_camera[:, :3, 3], axis=0), axis=1) * RATE


def turn_rates(path):
    steps = invert(path.world_T_camera[:-1]) @ path.world_T_camera[1:]
    return rotation_angle(steps[:, :3, :3]) * RATE


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('make', PATHS)
def test_a_camera_keeps_a_quarter_of_a_metre_from_walls_and_furniture(family, make):
    for seed in range(4):
        world = build_world(family, seed)
        path = make(world, seed, 10.0, RATE)
        distance = world.clearance(path.world_T_camera[:, :3, 3], floor=False)
        assert distance.min() >= 0.25


@pytest.mark.parametrize('family', FAMILIES)
def test_a_robot_is_no_faster_than_allowed_and_accelerates_gently(family):
    for seed in range(4):
        path = robot_path(build_world(family, seed), seed, 20.0, RATE, speed=0.8)
        speed = speeds(path)
        assert speed.max() <= 0.8 * 1.01
        assert speed.mean() > 0.3
        velocity = np.diff(path.world_T_camera[:, :3, 3], axis=0) * RATE
        assert np.linalg.norm(np.diff(velocity, axis=0) * RATE, axis=1).max() < 1.6
        assert turn_rates(path).max() < 1.4


@pytest.mark.parametrize('family', FAMILIES)
def test_a_hand_moves_in_all_six_degrees_of_freedom_within_bounds(family):
    for seed in range(4):
        path = hand_path(build_world(family, seed), seed, 20.0, RATE)
        heights = path.world_T_camera[:, 2, 3]
        assert 0.9 <= heights.min() < heights.max() <= 1.7
        assert heights.std() > 0.03
        assert speeds(path).max() < 2.0
        assert turn_rates(path).max() < 3.5
        assert path.world_T_camera[:, 2, 0].std() > 0.01  # roll
        assert path.world_T_camera[:, 2, 2].std() > 0.02  # pitch


def test_a_hand_moves_sideways_as_much_as_forwards():
    share = []
    for seed in range(12):
        path = hand_path(build_world('M', seed), seed, 10.0, RATE)
        steps = (invert(path.world_T_camera[:-1]) @ path.world_T_camera[1:])[:, :3, 3]
        share.append(np.abs(steps[:, 0]).mean() / np.abs(steps[:, 2]).mean())
    assert np.median(share) > 0.5


def test_a_robot_looks_where_it_goes_from_a_fixed_mount():
    path = robot_path(build_world('S', 0), 5, 30.0, RATE, camera_height=0.5, tilt=0.1)

    base = path.world_T_camera @ invert(body_T_camera(0.5, 0.1))

    np.testing.assert_allclose(base[:, 2, 3], 0.0, atol=1e-9)
    np.testing.assert_allclose(base[:, 2, 2], 1.0, atol=1e-9)
    velocity = np.diff(base[:, :2, 3], axis=0) * RATE
    moving = np.linalg.norm(velocity, axis=1) > 0.3
    along = (velocity * base[:-1, :2, 0]).sum(axis=1)[moving]
    assert (along > 0.9 * np.linalg.norm(velocity[moving], axis=1)).mean() > 0.97


def test_positive_tilt_looks_up_and_the_camera_is_at_its_height():
    pose = body_T_camera(0.6, 0.2)

    np.testing.assert_allclose(pose[:3, 2], [np.cos(0.2), 0.0, np.sin(0.2)], atol=1e-12)
    np.testing.assert_allclose(pose[:3, 3], [0.0, 0.0, 0.6], atol=1e-12)


def test_a_long_drive_visits_most_rooms_stops_and_comes_back():
    world = build_world('S', 0)
    path = robot_path(world, 3, 240.0, 5.0)
    places = path.world_T_camera[:, :3, 3]

    visited = set(world.cells_at(places).tolist())
    speed = np.linalg.norm(np.diff(places, axis=0), axis=1) * 5.0
    apart = np.linalg.norm(places[:, None, :2] - places[None, :, :2], axis=-1)
    later = np.subtract.outer(np.arange(len(places)), np.arange(len(places))) > 5 * 30

    assert len(visited & set(range(8))) >= 5
    assert (speed < 0.01).any()
    assert (apart[later] < 0.2).any()


@pytest.mark.parametrize('make', PATHS)
def test_a_seed_gives_the_same_path_twice_and_another_seed_another(make):
    world = build_world('M', 0)

    first, again, other = (make(world, seed, 3.0, RATE).world_T_camera for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


@pytest.mark.parametrize('make', PATHS)
def test_stamps_follow_the_rate(make):
    path = make(build_world('M', 0), 1, 2.0, 10.0)

    np.testing.assert_array_equal(path.stamps_ns, np.arange(20) * 100_000_000)
    assert path.world_T_camera.shape == (20, 4, 4)


def test_the_cheapest_way_goes_around_what_is_forbidden():
    cost = np.ones((5, 7), dtype=np.float32)
    cost[0:4, 3] = np.inf  # a wall that leaves the last row open

    way = cheapest_way(cost, 0, 0, 0, 6)

    assert way[0].tolist() == [0, 0]
    assert way[-1].tolist() == [0, 6]
    assert np.isfinite(cost[way[:, 0], way[:, 1]]).all()
    assert np.abs(np.diff(way, axis=0)).max() == 1
    steps = np.hypot(*np.diff(way, axis=0).T).sum()
    # By hand: from (0, 0) by 3 diagonals and 1 down... to (4, 3) and back up alike.
    assert steps == pytest.approx(2 * (3 * np.sqrt(2) + 1), abs=1e-9)


def test_a_world_without_room_is_refused():
    full = build_world('M', 0).tables
    cells = full.cells.copy()
    cells.high = cells.low + 0.3  # corridors of 30 cm
    narrow = World(full._replace(cells=cells))

    with pytest.raises(NoRouteError):
        robot_path(narrow, 0, 1.0, RATE)
