# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The measurement beside busy programs runs, and knows what is fair."""

import json
import os
import signal
import subprocess

import pytest

from benchmark.speed import under_load
from benchmark.speed.under_load import busy_programs, fair_share, PRODUCT, Steps, WAYS


@pytest.mark.parametrize(
    ('cores', 'threads', 'hogs', 'share'),
    [
        (2, 2, 0, 1.0),
        (2, 1, 1, 1.0),  # a core for each
        (2, 2, 2, 0.5),
        (2, 1, 3, 0.5),  # four threads on two cores: half a core of the one
        (2, 2, 1, 2 / 3),
        (8, 4, 4, 1.0),
    ],
)
def test_the_fair_share_is_that_of_all_busy_threads(cores, threads, hogs, share):
    assert fair_share(cores, threads, hogs) == pytest.approx(share, abs=1e-12)


def test_a_process_that_gets_its_share_has_all_of_it(monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: {0, 1})

    steps = Steps(PRODUCT, 2, 2, [60.0] * 98 + [20.0, 100.0], 30.0)

    assert steps.of_fair_share == pytest.approx(1.0, abs=1e-12)
    assert steps.row()[3:] == ['60.0', '1.01', '16.7', '1.00']


def test_busy_programs_end_even_after_a_failure(monkeypatch):
    started = []
    original = subprocess.Popen
    monkeypatch.setattr(
        subprocess, 'Popen', lambda command: started.append(original(command)) or started[-1]
    )

    with pytest.raises(KeyboardInterrupt), busy_programs(2):
        raise KeyboardInterrupt

    assert [process.poll() for process in started] == [-signal.SIGKILL] * 2


def test_every_way_is_measured_beside_every_number_of_programs(tmp_path, capsys):
    path = tmp_path / 'load.json'
    words = ['--hogs', '1', '--rounds', '1', '--seconds', '0.1', '--resolution', '64x48']
    network = ['--checkpoint', 'random', '--device', 'cpu', '--json', str(path)]
    assert under_load.main([*words, *network]) == 0

    rows = json.loads(path.read_text())
    assert {(row['way'], row['hogs']) for row in rows} == {(w, h) for w in WAYS for h in (0, 1)}
    assert '| the product ' in capsys.readouterr().out
