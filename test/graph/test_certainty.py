# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How sure key frames are by what was known of their submap a few key frames ago."""

import numpy as np
import pytest

from benchmark.speed.graph_cost import large_graph
from ttt3r_ros.geometry import invert
from ttt3r_ros.graph.certainty import Certainty
from ttt3r_ros.graph.solver.pose_graph import Covariances, Estimate, PoseGraph


@pytest.fixture(scope='module')
def chain():
    """Return key frames of which each is measured from the one before."""
    return large_graph(40).optimised(20)


def first(graph, count):
    """Return the graph of the first key frames."""
    at = graph.estimate
    return PoseGraph(
        graph.numbers[:count],
        Estimate(at.poses[:count], at.log_scales[:count]),
        tuple(m for m in graph.motions if max(m.here, m.there) < count),
        tuple(s for s in graph.scale_steps if max(s.here, s.there) < count),
        tuple(f for f in graph.scale_fixes if f.here < count),
    )


def full(graph, here, there):
    poses = graph.estimate.poses
    return Covariances.of(graph).between(here, there, invert(poses[here]) @ poses[there])


def test_what_was_known_a_few_key_frames_ago_is_carried_on(chain):
    certainty = Certainty()
    known = first(chain, 37)
    certainty.learn(known.numbers, Covariances.of(known))

    found = certainty.between(chain, 3, 39)

    expected = full(chain, 3, 39)
    np.testing.assert_allclose(found, expected, atol=0.1 * np.abs(expected).max())
    older = certainty.between(chain, 3, 36)
    assert np.linalg.eigvalsh(found - older).max() > 0.0
    np.testing.assert_allclose(older, full(known, 3, 36), atol=1e-12)


def test_nothing_that_is_known_is_of_use_where_a_key_frame_is_missing(chain):
    certainty = Certainty()
    known = first(chain, 20)
    certainty.learn(known.numbers, Covariances.of(known))

    np.testing.assert_allclose(certainty.between(chain, 3, 39), full(chain, 3, 39), atol=1e-12)
    np.testing.assert_allclose(certainty.between(chain, 25, 39), full(chain, 25, 39), atol=1e-12)


def test_an_optimisation_tells_the_covariance_of_the_newest_key_frame(chain):
    certainty, solution = Certainty(), chain.solved(6)
    certainty.learn(chain.numbers, solution.covariances)

    certainty.update(chain, joined=False)

    expected = Covariances.of(chain).of_one(39)
    np.testing.assert_allclose(certainty.covariance, expected, atol=0.01 * expected.max())
