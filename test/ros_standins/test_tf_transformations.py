# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp
import tf_transformations as tf

ROTATIONS = Rotation.random(50, rng=np.random.default_rng(0))


def same_turn(first, second) -> bool:
    return (Rotation.from_quat(first) * Rotation.from_quat(second).inv()).magnitude() < 1e-9


@pytest.mark.parametrize('rotation', list(ROTATIONS))
def test_quaternions_and_matrices_are_those_of_scipy(rotation):
    q = rotation.as_quat()
    np.testing.assert_allclose(tf.quaternion_matrix(q)[:3, :3], rotation.as_matrix(), atol=1e-12)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.as_matrix()
    assert same_turn(tf.quaternion_from_matrix(matrix), q)
    assert tf.quaternion_from_matrix(matrix)[3] >= 0


@pytest.mark.parametrize('axis', np.eye(3))
def test_half_turns_have_a_quaternion(axis):
    half_turn = np.eye(4)
    half_turn[:3, :3] = 2 * np.outer(axis, axis) - np.eye(3)
    np.testing.assert_allclose(
        np.abs(tf.quaternion_from_matrix(half_turn)), [*axis, 0], atol=1e-12
    )


def test_euler_angles_are_roll_pitch_yaw_about_fixed_axes():
    for rotation in ROTATIONS:
        roll, pitch, yaw = rotation.as_euler('xyz')
        assert same_turn(tf.quaternion_from_euler(roll, pitch, yaw), rotation.as_quat())
        np.testing.assert_allclose(
            tf.euler_from_quaternion(rotation.as_quat()), [roll, pitch, yaw], atol=1e-9
        )


@pytest.mark.parametrize('pitch', [np.pi / 2, -np.pi / 2])
def test_euler_angles_at_the_pole_give_the_same_rotation(pitch):
    q = Rotation.from_euler('xyz', [0.3, pitch, -0.4]).as_quat()
    assert same_turn(Rotation.from_euler('xyz', tf.euler_from_quaternion(q)).as_quat(), q)


def test_a_product_turns_by_its_right_factor_first():
    first, second = ROTATIONS[0], ROTATIONS[1]
    product = tf.quaternion_multiply(second.as_quat(), first.as_quat())
    assert same_turn(product, (second * first).as_quat())
    undone = tf.quaternion_multiply(tf.quaternion_inverse(product), product)
    np.testing.assert_allclose(undone, [0, 0, 0, 1], atol=1e-12)


@pytest.mark.parametrize('sign', [1, -1])
def test_slerp_goes_the_short_way_at_constant_speed(sign):
    two = Rotation.concatenate([ROTATIONS[2], ROTATIONS[3]])
    q0, q1 = two.as_quat()
    for part in (0.0, 0.25, 1.0):
        expected = Slerp([0, 1], two)(part).as_quat()
        assert same_turn(tf.quaternion_slerp(q0, sign * q1, part), expected)


def test_transforms_chain_from_left_to_right():
    a_T_b = tf.concatenate_matrices(
        tf.translation_matrix([1, 2, 3]), tf.quaternion_matrix([0, 0, np.sqrt(0.5), np.sqrt(0.5)])
    )
    np.testing.assert_allclose(a_T_b @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)
    np.testing.assert_allclose(tf.translation_from_matrix(a_T_b), [1, 2, 3], atol=1e-12)
    np.testing.assert_allclose(tf.inverse_matrix(a_T_b) @ a_T_b, tf.identity_matrix(), atol=1e-12)
