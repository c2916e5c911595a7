# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np
import pytest

from ttt3r_ros.graph.bends import FARTHEST, fit, NO_BEND, NODES, NOISE, REACH, SIDE, SIGMA, stretch

LINE = np.linspace(-FARTHEST, FARTHEST, SIDE)


def log_stretch(tangents, bend):
    x, y = tangents.T.astype(np.float32)
    return np.log(stretch((x, y, np.ones_like(x)), bend))


def bent(tangents):
    """Return by what the log depth of a network is too small."""
    x, y = tangents.T
    return 0.1 * np.cos(3 * x) * np.cos(2 * y)


def some_tangents(count, seed=0):
    return np.random.default_rng(seed).uniform([-0.7, -0.5], [0.7, 0.5], (count, 2))


def test_points_are_stretched_by_the_exponential_of_what_lies_between_the_nodes():
    x, y, z = (np.array([v], np.float32) for v in (0.6, -0.3, 2.0))

    factor = stretch((x, y, z), (0.2 * LINE - 0.4 * LINE[:, None]).ravel())

    # OpenCV before 5 rounds places to 1/32 of a node.
    np.testing.assert_allclose(factor, math.exp(0.2 * 0.3 + 0.4 * 0.15), atol=2e-3)


@pytest.mark.parametrize('shape', [(0,), (1025,), (3, 700)])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_points_of_any_number_are_stretched_each_by_its_own(shape, dtype):
    x, y, z = np.random.default_rng(2).uniform(-0.5, 0.5, (3, *shape)).astype(dtype)
    z += 2.0

    factor = stretch((x, y, z), (0.2 * LINE - 0.4 * LINE[:, None]).ravel())

    np.testing.assert_allclose(factor, np.exp(0.2 * x / z - 0.4 * y / z), atol=2e-3)


def test_points_far_aside_are_stretched_as_at_the_edge_and_those_behind_stay():
    x, z = np.array([50.0, FARTHEST, 1.0], np.float32), np.array([1.0, 1.0, -1.0], np.float32)
    bend = np.tile(0.1 + 0.2 * LINE, SIDE)

    factor = stretch((x, np.zeros_like(x), z), bend)

    edge = math.exp(0.1 + 0.2 * FARTHEST)
    np.testing.assert_allclose(factor, [edge, edge, 1.0], atol=1e-6)


@pytest.mark.parametrize('slid', [0, 15])
def test_the_bend_between_features_is_found_though_some_have_slid_away(slid):
    tangents, other = some_tangents(150), some_tangents(50, seed=1)
    log_ratio = bent(tangents)
    log_ratio[:slid] += 1.0

    bend = fit(tangents, log_ratio, np.full(150, 0.01))

    np.testing.assert_allclose(log_stretch(other, bend), bent(other), atol=0.03)


def test_the_bend_is_the_mean_of_a_gaussian_process_given_the_features():
    tangents, other = some_tangents(60), some_tangents(20, seed=1)
    sigma = np.linspace(0.01, 0.2, 60)

    def covariance(here, there):
        apart = ((here[:, None] - there) ** 2).sum(axis=2)
        return SIGMA**2 * np.exp(-0.5 * apart / REACH**2)

    own = covariance(tangents, tangents) + np.diag(sigma**2 + NOISE**2)
    expected = covariance(other, tangents) @ np.linalg.solve(own, bent(tangents))

    found = log_stretch(other, fit(tangents, bent(tangents), sigma))
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_where_no_features_are_the_depth_stays_as_it_is():
    tangents = some_tangents(60)
    tangents[:, 0] = 0.6

    bend = fit(tangents, np.full(60, 0.1), np.full(60, 0.01)).reshape(SIDE, SIDE)

    np.testing.assert_allclose(bend[:, LINE < -0.7], 0.0, atol=0.01)
    np.testing.assert_array_equal(fit(np.empty((0, 2)), np.empty(0), np.empty(0)), NO_BEND)
    assert NO_BEND.shape == (NODES,)
