# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The comparison of loading a part of a network with loading all of it."""

import pytest
import torch

from benchmark.speed.loading import compare, HEAD
from ttt3r_ros.bench.memory import private
from ttt3r_ros.errors import UserError
from ttt3r_ros.model import Architecture, Network
from ttt3r_ros.model.checkpoint import save_checkpoint
from ttt3r_ros.model.network import POINTS_AND_POSE


def test_each_way_of_loading_is_measured_in_a_process_of_its_own(tmp_path):
    whole = Network(Architecture.tiny())
    path = tmp_path / 'tiny.safetensors'
    save_checkpoint(path, whole, Architecture.tiny(), {})

    table = compare(path, 'strict', rounds=1)

    part = Network.of_images(Architecture.tiny(), POINTS_AND_POSE)
    counts = [sum(tensor.numel() for tensor in n.parameters()) for n in (whole, part)]
    assert table.head == HEAD
    assert [row[0] for row in table.rows] == ['whole', 'of images', 'ratio']
    assert [int(row[1].replace(',', '')) for row in table.rows[:2]] == counts
    assert float(table.rows[2][1]) == pytest.approx(counts[1] / counts[0], abs=1e-3)


def test_a_process_that_fails_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r'loading failed: .* cannot read'):
        compare(tmp_path / 'missing.safetensors', 'strict', rounds=1)


def test_private_memory_grows_by_what_is_allocated():
    before = private()

    kept = torch.ones(25_000_000)

    assert private() - before == pytest.approx(kept.nbytes, abs=5e6)
