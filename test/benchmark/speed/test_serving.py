# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from benchmark.speed.serving import Cost, HEAD, Link, row, WARM


def test_a_row_leaves_out_the_first_steps_and_counts_both_ways():
    first = WARM * [1000]
    cost = Cost([*first, 8.0, 10.0, 12.0], [*first, 20_000] * 1, [*first, 80_000] * 1)
    cells = dict(zip(HEAD, row(Link(delay_ms=10, loss=0.01), cost), strict=True))
    assert cells['link'] == 'TLS, 10 ms each way, 1 % lost'
    assert (cells['fastest [ms]'], cells['median [ms]']) == ('8', '10')
    assert cells['at 10 Hz [Mbit/s]'] == '8.0'  # 100 kB, ten times a second, 8 bit each


def test_a_link_of_netem_has_its_delay_and_loss():
    assert Link(delay_ms=50, loss=0.01).netem == 'delay 50ms loss 1.0%'
