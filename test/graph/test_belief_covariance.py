# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How sure the graph is of its newest key frame, where that is a sum."""

from dataclasses import replace

import numpy as np
import pytest

from ttt3r_ros.geometry import transform
from ttt3r_ros.graph.belief import GRAPH_INFLATION
from ttt3r_ros.graph.chain import LEAST_SHIFT_SIGMA, LEAST_TURN_SIGMA
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.solver.pose_graph import SCALE_SIGMA, SHARED_SCALE_SIGMA
from ttt3r_ros.tracking.relative_pose import RelativePose

STEPS = 8
STEP = np.array([0.1, 0.02, 0.3])


def skew(v):
    return np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])


@pytest.fixture
def straight(robot):
    """Return the key frames of a straight way and the covariances of the motions between them."""
    rng = np.random.default_rng(3)
    keys, covariances = robot.drive(range(STEPS + 1)), []
    for k, key in enumerate(keys):
        motion = None
        if k:
            factor = 0.01 * np.tril(rng.normal(0, 1, (6, 6)))
            covariances.append(factor @ factor.T + 1e-4 * np.eye(6))
            step = transform(np.eye(3), STEP)
            motion = RelativePose(step, covariances[-1], key.motion.inliers, 1.0)
        track = transform(np.eye(3), k * STEP)
        keys[k] = replace(key, motion=motion, track_T_camera=track)
    return keys, covariances


def summed(covariances):
    """Return the covariance at the end of a way; what turns early moves the end aside."""
    least = np.diag([LEAST_TURN_SIGMA**2] * 3 + [LEAST_SHIFT_SIGMA**2] * 3)
    total = np.zeros((6, 6))
    for k, covariance in enumerate(covariances):
        carried = np.eye(6)
        carried[3:, :3] = -skew((len(covariances) - 1 - k) * STEP)
        own = covariance + least
        # Nothing ties the scale of one depth to that of the next, so each is as sure as its prior.
        own[3:, 3:] += SCALE_SIGMA**2 * np.outer(STEP, STEP)
        total += carried @ own @ carried.T
    alike = SHARED_SCALE_SIGMA * len(covariances) * np.append(np.zeros(3), STEP)
    return total + np.outer(alike, alike)


def test_the_covariance_after_a_straight_way_is_the_sum_of_its_motions(straight):
    keys, covariances = straight
    found = KeyFrameGraph()
    for k, key in enumerate(keys):  # in full and carried on
        found.add(key)
        expected = summed(covariances[:k])
        np.testing.assert_allclose(found.belief.covariance, expected, atol=1e-6)


def test_an_image_at_a_key_frame_has_the_inflated_covariance_of_the_key_frame(straight, robot):
    keys, covariances = straight
    found = KeyFrameGraph()
    for key in keys:
        found.add(key)

    located = found.locate(robot.at(keys[-1]))  # its motion since the key frame is exact
    expected = GRAPH_INFLATION * summed(covariances)
    np.testing.assert_allclose(located.covariance, expected, atol=1e-6)
