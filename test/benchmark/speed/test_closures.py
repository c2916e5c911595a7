# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from benchmark.speed.graph_cost import ROUND_KEYS
from ttt3r_ros.graph.solver.pose_graph import Covariances

SECOND = 1_000_000_000


@pytest.fixture
def closures():
    pytest.importorskip('rclpy', reason='ROS 2 is not importable (make setup installs it)')
    from benchmark.speed import closures

    return closures


def phase(begin_s, end_s, closed):
    return {
        'begin_ns': begin_s * SECOND,
        'end_ns': end_s * SECOND,
        'closed': closed,
        'cpu_s': 0.5 * (end_s - begin_s),
    }


def test_the_latencies_of_both_phases_of_one_run_are_compared(closures):
    latencies = {round((0.1 * k + 0.05) * SECOND): 0.01 if k < 40 else 0.02 for k in range(80)}

    table = closures._table(latencies, [phase(0, 4, 0), phase(4, 8, 3)], 20.0)

    without, with_them, ratio = table.rows
    assert without[1:4] == ['80', '40', '50']
    assert (without[6], with_them[6], ratio[6]) == ('10.0', '20.0', '2.00')
    assert without[7] == '0.50'


def test_a_run_without_both_phases_is_refused(closures):
    with pytest.raises(closures.LatencyError, match='seconds'):
        closures._table({1: 0.1}, [phase(0, 4, 0)], 20.0)


def test_the_large_graph_is_solved_by_what_a_closure_does(closures):
    from benchmark.speed.closing_node import close_loop, large_graph

    graph, loops = large_graph(130), slice(-2 * (130 - ROUND_KEYS), None)
    before = graph.errors()[loops]
    close_loop(graph, Covariances.of(graph))

    after = graph.optimised(6).errors()[loops]
    assert np.median(before) > 2.0 * np.median(after)
