# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from ttt3r_ros.geometry import (
    BODY_T_OPTICAL,
    invert,
    join_poses,
    quaternion_from_rotation,
    rotation_about,
    rotation_angle,
    rotation_from_quaternion,
    Similarity,
    slerp,
    transform,
    transform_points,
)


def random_rotations(count: int, seed: int = 0) -> Rotation:
    return Rotation.random(count, rng=np.random.default_rng(seed))


def random_poses(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return transform(random_rotations(count).as_matrix(), rng.normal(size=(count, 3)))


def test_the_optical_axis_is_the_forward_axis_of_the_body():
    right, down, forward = np.eye(3)
    np.testing.assert_array_equal(transform_points(BODY_T_OPTICAL, forward), [1, 0, 0])
    np.testing.assert_array_equal(transform_points(BODY_T_OPTICAL, right), [0, -1, 0])
    np.testing.assert_array_equal(transform_points(BODY_T_OPTICAL, down), [0, 0, -1])


def test_the_fixed_turn_cannot_be_overwritten():
    with pytest.raises(ValueError, match='read-only'):
        BODY_T_OPTICAL[0, 0] = 1.0


def test_a_transform_rotates_then_translates():
    a_T_b = transform(rotation_about([0, 0, 1], np.pi / 2), [10, 20, 30])
    np.testing.assert_allclose(
        transform_points(a_T_b, np.array([1.0, 0, 0])), [10, 21, 30], atol=1e-12
    )


def test_points_keep_their_precision():
    points = np.ones((5, 7, 3), np.float32)
    moved = transform_points(transform(np.eye(3), [1, 2, 3]), points)
    assert moved.dtype == np.float32
    assert moved.shape == points.shape


def test_the_inverse_undoes_many_transforms_at_once():
    rng = np.random.default_rng(1)
    a_T_b = transform(random_rotations(6).as_matrix(), rng.normal(size=(6, 3))).reshape(2, 3, 4, 4)
    np.testing.assert_allclose(invert(a_T_b), np.linalg.inv(a_T_b), atol=1e-12)


def test_one_shared_camera_joins_by_its_two_poses():
    a_T_camera, b_T_camera = random_poses(2)

    a_T_b = join_poses(a_T_camera[None], b_T_camera[None])

    np.testing.assert_allclose(a_T_b, a_T_camera @ np.linalg.inv(b_T_camera), atol=1e-14)


def test_exact_shared_cameras_join_exactly():
    a_T_b, *b_T_camera = random_poses(6)

    np.testing.assert_allclose(
        join_poses(a_T_b @ np.stack(b_T_camera), np.stack(b_T_camera)), a_T_b, atol=1e-13
    )


def test_one_wrong_translation_among_five_is_outvoted():
    a_T_b, *b_T_camera = random_poses(6)
    a_T_camera = a_T_b @ np.stack(b_T_camera)
    a_T_camera[3, :3, 3] += 10.0

    np.testing.assert_allclose(join_poses(a_T_camera, np.stack(b_T_camera)), a_T_b, atol=1e-13)


def test_opposite_rotation_errors_cancel():
    a_T_camera = transform(
        [rotation_about([0, 0, 1], angle) for angle in (0.3, 0.5)], np.zeros((2, 3))
    )

    joined = join_poses(a_T_camera, np.stack([np.eye(4)] * 2))

    np.testing.assert_allclose(joined[:3, :3], rotation_about([0, 0, 1], 0.4), atol=1e-14)


def test_quaternions_become_the_rotations_that_scipy_gives():
    quaternions = random_rotations(100).as_quat()
    scale = np.linspace(0.1, 10, 100)[:, None]
    expected = Rotation.from_quat(quaternions).as_matrix()
    np.testing.assert_allclose(rotation_from_quaternion(scale * quaternions), expected, atol=1e-12)


def test_rotations_become_the_quaternions_that_scipy_gives():
    rotations = random_rotations(100)
    expected = rotations.as_quat(canonical=True)
    np.testing.assert_allclose(
        quaternion_from_rotation(rotations.as_matrix()), expected, atol=1e-12
    )


@pytest.mark.parametrize('axis', np.eye(3))
def test_half_turns_become_the_quaternion_of_their_axis(axis):
    half_turn = 2 * np.outer(axis, axis) - np.eye(3)
    x, y, z, w = quaternion_from_rotation(half_turn)
    np.testing.assert_allclose(np.abs([x, y, z]), axis, atol=1e-12)
    assert w == pytest.approx(0, abs=1e-12)


def test_a_matrix_that_is_slightly_off_gives_a_unit_quaternion_near_it():
    rotation = random_rotations(1)[0]
    noise = np.random.default_rng(2).normal(scale=1e-3, size=(3, 3))
    q = quaternion_from_rotation(rotation.as_matrix() + noise)
    assert np.linalg.norm(q) == pytest.approx(1, abs=1e-12)
    assert (Rotation.from_quat(q) * rotation.inv()).magnitude() < 5e-3


@pytest.mark.parametrize('bad', [[0, 0, 0, 0], [np.nan, 0, 0, 1], [np.inf, 0, 0, 1]])
def test_a_quaternion_that_is_no_rotation_is_refused(bad):
    with pytest.raises(ValueError, match='zero or not finite'):
        rotation_from_quaternion(bad)


@pytest.mark.parametrize('angle', [0.0, 1e-9, 1e-4, 0.3, 3.0, np.pi - 1e-6, np.pi])
def test_angles_come_back_however_small(angle):
    axis = np.array([1.0, -2.0, 0.5])
    rotation = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_matrix()
    assert rotation_angle(rotation) == pytest.approx(angle, rel=1e-6, abs=1e-12)


def test_rotation_about_an_axis_is_right_handed():
    turned = rotation_about([0, 0, 5], np.pi / 2) @ [1, 0, 0]
    np.testing.assert_allclose(turned, [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize('sign', [1, -1])
def test_slerp_is_that_of_scipy_whatever_the_signs(sign):
    rotations = random_rotations(40)
    for first, second in zip(rotations[:20], rotations[20:]):
        expected = Slerp([0, 1], Rotation.concatenate([first, second]))([0.0, 0.3, 1.0])
        for fraction, rotation in zip([0.0, 0.3, 1.0], expected):
            found = slerp(first.as_quat(), sign * second.as_quat(), fraction)
            np.testing.assert_allclose(np.linalg.norm(found), 1, atol=1e-12)
            np.testing.assert_allclose(
                rotation_from_quaternion(found), rotation.as_matrix(), atol=1e-12
            )


@pytest.mark.parametrize('angle', [0.0, 1e-12, 1e-7])
def test_slerp_between_nearly_equal_rotations_halves_their_angle(angle):
    first, second = np.array([0, 0, 0, 1.0]), np.array([np.sin(angle / 2), 0, 0, 1.0])

    half = slerp(first, second, 0.5)

    assert 2 * half[0] == pytest.approx(angle / 2, abs=1e-12)


def test_a_similarity_and_its_inverse_take_a_point_there_and_back():
    a_T_b = Similarity(transform(rotation_about([1, 2, 3], 0.7), [4.0, -5.0, 6.0]), 2.5)

    there_and_back = a_T_b.inverse().after(a_T_b)

    np.testing.assert_allclose(there_and_back.a_T_b, np.eye(4), atol=1e-12)
    assert there_and_back.scale == pytest.approx(1.0, abs=1e-12)
