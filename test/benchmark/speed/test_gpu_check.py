# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The check of a GPU says when there is none, and sees a difference where there is one."""

from copy import deepcopy
import json

import pytest
import torch

from benchmark.speed import gpu_check
from benchmark.speed.gpu_check import Goal, largest_difference
from ttt3r_ros.model.predictor import random_network

CPU = torch.device('cpu')


@pytest.fixture
def network():
    return random_network(CPU, 'strict').eval()


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
    assert Goal('speed', 'at most 4 ms', '3 ms', passed).row()[-1] == verdict


@pytest.mark.slow
def test_all_of_it_runs_without_a_gpu(tmp_path, capsys):
    path = tmp_path / 'gpu.json'

    assert gpu_check.main(['--device', 'cpu', '--quick', '--json', str(path)]) == 0

    record = json.loads(path.read_text())
    assert {'speed', 'large', 'small', 'long', 'goals'} <= record.keys()
    assert capsys.readouterr().out.endswith('PASS\n')
