# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from safetensors.torch import load, save
import torch

from ttt3r_ros.model import RecurrentState, update_rule
from ttt3r_ros.model.state_update import RULES


def frames(count, batch_size=1, seed=0):
    torch.manual_seed(seed)
    return list(torch.rand(count, batch_size, 3, 32, 48) * 2 - 1)


def run(network, images, state, rule):
    for image in images:
        _, state = network.step(image, state, rule=rule)
    return state


def all_tensors(state):
    return [state.tokens, state.memory, *state.rule_memory]


def assert_equal(a, b):
    assert a.frames_seen == b.frames_seen
    assert len(a.rule_memory) == len(b.rule_memory)
    assert all(torch.equal(x, y) for x, y in zip(all_tensors(a), all_tensors(b)))


@pytest.mark.parametrize('name', RULES)
@pytest.mark.parametrize('frames_before', [0, 1, 3])
def test_a_saved_state_goes_on_as_if_it_had_never_been_saved(tiny_network, name, frames_before):
    rule = update_rule(name)
    images = frames(5, batch_size=2)
    state = run(tiny_network, images[:frames_before], tiny_network.initial_state(2), rule)

    restored = RecurrentState.from_tensors(load(save(state.to_tensors())))

    assert_equal(restored, state)
    after = images[frames_before:]
    assert_equal(run(tiny_network, after, restored, rule), run(tiny_network, after, state, rule))


@pytest.mark.parametrize('name', RULES)
def test_a_clone_goes_on_alike_and_shares_no_memory(tiny_network, name):
    rule = update_rule(name)
    images = frames(4)
    state = run(tiny_network, images[:2], tiny_network.initial_state(), rule)

    copy, goes_on = state.clone(), state.clone()
    for tensor in all_tensors(copy):
        tensor.fill_(7)

    assert_equal(goes_on, state)
    assert_equal(
        run(tiny_network, images[2:], goes_on, rule), run(tiny_network, images[2:], state, rule)
    )


def test_writing_into_a_clone_of_the_initial_state_leaves_the_network_alone(tiny_network):
    before = tiny_network.initial_state(2)
    copy = before.clone()

    copy.memory[0] = 7
    copy.tokens[0] = 7

    assert_equal(tiny_network.initial_state(2), before)
    assert not (copy.memory[1] == 7).any()


def test_a_state_moves_as_a_whole(tiny_network):
    state = run(tiny_network, frames(2), tiny_network.initial_state(), update_rule('filt3r'))

    moved = state.to('meta')

    assert {tensor.device.type for tensor in all_tensors(moved)} == {'meta'}
    assert moved.frames_seen == 2


def test_a_state_is_fresh_until_a_frame_was_seen(tiny_network):
    state = tiny_network.initial_state()
    assert state.fresh

    _, state = tiny_network.step(frames(1)[0], state)

    assert not state.fresh
    assert state.frames_seen == 1


def test_fields_of_a_state_cannot_be_replaced(tiny_network):
    with pytest.raises(FrozenInstanceError):
        tiny_network.initial_state().tokens = torch.zeros(1)
