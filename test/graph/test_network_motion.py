# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest

from ttt3r_ros.geometry import invert, rotation_about, scaled, transform
from ttt3r_ros.graph.chain import Chain
from ttt3r_ros.graph.network_motion import FEWEST, NetworkMotion
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.wheels import NOISES

STEP = np.eye(4)
STEP[0, 3] = 0.5  # metres: the sigma of shift is 0.05 + 0.1 * 0.5
USUAL = [np.radians(1.9)] * 3 + [0.1] * 3


def sigmas_after(motion, errors):
    """Return the six sigmas of a step, after steps of which the network was off by errors."""
    for error in errors:
        motion.compare(STEP, STEP @ invert(error))
    return np.sqrt(np.diag(motion.between(0, 1, STEP).covariance))


def shifted(metres):
    error = np.eye(4)
    error[1, 3] = metres
    return error


def turned(degrees):
    return transform(rotation_about([0, 1, 0], np.radians(degrees)), np.zeros(3))


def test_a_network_that_agrees_as_usual_or_better_has_the_usual_sigmas():
    for error in (np.eye(4), shifted(0.05), turned(0.5)):
        found = sigmas_after(NetworkMotion(), [error] * 20)
        np.testing.assert_allclose(found, USUAL, atol=1e-9)


def test_sigmas_widen_with_the_median_of_what_the_network_is_off():
    # Usual are 0.9 sigmas of shift: 0.27 m, 2.7 sigmas, are three times that. Few outliers are
    # no reason, and a turn is judged by turns.
    wide = sigmas_after(NetworkMotion(), [shifted(0.27)] * 5 + [shifted(50.0)] * 2)
    some = sigmas_after(NetworkMotion(), [shifted(0.05)] * 5 + [shifted(50.0)] * 2)

    np.testing.assert_allclose(wide, np.array(USUAL) * [1, 1, 1, 3, 3, 3], atol=1e-9)
    np.testing.assert_allclose(some, USUAL, atol=1e-9)


def test_a_turn_of_two_sigmas_makes_turns_four_times_as_unsure():
    found = sigmas_after(NetworkMotion(), [turned(2 * 1.9)] * 6)

    np.testing.assert_allclose(found, np.array(USUAL) * [4, 4, 4, 1, 1, 1], atol=1e-9)


def test_the_first_key_frames_judge_nothing():
    found = sigmas_after(NetworkMotion(), [shifted(1.0)] * (FEWEST - 1))

    np.testing.assert_allclose(found, USUAL, atol=1e-9)


@pytest.mark.parametrize(('length', 'widened'), [(1.0, False), (0.4, True)])
def test_the_chain_learns_from_its_features_what_the_network_is_worth(robot, length, widened):
    chain, nodes = Chain(NOISES['usual']), Nodes()
    for key in robot.drive(range(12)):
        # The motion of this network is right, or short.
        view = replace(key.view, network_T_camera=scaled(key.track_T_camera, length))
        chain.append(replace(key, view=view), robot.frame(key), nodes, np.eye(4))

    by_network = chain.measured.by_network
    assert len(by_network) == 11
    shift = np.linalg.norm(by_network[-1].here_T_there[:3, 3])
    usual = 0.05 + 0.1 * shift
    assert (np.sqrt(by_network[-1].covariance[5, 5]) > 1.5 * usual) == widened
