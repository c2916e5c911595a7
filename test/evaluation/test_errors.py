# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from ttt3r_ros.evaluation.errors import (
    align,
    associate,
    depth_errors,
    evaluate_trajectory,
    EvaluationError,
    median_scale,
    path_length,
)
from ttt3r_ros.geometry import rotation_about, transform


def helix(count=40):
    """Return a path that bends in all directions, its camera turning as it goes."""
    t = np.linspace(0, 4, count)
    rotations = [rotation_about([1, 2, 3], 0.3 * s) for s in t]
    return transform(rotations, np.stack([np.cos(t), np.sin(t), 0.2 * t], axis=1))


def moved(poses, scale, rotation, translation):
    positions = scale * poses[:, :3, 3] @ rotation.T + translation
    return transform(rotation @ poses[:, :3, :3], positions)


def test_a_path_that_was_scaled_turned_and_shifted_has_no_error_after_sim3():
    truth = helix()
    estimate = moved(truth, 0.4, rotation_about([0.3, -1, 0.5], 2.1), [5, -3, 1])

    errors = evaluate_trajectory(estimate, truth, 'sim3')

    assert errors.alignment.scale == pytest.approx(1 / 0.4, abs=1e-9)
    assert errors.ate.max < 1e-9
    assert errors.rpe_translation.max < 1e-9
    assert errors.rpe_rotation.max < 1e-6


def test_se3_finds_rotation_and_shift_but_leaves_the_scale():
    # A path scaled by s about its mean keeps (1 - s) of every distance to that mean.
    truth = helix()
    rotation = rotation_about([0, 1, 1], -0.7)

    errors = evaluate_trajectory(moved(truth, 0.9, rotation, [1, 2, 3]), truth, 'se3')

    positions = truth[:, :3, 3]
    spread = np.linalg.norm(positions - positions.mean(axis=0), axis=1)
    assert errors.alignment.scale == 1.0
    np.testing.assert_allclose(errors.position_errors, 0.1 * spread, atol=1e-9)


def test_a_known_shift_without_alignment_is_the_ate():
    truth = helix()

    errors = evaluate_trajectory(moved(truth, 1, np.eye(3), [0.3, 0, 0.4]), truth, 'none')

    assert errors.ate.rmse == pytest.approx(0.5, abs=1e-9)
    assert errors.ate.median == pytest.approx(0.5, abs=1e-9)
    assert errors.rpe_translation.max < 1e-12


def test_ate_is_the_root_mean_square_of_the_position_errors():
    truth = helix(4)
    estimate = truth.copy()
    estimate[:, 2, 3] += [0, 0, 0.3, 0.4]

    errors = evaluate_trajectory(estimate, truth, 'none')

    assert errors.ate.rmse == pytest.approx(0.25, abs=1e-9)  # sqrt((0.09 + 0.16) / 4)
    assert errors.ate.mean == pytest.approx(0.175, abs=1e-9)
    assert errors.ate.max == pytest.approx(0.4, abs=1e-9)


@pytest.mark.parametrize('delta', [1, 3])
def test_a_drift_of_two_degrees_a_frame_gives_that_relative_rotation(delta):
    truth = helix(30)
    estimate = truth.copy()
    for i in range(30):
        estimate[i, :3, :3] = rotation_about([0, 0, 1], np.radians(2 * i)) @ truth[i, :3, :3]

    errors = evaluate_trajectory(estimate, truth, 'none', delta)

    assert errors.rpe_rotation.rmse == pytest.approx(2 * delta, abs=1e-9)
    assert errors.rpe_rotation.max == pytest.approx(2 * delta, abs=1e-9)


def test_steps_that_are_a_tenth_too_long_give_that_relative_translation():
    forward = np.arange(10.0)[:, None] * [0, 0, 0.5]
    truth = transform(np.tile(np.eye(3), (10, 1, 1)), forward)
    estimate = transform(np.tile(np.eye(3), (10, 1, 1)), 1.1 * forward)

    errors = evaluate_trajectory(estimate, truth, 'none', 2)

    assert errors.rpe_translation.rmse == pytest.approx(2 * 0.05, abs=1e-9)
    assert errors.truth_path == pytest.approx(4.5, abs=1e-9)
    assert errors.estimate_path == pytest.approx(4.95, abs=1e-9)


def test_a_mirrored_path_is_not_aligned_by_a_reflection():
    truth = helix()[:, :3, 3]

    motion = align(truth * [1, 1, -1], truth, 'sim3')

    assert np.linalg.det(motion.a_T_b[:3, :3]) == pytest.approx(1.0, abs=1e-9)


def test_the_best_alignment_cannot_be_improved_by_a_small_step():
    rng = np.random.default_rng(3)
    truth, estimate = rng.normal(size=(2, 20, 3))
    best = align(estimate, truth, 'sim3')

    def cost(scale, rotation, shift):
        return np.sum((scale * estimate @ rotation.T + shift - truth) ** 2)

    rotation, shift = best.a_T_b[:3, :3], best.a_T_b[:3, 3]
    lowest = cost(best.scale, rotation, shift)
    for axis in np.eye(3):
        for step in (-1e-3, 1e-3):
            turned = rotation_about(axis, step) @ rotation
            assert cost(best.scale, turned, shift) > lowest
            assert cost(best.scale, rotation, shift + step * axis) > lowest
            assert cost(best.scale * (1 + step), rotation, shift) > lowest


def test_a_straight_path_can_be_aligned():
    line = np.linspace(0, 3, 7)[:, None] * [1.0, 0.0, 0.0]
    truth = transform(np.tile(np.eye(3), (7, 1, 1)), line)
    estimate = moved(truth, 0.5, rotation_about([0, 0, 1], 1.0), [1, 1, 1])

    errors = evaluate_trajectory(estimate, truth, 'sim3')

    assert errors.ate.max < 1e-9
    assert errors.alignment.scale == pytest.approx(2.0, abs=1e-9)


@pytest.mark.parametrize('still', ['estimate', 'truth'])
def test_a_camera_that_only_turns_has_no_scale_and_says_so(still):
    turning, moving = helix(), helix()
    turning[:, :3, 3] = [1, 2, 3]
    pair = (turning, moving) if still == 'estimate' else (moving, turning)

    with pytest.raises(EvaluationError, match='--align se3'):
        evaluate_trajectory(*pair, 'sim3')


def test_a_camera_that_only_turns_is_measured_by_its_rotation_with_se3():
    truth = helix()
    truth[:, :3, 3] = [1, 2, 3]
    estimate = moved(truth, 1, rotation_about([0, 1, 0], 0.5), [4, 5, 6])

    errors = evaluate_trajectory(estimate, truth, 'se3')

    assert errors.ate.max < 1e-9
    assert errors.rpe_rotation.max < 1e-6


@pytest.mark.parametrize(('count', 'delta'), [(0, 1), (2, 1), (5, 5)])
def test_too_few_poses_are_refused_with_their_number(count, delta):
    with pytest.raises(EvaluationError, match=f'only {count} poses'):
        evaluate_trajectory(helix()[:count], helix()[:count], 'none', delta)


def test_stamps_find_their_nearest_partner_within_the_limit():
    estimate = np.array([0, 100, 200, 300])
    truth = np.array([4, 90, 240, 305, 400])

    mine, theirs = associate(estimate, truth, 20)

    assert mine.tolist() == [0, 1, 3]
    assert theirs.tolist() == [0, 1, 3]


def test_a_stamp_of_the_truth_is_given_once_and_to_the_closest():
    mine, theirs = associate(np.array([90, 99, 104, 300]), np.array([100, 290]), 50)

    assert mine.tolist() == [1, 3]
    assert theirs.tolist() == [0, 1]


def test_no_stamps_give_no_pairs():
    mine, theirs = associate(np.array([], dtype=np.int64), np.array([1, 2]), 5)

    assert len(mine) == len(theirs) == 0


def test_path_length_sums_the_steps():
    square = transform(np.tile(np.eye(3), (4, 1, 1)), [[0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0]])

    assert path_length(square) == pytest.approx(5.0, abs=1e-9)


def test_depth_that_is_a_tenth_too_far_has_that_relative_error():
    truth = np.array([[1.0, 2.0], [4.0, 8.0]])

    errors = depth_errors(1.1 * truth, truth)

    assert errors.abs_rel == pytest.approx(0.1, abs=1e-9)
    assert errors.delta_1_25 == pytest.approx(1.0, abs=1e-9)
    assert errors.pixels == 4


def test_delta_counts_both_too_near_and_too_far():
    truth = np.full((1, 4), 2.0)

    errors = depth_errors(np.array([[2.49, 2.51, 1.61, 1.59]]), truth)

    assert errors.delta_1_25 == pytest.approx(0.5, abs=1e-9)


def test_unknown_depth_is_left_out():
    truth = np.array([[0.0, 2.0, np.nan, 2.0, 2.0]])
    estimate = np.array([[1.0, 2.0, 2.0, -1.0, np.inf]])

    errors = depth_errors(estimate, truth)

    assert errors.pixels == 1
    assert errors.abs_rel == pytest.approx(0.0, abs=1e-9)


def test_the_median_scale_repairs_a_wrong_unit_and_ignores_outliers():
    truth = np.linspace(1, 5, 101).reshape(1, -1)
    estimate = truth / 3
    estimate[0, :40] *= 9

    scale = median_scale(estimate, truth)

    assert scale == pytest.approx(3.0, abs=1e-9)
    assert depth_errors(estimate, truth, scale).delta_1_25 == pytest.approx(61 / 101, abs=1e-9)


def test_depth_images_of_different_sizes_are_refused():
    with pytest.raises(EvaluationError, match=r'\(2, 3\)'):
        depth_errors(np.ones((2, 3)), np.ones((3, 2)))
