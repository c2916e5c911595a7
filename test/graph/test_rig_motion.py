# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A robot drives straight ahead at an even speed; one of its cameras looks along a wall."""

import numpy as np
import pytest

from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.graph.rig_motion import RigMotion

TENTH, STEP = 10**8, 0.06
TRUE = transform(rotation_about([0, 0, 1], 0.02), [STEP, 0.0, 0.0])
BAD = transform(np.eye(3), [STEP + 0.25, 0.1, 0.0])
SURE, UNSURE = 0.01**2 * np.eye(6), 0.1**2 * np.eye(6)


def error(moved, true=TRUE):
    return float(np.abs(moved - true).max())


def test_a_camera_that_errs_does_not_move_a_robot_that_goes_on_as_before():
    motion = RigMotion()
    for k in range(3):
        motion.moved(k * TENTH, (k + 1) * TENTH, [(TRUE, SURE), (TRUE, SURE)])

    assert error(motion.moved(3 * TENTH, 4 * TENTH, [(BAD, UNSURE)])) < 0.02
    assert error(motion.moved(3 * TENTH, 4 * TENTH, [(BAD, SURE), (TRUE, SURE)])) < 0.01


def test_a_robot_that_stops_is_believed():
    motion = RigMotion()
    for k in range(3):
        motion.moved(k * TENTH, (k + 1) * TENTH, [(TRUE, SURE)])

    stopped = motion.moved(3 * TENTH, 4 * TENTH, [(np.eye(4), SURE), (np.eye(4), SURE)])
    # Two cameras of 1 cm against 1.5 cm by which a robot may accelerate, and errors before.
    assert error(stopped, np.eye(4)) < 0.015


@pytest.mark.parametrize('share', [0.25, 1.0])
def test_without_an_image_the_robot_goes_on_as_before(share):
    motion = RigMotion()
    motion.moved(0, TENTH, [(TRUE, SURE)])

    moved = motion.moved(TENTH, TENTH + round(share * TENTH), [])

    expected = transform(rotation_about([0, 0, 1], 0.02 * share), [STEP * share, 0.0, 0.0])
    np.testing.assert_allclose(moved, expected, atol=1e-9)


@pytest.mark.parametrize(('begin', 'end'), [(2, 3), (1, 7)])
def test_after_a_gap_the_motion_before_says_nothing(begin, end):
    motion = RigMotion()
    motion.moved(0, TENTH, [(TRUE, SURE)])

    np.testing.assert_array_equal(motion.moved(begin * TENTH, end * TENTH, []), np.eye(4))
    np.testing.assert_allclose(
        motion.moved(begin * TENTH, end * TENTH, [(BAD, UNSURE)]), BAD, atol=1e-9
    )


def test_where_the_map_has_the_robot_counts_by_how_sure_it_is():
    motion = RigMotion()
    motion.moved(0, TENTH, [(TRUE, SURE)])
    placed = TRUE @ transform(np.eye(3), [0.2, 0.0, 0.0])

    pose = motion.weighed(TENTH, TRUE, placed, 0.04**2 * np.eye(6))

    # Variances of 1 cm against 4 cm and the 3 cm of the key frames.
    moved = 0.2 * 0.01**2 / (0.01**2 + 0.04**2 + 0.03**2)
    np.testing.assert_allclose(pose[0, 3] - TRUE[0, 3], moved, atol=0.001)


def test_a_map_that_keeps_saying_so_is_followed():
    motion, pose, placed = RigMotion(), np.eye(4), transform(np.eye(3), [0.2, 0.0, 0.0])
    for k in range(60):
        still = motion.moved(k * TENTH, (k + 1) * TENTH, [(np.eye(4), SURE)])
        pose = motion.weighed((k + 1) * TENTH, pose @ still, placed, UNSURE)

    np.testing.assert_allclose(pose, placed, atol=0.01)


def test_without_a_motion_the_robot_is_where_the_map_has_it():
    placed = transform(np.eye(3), [0.2, 0.0, 0.0])
    np.testing.assert_array_equal(RigMotion().weighed(0, np.eye(4), placed, SURE), placed)
