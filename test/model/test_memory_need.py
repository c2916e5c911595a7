# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The estimate of memory against what is really allocated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.profiler import profile, ProfilerActivity

from ttt3r_ros.model import Architecture, memory_need, Network
from ttt3r_ros.model.checkpoint import load_network_of_images, save_checkpoint
from ttt3r_ros.model.memory_need import (
    CUDA_BYTES,
    expected_memory,
    MemoryNeed,
    PRECISIONS,
    step_bytes,
    weight_bytes,
)
from ttt3r_ros.model.published.files import GPU_512_GB, with_needs
from ttt3r_ros.settings import ModelSettings

CPU = torch.device('cpu')
RUNNABLE = (
    'strict',
    'fast',
    pytest.param('int8', marks=pytest.mark.int8),
    pytest.param('int8_float32', marks=pytest.mark.int8),
)


def allocated_at_most(network, width, height):
    """Return the peak of what torch allocates during the second step, bytes."""
    with torch.inference_mode():
        image = torch.rand(1, 3, height, width)
        _, state = network.step(image, network.initial_state())
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            kept = network.step(image, state)
    events = profiler.profiler.kineto_results.events()
    sizes = [
        e.nbytes() for e in sorted(events, key=lambda e: e.start_ns()) if '[memory]' in e.name()
    ]
    held = most = 0
    for size in sizes:
        held += size
        most = max(most, held)
    assert kept
    return most


@pytest.mark.parametrize('precision', RUNNABLE)
@pytest.mark.parametrize('sizes', [Architecture.tiny(), Architecture.small()])
def test_the_weights_take_what_was_told(tmp_path, sizes, precision):
    path = tmp_path / 'some.safetensors'
    save_checkpoint(path, Network(sizes), sizes, {})

    network, _ = load_network_of_images(path, CPU, precision)

    held = {t.data_ptr(): t.untyped_storage().nbytes() for t in network.state_dict().values()}
    assert weight_bytes(sizes, precision) == sum(held.values())


@pytest.mark.parametrize('precision', RUNNABLE)
@pytest.mark.parametrize('head', ['dpt', 'linear'])
@pytest.mark.parametrize('sizes', [Architecture.tiny(), Architecture.small()])
def test_a_step_takes_about_what_was_told(make_network, sizes, head, precision):
    sizes = replace(sizes, head=head)
    network = make_network(sizes).use_precision(precision, CPU)

    allocated = allocated_at_most(network, 256, 192)

    assert 0.8 * allocated < step_bytes(sizes, precision, CPU, 256, 192) < 1.5 * allocated


def test_the_published_network_halves_with_each_precision():
    strict, fast, int8 = (weight_bytes(Architecture.published_512(), p) for p in PRECISIONS)

    assert strict == pytest.approx(0.866 * 3.17e9, abs=3e7)  # the published file has 3.17 GB
    assert fast == pytest.approx(strict / 2, abs=0.01 * strict)
    assert int8 < 0.6 * fast  # convolutions stay in bfloat16


def test_what_does_not_fit_names_the_way_out():
    need = MemoryNeed('cuda:0', 'fast', 1_594_000_000, 130_000_000, CUDA_BYTES, 2_000_000_000)

    assert not need.fits
    assert str(need) == (
        'cuda:0 will need about 2224 MB in precision fast (weights 1594 MB, a frame 130 MB, CUDA '
        '500 MB); 2000 MB are free, which is too little: use precision int8, or a smaller '
        'checkpoint'
    )
    assert 'precision int8' not in str(replace(need, precision='int8')).partition('too little')[2]
    assert replace(need, free=2_224_000_000).fits
    assert replace(need, free=None).fits


def test_the_estimate_is_of_the_checkpoint_that_is_asked_for(tmp_path, monkeypatch):
    path = tmp_path / 'some.safetensors'
    save_checkpoint(path, Network(Architecture.small()), Architecture.small(), {})
    monkeypatch.setattr(memory_need, 'free_bytes', lambda device: 1000)

    settings = ModelSettings(checkpoint=str(path), device='cpu', precision='int8')
    need = expected_memory(settings)

    assert need.weights == weight_bytes(Architecture.small(), 'int8_float32')
    assert need.step == step_bytes(Architecture.small(), 'int8_float32', CPU, 224, 160)
    assert (need.libraries, need.free, need.fits) == (0, 1000, False)


def test_free_memory_is_what_the_system_says():
    if not Path('/proc/meminfo').exists():
        pytest.skip('only Linux tells')
    free = memory_need.free_bytes(CPU)

    assert free is not None
    assert 1e7 < free < 1e14


def test_the_advice_to_fetch_the_published_network_names_what_it_needs():
    a = Architecture.published_512()
    step = step_bytes(a, 'fast', torch.device('cuda'), 512, 384)
    need = weight_bytes(a, 'fast') + step + CUDA_BYTES

    advice = with_needs('only for cellars: ttt3r weights fetch')

    assert pytest.approx(need / 1e9, abs=0.05) == GPU_512_GB
    assert advice.startswith('only for cellars: ttt3r weights fetch 512 (3.2 GB to download; ')
    assert 'CC BY-NC-SA 4.0, non-commercial' in advice
    assert f'a GPU with {GPU_512_GB} GB free' in advice
    assert with_needs('only for cellars') == 'only for cellars'
    assert with_needs('') == ''
