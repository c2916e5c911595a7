# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
import math

import numpy as np
import pytest
from scipy.spatial import cKDTree

from ttt3r_ros.geometry import (
    BODY_T_OPTICAL,
    IDENTITY,
    invert,
    rotation_about,
    Similarity,
    transform,
    transform_points,
)
from ttt3r_ros.graph.bends import FARTHEST, NO_BEND, SIDE
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.key_points import LEAST_BEND
from ttt3r_ros.mapping.occupancy import FREE, OCCUPIED, UNKNOWN
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.mapping.world_map import MapImage, STEP_POINTS, WorldMap
from ttt3r_ros.settings import MappingSettings, MapSettings
from ttt3r_ros.tracking.frame import Pointmap

LENS = CameraIntrinsics.from_field_of_view(80, 60, 60.0)
RAYS = LENS.rays().astype(np.float32)
HERE = Similarity(IDENTITY)
SIZE = MapSettings().voxel_size
AHEAD = BODY_T_OPTICAL  # a camera at the origin that looks along x
FLOOR_T_CAMERA = transform(BODY_T_OPTICAL[:3, :3], [0, 0, 0.8])


def settings(**bounds):
    return MappingSettings(map=replace(MapSettings(), **bounds))


def wall(distance, wide=80):
    """Return points on a wall square to the camera, in the middle columns alone if not wide."""
    points = RAYS * np.float32(distance)
    confidence = np.full(points.shape[:2], 1.0, np.float32)
    confidence[:, 40 - wide // 2 : 40 + wide // 2] = 5.0
    colors = np.indices(points.shape[:2]).sum(axis=0) % 256
    return Pointmap(points, confidence, np.stack([colors] * 3, axis=-1).astype(np.uint8))


def seen(pointmap, key, map_T_key=AHEAD, key_T_camera=HERE, base_T_camera=None, scale=1.0):
    map_T_key = Similarity(map_T_key, scale)
    return MapImage(pointmap, key, key_T_camera, map_T_key, base_T_camera, LENS.fx)


def at(x, y=0.0, yaw=0.0):
    """Return the pose of a camera that looks along x, then turned and moved."""
    return transform(rotation_about([0, 0, 1], yaw), [x, y, 0.0]) @ AHEAD


def bits(world):
    """Return the sums of all voxels, to the last bit."""
    parts = [part.voxels for part in world.voxels.parts.values()]
    rows = np.concatenate([np.column_stack([p.cells, p.weight, p.sums]) for p in parts])
    return rows[np.argsort(rows[:, 0])]


def fused_anew(world):
    """Return the same from what the key frames add, in plain Python, a point at a time."""
    voxels, seen_by = defaultdict(lambda: [0] * 7), defaultdict(set)
    for number, points, a_T_b in world.shares():
        linear = (a_T_b.scale * a_T_b.a_T_b[:3, :3]).astype(np.float32)
        shift = a_T_b.a_T_b[:3, 3].astype(np.float32)
        for (x, y, z), rgb, weight in zip(
            points.columns.T, points.color.T.tolist(), points.weight.tolist()
        ):
            place = [float(m[0] * x + m[1] * y + m[2] * z + t) for m, t in zip(linear, shift)]
            cell = tuple(math.floor(p) for p in place)
            offset = [int((p - c) * 65536) for p, c in zip(place, cell)]
            seen_by[tuple(c // 2 for c in cell)].add(number)
            for i, value in enumerate([1, *offset, *rgb]):
                voxels[cell][i] += weight * value
    shown = confirmed(voxels, seen_by)
    return np.array([[key, *voxels[cell]] for key, cell in sorted((code(c), c) for c in shown)])


def confirmed(voxels, seen_by):
    """Return the voxels in places of two key frames, and all of cubes without such a place."""
    sure = {cell for cell in voxels if len(seen_by[tuple(c // 2 for c in cell)]) > 1}
    cubes = {tuple(c // 32 for c in cell) for cell in sure}
    return sure | {cell for cell in voxels if tuple(c // 32 for c in cell) not in cubes}


def code(cell):
    key = 0
    for c in cell:
        key = key * 2**21 + c + 2**20
    return key


def sorted_points(world):
    points = world.voxels.points().points
    return points[np.lexsort(points.T)]


def farthest(points, others):
    """Return the largest distance of a point from the nearest of others."""
    return max(np.linalg.norm(others - point, axis=1).min() for point in points)


def test_points_lie_where_the_camera_saw_them_in_metres():
    world, key_T_camera = WorldMap(settings()), transform(np.eye(3), [0.0, 0.0, 0.25])

    # 1 unit of the network is 2 of the key frame, one of which is 1.5 m.
    world.add(seen(wall(0.5), 3, at(1.0), Similarity(key_T_camera, 2.0), scale=1.5))

    points = world.voxels.points().points
    np.testing.assert_allclose(points[:, 0], 1.0 + 1.5 * (0.25 + 2.0 * 0.5), atol=1e-4)


def test_a_key_frame_that_moves_moves_its_points_alone():
    world, moved = WorldMap(settings()), transform(rotation_about([0, 0, 1], 0.3), [0.5, 2, 0.1])
    world.add(seen(wall(2.0), 0))
    world.add(seen(wall(3.0), 1, at(0, 0, math.pi)))
    before = world.voxels.points().points

    world.move({0: Similarity(moved @ AHEAD), 1: Similarity(at(0, 0, math.pi))})

    after = world.voxels.points().points
    stayed = before[before[:, 0] < 0]
    expected = np.concatenate([transform_points(moved, before[before[:, 0] > 0]), stayed])
    # Points that now share a voxel have become their mean.
    assert farthest(after, expected) < SIZE
    assert farthest(expected, after) < SIZE
    assert len(after) > 0.7 * len(before)
    np.testing.assert_array_equal(
        np.sort(after[after[:, 0] < -1], axis=0), np.sort(stayed, axis=0)
    )


def test_a_key_frame_whose_unit_changes_scales_its_points():
    world = WorldMap(settings())
    world.add(seen(wall(2.0), 0, at(1.0)))

    world.move({0: Similarity(at(1.0), 1.5)})

    np.testing.assert_allclose(world.voxels.points().points[:, 0], 1.0 + 1.5 * 2.0, atol=1e-4)


def test_a_map_that_moves_and_moves_back_has_the_same_bits():
    world = WorldMap(settings())
    for number in range(4):
        world.add(seen(wall(2.0 + number), number, at(0.1 * number, yaw=number)))
    before = bits(world)

    world.move({n: Similarity(at(5.0 + n, 1.0, 2.0)) for n in range(4)})
    assert len(bits(world)) != len(before) or (bits(world) != before).any()
    world.move({n: Similarity(at(0.1 * n, yaw=n)) for n in range(4)})

    np.testing.assert_array_equal(bits(world), before)
    for _, _, in_map in world.shares():  # as good as never moved
        np.testing.assert_array_equal(in_map.a_T_b, np.eye(4))


def test_less_than_half_a_voxel_moves_nothing_but_small_steps_add_up():
    world, key = WorldMap(settings()), 0
    world.add(seen(wall(2.0), key))
    before = bits(world)

    world.move({key: Similarity(at(0.49 * SIZE))})
    np.testing.assert_array_equal(bits(world), before)
    world.move({key: Similarity(at(0.51 * SIZE))})

    np.testing.assert_allclose(world.voxels.points().points[:, 0], 2.0 + 0.51 * SIZE, atol=1e-4)


def random_history(world, rng, steps=60):
    """Add, move, hand over and look through, in any order."""
    poses = {}
    for _ in range(steps):
        newest = max(poses, default=-1)
        what = rng.integers(0, 8)
        if what < 5 or len(poses) < 2:
            if not poses or rng.random() < 0.4:
                newest += 1
                poses[newest] = Similarity(
                    at(*rng.uniform(-1, 1, 2), rng.uniform(-3, 3)), rng.uniform(0.8, 1.2)
                )
            shift = transform(np.eye(3), rng.uniform(-0.1, 0.1, 3))
            look = wall(rng.uniform(1, 4), int(rng.integers(10, 80)))
            world.add(MapImage(look, newest, Similarity(shift), poses[newest], None, LENS.fx))
        elif what < 7:
            moved = transform(
                rotation_about([0, 0, 1], rng.uniform(-0.1, 0.1)), rng.uniform(-1, 1, 3)
            )
            for key in rng.choice(sorted(poses), len(poses) // 2 + 1, replace=False).tolist():
                poses[key] = Similarity(moved @ poses[key].a_T_b, 1.05 * poses[key].scale)
            world.move(poses)
        else:
            removed, successor = rng.choice(sorted(poses), 2, replace=False).tolist()
            world.hand_over(removed, successor, poses[successor].inverse().after(poses[removed]))
            del poses[removed]
        if rng.random() < 0.3:
            world.snapshot()


@pytest.mark.parametrize('seed', range(3))
def test_the_map_equals_all_that_its_key_frames_add_fused_anew_to_the_bit(seed):
    world = WorldMap(settings())

    random_history(world, np.random.default_rng(seed))

    found = bits(world)
    assert len(found) > 1000
    np.testing.assert_array_equal(found, fused_anew(world))


def centre(world):
    cloud = world.voxels.points()
    return np.average(cloud.points.astype(float), axis=0, weights=cloud.confidence)


@pytest.mark.parametrize('moved', [False, True])
def test_a_removed_key_frame_leaves_its_points_where_they_were_on_another_one(moved):
    world = WorldMap(settings())
    poses = {0: Similarity(at(0.3, 0.2, 0.4), 1.3), 1: Similarity(at(-0.5, 0, 2.0), 0.8)}
    for key, pose in poses.items():
        world.add(MapImage(wall(2.0), key, HERE, pose, None, LENS.fx))
    if moved:
        poses = {0: Similarity(at(1.3, 0.4, 0.8), 1.2), 1: Similarity(at(0, -2, 1.0), 0.9)}
        world.move(poses)
    before, middle = sorted_points(world), centre(world)

    world.hand_over(0, 1, poses[1].inverse().after(poses[0]))

    assert [number for number, *_ in world.shares()] == [1]
    after = sorted_points(world)
    np.testing.assert_allclose(centre(world), middle, atol=1e-4)
    assert max(farthest(after, before), farthest(before, after)) < SIZE
    if not moved:
        np.testing.assert_allclose(after, before, atol=1e-4)
    world.move({1: Similarity(transform(np.eye(3), [1.0, 0, 0]) @ poses[1].a_T_b, poses[1].scale)})
    np.testing.assert_allclose(centre(world), middle + [1.0, 0, 0], atol=1e-4)


def test_points_of_a_removed_key_frame_may_hang_on_one_that_had_none():
    world = WorldMap(settings())
    pose = Similarity(at(0.3, 0.2, 0.4), 1.3)
    world.add(MapImage(wall(2.0), 0, HERE, pose, None, LENS.fx))
    before, successor = sorted_points(world), Similarity(at(1.0))

    world.hand_over(0, 7, successor.inverse().after(pose))
    world.move({7: successor})

    assert [number for number, *_ in world.shares()] == [7]
    np.testing.assert_allclose(sorted_points(world), before, atol=1e-4)


PERSON, WALL = wall(1.5, 20), wall(3.0)


def of_person(points):
    return (np.abs(points[:, 0] - 1.5) < 0.3).sum()


def with_person(behind=WALL):
    """Return a pointmap of a wall with a person in front of it."""
    points, confidence = behind.points_camera.copy(), behind.confidence
    points[:, 30:50] = PERSON.points_camera[:, 30:50]
    return replace(behind, points_camera=points, confidence=confidence)


@pytest.mark.parametrize('stayed', [1, 40])
def test_who_went_away_is_gone_after_twenty_images_and_the_wall_stays(stayed):
    world = WorldMap(settings())
    for number in range(3 * stayed):
        world.add(seen(with_person(), number // stayed, at(0, 0.01 * number / stayed)))
    before = world.voxels.points().points
    assert of_person(before) > 100

    for _ in range(20):
        world.add(seen(WALL, 3))

    after = world.voxels.points().points
    assert of_person(after) <= 0.05 * of_person(before)
    assert (after[:, 0] > 2.9).sum() >= 0.95 * (before[:, 0] > 2.9).sum()


def test_who_stood_half_a_metre_before_a_wall_goes_though_its_depth_is_8_percent_short():
    world = WorldMap(settings())
    for number in range(3):
        world.add(seen(with_person(wall(2.0)), number, at(0, 0.01 * number)))
    before = of_person(world.voxels.points().points)

    for _ in range(20):
        world.add(seen(wall(0.92 * 2.0), 3))

    assert before > 100
    assert of_person(world.voxels.points().points) <= 0.05 * before


def test_a_ghost_does_not_come_back_when_its_key_frame_moves():
    world = WorldMap(settings())
    world.add(seen(with_person(), 0))
    world.voxels  # noqa: B018 - the person enters the map
    for _ in range(20):
        world.add(seen(WALL, 1))

    world.move({0: Similarity(at(0, 5.0)), 1: Similarity(AHEAD)})

    assert of_person(world.voxels.points().points) == 0


@pytest.mark.parametrize('key', [0, 1])
def test_a_ghost_goes_with_the_fourth_miss_and_for_good(key):
    world = WorldMap(settings())
    world.add(seen(with_person(), 0))
    assert of_person(world.voxels.points().points) > 100

    for _ in range(4):
        world.add(seen(WALL, key))

    for _ in range(2):  # what was fused before, and after more points have come
        world.follow()
        assert of_person(world.voxels.points().points) == 0
        np.testing.assert_array_equal(bits(world), fused_anew(world))
    world.move({0: Similarity(at(0.5)), 1: Similarity(at(0.5))})
    after = world.voxels.points().points
    np.testing.assert_allclose(after[:, 0], 3.5, atol=1e-4)


def test_what_is_seen_through_leaves_a_saved_map_too():
    before, world = WorldMap(settings()), WorldMap(settings())
    before.add(seen(with_person(), 0))
    world.resume(before.voxels.points(), None)
    assert of_person(world.voxels.points().points) > 100

    for _ in range(20):
        world.add(seen(WALL, 0))

    after = world.voxels.points().points
    assert of_person(after) == 0
    assert (after[:, 0] > 2.9).sum() >= 0.95 * (before.voxels.points().points[:, 0] > 2.9).sum()


def test_a_large_saved_map_is_taken_in_pieces_that_lie_together():
    rng, world = np.random.default_rng(0), WorldMap(settings())
    points = np.unique(rng.integers(0, 400, (60_000, 3)), axis=0) * SIZE + 0.5 * SIZE
    cloud = VoxelCloud(
        points.astype(np.float32), np.zeros(points.shape, np.uint8), np.ones(len(points), 'f4')
    )

    world.resume(cloud, None)

    assert len(world.voxels) == len(points)
    sizes = [len(share) for _, share, _ in world.shares()]
    assert max(sizes) <= 10_000
    widths = [np.ptp(share.columns[0]) for _, share, _ in world.shares()]
    assert max(widths) < 400 / 2


def test_depth_that_errs_by_a_tenth_takes_no_good_points():
    rng, world = np.random.default_rng(0), WorldMap(settings())
    world.add(seen(WALL, 0))
    before = len(world.voxels)

    for _ in range(40):
        world.add(seen(wall(3.0 * (1 + 0.1 * rng.uniform(-1, 1))), 1))

    share = {number: points for number, points, _ in world.shares()}[0]
    assert len(share) >= 0.95 * before


@pytest.mark.parametrize('images', [3, 8, 30])
def test_of_a_key_frame_stays_what_most_of_its_images_saw(images):
    world, rng = WorldMap(settings()), np.random.default_rng(0)
    for number in range(images):
        pointmap = wall(1.5)
        strays = rng.choice(80 * 60, 100, replace=False)  # somewhere before the wall
        pointmap.points_camera.reshape(-1, 3)[strays] *= rng.uniform(0.5, 0.9, (100, 1))
        world.add(seen(pointmap, 0, at(0, 0.002 * number)))
    before = world.voxels.points().points[:, 0]

    world.add(seen(wall(1.5), 1))

    after = world.voxels.points().points[:, 0]
    assert (before < 1.4).sum() > 200
    assert (after < 1.4).sum() < 0.05 * (before < 1.4).sum()
    assert (after > 1.4).sum() > 0.97 * (before > 1.4).sum()


def test_of_a_single_image_all_stays():
    world = WorldMap(settings())
    world.add(seen(wall(6.0), 0))
    before = len(world.voxels)

    world.add(seen(wall(6.0), 1, at(0, 10.0)))

    assert len(world.voxels) == 2 * before


def test_a_full_map_lets_go_of_what_was_seen_longest_ago():
    world = WorldMap(settings(max_voxels=3000))
    one = WorldMap(settings())
    one.add(seen(wall(2.0), 0))
    each = len(one.voxels)

    for number in range(20):
        world.add(seen(wall(2.0), number, at(0, 10.0 * number)))
        assert len(world.voxels) <= 3000

    kept = [number for number, *_ in world.shares()]
    assert kept == list(range(20 - 3000 // each, 20))


def test_an_image_larger_than_the_map_leaves_it_bounded():
    world = WorldMap(settings(max_voxels=1000))

    world.add(seen(wall(5.0), 0))

    assert 0 < len(world.voxels) <= 1000
    world.add(seen(wall(6.0), 1))
    assert 0 < len(world.voxels) <= 1000


def test_many_that_move_are_fused_in_bounded_steps_the_nearest_first():
    world = WorldMap(settings())
    count = 90
    for number in range(count):
        world.add(seen(wall(2.0), number, at(0, 10.0 * number)))
    each = len(next(iter(world.shares()))[1])
    world.voxels  # noqa: B018 - all are fused
    at_the_end = {n: Similarity(at(1.0, 10.0 * n)) for n in range(count)}

    world.move(at_the_end)

    def moved():
        return [n for n, _, pose in world.shares() if pose.a_T_b[0, 3] > 0.5 / SIZE]

    in_a_step = math.ceil(STEP_POINTS / (2 * each))
    assert moved() == list(range(count - in_a_step, count))
    assert not world.follows
    steps = 1
    while not world.follows:
        world.follow()
        steps += 1
    assert steps == math.ceil(count / in_a_step)
    assert moved() == list(range(count))


def test_a_snapshot_does_not_change_and_names_what_did():
    world = WorldMap(settings())
    world.add(seen(wall(2.0), 0))
    before = world.snapshot()
    points = before.points().points.copy()

    world.add(seen(wall(2.0), 1, at(0, 20.0)))
    world.move({0: Similarity(AHEAD), 1: Similarity(at(0, 30.0))})
    after = world.snapshot()

    np.testing.assert_array_equal(before.points().points, points)
    changed = after.changed_since(before.generation)
    assert changed
    assert all(y * SIZE > 20.0 for _, y, _ in changed)
    assert world.generation == after.generation > before.generation


def test_a_saved_map_stays_when_key_frames_move():
    world = WorldMap(settings())
    cloud = VoxelCloud(
        np.array([[9.0, 9.01, 9.02]], np.float32),
        np.array([[1, 2, 3]], np.uint8),
        np.array([4.0], np.float32),
    )
    world.resume(cloud, None)
    world.add(seen(wall(2.0), 0))
    world.voxels  # noqa: B018 - all are fused

    world.move({0: Similarity(at(0, 5.0))})

    found = world.voxels.points()
    (row,) = np.flatnonzero((found.points > 8.9).all(axis=1))
    np.testing.assert_allclose(found.points[row], cloud.points[0], atol=1e-5)
    np.testing.assert_array_equal(found.colors[row], [1, 2, 3])
    assert found.confidence[row] == pytest.approx(4.0, abs=1e-5)


def room_look():
    """Return a view of the floor up to a wall 2.5 m ahead, from 0.8 m above it."""
    with np.errstate(divide='ignore'):
        to_floor = np.where(RAYS[..., 1] > 0, 0.8 / RAYS[..., 1], np.inf)
    room = replace(WALL, points_camera=RAYS * np.minimum(2.5, to_floor)[..., None].astype('f4'))
    return seen(room, 0, transform(np.eye(3), [0, 0, 0.8]) @ AHEAD, base_T_camera=FLOOR_T_CAMERA)


def bend_of(tilt):
    """Return the bend of a depth that is tilted over the image."""
    line = np.linspace(-FARTHEST, FARTHEST, SIDE)
    return (tilt[0] * line + tilt[1] * line[:, None]).ravel()


TILT = np.array([0.25, -0.15])
BEND = bend_of(TILT)


def tilted_wall(distance, turned=0.0):
    """Return a wall square to a key frame, its depth wrong by TILT, seen turned by some angle."""
    key_R_camera = rotation_about([0, 1, 0], turned)
    rays = RAYS @ key_R_camera.T
    points = rays / rays[..., 2:] * np.exp(-(rays / rays[..., 2:])[..., :2] @ TILT)[..., None]
    points = distance * points @ key_R_camera
    return replace(wall(1.0), points_camera=points.astype(np.float32))


@pytest.mark.parametrize('newest', [True, False])
def test_a_bend_that_is_found_later_is_taken_out_of_all_points_of_its_key_frame(newest):
    world, turned = WorldMap(settings()), 0.15
    key_T_camera = Similarity(transform(rotation_about([0, 1, 0], turned), [0.0, 0, 0]))
    world.add(seen(tilted_wall(2.0), 0, at(1.0)))
    if not newest:
        world.add(seen(wall(2.0), 1, at(0.0, yaw=math.pi)))
    poses = {0: Similarity(at(1.0)), 1: Similarity(at(0.0, yaw=math.pi))}
    assert np.ptp(ahead(world)) > 0.5

    world.move(poses, {0: 2 * BEND})  # a first guess, too large
    world.move(poses, {0: BEND})
    world.add(seen(tilted_wall(2.0, turned), 0, at(1.0), key_T_camera))

    np.testing.assert_allclose(ahead(world), 3.0, atol=0.01)
    np.testing.assert_array_equal(bits(world), fused_anew(world))


def ahead(world):
    points = world.voxels.points().points
    return points[points[:, 0] > 0, 0]


def test_a_key_frame_that_begins_with_a_known_bend_has_none_in_its_points():
    world = WorldMap(settings())
    world.move({}, {5: BEND})

    world.add(seen(tilted_wall(2.0), 5))

    np.testing.assert_allclose(ahead(world), 2.0, atol=0.01)


def test_bends_that_hardly_change_fuse_nothing_anew():
    world = WorldMap(settings())
    world.add(seen(wall(2.0), 0))
    world.add(seen(wall(2.0), 1, at(0.0, yaw=math.pi)))
    before, poses = bits(world), {0: Similarity(AHEAD), 1: Similarity(at(0.0, yaw=math.pi))}

    world.move(poses, {0: NO_BEND + 0.9 * LEAST_BEND})

    np.testing.assert_array_equal(bits(world), before)


def test_ghosts_of_a_key_frame_of_which_the_bend_changes_are_gone():
    world, bend = WorldMap(settings()), bend_of([0.1, 0.0])
    for number in range(2):
        world.add(seen(wall(1.5), number))
    for _ in range(5):
        world.add(seen(wall(3.0), 2))
    world.move({}, {0: bend, 1: bend})

    assert ahead(world).min() > 2.5


def test_the_grid_moves_with_its_key_frame_in_the_same_call():
    world, look = WorldMap(settings()), room_look()
    for _ in range(2):
        world.add(look)
    assert cell_at(world, 2.52, 0.0) == OCCUPIED

    world.move({0: Similarity(transform(np.eye(3), [1.0, 0.5, 0]) @ look.map_T_key.a_T_b)})

    # The wall lay 2.5 m ahead, the floor from 0.8 / tan(23 degrees) = 1.9 m on.
    assert cell_at(world, 2.52, 0.5) == UNKNOWN
    assert cell_at(world, 3.52, 0.5) == OCCUPIED
    assert cell_at(world, 3.2, 0.5) == FREE


@pytest.mark.parametrize('known', [False, True])
def test_what_comes_from_a_map_apart_lies_where_its_key_frame_is(known):
    world, apart, look = WorldMap(settings()), WorldMap(settings()), room_look()
    for _ in range(2):
        apart.add(look)
    there = Similarity(transform(np.eye(3), [1.0, 0.5, 0]) @ look.map_T_key.a_T_b)
    points = apart.voxels.points().points
    if known:  # an image of the key frame came when it was in the map already
        world.add(replace(look, map_T_key=there))

    world.adopt(apart, {0: there})

    assert len(apart) == len(apart.voxels) == 0
    off, _ = cKDTree(world.voxels.points().points).query(points + np.float32([1.0, 0.5, 0]))
    assert off.max() < 0.5 * SIZE
    assert cell_at(world, 3.52, 0.5) == OCCUPIED
    assert cell_at(world, 3.2, 0.5) == FREE
    if not known:
        assert cell_at(world, 2.52, 0.5) == UNKNOWN


def cell_at(world, x, y):
    grid = world.grid.occupancy()
    row, column = (math.floor((p - q) / grid.resolution) for p, q in ((y, grid.y), (x, grid.x)))
    return grid.cells[row, column]


def test_the_camera_between_two_poses_is_where_the_chain_puts_it():
    world, direct = WorldMap(settings()), WorldMap(settings())
    map_T_key, map_T_camera = at(1.0, 2.0, 0.5), at(1.3, 2.1, 0.6)

    world.add(seen(wall(2.0), 0, map_T_key, Similarity(invert(map_T_key) @ map_T_camera)))
    direct.add(seen(wall(2.0), 0, map_T_camera))

    np.testing.assert_allclose(sorted_points(world), sorted_points(direct), atol=1e-3)


def test_beside_what_key_frames_agree_on_what_one_alone_has_is_not_shown():
    world = WorldMap(settings())
    for number in range(2):
        world.add(seen(wall(2.0), number, at(0.0)))
    together = sorted_points(world)

    world.add(seen(wall(2.3), 2, at(0.0)))  # wrong by six voxels, in the same cubes of 1.6 m

    assert (np.abs(together[:, 0] - 2.0) < SIZE).all()
    np.testing.assert_allclose(sorted_points(world), together, atol=1e-6)


def test_a_view_that_one_key_frame_alone_has_is_shown():
    world = WorldMap(settings())
    world.add(seen(wall(2.0), 0))
    world.add(seen(wall(2.0), 1, at(0.0, yaw=math.pi)))

    assert (world.voxels.points().points[:, 0] > 1.9).sum() > 100
    assert (world.voxels.points().points[:, 0] < -1.9).sum() > 100


def test_the_points_of_a_saved_map_need_no_other_key_frame_that_agrees():
    saved = WorldMap(settings())
    saved.add(seen(wall(2.3), 0))
    world = WorldMap(settings())
    world.resume(saved.voxels.points(), None)
    for number in range(2):  # agree on something else beside it
        world.add(seen(wall(2.0), number, at(0.0)))

    points = world.voxels.points().points

    assert (np.abs(points[:, 0] - 2.3) < SIZE).sum() == len(saved.voxels)
