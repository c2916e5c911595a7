# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What makes large graphs cheap against what it stands for."""

from dataclasses import replace

import numpy as np
import pytest

from benchmark.speed.graph_cost import large_graph
from ttt3r_ros.geometry import invert
from ttt3r_ros.graph.key_frame_graph import FAR_FIRST, ROUNDS_AFTER_LOOP, rounds_at_once
from ttt3r_ros.graph.solver import linear_system, normal_equations
from ttt3r_ros.graph.solver.banded import Band
from ttt3r_ros.graph.solver.elimination import Edges, inverses, Plan
from ttt3r_ros.graph.solver.gathering import hubs
from ttt3r_ros.graph.solver.linear_system import conjugate_gradients, Structure
from ttt3r_ros.graph.solver.pose_graph import Covariances

KEYS, SIZE = 400, 3


@pytest.fixture
def matrix():
    """Return pairs of key frames, chained and with loops, and the blocks of a matrix."""
    rng = np.random.default_rng(3)
    loops = rng.integers(0, KEYS, (40, 2))
    loops = loops[np.abs(loops[:, 0] - loops[:, 1]) > 5]
    chain = np.stack([np.arange(KEYS - 1), np.arange(1, KEYS)], axis=1)
    pairs = np.concatenate([chain, loops, chain[:9, ::-1]])
    across = rng.normal(0, 1, (len(pairs), SIZE, SIZE))
    diagonal = np.tile(40.0 * np.eye(SIZE), (KEYS, 1, 1))
    dense = np.zeros((KEYS, SIZE, KEYS, SIZE))
    dense[range(KEYS), :, range(KEYS)] = diagonal
    for (i, j), block in zip(pairs, across):
        dense[i, :, j] += block
        dense[j, :, i] += block.T
    return pairs, diagonal, across, dense.reshape(KEYS * SIZE, KEYS * SIZE)


def factorised(pairs, diagonal, across):
    structure = Structure.of(KEYS, *pairs.T, SIZE)
    between = np.zeros((structure.edges, SIZE, SIZE))
    for edge, turned, block in zip(structure.edge, structure.turned, across):
        between[edge] += block.T if turned else block
    return structure.factorised(diagonal, between)


def test_a_chain_with_loops_is_solved_as_by_the_dense_matrix(matrix):
    pairs, diagonal, across, dense = matrix
    side = np.random.default_rng(4).normal(0, 1, (KEYS, SIZE))

    found = factorised(pairs, diagonal, across).solve(side)

    np.testing.assert_allclose(found.ravel(), np.linalg.solve(dense, side.ravel()), atol=1e-12)


@pytest.mark.parametrize('widest', [0, 10**6])
def test_a_band_and_sparse_factors_solve_alike(matrix, monkeypatch, widest):
    monkeypatch.setattr(linear_system, 'MOST_WIDTH', widest)
    pairs, diagonal, across, dense = matrix
    sides = np.random.default_rng(4).normal(0, 1, (KEYS, SIZE, 2))

    factor = factorised(pairs, diagonal, across)

    exact = np.linalg.solve(dense, sides.reshape(-1, 2))
    np.testing.assert_allclose(factor.solve(sides).reshape(-1, 2), exact, atol=1e-12)


def test_a_matrix_that_has_no_cholesky_factor_is_solved_all_the_same(matrix):
    pairs, diagonal, across, dense = matrix
    diagonal[KEYS // 2, 0, 0] -= 200.0
    at = KEYS // 2 * SIZE
    dense[at, at] -= 200.0
    side = np.random.default_rng(4).normal(0, 1, (KEYS, SIZE))

    found = factorised(pairs, diagonal, across).solve(side)

    np.testing.assert_allclose(found.ravel(), np.linalg.solve(dense, side.ravel()), atol=1e-12)


def test_key_frames_of_a_ring_are_numbered_so_that_the_band_is_narrow():
    ring = np.random.default_rng(5).permutation(60)

    band = Band.of(60, ring, np.roll(ring, 1), 7)

    assert band.width == 3 * 7 - 1  # both ways round at once: two key frames apart
    assert sorted(band.order) == list(range(60))


def test_inverses_are_those_of_each_block():
    roots = np.random.default_rng(6).normal(0, 1, (50, 7, 7))
    blocks = roots @ np.swapaxes(roots, 1, 2) + np.eye(7)

    np.testing.assert_allclose(inverses(blocks), np.linalg.inv(blocks), atol=1e-12)


def test_half_of_a_chain_is_eliminated_at_once_and_a_quarter_after_that():
    edges = Edges(np.arange(KEYS - 1), np.arange(1, KEYS), np.arange(KEYS - 1))

    plan = Plan.of(KEYS, edges, least=50)

    assert [len(step.keys) for step in plan.steps] == [199, 100, 50]
    assert len(plan.left) == KEYS - 199 - 100 - 50
    assert len(plan.edges.row) == len(plan.left) - 1


def test_conjugate_gradients_correct_for_the_factors_of_another_matrix(matrix):
    pairs, diagonal, across, dense = matrix
    other = factorised(pairs[: KEYS - 1], diagonal, across[: KEYS - 1])  # without loops
    side = np.random.default_rng(4).normal(0, 1, (KEYS, SIZE))
    exact = np.linalg.solve(dense, side.ravel())

    found = conjugate_gradients(
        lambda vector: (dense @ vector.ravel()).reshape(vector.shape), other, side, 1e-7
    )

    np.testing.assert_allclose(found.ravel(), exact, atol=1e-8)
    assert np.abs(other.solve(side).ravel() - exact).max() > 1e-3


def test_loops_are_gathered_at_every_fourth_key_frame_of_their_own_path():
    before, after = np.arange(9), 10 + np.arange(12)  # nothing leads from 9 to 10
    links = np.stack([np.concatenate([before, after]), np.concatenate([before, after]) + 1])

    found = hubs(23, links, 4)

    expected = [0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 10, 10, 14, 14, 14, 14, 18, 18, 18, 18, 22, 22, 22]
    assert found.tolist() == expected


@pytest.fixture
def exactly(monkeypatch):
    """Return a function that leaves all loops where they end."""
    return lambda: monkeypatch.setattr(normal_equations, 'MOST_ENDS', 10**6)


def test_a_graph_whose_loops_are_gathered_has_the_same_optimum(exactly):
    graph = large_graph(KEYS)

    found = graph.optimised(40, FAR_FIRST)

    exactly()
    left = found.solved(1)
    assert left.step < 3e-4
    off = np.abs(found.estimate.poses[:, :3, 3] - graph.estimate.poses[:, :3, 3]).max()
    assert off > 0.2  # it has moved


def test_covariances_are_about_those_with_loops_where_they_end(exactly):
    graph = large_graph(KEYS).optimised(12, FAR_FIRST)
    poses = graph.estimate.poses
    gathered = Covariances.of(graph)
    exactly()
    exact = Covariances.of(graph)

    for here, there in ((0, KEYS - 1), (KEYS // 2, KEYS - 1), (17, KEYS // 2 + 1)):
        motion = invert(poses[here]) @ poses[there]
        variances = [np.diag(one.between(here, there, motion)) for one in (gathered, exact)]
        np.testing.assert_allclose(np.sqrt(variances[0] / variances[1]), 1.0, atol=0.2)


def test_rounds_that_one_key_frame_takes_are_found_by_those_that_follow():
    graph = large_graph(KEYS)
    whole = graph.optimised(ROUNDS_AFTER_LOOP, FAR_FIRST).estimate

    step = graph.solved(1, FAR_FIRST)
    assert step.step == np.inf  # what is far off has counted in full
    for _ in range(ROUNDS_AFTER_LOOP - 1):
        step = step.graph.solved(1)

    np.testing.assert_allclose(step.graph.estimate.poses, whole.poses, atol=2e-3)


def test_the_more_was_measured_the_fewer_rounds_a_key_frame_takes():
    graph = large_graph(100)

    def rounds(count):
        return rounds_at_once(replace(graph, motions=graph.motions[:1] * count))

    assert [rounds(n) for n in (0, 900, 1500, 5000, 20000)] == [6, 6, 3, 1, 1]
