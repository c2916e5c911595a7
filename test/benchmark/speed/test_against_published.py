# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The measurements of speed run from end to end, and say what they saw."""

import json

import pytest
import torch

from benchmark.speed import against_published as speed
from benchmark.speed.against_published import Comparison


def test_fast_and_slow_steps_are_taken_in_turns(tmp_path, capsys):
    path = tmp_path / 'speed.json'
    command = ['--random', 'tiny', '--device', 'cpu', '--resolution', '64x48', '--pairs', '4']
    assert speed.main([*command, '--precision', 'fast', '--busy', '--json', str(path)]) == 0

    record = json.loads(path.read_text())
    assert len(record['fast_ms']) == len(record['slow_ms']) == 4
    printed = capsys.readouterr().out
    assert printed.startswith('**tiny, random weights, bfloat16, cpu')
    assert '| as published |' in printed


def test_the_product_can_be_compared_with_itself_in_torch(capsys):
    command = ['--random', 'tiny', '--device', 'cpu', '--resolution', '64x48', '--pairs', '2']
    assert speed.main([*command, '--against', 'torch']) == 0

    assert '| torch ' in capsys.readouterr().out


def test_the_ratio_is_that_of_the_medians():
    comparison = Comparison([1.0, 2.0, 9.0], [10.0, 20.0, 18.0], 0.0, 0.0)

    assert comparison.ratio == pytest.approx(18 / 2, abs=1e-12)
    assert comparison.quartiles == pytest.approx((6.0, 10.0), abs=1e-12)  # of 10, 10 and 2


def test_processor_time_is_no_measure_of_a_gpu(monkeypatch, capsys):
    monkeypatch.setattr(speed.NetworkChoice, 'device', torch.device('cuda'))

    assert speed.main(['--random', 'tiny', '--busy']) == 1
    assert '--device cpu' in capsys.readouterr().err


def test_a_checkpoint_that_is_not_there_is_one_line(capsys):
    assert speed.main(['--checkpoint', 'gone.safetensors']) == 1
    assert capsys.readouterr().err.startswith('speed: error: there is no checkpoint file')
