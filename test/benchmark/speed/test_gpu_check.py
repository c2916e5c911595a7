# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The check of a GPU fails for no typo, keeps its rows, and sees a difference."""

from copy import deepcopy
import json
import time

import pytest
import torch

from benchmark.speed import gpu_check, gpu_rows
from benchmark.speed.gpu_check import rows_of
from benchmark.speed.gpu_rows import largest_difference, MEASUREMENTS, Row, SMALL, Subject
from ttt3r_ros.model.predictor import random_network

CPU = torch.device('cpu')
# Those that take longest here, of which the slow test runs what the product's own tests do not.
LONG = {'node', 'gpu_tests', 'against_published', 'compiled_blocks'}


@pytest.fixture
def network():
    return random_network(CPU, 'strict').eval()


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_without_a_gpu_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)

    assert gpu_check.main([]) == 2

    said = capsys.readouterr()
    assert said.out == ''
    assert said.err.startswith('gpu_check: device cuda was asked for, but this machine has 0')
    assert said.err.count('\n') == 1


@pytest.mark.parametrize('part', ['enc_norm.weight', 'pose_retriever.mem', 'dec_norm_state.bias'])
def test_a_difference_in_any_part_is_seen(network, part):
    torch.manual_seed(0)
    images = torch.rand(3, 3, 48, 64) * 2 - 1
    other = deepcopy(network)
    assert largest_difference(network, other, images) == 0

    with torch.no_grad():
        other.get_parameter(part).add_(0.01)

    assert largest_difference(network, other, images) > 1e-3


@pytest.mark.parametrize(
    ('passed', 'verdict'), [(True, 'PASS'), (False, 'FAIL'), (None, 'not judged')]
)
def test_a_goal_says_whether_it_was_reached(passed, verdict):
    assert Row('speed', 'at most 4 ms', '3 ms', passed).cells()[-1] == verdict


def test_short_measurements_run_without_a_gpu(tmp_path, capsys):
    path = tmp_path / 'gpu.jsonl'
    short = [each.__name__ for each in MEASUREMENTS if each.__name__ not in LONG]

    code = gpu_check.main(['--device', 'cpu', '--small', '--json', str(path), '--only', *short])

    where, *rows = read(path)
    assert code == 0, [row for row in rows if row['passed'] is False]
    assert where['device'] == 'cpu'
    assert {row['part'] for row in rows} == set(short)
    assert capsys.readouterr().out.endswith('PASS\n')


def test_what_only_a_gpu_is_asked_runs_too(monkeypatch):
    """With a device of which this machine knows the numbers alone."""
    monkeypatch.setattr(Subject, 'on_gpu', True)
    for name in ('synchronize', 'empty_cache', 'reset_peak_memory_stats'):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    free = iter([9 * 2**30, 6 * 2**30])
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda device: (next(free), 0))
    monkeypatch.setattr(torch.cuda, 'max_memory_allocated', lambda device: 2**31)
    monkeypatch.setattr(torch.cuda, 'memory_allocated', lambda device: 2**31)
    parts = [gpu_rows.steps, gpu_rows.constant_cost]

    rows = [row for _, row in rows_of(parts, Subject(CPU, SMALL), time.monotonic() + 60)]

    assert [row.passed is None for row in rows] == [False] * 4
    memory = rows[1]
    assert (memory.found, memory.passed) == ('2048 MB', True)
    assert memory.numbers['taken_from_the_device_mb'] == 3 * 2**10
    assert rows[3].found == '1.000'


def broken(subject):
    yield Row('a row', '-', '1 ms', None)
    raise torch.OutOfMemoryError('no memory is left')


def working(subject):
    yield Row('another row', '-', '2 ms', True)


def test_a_measurement_that_fails_costs_no_other_its_rows(tmp_path):
    path = tmp_path / 'gpu.jsonl'
    with path.open('w') as file:
        gpu_check.check([broken, working], Subject(CPU, SMALL), 60.0, file)

    found = [(row['name'], row['found'], row['passed']) for row in read(path)[1:]]
    assert found == [
        ('a row', '1 ms', None),
        ('broken', 'OutOfMemoryError: no memory is left', False),
        ('another row', '2 ms', True),
    ]


def test_a_run_that_is_cut_keeps_its_rows(tmp_path):
    path = tmp_path / 'gpu.jsonl'

    def cut(subject):
        assert [row['name'] for row in read(path)[1:]] == ['another row']
        raise KeyboardInterrupt
        yield

    with path.open('w') as file, pytest.raises(KeyboardInterrupt):
        gpu_check.check([working, cut], Subject(CPU, SMALL), 60.0, file)

    assert [row['name'] for row in read(path)[1:]] == ['another row']


def test_nothing_begins_when_the_time_is_up():
    [(_, row)] = rows_of([broken], Subject(CPU, SMALL), time.monotonic() - 1)

    assert (row.found, row.passed) == ('not run: no time was left', None)


@pytest.mark.slow
def test_all_of_it_runs_without_a_gpu(tmp_path, capsys):
    path = tmp_path / 'gpu.jsonl'

    assert gpu_check.main(['--device', 'cpu', '--small', '--json', str(path)]) == 0

    assert {row['part'] for row in read(path)[1:]} == {each.__name__ for each in MEASUREMENTS}
    assert capsys.readouterr().out.endswith('PASS\n')
