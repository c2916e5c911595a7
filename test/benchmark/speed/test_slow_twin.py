# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The slow twin says what the product says, and does what makes the published way slow."""

import numpy as np
import pytest
import torch

from benchmark.accuracy.sequences import simulated
from benchmark.speed.slow_twin import explicit_attention, Logits, published_network, SlowTwin
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.model import Architecture, HeadSelection, Network, update_rule
from ttt3r_ros.model.checkpoint import load_network, resolve_checkpoint

CPU = torch.device('cpu')
TINY = Architecture.tiny()


@pytest.fixture(scope='module')
def tiny():
    torch.manual_seed(0)
    network = Network(TINY).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    return network


@torch.inference_mode()
def differences(network, images, outputs):
    """Run both on the same images, each on its own state; give the worst of each tensor."""
    twin, rule = SlowTwin(network), update_rule('ttt3r')
    state, twin_state = network.initial_state(), twin.initial_state()
    worst = {}
    for rgb in images:
        image = (torch.from_numpy(rgb).movedim(-1, 0)[None].float() / 255 - 0.5) / 0.5
        fast, state = network.step(image, state, rule=rule, outputs=outputs)
        slow, twin_state = twin.step(rgb, twin_state)
        pairs = {name: (value, getattr(slow, name)) for name, value in vars(fast).items()}
        pairs |= {
            'tokens': (state.tokens, twin_state.tokens),
            'memory': (state.memory, twin_state.memory),
        }
        for name, (a, b) in pairs.items():
            if a is not None and a.numel():
                worst[name] = max(worst.get(name, 0.0), (a - b).abs().max().item())
    return worst


def test_the_twin_tells_the_same_with_every_head(tiny):
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 64, 3), dtype=np.uint8)

    worst = differences(tiny, images, HeadSelection(world_points=True, rgb=True))

    assert len(worst) == 10
    # Of points of 5 m and a memory of up to 34, which adds up over the images. A float16 of the
    # encoder that falls to the other side makes 1e-4 and 3e-4; not rounding at all 5e-4 and 1e-3.
    assert worst.pop('memory') < 6e-4
    assert max(worst.values()) < 2e-4


def test_the_twin_tells_the_same_with_the_checkpoint_that_ships():
    network, _ = load_network(resolve_checkpoint('small'), CPU, 'strict')
    sequence = simulated('S', 'robot', 0, 6, 15.0, ImageFit.for_image(640, 480, 128, 16))

    worst = differences(network, sequence.rgb, HeadSelection())

    assert worst['points_camera'] < 1e-4  # metres
    assert worst['translation'] < 1e-5
    assert worst['quaternion_xyzw'] < 1e-6
    assert worst['gain'] < 5e-6


def test_attention_by_the_formula():
    torch.manual_seed(0)
    q, k, v = torch.randn(1, 2, 3, 4), torch.randn(1, 2, 5, 4), torch.randn(1, 2, 5, 4)

    attended, logits = explicit_attention(q, k, v)

    for head in range(2):
        for row in range(3):
            weights = np.array([float(q[0, head, row] @ key) / 2 for key in k[0, head]])
            np.testing.assert_allclose(logits[0, head, row], weights, atol=1e-5)
            weights = np.exp(weights) / np.exp(weights).sum()
            np.testing.assert_allclose(
                attended[0, head, row], weights @ v[0, head].numpy(), atol=1e-5
            )


def test_the_logits_of_all_decoder_blocks_stay_in_memory(tiny):
    stored_logits: Logits = []
    network = published_network(tiny, stored_logits)

    with torch.inference_mode():
        network.step(torch.zeros(1, 3, 48, 64), network.initial_state())

    image_tokens, state_tokens = 3 * 4 + 1, TINY.state_tokens
    sides = {'state': (state_tokens, TINY.state_heads), 'image': (image_tokens, 2)}
    (state, state_heads), (image, image_heads) = sides['state'], sides['image']
    of_a_layer = [
        (1, state_heads, state, state),
        (1, state_heads, state, image),
        (1, image_heads, image, image),
        (1, image_heads, image, state),
    ]
    assert [tuple(logits.shape) for logits in stored_logits] == of_a_layer * TINY.decoder_depth


def test_the_weights_are_shared_and_the_original_stays_as_it_was(tiny):
    twin = published_network(tiny)

    assert twin.state_dict().keys() != tiny.state_dict().keys()
    own = {parameter.data_ptr() for parameter in twin.parameters()}
    assert own == {parameter.data_ptr() for parameter in tiny.parameters()}


def test_convolutions_keep_the_layout_of_the_published_way():
    network, _ = load_network(resolve_checkpoint('small'), CPU, 'strict')
    twin = published_network(network)

    seen = set()
    for name, layer in twin.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            original = network.get_submodule(name.replace('.original', ''))
            assert torch.equal(layer.weight, original.weight)
            assert layer.weight.is_contiguous()
            assert original.weight.is_contiguous(memory_format=torch.channels_last)
            seen.add(original.weight.is_contiguous())
    assert False in seen  # those of the product are not all plain


def test_everything_that_the_network_can_tell_is_computed(tiny):
    twin = SlowTwin(tiny)

    prediction, _ = twin.step(np.zeros((48, 64, 3), np.uint8), twin.initial_state())

    assert all(value is not None for value in vars(prediction).values())
