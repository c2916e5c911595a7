# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np
import pytest

from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.graph.odometry import LEAST_STEPS, OdometryScale, STEP_M

ELSEWHERE = transform(rotation_about([0, 0, 1], 2.0), [5.0, -3.0, 1.0])


def circle(angle, radius=2.0, scale=1.0):
    """Return the pose on a circle, in a map whose lengths are `scale` too long."""
    place = [radius * scale * math.sin(angle), radius * scale * (1 - math.cos(angle)), 0.0]
    return transform(rotation_about([0, 0, 1], angle), place)


def driven(metres, scale, noise=0.0, radius=2.0):
    rng, found = np.random.default_rng(0), OdometryScale()
    for way in np.arange(0.0, metres, 0.05):
        shaken = transform(np.eye(3), rng.normal(0, noise, 3) if noise else np.zeros(3))
        angle = way / radius
        found.add(ELSEWHERE @ circle(angle, radius, scale) @ shaken, circle(angle, radius))
    return found


@pytest.mark.parametrize('scale', [0.5, 1.0, 1.4])
def test_a_map_with_another_unit_is_found_wherever_the_odometry_lies_in_it(scale):
    found = driven(12.0, scale).estimate()

    assert found.log_scale == pytest.approx(-math.log(scale), abs=1e-9)
    assert 0 < found.log_sigma < 0.04


def test_noise_of_the_poses_makes_no_scale():
    found = driven(12.0, 1.0, noise=0.05).estimate()

    assert abs(found.log_scale) < 3 * found.log_sigma < 0.4
    assert found.chosen('auto') == 1.0


def test_four_metres_have_to_be_driven_before_anything_is_said():
    before = driven(LEAST_STEPS * STEP_M - 0.1, 1.4).estimate()
    turning = OdometryScale()
    for angle in np.arange(0.0, 60.0, 0.1):
        turning.add(circle(angle, 0.1), circle(angle, 0.05))

    for unknown in (before, turning.estimate()):
        assert unknown.log_sigma == math.inf
        assert unknown.chosen('auto') == 1.0
        assert unknown.in_words() == 'unknown'


def test_a_jump_of_the_odometry_or_a_step_that_the_network_lost_does_not_count():
    found = driven(12.0, 1.25)
    found.add(circle(0.0), circle(0.0) @ ELSEWHERE)  # metres within one step
    found.add(ELSEWHERE, circle(0.0))

    assert found.estimate().chosen('auto') == pytest.approx(0.8, abs=1e-6)


def test_announced_jumps_are_left_out():
    found = OdometryScale()
    for number in range(40):
        found.interrupt()
        found.add(np.eye(4), transform(np.eye(3), [number, 0, 0]))

    assert found.estimate().log_sigma == math.inf


def test_a_new_unit_of_the_map_is_remembered():
    found = driven(12.0, 1.25)
    found.rescale(0.8)

    assert found.estimate().log_scale == pytest.approx(0.0, abs=1e-9)
    assert found.estimate().in_words() == '1.000 +- 0.032'
