# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from ttt3r_ros.geometry import BODY_T_OPTICAL, rotation_about, transform
from ttt3r_ros.graph.ground import FEWEST_FLOORS, find_ground, FoundFloor, levelled
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.tracking.frame import Pointmap

RAYS = CameraIntrinsics.from_field_of_view(96, 72, 70.0).rays()
LEVEL_UP = np.array([0.0, -1.0, 0.0])  # of a camera that looks ahead
UP = np.array([0.0, 0.0, 1.0])


def room(map_R_camera, height, table=None, noise=0.0):
    """Return what a camera sees of a floor, a wall 4 m ahead, and maybe a table of some height."""
    turned = RAYS.reshape(-1, 3) @ map_R_camera.T
    with np.errstate(divide='ignore'):
        floor = np.where(turned[:, 2] < 0, -height / turned[:, 2], np.inf)
        wall = np.where(turned[:, 0] > 0, 4.0 / turned[:, 0], np.inf)
        depth = np.minimum(floor, wall)
        if table is not None:
            on_table = np.where(turned[:, 2] < 0, (table - height) / turned[:, 2], np.inf)
            across = on_table * turned[:, 1]
            depth = np.where((np.abs(across) < 0.3) & (on_table < depth), on_table, depth)
    rng = np.random.default_rng(0)
    depth = np.where(np.isfinite(depth), depth, 4.0) * np.exp(rng.normal(0, noise, depth.shape))
    points = (RAYS.reshape(-1, 3) * depth[:, None]).reshape(RAYS.shape).astype(np.float32)
    shape = points.shape[:2]
    return Pointmap(points, np.full(shape, 5, np.float32), np.zeros((*shape, 3), np.uint8))


def tilted(pitch, roll):
    turn = rotation_about([0, 1, 0], pitch) @ rotation_about([1, 0, 0], roll)
    return turn @ BODY_T_OPTICAL[:3, :3]


@pytest.mark.parametrize(('pitch', 'roll'), [(0.0, 0.0), (0.25, 0.1), (0.1, -0.3)])
@pytest.mark.parametrize('height', [0.4, 1.5])
def test_the_floor_is_found_however_the_camera_is_tilted(pitch, roll, height):
    map_R_camera = tilted(pitch, roll)

    ground = find_ground(room(map_R_camera, height, noise=0.01), LEVEL_UP)

    np.testing.assert_allclose(map_R_camera @ ground.up, UP, atol=0.02)
    assert ground.height == pytest.approx(height, abs=0.03)


def test_a_table_is_no_floor_and_does_not_hide_it():
    map_R_camera = tilted(0.2, 0.0)

    ground = find_ground(room(map_R_camera, 1.2, table=0.7), LEVEL_UP)

    assert ground.height == pytest.approx(1.2, abs=0.02)


def at_height(z, tilt=0.2):
    return transform(tilted(tilt, 0.0), [0.0, 0.0, z])


def test_the_floor_is_known_once_five_key_frames_showed_it_and_one_that_errs_does_not_count():
    floor, seen = FoundFloor(), []
    # The camera rises; the floor is at 0.5 m. In the second image depth is half of what is true.
    for z, height in [(1.5, 1.0), (1.6, 0.55), (1.7, 1.2), (1.8, 1.3), (1.9, 1.4)]:
        floor.see(room(tilted(0.2, 0.0), height), at_height(z))
        seen.append(floor.z)

    assert seen[: FEWEST_FLOORS - 1] == [None] * (FEWEST_FLOORS - 1)
    assert floor.z == pytest.approx(0.5, abs=0.02)
    floor.move(transform(np.eye(3), [1.0, 0.0, -0.25]))
    assert floor.z == pytest.approx(0.25, abs=0.02)


def test_floors_that_lean_against_the_map_count_less():
    floor = FoundFloor()
    for lean in (0.0, 0.3, 0.3, 0.3, 0.0):  # radians; those that lean err by 0.4 m
        floor.see(room(tilted(0.2 + lean, 0.0), 1.0 + 0.4 * bool(lean)), at_height(1.0))

    assert floor.z == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(('lean', 'leans'), [(0.02, False), (0.1, True)])
def test_a_map_that_leans_is_told_and_is_level_when_it_was_turned(lean, leans):
    floor = FoundFloor()
    for turn in np.linspace(0, 2, 6):  # a camera that turns about what is up, in a map that leans
        R = rotation_about([1, 1, 0], lean) @ rotation_about([0, 0, 1], turn)
        pose = transform(R @ BODY_T_OPTICAL[:3, :3], [3.0, 0.0, 1.0])
        floor.see(room(BODY_T_OPTICAL[:3, :3], 1.0), pose)

    up = floor.leaning_up
    assert (up is not None) == leans
    if leans:
        np.testing.assert_allclose(up, rotation_about([1, 1, 0], lean) @ UP, atol=1e-3)
        here = pose[:3, 3]
        level = rotation_about([1, 1, 0], -lean)
        floor.move(transform(level, here - level @ here))
        assert floor.leaning_up is None
        assert floor.z == pytest.approx(0.0, abs=0.02)


def test_the_floor_is_that_of_the_last_key_frames():
    floor = FoundFloor()
    for k in range(40):  # a ramp that rises by 5 cm a key frame
        floor.see(room(tilted(0.2, 0.0), 1.0), at_height(1.0 + 0.05 * k))

    assert floor.z == pytest.approx(0.05 * 32, abs=0.02)


def test_a_camera_that_sees_only_a_wall_finds_none():
    wall = (RAYS * 2.0).astype(np.float32)
    confidence, colors = np.full((72, 96), 5, np.float32), np.zeros((72, 96, 3), np.uint8)

    assert find_ground(Pointmap(wall, confidence, colors), LEVEL_UP) is None
    unsure = Pointmap(wall, np.ones((72, 96), np.float32), colors)
    assert find_ground(unsure, LEVEL_UP) is None


@pytest.mark.parametrize(('pitch', 'roll'), [(0.0, 0.0), (0.3, -0.2), (-0.6, 1.5)])
def test_a_levelled_camera_stays_and_has_up_where_it_is(pitch, roll):
    up = tilted(pitch, roll).T @ UP
    start = transform(BODY_T_OPTICAL[:3, :3], [1.0, 2.0, 3.0])

    found = levelled(start, up)

    np.testing.assert_allclose(found[:3, :3] @ up, UP, atol=1e-12)
    np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-12)
    np.testing.assert_array_equal(found[:3, 3], start[:3, 3])


def test_a_camera_that_hangs_upside_down_is_turned_over():
    found = levelled(BODY_T_OPTICAL, -LEVEL_UP)

    np.testing.assert_allclose(found[:3, :3] @ -LEVEL_UP, UP, atol=1e-12)
