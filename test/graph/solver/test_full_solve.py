# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The graph against its slow twin: one motion after the other, dense, nothing is kept."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmark.speed.graph_cost import large_graph
from ttt3r_ros.geometry import adjoint, cross_matrices, invert, transform
from ttt3r_ros.graph.solver.pose_graph import (
    Covariances,
    DAMPING,
    GAUGE_SIGMA,
    Motion,
    NEARLY_FITS,
    SCALE_SIGMA,
    SHARED_SCALE_SIGMA,
)


def solved(graph, bounds):
    """Return the estimate after steps of Gauss and Newton with a bound on squares in each."""
    at = graph.estimate
    for most in bounds:
        matrix, gradient = normal_equations(graph, at, most)
        at = at.moved(-np.linalg.solve(matrix, gradient).reshape(-1, 7))
    return at


def normal_equations(graph, at, most=np.inf):
    """Return the dense matrix and the gradient."""
    index = {number: i for i, number in enumerate(graph.numbers)}
    matrix = DAMPING * np.eye(7 * len(index))
    gradient = np.zeros(len(matrix))

    def add(rows, derivative, error, kernel, most=np.inf):
        weight = 1 / (1 + min(error @ error, most) / kernel**2)
        matrix[np.ix_(rows, rows)] += weight * derivative.T @ derivative
        gradient[rows] += weight * derivative.T @ error

    for m in graph.motions:
        here, there = index[m.here], index[m.there]
        rows = np.r_[7 * here : 7 * here + 7, 7 * there : 7 * there + 7]
        add(rows, *linearised(m, at, here, there), m.kernel, most)
    for s in graph.scale_steps:
        here, there = index[s.here], index[s.there]
        off = (at.log_scales[there] - at.log_scales[here] - s.log_ratio) / s.sigma
        add(
            [7 * here + 6, 7 * there + 6], np.array([[-1, 1]]) / s.sigma, np.array([off]), s.kernel
        )
    for f in graph.scale_fixes:
        off = (at.log_scales[index[f.here]] - f.log_scale) / f.sigma
        add([7 * index[f.here] + 6], np.array([[1]]) / f.sigma, np.array([off]), f.kernel)
    for i, log_scale in enumerate(at.log_scales):
        add([7 * i + 6], np.array([[1]]) / SCALE_SIGMA, np.array([log_scale]) / SCALE_SIGMA, 1e9)
    still = [*range(6), *(7 * index[n] + k for n in graph.held for k in range(7))]
    np.add.at(matrix, (still, still), GAUGE_SIGMA**-2)
    return matrix, gradient


def linearised(motion, at, here, there):
    """Return the derivative (6, 14) of a whitened error, and the error (6,)."""
    turn, place = at.poses[:, :3, :3], at.poses[:, :3, 3]
    measured = motion.here_T_there[:3, :3]
    way = np.exp(motion.scaled * at.log_scales[here]) * motion.here_T_there[:3, 3]
    here_R_there = turn[here].T @ turn[there]
    shift = turn[here].T @ (place[there] - place[here])
    turned = Rotation.from_matrix(measured.T @ here_R_there).as_rotvec()
    by_turn = np.eye(3) + 0.5 * cross_matrices(turned[None])[0]
    derivative = np.zeros((6, 14))
    derivative[:3, :3] = -by_turn @ here_R_there.T
    derivative[3:, :3] = measured.T @ cross_matrices(shift[None])[0]
    derivative[3:, 3:6] = -measured.T
    derivative[3:, 6] = -motion.scaled * measured.T @ way
    derivative[:3, 7:10] = by_turn
    derivative[3:, 10:13] = measured.T @ here_R_there
    white = np.linalg.inv(np.linalg.cholesky(motion.covariance))
    error = np.concatenate([turned, measured.T @ (shift - way)])
    return white @ derivative, white @ error


def with_false_loops(graph):
    """Add what says of four pairs of key frames that they lie elsewhere."""
    poses, elsewhere = graph.estimate.poses, transform(np.eye(3), [2.0, 1.0, 0.0])
    sure = np.diag([0.02**2] * 3 + [0.04**2] * 3)
    false = tuple(
        Motion(i, j, invert(poses[i]) @ poses[j] @ elsewhere, sure, kernel=1.0)
        for i, j in ((0, 20), (5, 60), (9, 45), (30, 62))
    )
    return replace(graph, motions=(*graph.motions, *false))


@pytest.mark.parametrize(
    'make',
    [
        lambda: large_graph(66),
        lambda: with_false_loops(large_graph(66)),
        lambda: large_graph(90).around(20),
    ],
    ids=['loops', 'false loops', 'part'],
)
def test_kept_factors_lead_to_the_optimum_of_the_full_solve(make):
    graph = make()
    full = solved(graph, (NEARLY_FITS, NEARLY_FITS, *[np.inf] * 6))

    found = graph.optimised(60, 2).estimate

    np.testing.assert_allclose(found.poses, full.poses, atol=0.1)  # which is on its way
    matrix, gradient = normal_equations(graph, found)
    np.testing.assert_allclose(np.linalg.solve(matrix, gradient), 0.0, atol=3e-4)


def test_one_step_is_that_of_the_full_solve():
    graph = large_graph(66)
    full = solved(graph, (NEARLY_FITS,))

    found = graph.optimised(1, 1).estimate

    np.testing.assert_allclose(found.poses, full.poses, atol=1e-7)
    np.testing.assert_allclose(found.log_scales, full.log_scales, atol=1e-7)


def test_the_covariance_is_the_inverse_of_the_full_matrix():
    graph = large_graph(66)
    matrix, _ = normal_equations(graph, graph.estimate)
    poses, inverse = graph.estimate.poses, np.linalg.inv(matrix)
    motion = invert(poses[20]) @ poses[64]
    derivative = np.zeros((6, len(matrix)))
    derivative[:, 7 * 20 : 7 * 20 + 6] = -adjoint(invert(motion))
    derivative[:, 7 * 64 : 7 * 64 + 6] = np.eye(6)

    known = Covariances.of(graph)

    last = slice(7 * 64, 7 * 64 + 6)
    full = inverse[last, last]
    np.testing.assert_allclose(known.of_one(64), full, atol=1e-6 * np.abs(full).max())
    alike = SHARED_SCALE_SIGMA * inverse[7 * 64 : 7 * 65, 6::7].sum(axis=1) / SCALE_SIGMA**2
    np.testing.assert_allclose(known.shared(64), alike, atol=1e-6)
    full = derivative @ inverse @ derivative.T
    found = known.between(20, 64, motion)
    np.testing.assert_allclose(found, full, atol=1e-6 * np.abs(full).max())


def test_key_frames_without_links_stay_where_they_are():
    graph = replace(large_graph(3), motions=(), scale_steps=(), scale_fixes=())

    alone = graph.optimised(3, 1).estimate

    np.testing.assert_allclose(alone.poses, graph.estimate.poses, atol=1e-12)
