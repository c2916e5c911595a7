# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The product's bfloat16 against strict float32."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
import re

import pytest
import torch

from ttt3r_ros.model import Architecture, HeadSelection, update_rule
from ttt3r_ros.model.blocks import DecoderBlock, EncoderBlock, ModulatedBlock
from ttt3r_ros.model.layers import LayerNorm
from ttt3r_ros.model.network import PatchEmbedding

EVERYTHING = HeadSelection(world_points=True, rgb=True)

# The parameters that stay in float32; every other is a linear or convolution layer's.
EXACT = re.compile(
    r"""
    (^|\.)(enc|dec)_norm(_state|_ray_map)?\.   # norms
    | \.norm(_y|[123])\.(weight|bias)$ | \.norm[12]\.norm\.
    | ^(masked_img_token|masked_ray_map_token|pose_token|register_tokens\.weight)$
    | ^pose_retriever\.(mem|masked_token)$     # what the state starts from
    | \.pose_head\.                            # pose
    | \.dpt_(self|cross|rgb)\.head\.4\.        # what expm1 and exp are taken of
    | \.(proj|cross_proj|rgb_proj)\.fc2\.
    """,
    re.VERBOSE,
)


def run(network, images, rule):
    state, predictions, states = network.initial_state(), [], []
    with torch.inference_mode():
        for image in images:
            prediction, state = network.step(image[None], state, rule=rule, outputs=EVERYTHING)
            predictions.append(prediction)
            states.append(state)
    return predictions, states


@pytest.mark.parametrize('head', ['dpt', 'linear'])
def test_norms_tokens_pose_and_last_layers_keep_float32(make_network, head):
    network = make_network(replace(Architecture.tiny(), head=head)).use_bfloat16()

    for name, parameter in network.named_parameters():
        wanted = torch.float32 if EXACT.search(name) else torch.bfloat16
        assert parameter.dtype == wanted, name
    kinds = [parameter.dtype for parameter in network.parameters()]
    assert kinds.count(torch.bfloat16) > len(kinds) / 3


def test_the_residual_streams_and_all_outputs_are_float32(make_network):
    network = make_network().use_bfloat16()
    dtypes = {}
    for name, module in network.named_modules():
        if isinstance(module, (EncoderBlock, DecoderBlock, ModulatedBlock, PatchEmbedding)):
            module.register_forward_hook(
                lambda module, inputs, output, name=name: dtypes.update(
                    {name: (output[0] if isinstance(output, tuple) else output).dtype}
                )
            )
    image, ray_map = torch.rand(1, 3, 32, 48), torch.rand(1, 6, 32, 48)

    _, state = network.step(image, network.initial_state(), ray_map=ray_map)
    prediction, state = network.step(image, state, rule=update_rule('brake'), outputs=EVERYTHING)

    # Both encoders with their embeddings, both decoders, the memory, the world head.
    assert len(dtypes) == (2 + 1) + (2 + 1) + 4 + 4 + 2 + 2 + 2
    assert set(dtypes.values()) == {torch.float32}
    tensors = [*vars(prediction).values(), state.tokens, state.memory, *state.rule_memory]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}


def test_a_norm_is_float32_whatever_comes():
    x = torch.randn(2, 8, dtype=torch.bfloat16)

    assert torch.equal(LayerNorm(8)(x), LayerNorm(8)(x.float()))


def test_strict_networks_hold_float32_alone(tiny_network):
    assert {parameter.dtype for parameter in tiny_network.parameters()} == {torch.float32}


def test_bfloat16_stays_close_to_strict_on_the_reference(reference):
    """The bounds are about twice the largest of six frames and five instruction sets."""
    fast = deepcopy(reference.network).use_bfloat16()
    rule = update_rule('ttt3r')

    exact, exact_states = run(reference.network, reference.images, rule)
    rough, rough_states = run(fast, reference.images, rule)

    for a, b in zip(exact, rough):
        distance = (a.points_camera - b.points_camera).norm(dim=-1)
        assert (distance / a.points_camera.norm(dim=-1)).median() < 0.003
        assert (a.points_camera - b.points_camera).abs().max() < 0.003  # metres, of 0.46
        assert (a.confidence - b.confidence).abs().max() < 0.003
        assert (a.translation - b.translation).abs().max() < 0.012
        assert (a.quaternion_xyzw - b.quaternion_xyzw).abs().max() < 0.02
        assert (a.gain - b.gain).abs().max() < 0.003
    for a, b in zip(exact_states, rough_states):
        assert (a.tokens - b.tokens).square().mean().sqrt() < 0.015  # of an rms of 1
        assert (a.tokens - b.tokens).abs().max() < 0.06
    assert not torch.equal(exact[0].points_camera, rough[0].points_camera)


def test_float16_is_closer_to_strict_than_bfloat16(make_network):
    """It has three bits more, and no number of this network leaves its range."""
    networks = [make_network() for _ in range(3)]
    networks[1].use_precision('fast_float16', torch.device('cpu'))
    networks[2].use_precision('fast', torch.device('cpu'))
    torch.manual_seed(0)
    images = torch.rand(3, 3, 48, 64) * 2 - 1

    exact, half, bfloat = (
        [p.points_camera for p in run(network, images, update_rule('ttt3r'))[0]]
        for network in networks
    )

    errors = [
        torch.stack([(a - b).abs().mean() for a, b in zip(exact, other)]).mean()
        for other in (half, bfloat)
    ]
    assert 0 < errors[0] < errors[1] / 3
    assert torch.float16 in {parameter.dtype for parameter in networks[1].parameters()}


@pytest.mark.parametrize('head', ['dpt', 'linear'])
def test_dense_heads_do_not_quantise_depth(make_network, head):
    network = make_network(replace(Architecture.tiny(), head=head)).use_bfloat16()
    torch.manual_seed(0)

    prediction, _ = network.step(torch.rand(1, 3, 48, 64) * 2 - 1, network.initial_state())

    raw = (prediction.confidence - 1).log()
    # Between 0.25 and 1, bfloat16 has 256 numbers; thousands of pixels must not share them.
    within = raw[(raw.abs() > 0.25) & (raw.abs() < 1)]
    assert within.unique().numel() > 0.5 * within.numel() > 500


def test_strict_keeps_channels_last_and_says_what_other_layouts_say(make_network):
    plain = make_network()
    network = deepcopy(plain).use_precision('strict', torch.device('cpu'))
    images = torch.rand(3, 3, 48, 64) * 2 - 1

    (wanted, _), (told, _) = (run(n, images, update_rule('ttt3r')) for n in (plain, network))

    for a, b in zip(wanted, told, strict=True):
        for name in ('points_camera', 'confidence', 'points_world', 'translation', 'rgb'):
            torch.testing.assert_close(getattr(b, name), getattr(a, name), rtol=0, atol=1e-3)
    weight = network.downstream_head.dpt_self.head[2].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
