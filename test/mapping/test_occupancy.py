# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
import math

import cv2
import numpy as np
import pytest

from ttt3r_ros.geometry import IDENTITY, rotation_about, Similarity, transform
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.occupancy import (
    CHUNK_M,
    FREE,
    Occupancy,
    OccupancyError,
    OccupancyGrid,
    OCCUPIED,
    UNKNOWN,
)
from ttt3r_ros.settings import OccupancySettings
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import body_T_camera, robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.simulation.world import PLAN_RESOLUTION
from ttt3r_ros.tracking.frame import Pointmap

CAMERA_HEIGHT, FAR = 0.8, 100.0
FLOOR_T_CAMERA = body_T_camera(CAMERA_HEIGHT)
RAYS = CameraIntrinsics.from_field_of_view(128, 96, 70.0).rays().astype(np.float32)

# Boxes are x y z of two corners.
WALL = (3.0, -9.0, 0.0, 3.2, 9.0, 2.5)
PERSON = (2.0, -0.2, 0.0, 2.3, 0.2, 1.7)
STEP = (2.0, -0.2, 0.0, 2.3, 0.2, 0.1)
LOW_BOX = (2.0, -0.2, 0.0, 2.3, 0.2, 0.3)
LINTEL = (2.0, -9.0, 1.9, 2.3, 9.0, 2.5)


@dataclass(frozen=True)
class Look:
    """What a camera shows, and where it stands."""

    pointmap: Pointmap
    map_T_camera: np.ndarray


def look_of(points_camera, map_T_camera):
    shape = points_camera.shape[:2]
    confidence, colors = np.full(shape, 5.0, np.float32), np.zeros((*shape, 3), np.uint8)
    return Look(Pointmap(points_camera.astype(np.float32), confidence, colors), map_T_camera)


def seen(map_T_base, *boxes):
    """Look from a robot at the floor and boxes: the nearest that each ray meets."""
    map_T_camera = map_T_base @ FLOOR_T_CAMERA
    directions = RAYS @ map_T_camera[:3, :3].T
    start = map_T_camera[:3, 3]
    with np.errstate(divide='ignore'):
        floor = -start[2] / directions[..., 2]
        depth = np.where(floor > 0, floor, FAR)
        for box in boxes:
            first, second = ((corner - start) / directions for corner in np.reshape(box, (2, 3)))
            enters = np.minimum(first, second).max(axis=-1)
            leaves = np.maximum(first, second).min(axis=-1)
            met = (enters < leaves) & (enters > 0)
            depth = np.where(met, np.minimum(depth, enters), depth)
    return look_of(RAYS * depth[..., None], map_T_camera)


def at(x, y=0.0, yaw=0.0):
    return transform(rotation_about([0, 0, 1], yaw), [x, y, 0.0])


def add(grid, look, times=1, floor_T_camera=FLOOR_T_CAMERA, key=0):
    for _ in range(times):
        good = look.pointmap.reliable(1.5, FAR - 1)
        seen = grid.look(look.pointmap, good, look.map_T_camera, floor_T_camera)
        if seen is not None:
            grid.add(key, seen)


def cell_at(occupancy, x, y):
    row = math.floor((y - occupancy.y) / occupancy.resolution)
    column = math.floor((x - occupancy.x) / occupancy.resolution)
    rows, columns = occupancy.cells.shape
    inside = 0 <= row < rows and 0 <= column < columns
    return occupancy.cells[row, column] if inside else UNKNOWN


def cells_around(occupancy, x, y):
    steps = (-0.05, 0.0, 0.05)
    return {int(cell_at(occupancy, x + dx, y + dy)) for dx in steps for dy in steps}


def middles(occupancy):
    """Return x and y of the middle of each cell."""
    y, x = (np.indices(occupancy.cells.shape) + 0.5) * occupancy.resolution
    return x + occupancy.x, y + occupancy.y


def test_what_stands_is_occupied_what_lies_before_it_free_what_lies_behind_it_unknown():
    grid = OccupancyGrid(OccupancySettings())

    add(grid, seen(at(0), WALL), 2)

    occupancy = grid.occupancy()
    x, y = middles(occupancy)
    in_view = np.abs(y) < 0.6 * x  # of 35 degrees, less a margin
    # The lowest ray of this camera meets the floor 1.5 m ahead: 0.8 / tan(27.7 degrees).
    assert (occupancy.cells[in_view & (x > 1.65) & (x < 2.9)] == FREE).all()
    assert (occupancy.cells[in_view & (x > 3.0) & (x < 3.05)] == OCCUPIED).all()
    assert (occupancy.cells[x > 3.1] == UNKNOWN).all()
    assert (occupancy.cells[x < 1.4] == UNKNOWN).all()


@pytest.mark.parametrize(
    ('box', 'expected'),
    [(PERSON, OCCUPIED), (LOW_BOX, OCCUPIED), (STEP, FREE), (LINTEL, FREE)],
)
def test_only_what_stands_between_the_two_heights_is_an_obstacle(box, expected):
    grid = OccupancyGrid(OccupancySettings())

    add(grid, seen(at(0), box), 2)

    assert cell_at(grid.occupancy(), 2.02, 0.02) == expected


def test_the_floor_is_that_under_the_robot_however_its_pose_has_drifted():
    drifted = transform(rotation_about([0, 1, 0], 0.03), [0, 0, 0.5])
    grid, look = OccupancyGrid(OccupancySettings()), seen(at(0), WALL)

    add(grid, look_of(look.pointmap.points_camera, drifted @ look.map_T_camera), 2)

    occupancy = grid.occupancy()
    x, y = middles(occupancy)
    in_view = np.abs(y) < 0.6 * x
    assert (occupancy.cells[in_view & (x > 1.65) & (x < 2.85)] == FREE).all()


def test_somebody_who_goes_away_is_forgotten():
    grid = OccupancyGrid(OccupancySettings())
    add(grid, seen(at(0), WALL, PERSON), 30)
    assert cell_at(grid.occupancy(), 2.02, 0.02) == OCCUPIED

    add(grid, seen(at(0), WALL), 10)

    occupancy = grid.occupancy()
    x, y = middles(occupancy)
    where_he_stood = (np.abs(x - 2.15) < 0.15) & (np.abs(y) < 0.2)
    assert (occupancy.cells[where_he_stood] == FREE).all()


def test_a_low_box_stays_when_the_robot_comes_so_near_that_it_looks_over_it():
    grid = OccupancyGrid(OccupancySettings())
    add(grid, seen(at(0), WALL, LOW_BOX), 2)

    # 0.5 m before it: at 1.0 m this camera begins to see what is 0.3 m high.
    add(grid, seen(at(1.5), WALL, LOW_BOX), 50)

    assert cell_at(grid.occupancy(), 2.02, 0.02) == OCCUPIED


def test_a_single_stray_point_is_no_obstacle():
    grid, look = OccupancyGrid(OccupancySettings()), seen(at(0), WALL)
    look.pointmap.points_camera[48, 64] *= 0.6  # of the wall; it now hovers 1.8 m ahead

    add(grid, look, 3)

    assert cell_at(grid.occupancy(), 1.82, 0.0) == FREE


def test_what_is_far_away_tells_nothing():
    grid = OccupancyGrid(OccupancySettings(range=2.5))

    add(grid, seen(at(0), WALL), 2)

    cells = grid.occupancy().cells
    assert (cells == FREE).any()
    assert not (cells == OCCUPIED).any()


def walked(look, settings):
    """Return the cells that an image sets: each ray is followed in small steps."""
    size, low = settings.resolution, settings.min_height
    camera = look.map_T_camera[:3, 3]
    directions = round(2 * math.pi * settings.range / size)

    def direction(dx, dy):
        return math.floor((math.atan2(dy, dx) / (2 * math.pi) + 0.5) * directions) % directions

    def cell(x, y):
        return math.floor(x / size), math.floor(y / size)

    floor, obstacles = defaultdict(list), []
    for x, y, z in (
        look.pointmap.points_in(look.map_T_camera).reshape(-1, 3).astype(float).tolist()
    ):
        distance = math.dist((x, y), camera[:2])
        if distance <= settings.range and -low <= z <= settings.max_height:
            if z >= low:
                obstacles.append((x, y, distance))
            else:
                floor[direction(x - camera[0], y - camera[1])].append(distance)
    counts = Counter(cell(x, y) for x, y, _ in obstacles)
    needed = round(8 * look.pointmap.depth.size / (256 * 72))
    occupied = {place for place, count in counts.items() if count >= needed}
    stops = defaultdict(list)
    for x, y, distance in obstacles:
        if cell(x, y) in occupied:
            stops[direction(x - camera[0], y - camera[1])].append(distance)

    reach = math.ceil(settings.range / size) + 1
    free = set()
    for i in range(-reach, reach):
        for j in range(-reach, reach):
            place = cell(camera[0] + i * size, camera[1] + j * size)
            x, y = (place[0] + 0.5) * size - camera[0], (place[1] + 0.5) * size - camera[1]
            towards, way = direction(x, y), math.hypot(x, y)
            steps = [way * k / 50 for k in range(51)]
            blocked = any(stop - size < step for stop in stops[towards] for step in steps)
            behind = any(distance >= way for distance in floor[towards])
            before = any(distance <= way for distance in floor[towards])
            if before and behind and not blocked and place not in occupied:
                free.add(place)
    return occupied, free


def test_the_cells_are_those_of_a_walk_along_every_ray():
    settings = OccupancySettings(resolution=0.1, range=2.6)
    look = seen(at(-0.33, 0.21, 2.7), (-2.6, 0.4, 0, -2.2, 0.9, 0.5), (-2.3, 1.4, 0, -1.9, 1.6, 2))
    rng = np.random.default_rng(0)
    look.pointmap.points_camera[:] *= rng.normal(1.0, 0.02, (96, 128, 1))
    grid = OccupancyGrid(settings)

    add(grid, look, 2)

    occupancy = grid.occupancy()
    low = np.round(np.array([occupancy.x, occupancy.y]) / 0.1).astype(int)
    found = {
        value: {
            tuple(place)
            for place in (np.argwhere(occupancy.cells == value)[:, ::-1] + low).tolist()
        }
        for value in (OCCUPIED, FREE)
    }
    occupied, free = walked(look, settings)
    assert len(occupied) > 20
    assert len(free) > 100
    assert found == {OCCUPIED: occupied, FREE: free}


@pytest.fixture(scope='module')
def drive():
    """Drive through a flat with exact depth and poses; give the plan and the grid."""
    world = build_world('S', 7)
    path = robot_path(world, 7, 30.0, 1.5, camera_height=CAMERA_HEIGHT, tilt=0.0)
    camera = CameraIntrinsics.from_field_of_view(128, 96, 70.0)
    _, depth = render_clip(world, camera, path.world_T_camera)
    grid = OccupancyGrid(OccupancySettings(resolution=PLAN_RESOLUTION))
    for image, world_T_camera in zip(depth, path.world_T_camera):
        add(grid, look_of(RAYS * image[..., None], world_T_camera))
    return world.plan(), grid.occupancy()


def test_a_drive_through_a_flat_draws_its_plan(drive):
    plan, occupancy = drive
    x, y = middles(occupancy)
    rows, columns = plan.clearance.shape
    u, v = (x - plan.low[0]) / PLAN_RESOLUTION, (y - plan.low[1]) / PLAN_RESOLUTION
    inside = (u >= 0) & (u < columns) & (v >= 0) & (v < rows)
    is_free = inside & (plan.clearance_at(np.stack([x, y], axis=-1)) > 0)
    neighbours = np.ones((3, 3), np.uint8)  # the two rasters are shifted by up to a cell
    all_free = cv2.erode(is_free.astype(np.uint8), neighbours) > 0
    all_solid = cv2.erode((~is_free).astype(np.uint8), neighbours) > 0
    free, occupied = occupancy.cells == FREE, occupancy.cells == OCCUPIED

    area = PLAN_RESOLUTION**2
    assert free.sum() * area > 30.0
    assert occupied.sum() > 500
    assert (free & all_solid).sum() < 0.003 * free.sum()
    assert (occupied & all_free).sum() < 0.003 * occupied.sum()
    assert not (free & ~inside).any()


def test_growth_keeps_what_is_known_where_it_is_and_the_corner_on_whole_chunks():
    grid = OccupancyGrid(OccupancySettings())
    add(grid, seen(at(0), WALL), 2)
    x, y = middles(grid.occupancy())
    known = grid.occupancy().cells != UNKNOWN
    before = [
        (float(a), float(b), cell_at(grid.occupancy(), a, b)) for a, b in zip(x[known], y[known])
    ]
    sizes = set()

    for map_T_base in (at(-3.0, 0, 3.1), at(-3, -7, -1.6), at(10, 10), at(10.3, 10.1)):
        add(grid, seen(map_T_base))
        occupancy = grid.occupancy()
        sizes.add(occupancy.cells.shape)
        chunks = np.array([occupancy.x, occupancy.y, *np.multiply(occupancy.cells.shape, 0.05)])
        np.testing.assert_allclose(chunks / CHUNK_M, np.round(chunks / CHUNK_M), atol=1e-9)
    assert len(sizes) == 3  # the last two views needed no growth
    assert all(cell_at(grid.occupancy(), a, b) == value for a, b, value in before)
    assert not grid.overflowed


def test_the_grid_stays_bounded_and_forgets_the_side_that_the_robot_left():
    grid = OccupancyGrid(OccupancySettings(resolution=0.2, max_side=50.0))

    for x in range(0, 300, 6):
        add(grid, seen(at(x)), 2)
        assert max(grid.occupancy().cells.shape) * 0.2 <= 50.0

    known = middles(grid.occupancy())[0][grid.occupancy().cells != UNKNOWN]
    assert grid.overflowed
    assert known.max() > 294
    assert known.max() - known.min() > 40
    for x in range(258, 300, 6):
        assert cell_at(grid.occupancy(), x + 2.5, 0) == FREE
        assert cell_at(grid.occupancy(), x + 5.0, 0) == UNKNOWN  # out of range

    for x in range(294, -1, -6):
        add(grid, seen(at(x, 0, math.pi)), 2)
    assert middles(grid.occupancy())[0][grid.occupancy().cells != UNKNOWN].min() < 0
    add(grid, seen(at(0, 1e6)), 2)  # an initial pose far away
    assert max(grid.occupancy().cells.shape) * 0.2 <= 50.0


def moved_by(*place, yaw=0.0):
    return Similarity(at(*place, yaw))


def test_a_grid_folded_anew_is_the_grid_that_grew():
    grid, poses = OccupancyGrid(OccupancySettings()), {}
    for key in range(6):
        poses[key] = Similarity(IDENTITY)
        add(grid, seen(at(0.4 * key, 0.1 * key, 0.3 * key), WALL, PERSON), 3, key=key)
    before = grid.occupancy()

    grid.move({key: moved_by(7, 1, yaw=0.5) for key in poses})
    assert not np.array_equal(grid.occupancy().cells, before.cells)
    grid.move(poses)

    after = grid.occupancy()
    rows, columns = before.cells.shape
    x, y = (round((a - b) / 0.05) for a, b in ((before.x, after.x), (before.y, after.y)))
    np.testing.assert_array_equal(after.cells[y : y + rows, x : x + columns], before.cells)


def test_evidence_moves_with_its_key_frame():
    grid = OccupancyGrid(OccupancySettings())
    add(grid, seen(at(0), WALL), 2, key=0)
    add(grid, seen(at(0, 0, math.pi)), 2, key=1)
    assert cell_at(grid.occupancy(), 3.02, 0.0) == OCCUPIED

    grid.move({0: moved_by(1.0, 0.0, yaw=math.pi / 2), 1: moved_by(0.0)})

    occupancy = grid.occupancy()
    # The wall lay 3 m ahead on x; now it lies 3 m ahead on y, from x = 1 on.
    assert cell_at(occupancy, 1.0, 3.02) == OCCUPIED
    assert cell_at(occupancy, 1.0, 2.5) == FREE
    assert cell_at(occupancy, 3.02, 0.0) == UNKNOWN
    assert cell_at(occupancy, -2.0, 0.0) == FREE


def test_an_image_of_a_key_frame_that_has_moved_is_added_where_it_is():
    grid = OccupancyGrid(OccupancySettings())
    add(grid, seen(at(0), WALL), 2, key=0)
    pose = moved_by(5.0, 2.0, yaw=0.4)
    grid.move({0: pose})

    look = seen(at(0), PERSON)
    good = look.pointmap.reliable(1.5, FAR - 1)
    for _ in range(5):
        grid.add(
            0, grid.look(look.pointmap, good, pose.a_T_b @ look.map_T_camera, FLOOR_T_CAMERA), pose
        )
    live = grid.occupancy()
    grid.move({0: moved_by(0.0)})

    x, y = (pose.a_T_b @ [2.0, 0.0, 0.0, 1.0])[:2]
    assert OCCUPIED in cells_around(live, x, y)
    assert OCCUPIED not in cells_around(live, 2.0, 0.0)
    assert OCCUPIED in cells_around(grid.occupancy(), 2.0, 0.0)
    assert cell_at(grid.occupancy(), 2.5, 0.8) == FREE  # seen before it moved


def test_the_evidence_of_a_removed_key_frame_moves_with_its_heir():
    grid = OccupancyGrid(OccupancySettings())
    add(grid, seen(at(0), WALL), 2, key=0)
    add(grid, seen(at(0, 0, math.pi)), 2, key=1)
    before = grid.occupancy()

    grid.hand_over(0, 1, moved_by(0.0))
    np.testing.assert_array_equal(grid.occupancy().cells, before.cells)
    grid.move({0: moved_by(9.0), 1: moved_by(0.0, 1.0)})

    assert cell_at(grid.occupancy(), 3.02, 1.0) == OCCUPIED
    assert cell_at(grid.occupancy(), -2.0, 1.0) == FREE


def test_the_evidence_of_a_removed_key_frame_may_go_to_one_without_any():
    grid = OccupancyGrid(OccupancySettings())
    add(grid, seen(at(0), WALL), 2, key=0)
    before = grid.occupancy()

    grid.hand_over(0, 5, moved_by(2.0))
    np.testing.assert_array_equal(grid.occupancy().cells, before.cells)
    grid.move({5: moved_by(1.0)})  # its part was observed 2 m farther ahead

    assert cell_at(grid.occupancy(), 6.02, 0.0) == OCCUPIED


def test_the_base_layer_keeps_the_evidence_of_a_forgotten_key_frame():
    grid = OccupancyGrid(OccupancySettings())
    add(grid, seen(at(0), WALL), 2, key=0)
    add(grid, seen(at(0), WALL, PERSON), 2, key=1)
    before = grid.occupancy()

    grid.forget(0)
    np.testing.assert_array_equal(grid.occupancy().cells, before.cells)
    grid.move({0: moved_by(9.0), 1: moved_by(0.0, 5.0)})

    assert cell_at(grid.occupancy(), 3.02, 0.0) == OCCUPIED


def test_a_camera_alone_needs_to_know_its_height():
    unknown, known = (
        OccupancyGrid(OccupancySettings()),
        OccupancyGrid(OccupancySettings(), camera_height=0.8),
    )
    robot = OccupancyGrid(OccupancySettings())
    look = seen(at(0), WALL)
    alone = transform(np.eye(3), [0, 0, -0.8]) @ look.map_T_camera  # the map begins at the camera

    add(unknown, look_of(look.pointmap.points_camera, alone), 2, None)
    add(known, look_of(look.pointmap.points_camera, alone), 2, None)
    add(robot, look, 2)

    assert len(unknown) == 0
    np.testing.assert_array_equal(known.occupancy().cells, robot.occupancy().cells)


def test_an_image_without_points_shows_nothing():
    grid, look = OccupancyGrid(OccupancySettings()), seen(at(0), WALL)

    none = np.zeros((96, 128), bool)

    assert grid.look(look.pointmap, none, look.map_T_camera, FLOOR_T_CAMERA) is None


def test_a_grid_that_was_stored_goes_on():
    grid, other = OccupancyGrid(OccupancySettings()), OccupancyGrid(OccupancySettings())
    add(grid, seen(at(-5, 3, 1.0), WALL), 2)

    other.resume(grid.occupancy())

    for found in (grid, other):
        add(found, seen(at(0), WALL), 2)
    expected = grid.occupancy()
    np.testing.assert_array_equal(other.occupancy().cells, expected.cells)
    assert (other.occupancy().x, other.occupancy().y) == (expected.x, expected.y)


@pytest.mark.parametrize(
    ('occupancy', 'error'),
    [
        (Occupancy(np.zeros((4, 4), np.int8), 0.1, 0.0, 0.0), 'occupancy.resolution is 0.05'),
        (Occupancy(np.zeros((4, 9999), np.int8), 0.05, 0.0, 0.0), 'occupancy.max_side'),
    ],
)
def test_a_grid_that_does_not_fit_is_refused(occupancy, error):
    grid = OccupancyGrid(OccupancySettings())

    with pytest.raises(OccupancyError, match=error):
        grid.resume(occupancy)

    assert len(grid) == 0
