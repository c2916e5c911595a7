# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Which loops are plausible, and what becomes of one when one of its key frames goes."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ttt3r_ros.geometry import invert, scaled, transform
from ttt3r_ros.graph.closure import Closure
from ttt3r_ros.graph.loops import _plausible, Loop, Loops, MOST_LOOPS
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.solver.pose_graph import Motion, PoseGraph, ScaleStep
from ttt3r_ros.tracking.relative_pose import RelativePose

SURE = 1e-4 * np.eye(6)
LOG_SCALES = np.log([1.0, 1.3, 0.8, 1.1, 0.9, 1.2])


def measured(robot, here, there):
    """Return the true motion in the unit of the depth of the one where it begins."""
    motion = invert(robot.place(here)) @ robot.place(there)
    return Motion(here, there, scaled(motion, np.exp(-LOG_SCALES[here])), SURE)


def step(here, there):
    return ScaleStep(here, there, LOG_SCALES[there] - LOG_SCALES[here], 0.06)


def loop(robot, here, there):
    return Loop(measured(robot, here, there), measured(robot, there, here), step(here, there))


def nodes_of(robot):
    nodes = Nodes()
    for k, (key, log_scale) in enumerate(zip(robot.drive(range(6)), LOG_SCALES)):
        nodes.add(robot.frame(key), robot.place(k), log_scale, 0)
    return nodes


@pytest.mark.parametrize(
    ('off_m', 'drift_m', 'plausible', 'asked'),
    [(0.0, 0.0, True, 0), (0.3, 0.0, False, 1), (0.3, 0.1, True, 1)],
)
def test_how_far_the_path_may_have_drifted_counts_where_a_loop_does_not_fit(
    robot, off_m, drift_m, plausible, asked
):
    nodes, calls = nodes_of(robot), []
    graph = PoseGraph(nodes.numbers, nodes.estimate, (), ())
    true = measured(robot, 1, 4).here_T_there
    seen = RelativePose(true @ transform(np.eye(3), [off_m, 0, 0]), SURE, np.ones(50, bool), 0.5)

    def certainty(here, there):
        calls.append((here, there))
        return drift_m**2 * np.eye(6)

    found = _plausible(1, 4, Closure(seen, seen, 0.0, 50, np.empty((0, 3))), graph, certainty)

    assert (found, calls) == (plausible, [(1, 4)] * asked)


@pytest.mark.parametrize(('gone', 'left'), [(1, (2, 4)), (4, (1, 5))])
def test_a_loop_ends_at_the_next_key_frame_when_one_of_its_own_goes(robot, gone, left):
    loops = Loops(loops=[loop(robot, 1, 4)])

    link = measured(robot, gone, gone + 1), step(gone, gone + 1)
    loops.remove(gone, gone + 1, link, nodes_of(robot))

    assert loops.pairs == (left,)
    (moved,), expected = loops.accepted, loop(robot, *left)
    for ours, true in ((moved.forth, expected.forth), (moved.back, expected.back)):
        assert (ours.here, ours.there) == (true.here, true.there)
        np.testing.assert_allclose(ours.here_T_there, true.here_T_there, atol=1e-9)
        assert np.trace(ours.covariance) > np.trace(SURE)  # two motions, one after the other
    assert moved.ratio.log_ratio == pytest.approx(expected.ratio.log_ratio, abs=1e-9)
    assert (moved.ratio.here, moved.ratio.there) == left


def test_a_loop_between_neighbours_goes_with_one_of_them(robot):
    loops = Loops(loops=[loop(robot, 1, 2), loop(robot, 1, 4), loop(robot, 2, 4)])
    kept = loops.accepted[2]

    loops.remove(1, 2, (measured(robot, 1, 2), step(1, 2)), nodes_of(robot))

    assert loops.accepted == (kept,)


def one_loop_off_by(robot, sigmas):
    """Return loops and a graph whose only loop is so many sigmas off."""
    nodes, off = nodes_of(robot), sigmas * np.sqrt(SURE[0, 0])
    wrong = measured(robot, 1, 4)
    wrong = replace(wrong, here_T_there=wrong.here_T_there @ transform(np.eye(3), [off, 0, 0]))
    loops = Loops(loops=[Loop(wrong, measured(robot, 4, 1), step(1, 4))])
    return loops, PoseGraph(nodes.numbers, nodes.estimate, (), ())


@pytest.mark.parametrize(('at_optimum', 'later', 'fits'), [(3.0, 3.5, True), (3.0, 4.5, False)])
def test_a_loop_that_is_off_at_the_optimum_fits_until_it_is_a_sigma_farther_off(
    robot, at_optimum, later, fits
):
    loops, graph = one_loop_off_by(robot, at_optimum)
    assert not loops.fit(graph)

    loops.remember(graph)

    assert loops.fit(graph)
    moved, _ = one_loop_off_by(robot, later)
    loops.add(moved.accepted)
    assert loops.fit(graph) == fits
    loops.forget_optimum()
    assert not loops.fit(graph)


def loop_of_sigma(here, there, sigma):
    motions = (
        Motion(*pair, np.eye(4), sigma**2 * np.eye(6)) for pair in ((here, there), (there, here))
    )
    return Loop(*motions, ScaleStep(here, there, 0.0, 0.06))


def test_of_the_loops_of_a_key_frame_the_most_certain_stay():
    sigmas = np.random.default_rng(0).permutation(np.linspace(0.01, 0.1, MOST_LOOPS + 5))
    seen_again = [loop_of_sigma(0, 1 + k, sigma) for k, sigma in enumerate(sigmas)]
    elsewhere = loop_of_sigma(1, 2, 1.0)
    loops = Loops(loops=[*seen_again, elsewhere])

    loops.bound(dict.fromkeys(range(MOST_LOOPS + 6), 0))

    surest = {(0, 1 + int(k)) for k in np.argsort(sigmas)[:MOST_LOOPS]}
    assert set(loops.pairs) == surest | {(1, 2)}
    assert loops.counts.rejected == 0


def test_loops_that_alone_hold_strands_together_stay_however_uncertain():
    within = [loop_of_sigma(0, 1 + k, 0.01) for k in range(MOST_LOOPS)]
    across = [loop_of_sigma(0, 100, 0.5), loop_of_sigma(0, 101, 0.4)]
    loops = Loops(loops=[*within, *across])

    loops.bound({number: 100 * (number // 100) for pair in loops.pairs for number in pair})

    assert (0, 101) in loops.pairs
    assert (0, 100) not in loops.pairs
    held = Counter(number for pair in loops.pairs for number in pair)
    assert held[0] == MOST_LOOPS
