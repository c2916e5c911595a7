# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Numbers with the warning that they mean nothing, and none where they mean something."""

import io

import cv2
import numpy as np
import pytest

from ttt3r_ros.evaluation.comparison import compare, grouped_doubts, static_error
from ttt3r_ros.evaluation.plots import COLORS, draw_estimates, line_of, plane_of
from ttt3r_ros.geometry import (
    rotation_about,
    rotation_from_quaternion,
    transform,
)
from ttt3r_ros.trajectory import Trajectory

COUNT = 60
EYES = np.tile(np.eye(3), (COUNT, 1, 1))
STAMPS = np.arange(COUNT, dtype=np.int64) * 10**8


def helix():
    """Return a path of 6 s that bends in all directions, its camera turning as it goes."""
    t = np.linspace(0, 6, COUNT)
    rotations = [rotation_about([1, 2, 3], 0.3 * s + 0.2 * np.sin(3 * s)) for s in t]
    rotations = [rotation_about([0, 1, 0], 0.5 * s) @ r for s, r in zip(t, rotations)]
    return transform(rotations, np.stack([np.cos(t), np.sin(t), 0.2 * t], axis=1))


TRUTH = Trajectory(STAMPS, helix())


def noisy(metres=0.02, degrees=0.3, seed=1):
    """Return the truth in another world with a little noise."""
    rng = np.random.default_rng(seed)
    turns = [rotation_about(rng.normal(size=3), np.radians(degrees)) for _ in range(COUNT)]
    positions = TRUTH.poses[:, :3, 3] + metres * rng.normal(size=(COUNT, 3))
    world = transform(rotation_about([1, 0, 2], 1.0), [4.0, 5, 6])
    return world @ transform(TRUTH.poses[:, :3, :3] @ turns, positions)


def compared(poses, truth=TRUTH, **more):
    return compare('one', Trajectory(STAMPS[: len(poses)], poses), truth, **more)


def the_doubt(poses, truth=TRUTH):
    (doubt,) = compared(poses, truth).doubts
    return doubt


def test_a_good_estimate_raises_no_doubt():
    one = compared(noisy())

    assert one.doubts == ()
    assert one.errors.alignment.scale == 1.0
    assert one.scaled.alignment.scale == pytest.approx(1.0, abs=0.02)
    assert one.legend().startswith('one: ATE 0.03')


def test_a_camera_that_never_moves_has_the_spread_of_the_path():
    angle = np.arange(4) * np.pi / 2
    square = transform(EYES[:4], np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1))
    assert static_error(square) == pytest.approx(1.0, abs=1e-12)


def test_a_scale_far_from_one_is_a_doubt():
    poses = noisy()
    poses[:, :3, 3] *= 0.25
    assert 'times smaller' in the_doubt(poses)
    poses[:, :3, 3] *= 16
    assert '4 times larger' in the_doubt(poses)


def test_a_scale_that_is_aligned_is_none():
    poses = noisy()
    poses[:, :3, 3] *= 0.25
    assert compared(poses, alignment='sim3').doubts == ()


def test_an_estimate_no_better_than_standing_still_is_a_doubt():
    rng = np.random.default_rng(4)
    poses = noisy()
    poses[:, :3, 3] = rng.normal(size=(COUNT, 3))
    doubts = compared(poses, alignment='se3').doubts
    assert any('never moves' in doubt for doubt in doubts)


def test_an_estimate_that_does_not_move_has_no_scale():
    poses = noisy()
    poses[:, :3, 3] = 0.0
    one = compared(poses)
    assert one.scaled is None
    assert one.record('se3')['sim3'] is None
    assert any('does not move' in doubt for doubt in one.doubts)
    assert one.errors.ate.rmse == pytest.approx(one.static, abs=1e-9)


def test_few_matches_are_a_doubt():
    truth = Trajectory(TRUTH.stamps_ns[::4], TRUTH.poses[::4])
    assert 'only 15 of 60' in the_doubt(noisy(), truth)
    short = Trajectory(STAMPS[:12], TRUTH.poses[:12])
    assert any('only 12 poses' in doubt for doubt in compared(noisy()[:12], short).doubts)


def test_quaternions_with_w_first_are_recognised():
    assert 'ground truth are read as qw qx' in the_doubt(noisy(), with_w_first(TRUTH.poses))
    estimate = with_w_first(noisy()).poses
    assert 'estimate are read as qw qx' in the_doubt(estimate, TRUTH)


def with_w_first(poses):
    quaternions = rotations_with_w_first(poses[:, :3, :3])
    return Trajectory(STAMPS, transform(rotation_from_quaternion(quaternions), poses[:, :3, 3]))


def rotations_with_w_first(rotations):
    """Return what a reader of qx qy qz qw takes for the quaternions of a file of qw qx qy qz."""
    from scipy.spatial.transform import Rotation

    return np.roll(Rotation.from_matrix(rotations).as_quat(), 1, axis=1)


def test_inverted_poses_are_recognised():
    inverted = Trajectory(STAMPS, np.linalg.inv(TRUTH.poses))
    doubts = compared(noisy(), inverted).doubts
    assert any('inverted' in doubt for doubt in doubts)


def test_a_truth_of_the_imu_is_recognised_by_its_constant_turn():
    camera_T_imu = transform(rotation_about([1, 1, 1], np.radians(120)), [0.05, 0.0, 0.02])
    of_imu = Trajectory(STAMPS, TRUTH.poses @ camera_T_imu)
    assert 'another frame than the camera' in the_doubt(noisy(), of_imu)


def test_bad_rotations_are_no_matter_of_frames():
    poses = noisy(degrees=40.0)
    assert compared(poses).doubts == ()


def test_the_plot_has_a_line_for_each_estimate(tmp_path):
    estimates = [compared(noisy(seed=seed)) for seed in range(3)]
    file = io.BytesIO()
    draw_estimates(file, estimates)
    picture = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

    for color in COLORS[:3]:
        wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(picture.astype(int) - wanted).max(axis=2) < 8).sum() > 100
    file = io.BytesIO()
    draw_estimates(file, estimates[:1], 'pdf')
    assert file.getvalue().startswith(b'%PDF')


def test_as_many_lines_as_four_rules_with_four_segments_differ():
    assert len({line_of(number) for number in range(16)}) == 16


def test_doubts_that_differ_in_their_numbers_are_told_once():
    scaled = []
    for name, factor in (('cut3r', 0.5), ('ttt3r', 0.25)):
        poses = noisy()
        poses[:, :3, 3] *= factor
        scaled.append(compare(name, Trajectory(STAMPS, poses), TRUTH))
    other = compare('brake', Trajectory(STAMPS[:12], noisy()[:12]), TRUTH)

    first, second = grouped_doubts([scaled[0], other, scaled[1]])

    assert first == f'cut3r: {scaled[0].doubts[0]} (alike: ttt3r)'
    assert second == 'brake: only 12 poses: errors of so few say little'
    assert grouped_doubts([compared(noisy())]) == []


def test_the_plane_of_a_path_is_that_of_its_motion():
    positions = np.array([[0.0, 0, 0], [1, 0.1, 3], [2, 0, 5]])
    assert plane_of(transform(EYES[:3], positions)) == (0, 2)
