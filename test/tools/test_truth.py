# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.geometry import invert, rotation_about, transform
from ttt3r_ros.mapping.occupancy import FREE, Occupancy, OCCUPIED, UNKNOWN
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.world import PLAN_RESOLUTION
from ttt3r_ros.tools.captions import Caption, length_text, short_name
from ttt3r_ros.tools.truth import Drive, joined_at_start, simulated_drive
from ttt3r_ros.tools.truth_picture import (
    draw_drive,
    FLOOR,
    in_the_world,
    TruePlan,
    truly_free,
    WALL,
)
from ttt3r_ros.trajectory import Trajectory, write_trajectory


def straight(count, first=0):
    """Return a drive along x, 0.5 m a step, and its start in the world."""
    places = [[0.5 * n, 0, 0] for n in range(count)]
    poses = transform(np.tile(np.eye(3), (count, 1, 1)), places)
    return Trajectory((first + np.arange(count)) * 10**8, poses)


X = np.array([[1.0, 0.0, 0.0]])
WORLD_T_START = transform(rotation_about([0, 0, 1], 1.0), [4.0, 3.0, 0.0])


def test_paths_are_joined_at_the_start_and_nothing_is_fitted():
    truth = straight(5)
    truth = Trajectory(truth.stamps_ns, WORLD_T_START @ truth.poses)
    # The estimate is turned by 90 degrees in its own map, and 10 % too long.
    map_T_start = transform(rotation_about([0, 0, 1], np.pi / 2), [1.0, 1.0, 0.0])
    longer = straight(5).poses
    longer[:, :3, 3] *= 1.1
    joined = joined_at_start(Trajectory(truth.stamps_ns, map_T_start @ longer), truth)

    np.testing.assert_allclose(joined.world_T_map, WORLD_T_START @ invert(map_T_start), atol=1e-12)
    np.testing.assert_allclose(joined.errors(), 0.1 * 0.5 * np.arange(5), atol=1e-12)
    np.testing.assert_allclose(joined.travelled(), 0.5 * np.arange(5), atol=1e-12)
    assert joined.sentence() == '20 cm off after 2.0 m.'


def test_one_sentence_says_how_far_off_at_the_end_at_most_and_at_what_scale():
    turns = np.tile(np.eye(3), (5, 1, 1))
    out = Trajectory(straight(5).stamps_ns, transform(turns, np.array([[0, 1, 2, 1, 0.5]]).T * X))
    half = Trajectory(out.stamps_ns, transform(turns, out.poses[:, :3, 3] / 2))
    parked = Trajectory(out.stamps_ns, transform(turns, np.zeros((5, 3))))

    def sentence(estimate):
        return joined_at_start(estimate, out).sentence()

    assert sentence(out) == '0 cm off after 3.5 m.'
    start = '25 cm off after 3.5 m, at most 1.0 m on the way'
    assert sentence(half) == f'{start}; the path is 2 times smaller than the true one.'
    assert sentence(parked) == '50 cm off after 3.5 m, at most 2.0 m on the way.'


def test_without_two_common_moments_nothing_is_joined():
    assert joined_at_start(straight(5), straight(5, first=4)) is None


@pytest.mark.parametrize(
    ('path', 'name'),
    [
        ('drive.mp4', 'drive.mp4'),
        ('/data/drive/video.mp4', 'drive/video.mp4'),
        ('/data/drive', 'drive'),
        ('monday/bag', 'monday/bag'),
    ],
)
def test_an_input_of_a_common_name_is_told_by_its_folder(path, name):
    assert short_name(Path(path)) == name


@pytest.mark.parametrize(
    ('metres', 'text'), [(0.034, '3 cm'), (0.999, '1.0 m'), (28.04, '28.0 m'), (250.4, '250 m')]
)
def test_lengths_are_written_as_people_say_them(metres, text):
    assert length_text(metres) == text


def write_drive(folder, record):
    folder.mkdir(exist_ok=True)
    (folder / 'camera.json').write_text(json.dumps(record))
    with (folder / 'groundtruth.txt').open('wb') as file:
        write_trajectory(file, straight(3))


def test_the_truth_beside_a_simulated_recording_is_found(tmp_path):
    write_drive(tmp_path / 'drive', {'simulation': {'family': 'M', 'seed': 3}})

    for name in ('drive', 'drive/bag', 'drive/video.mp4'):
        drive = simulated_drive(tmp_path / name)
        np.testing.assert_array_equal(drive.world_T_body.stamps_ns, straight(3).stamps_ns)
        assert drive.world is build_world('M', 3)


@pytest.mark.parametrize(
    'record', [{}, {'simulation': 'S'}, {'simulation': {'family': 'X', 'seed': 1}}, []]
)
def test_other_recordings_have_no_building(tmp_path, record):
    write_drive(tmp_path / 'drive', record)

    assert simulated_drive(tmp_path / 'drive') is None
    assert simulated_drive(tmp_path / 'gone') is None


def test_the_true_plan_has_walls_where_no_room_is_and_floor_where_the_robot_drives():
    world = build_world('S', 7)
    plan = TruePlan.of(world)

    rows, columns = np.nonzero(plan.cells == FLOOR)
    places = plan.low + PLAN_RESOLUTION * (np.stack([columns, rows], axis=1) + 0.5)
    # In the rooms, the middle of a pixel is at most one and a half pixels inside of an obstacle.
    clearance = world.clearance(np.hstack([places, np.full((len(places), 1), 0.02)]))
    in_rooms = np.isfinite(clearance)
    assert in_rooms.mean() > 0.95
    assert (clearance[in_rooms] > -1.5 * PLAN_RESOLUTION).all()
    rows, columns = np.nonzero(plan.cells == WALL)
    places = plan.low + PLAN_RESOLUTION * (np.stack([columns, rows], axis=1) + 0.5)
    assert (world.cells_at(np.hstack([places, np.full((len(places), 1), 1.0)])) == -1).all()


def test_a_grid_is_turned_into_the_world_and_judged_by_the_plan():
    world = build_world('S', 7)
    plan = TruePlan.of(world)
    # The plan itself as the grid of a robot that started elsewhere, turned by a right angle.
    world_T_map = transform(rotation_about([0, 0, 1], np.pi / 2), [*plan.low, 0.0])
    cells = np.where(plan.cells == FLOOR, FREE, OCCUPIED).astype(np.int8)
    # World x is map -y, world y is map x.
    turned = Occupancy(
        np.ascontiguousarray(cells[:, ::-1].T),
        PLAN_RESOLUTION,
        0.0,
        -PLAN_RESOLUTION * cells.shape[1],
    )
    truth = straight(3)
    world_T_body = Trajectory(truth.stamps_ns, world_T_map @ truth.poses)
    joined = joined_at_start(truth, world_T_body)

    back = in_the_world(turned, joined, plan)

    np.testing.assert_array_equal(back.cells, cells)
    assert truly_free(back, plan) == pytest.approx(1.0, abs=1e-12)
    all_free = Occupancy(np.full_like(cells, FREE), PLAN_RESOLUTION, *plan.low)
    expected = (plan.cells == FLOOR).mean()
    assert truly_free(all_free, plan) == pytest.approx(expected, abs=1e-12)
    nothing = Occupancy(np.full_like(cells, UNKNOWN), PLAN_RESOLUTION, *plan.low)
    assert truly_free(nothing, plan) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize('floor', [None, Occupancy(np.zeros((40, 60), np.int8), 0.1, -2.0, -1.0)])
def test_a_drive_is_drawn_with_and_without_a_grid(floor):
    world = build_world('S', 7)
    drive = Drive(Trajectory(straight(5).stamps_ns, WORLD_T_START @ straight(5).poses), world)
    joined = joined_at_start(straight(5), drive.world_T_body)
    points = np.random.default_rng(0).uniform([-1, -1, 0], [3, 1, 2], (500, 3))
    cloud = VoxelCloud(
        points.astype(np.float32), np.full((500, 3), 90, np.uint8), np.ones(500, np.float32)
    )

    for each in (cloud, VoxelCloud.joined([])):
        file = io.BytesIO()
        draw_drive(file, Caption('a $headline', 'details'), each, joined, world, 0.05, floor)
        file.seek(0)
        picture = np.asarray(Image.open(file).convert('RGB')).astype(int)
        assert picture.shape[1] == 1300
        true_path = np.abs(picture - [0x2A, 0x9D, 0x8F]).sum(axis=-1) < 40
        assert true_path.sum() > 100
