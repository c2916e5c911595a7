# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np

from benchmark.speed.graph_cost import large_graph, main, ROUND_KEYS
from ttt3r_ros.graph.key_frame_graph import FAR_FIRST, ROUNDS_AFTER_LOOP


def test_the_graph_that_is_measured_has_an_optimum_to_find():
    graph = large_graph(130)

    found = graph.optimised(ROUNDS_AFTER_LOOP, FAR_FIRST)

    loops = slice(-2 * (130 - ROUND_KEYS), None)  # the last motions
    assert np.median(found.errors()[loops]) < 0.5 * np.median(graph.errors()[loops])


def test_each_number_of_key_frames_is_a_row(capsys):
    assert main(['--keys', '80', '130', '--repeat', '1']) == 0

    rows = [line.split('|') for line in capsys.readouterr().out.splitlines() if '|' in line]
    assert [row[1].strip() for row in rows[2:]] == ['80', '130']
    assert all(float(cell) > 0 for row in rows[2:] for cell in row[2:5])
