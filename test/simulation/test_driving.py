# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from itertools import pairwise
import math

import numpy as np
import pytest

from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.simulation.driving import COMMAND_LASTS_S, DrivenBase, RADIUS_M
from ttt3r_ros.simulation.odometry import measure_motion, WheelMeter, WHEELS
from ttt3r_ros.simulation.world import FloorPlan, PLAN_RESOLUTION

STEP_S = 0.025


def hall(width=10.0, depth=10.0):
    """Return an empty hall around the origin: the clearance is the distance to its walls."""
    low = np.array([-width / 2, -depth / 2])
    columns, rows = round(width / PLAN_RESOLUTION), round(depth / PLAN_RESOLUTION)
    x = (np.arange(columns) + 0.5) * PLAN_RESOLUTION
    y = (np.arange(rows) + 0.5) * PLAN_RESOLUTION
    to_x, to_y = np.minimum(x, width - x), np.minimum(y, depth - y)
    return FloorPlan(low, np.minimum(to_x[None, :], to_y[:, None]).astype(np.float32))


def drive(base, speed, turn, seconds, every=STEP_S):
    """Command all the time; return the true poses."""
    poses, now = [base.world_T_base], 0.0
    for _ in range(round(seconds / every)):
        base.command(speed, turn, now)
        now += every
        base.step(every, now)
        poses.append(base.world_T_base)
    return np.stack(poses)


def test_a_constant_command_is_a_circle():
    base = DrivenBase(hall(), np.eye(4), 1.0)
    drive(base, 0.5, 0.5, 2.0)  # until it is as fast as it shall be
    poses = drive(base, 0.5, 0.5, 2 * math.pi / 0.5)

    middle = poses[0, :3, 3] + poses[0, :3, :3] @ [0, 1.0, 0]  # radius = speed / turn
    radii = np.linalg.norm(poses[:, :3, 3] - middle, axis=1)
    np.testing.assert_allclose(radii, 1.0, atol=2e-3)
    np.testing.assert_allclose(poses[-1], poses[0], atol=0.02)


def test_the_motions_of_the_steps_add_up_to_the_pose():
    base = DrivenBase(hall(), np.eye(4), 1.0)
    together = np.eye(4)
    for n in range(80):
        base.command(0.4, 0.8, n * STEP_S)
        together = together @ base.step(STEP_S, (n + 1) * STEP_S)

    np.testing.assert_allclose(together, base.world_T_base, atol=1e-9)


def test_speed_grows_as_motors_can_and_no_further_than_allowed():
    base = DrivenBase(hall(), np.eye(4), 0.5)
    drive(base, 3.0, 0.0, 0.25)

    assert base.velocity[0] == pytest.approx(0.25, abs=1e-9)  # 1 m/s²
    drive(base, 3.0, 0.0, 1.0)
    assert base.velocity[0] == pytest.approx(0.5, abs=1e-9)


def test_without_new_commands_the_base_stops():
    base = DrivenBase(hall(), np.eye(4), 0.5)
    base.command(0.5, 0.5, 0.0)
    now = 0.0
    while now < COMMAND_LASTS_S + 1.0:
        now += STEP_S
        base.step(STEP_S, now)

    assert base.velocity == pytest.approx((0.0, 0.0), abs=1e-12)


@pytest.mark.parametrize('speed', [math.nan, math.inf])
def test_a_command_that_is_no_number_stops_the_base(speed):
    base = DrivenBase(hall(), np.eye(4), 0.5)
    drive(base, 0.5, 0.0, 1.0)
    drive(base, speed, 0.0, 1.0)

    assert base.velocity == pytest.approx((0.0, 0.0), abs=1e-12)


def test_a_wall_stops_the_base_which_can_turn_and_leave():
    base = DrivenBase(hall(4.0, 4.0), np.eye(4), 0.5)
    drive(base, 0.5, 0.0, 8.0)

    assert base.bumped
    place = base.world_T_base[:3, 3]
    assert 2.0 - RADIUS_M - 0.1 < place[0] <= 2.0 - RADIUS_M + PLAN_RESOLUTION
    drive(base, -0.5, 0.0, 2.0)
    assert not base.bumped
    assert base.world_T_base[0, 3] < place[0] - 0.5


def test_a_base_that_stands_too_near_to_a_wall_can_leave_it():
    near = transform(rotation_about([0, 0, 1], math.pi), [1.9, 0, 0])
    base = DrivenBase(hall(4.0, 4.0), near, 0.5)
    drive(base, 0.5, 0.0, 2.0)

    assert base.world_T_base[0, 3] < 1.4


def test_wheels_that_measure_step_by_step_measure_the_same():
    base = DrivenBase(hall(), np.eye(4), 0.5)
    poses = drive(base, 0.4, 0.3, 3.0)

    meter = WheelMeter(WHEELS['bad'], 3)
    stepwise = [meter.odom_T_base]
    stepwise += [meter.measure(np.linalg.inv(a) @ b) for a, b in pairwise(poses)]

    together = measure_motion(poses, WHEELS['bad'], 3)
    np.testing.assert_allclose(np.stack(stepwise), together, atol=1e-9)
