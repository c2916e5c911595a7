# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Int8 weights against the float32 layers that they were rounded from."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from ttt3r_ros.model import Architecture, HeadSelection, layers, update_rule
from ttt3r_ros.model.checkpoint import load_network, save_checkpoint
from ttt3r_ros.model.layers import (
    int8_kind,
    Int8Linear,
    Int8Product,
    Int8Storage,
    Linear,
    PrecisionError,
    rounded_to_int8,
)

CPU = torch.device('cpu')
KINDS = (pytest.param(Int8Product, marks=pytest.mark.int8), Int8Storage)
EVERYTHING = HeadSelection(world_points=True, rgb=True)


@pytest.fixture
def asked_anew():
    """Clear the cached answer whether this processor multiplies int8."""
    layers._multiplies_int8.cache_clear()
    yield
    layers._multiplies_int8.cache_clear()


def relative_error(y, wanted):
    """Return the error of every row over its length: (N,)."""
    return (y.float() - wanted).norm(dim=-1) / wanted.norm(dim=-1)


def test_rounding_is_off_by_half_a_step_of_each_row_at_most():
    torch.manual_seed(0)
    rows = torch.randn(30, 50) * 10 ** torch.linspace(-6, 6, 30)[:, None]

    whole, scale = rounded_to_int8(rows)

    assert whole.dtype == torch.int8
    assert (whole.abs().amax(1) == 127).all()
    error = (whole * scale[:, None] - rows).abs()
    assert (error <= 0.5001 * rows.abs().amax(1, keepdim=True) / 127).all()


def test_rows_of_zeros_stay_zero():
    whole, scale = rounded_to_int8(torch.zeros(2, 8))

    assert torch.equal(whole * scale[:, None], torch.zeros(2, 8))


@pytest.mark.parametrize('kind', KINDS)
def test_an_int8_layer_is_a_linear_layer_within_its_rounding(kind):
    torch.manual_seed(0)
    linear = Linear(256, 320)
    # Tokens and outputs of very different size: one scale for all of them would fail here.
    x = torch.randn(2, 40, 256) * 10 ** torch.linspace(-3, 3, 40)[:, None]
    with torch.no_grad():
        linear.weight *= 10 ** torch.linspace(-3, 3, 320)[:, None]
        linear.bias.zero_()
        wanted = linear(x)

    y = kind(linear)(x)
    exact = kind(linear, torch.float32)(x)

    assert exact.dtype == torch.float32
    assert relative_error(exact, wanted).max() < 0.015
    assert (y.dtype, y.shape) == (torch.bfloat16, wanted.shape)
    # Uniform rounding to 1/127 of a largest value of about 3 deviations is off by 0.7 % of a
    # deviation; twice of that, and bfloat16's rounding, add up by their squares.
    assert relative_error(y, wanted).max() < 0.015
    # Each output alone, over all tokens scaled alike.
    per_output = relative_error((y.float() / x.norm(dim=-1)[..., None]).flatten(0, 1).T,
                                (wanted / x.norm(dim=-1)[..., None]).flatten(0, 1).T)  # fmt: skip
    assert per_output.max() < 0.02


@pytest.mark.parametrize('kind', KINDS)
def test_the_bias_is_added_once(kind):
    linear = Linear(8, 3)

    y = kind(linear)(torch.zeros(1, 8))

    torch.testing.assert_close(y, linear.bias.detach()[None].to(torch.bfloat16), rtol=0, atol=2e-3)


def test_a_token_that_is_not_finite_spoils_itself_alone():
    x = torch.ones(3, 8)
    x[0, 2], x[1, 3] = float('nan'), float('inf')

    y = Int8Product(Linear(8, 3))(x)

    assert not y[:2].isfinite().any()
    assert y[2].isfinite().all()


@pytest.mark.parametrize('head', ['dpt', 'linear'])
def test_int8_stands_just_where_bfloat16_stood(make_network, head):
    architecture = replace(Architecture.tiny(), head=head)
    rough = dict(make_network(architecture).use_bfloat16().named_modules())

    network = make_network(architecture).use_int8(Int8Product)

    kinds = {name: type(module) for name, module in network.named_modules()}
    assert sum(kind is Int8Product for kind in kinds.values()) > 50
    for name, module in network.named_modules():
        twin = rough[name]
        if isinstance(twin, nn.Linear) and twin.weight.dtype == torch.bfloat16:
            assert type(module) is Int8Product, name
        elif not any(True for _ in twin.children()):
            assert type(module) is type(twin), name
            dtypes = [tensor.dtype for tensor in module.state_dict().values()]
            assert dtypes == [tensor.dtype for tensor in twin.state_dict().values()], name


def test_int8_leaves_everything_else_in_float32_where_it_is_faster(make_network):
    network = make_network().use_int8(Int8Storage, torch.float32)

    assert sum(isinstance(module, Int8Storage) for module in network.modules()) > 50
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float32])
@pytest.mark.parametrize('kind', KINDS)
def test_int8_stays_close_to_strict_on_the_reference(reference, kind, dtype):
    """The bounds are about twice what was measured over the six frames."""
    network = deepcopy(reference.network).use_int8(kind, dtype)
    rule = update_rule('ttt3r')

    with torch.inference_mode():
        exact_state, state = reference.network.initial_state(), network.initial_state()
        for image in reference.images:
            a, exact_state = reference.network.step(
                image[None], exact_state, rule=rule, outputs=EVERYTHING
            )
            b, state = network.step(image[None], state, rule=rule, outputs=EVERYTHING)

            distance = (a.points_camera - b.points_camera).norm(dim=-1)
            assert (distance / a.points_camera.norm(dim=-1)).median() < 0.008
            assert (a.translation - b.translation).abs().max() < 0.03
            assert (a.quaternion_xyzw - b.quaternion_xyzw).abs().max() < 0.08
            assert (a.gain - b.gain).abs().max() < 0.008
            assert (a.confidence - b.confidence).abs().max() < 0.01
            error = (exact_state.tokens - state.tokens).square().mean().sqrt()
            assert 0 < error < 0.04  # of an rms of 1
            assert state.tokens.dtype == torch.float32


@pytest.mark.int8
@pytest.mark.parametrize('precision', ['int8', 'int8_float32'])
def test_a_loaded_network_is_the_rounded_one(make_network, tmp_path, precision):
    path = tmp_path / 'tiny.safetensors'
    network = make_network()
    save_checkpoint(path, network, network.architecture, {})

    loaded, _ = load_network(path, 'cpu', precision)

    wanted = deepcopy(network).use_precision(precision, CPU).state_dict()
    assert loaded.state_dict().keys() == wanted.keys()
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == wanted[name].dtype, name
        assert torch.equal(tensor, wanted[name]), name
        assert tensor.stride() == wanted[name].stride(), name
    head = loaded.downstream_head.dpt_self.scratch.layer1_rn
    assert head.weight.is_contiguous(memory_format=torch.channels_last)
    linear = loaded.enc_blocks[0].mlp.fc1
    assert isinstance(linear, Int8Linear)
    error = linear.weight * linear.scale[:, None] - network.enc_blocks[0].mlp.fc1.weight
    assert (error.abs() <= 0.501 * linear.scale[:, None]).all()


def saturating(a, b):
    """Multiply as processors do that add pairs of products in 16 bits."""
    pairs = a[:, None].int() * b.T[None].int()
    return pairs.clamp(max=8000).sum(-1, dtype=torch.int32)


def refusing(a, b):
    raise RuntimeError('not on this processor')


@pytest.mark.parametrize('product', [None, saturating, refusing])
@pytest.mark.usefixtures('asked_anew')
def test_int8_is_refused_where_it_cannot_be_multiplied(monkeypatch, product):
    if product is None:
        monkeypatch.delattr(torch, '_int_mm')
    else:
        monkeypatch.setattr(torch, '_int_mm', product)

    with pytest.raises(PrecisionError, match='use strict or fast'):
        int8_kind(CPU)
    assert int8_kind(torch.device('cuda')) is Int8Storage
