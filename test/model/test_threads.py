# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Threads of torch sleep while they wait for each other, whatever is imported first."""

import os
import subprocess
import sys

import pytest

# All that starts a process with a network in it.
ENTRIES = [
    'ttt3r_ros.node.mapping_node',
    'ttt3r_ros.tools.mapping_run',
    'ttt3r_ros.bench.run',
    'benchmark.speed.against_published',
    'benchmark.speed.under_load',
]
NAMES = 'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'OMP_NUM_THREADS'


def run(program, **environment):
    """Run a program without the settings of OpenMP that this process has; return its output."""
    inherited = {name: value for name, value in os.environ.items() if name not in NAMES}
    return subprocess.run(
        [sys.executable, '-c', program],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def spin_count(program, **environment):
    """Return how often OpenMP looks before a thread sleeps, as libgomp itself reports it."""
    report = run(program, OMP_DISPLAY_ENV='verbose', **environment).stderr
    found = [line.split("'")[1] for line in report.splitlines() if 'GOMP_SPINCOUNT' in line]
    if not found:
        pytest.skip('the OpenMP of this torch is not libgomp')
    return int(found[0])


@pytest.mark.parametrize('module', ENTRIES)
def test_threads_sleep_at_once(module):
    if 'node' in module:
        pytest.importorskip('rclpy')
    assert spin_count(f'import {module}, torch') == 0


@pytest.mark.parametrize(
    ('variable', 'value', 'least'),
    [('GOMP_SPINCOUNT', '777', 777), ('OMP_WAIT_POLICY', 'ACTIVE', 10**6)],
)
def test_a_users_own_setting_is_kept(variable, value, least):
    assert spin_count('import ttt3r_ros, torch', **{variable: value}) >= least


def test_one_thread_is_used_where_torch_came_first():
    load = (
        'from ttt3r_ros.model.predictor import load_predictor\n'
        'from ttt3r_ros.settings import ModelSettings\n'
        'torch.set_num_threads(2)\n'
        'load_predictor(ModelSettings(checkpoint="random", device="cpu"))\n'
        'print(torch.get_num_threads())\n'
    )

    first, last = run(f'import torch\n{load}'), run(f'import ttt3r_ros, torch\n{load}')

    assert first.stdout == '1\n'
    assert 'import ttt3r_ros first' in first.stderr
    assert last.stdout == '2\n'
