# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The match of each patch, against all logits of all state tokens."""

import numpy as np
import pytest
import torch

from ttt3r_ros.model.attention import split_heads
from ttt3r_ros.model.match_map import match_per_patch
from ttt3r_ros.model.predictor import Predictor, random_network
from ttt3r_ros.model.rotary import rotate


@pytest.fixture(scope='module')
def network():
    return random_network(torch.device('cpu'), 'strict').eval()


def all_logits(network, image, state):
    """Return every logit, (layers, heads, state tokens, image tokens), and the match."""
    layers = []

    def note(layer, given, _):
        x, context, x_turn, context_turn = given
        q = rotate(split_heads(layer.projq(x), layer.heads), x_turn)
        k = rotate(split_heads(layer.projk(context), layer.heads), context_turn)
        layers.append(torch.einsum('bhsc,bhnc->bhsn', q, k)[0] / q.shape[-1] ** 0.5)

    hooks = [b.cross_attn.register_forward_hook(note) for b in network.dec_blocks_state]
    encoded = network.encode(image)
    _, _, match = network.decode(encoded, network._blank_query(encoded), state.tokens)
    for hook in hooks:
        hook.remove()
    return torch.stack(layers), match


@torch.inference_mode()
def test_the_match_of_a_patch_is_the_mean_of_its_logits(network):
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 255, (32, 48, 3), dtype=np.uint8)
    image, state = Predictor(network).upload(rgb), network.initial_state()
    logits, match = all_logits(network, image, state)

    found = match_per_patch(network, image, state)

    patch = network.architecture.patch_size
    expected = logits.mean(dim=(0, 1, 2))[1:].reshape(32 // patch, 48 // patch)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)
    # The same logits, averaged over the image instead, are what the gain of TTT3R follows from.
    np.testing.assert_allclose(logits.mean(dim=(0, 1, 3)).numpy(), match[0].numpy(), atol=1e-5)


def test_looking_at_the_match_leaves_network_and_state_as_they_are(network):
    predictor = Predictor(network)
    rgb = np.random.default_rng(2).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    _, state = predictor.step(rgb, predictor.initial_state())
    before = predictor.step(rgb, state)[0]

    match = predictor.match(rgb, state)

    after = predictor.step(rgb, state)[0]
    np.testing.assert_array_equal(before.points_camera, after.points_camera)
    assert 0 < match.min() <= match.max() < 1
    assert not any(block.cross_attn._forward_hooks for block in network.dec_blocks_state)


def test_the_gain_of_every_state_token_comes_to_the_host(network):
    predictor = Predictor(network)
    rgb = np.random.default_rng(2).integers(0, 255, (32, 48, 3), dtype=np.uint8)

    first, state = predictor.step(rgb, predictor.initial_state())
    later, _ = predictor.step(rgb, state)

    assert first.gains.shape == later.gains.shape == (network.architecture.state_tokens,)
    np.testing.assert_array_equal(first.gains, 1.0)
    assert later.gains.std() > 0
    assert later.gain_mean == pytest.approx(float(later.gains.mean()), abs=1e-9)
