# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import itertools

import pytest
import torch

from benchmark.speed.two_cameras import compare, main
from ttt3r_ros.bench.network import NetworkChoice
from ttt3r_ros.model import Network
from ttt3r_ros.settings import ModelSettings


def test_both_ways_map_the_same_two_cameras(monkeypatch):
    step, seen = Network.step, []

    def note(self, image, state, **options):
        told, after = step(self, image, state, **options)
        seen.append((image, after.tokens))
        return told, after

    monkeypatch.setattr(Network, 'step', note)
    choice = NetworkChoice(ModelSettings(device='cpu', precision='strict'), 'tiny')
    apart, together = compare(choice, (64, 48), 1, itertools.count().__next__)

    assert apart == pytest.approx([1000.0], abs=1e-9)
    assert together == pytest.approx([1000.0], abs=1e-9)
    (_, left), (_, right), (images, both) = seen[-3:]
    assert len(images) == 2
    torch.testing.assert_close(torch.cat([left, right]), both, rtol=0, atol=1e-3)


def test_the_table_is_printed(capsys):
    assert main(['--random', 'tiny', '--resolution', '64x48', '--pairs', '2']) == 0
    assert 'one step of two images' in capsys.readouterr().out
