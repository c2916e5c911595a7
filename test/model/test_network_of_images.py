# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What steps on images need of a network, and that the rest is not loaded."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ttt3r_ros.model import Architecture, checkpoint, HeadSelection, Network
from ttt3r_ros.model.checkpoint import load_network, load_network_of_images, save_checkpoint
from ttt3r_ros.model.network import POINTS_AND_POSE

TINY = Architecture.tiny()
EVERYTHING = HeadSelection(world_points=True, rgb=True)


def linear(inputs, outputs):
    return (inputs + 1) * outputs


def mlp(width, ratio, outputs=None):
    return linear(width, ratio * width) + linear(ratio * width, outputs or width)


def dense_head(a, channels):
    """Count the parameters of a DPT head, without the unit that its coarsest level skips."""
    (w1, w2, w3, w4), f, g = a.dpt_layer_widths, a.dpt_width, a.dpt_last_width
    e, d = a.encoder_width, a.decoder_width
    levels = linear(e, w1) + linear(16 * w1, w1)
    levels += linear(d, w2) + linear(4 * w2, w2) + linear(d, w3) + linear(d, w4)
    levels += linear(9 * w4, w4)
    unit = 2 * linear(9 * f, f)
    fused = 9 * f * (w1 + w2 + w3 + w4) + 4 * linear(f, f) + 7 * unit
    return levels + fused + linear(9 * f, f // 2) + linear(9 * f // 2, g) + linear(g, channels)


def pose_memory(a):
    v, d = 2 * a.decoder_width, a.decoder_width
    read = 4 * 2 * v + 2 * linear(v, v) + 4 * linear(v, v) + mlp(v, a.mlp_ratio)
    write = 3 * 2 * v + linear(v, 3 * v) + linear(v, v) + 2 * linear(v, v) + mlp(v, a.mlp_ratio)
    return a.memory_rows * v + d + linear(a.encoder_width, d) + a.memory_depth * (read + write)


def needed(a):
    """Count what points and pose need of the published architecture with a DPT head."""
    e, d = a.encoder_width, a.decoder_width
    encoder_block = 2 * 2 * e + linear(e, 3 * e) + linear(e, e) + mlp(e, a.mlp_ratio)
    encoder = linear(3 * a.patch_size**2, e) + a.encoder_depth * encoder_block + 2 * e
    block = 4 * 2 * d + linear(d, 3 * d) + 5 * linear(d, d) + mlp(d, a.mlp_ratio)
    decoders = 2 * (a.decoder_depth * block + 2 * d) + 2 * linear(e, d) + d + a.state_tokens * e
    return encoder + decoders + pose_memory(a) + dense_head(a, 4) + mlp(d, a.mlp_ratio, 7)


def count(network):
    return sum(tensor.numel() for tensor in network.parameters())


def part_of(network, outputs=POINTS_AND_POSE):
    """Return the part that steps on images read, with the weights of a network."""
    part = Network.of_images(network.architecture, outputs)
    whole = network.state_dict()
    part.load_state_dict({n: whole[n][-len(like) :] for n, like in part.state_dict().items()})
    return part.eval().requires_grad_(False)


def steps(network, outputs=POINTS_AND_POSE):
    """Return all that three steps compute, one of which writes nothing."""
    torch.manual_seed(1)
    state, found = network.initial_state(), []
    for write in (True, False, True, True):
        prediction, state = network.step(
            2 * torch.rand(1, 3, 32, 48) - 1, state, outputs=outputs, write=write
        )
        found += [*vars(prediction).values(), state.tokens, state.memory]
    return [tensor for tensor in found if tensor is not None]


@pytest.mark.parametrize('architecture', [TINY, Architecture.published_512()])
def test_a_step_needs_as_many_parameters_as_the_formula_counts(architecture):
    with torch.device('meta'):
        part = Network.of_images(architecture, POINTS_AND_POSE)

    assert count(part) == needed(architecture)


def test_a_published_network_is_loaded_without_an_eighth_of_its_parameters():
    with torch.device('meta'):
        whole = Network(Architecture.published_512())
        part = Network.of_images(Architecture.published_512(), POINTS_AND_POSE)

    assert count(whole) - count(part) == pytest.approx(106e6, abs=1e6)
    assert count(part) / count(whole) == pytest.approx(0.866, abs=2e-3)


@pytest.mark.parametrize('head', ['dpt', 'linear'])
@pytest.mark.parametrize('outputs', [POINTS_AND_POSE, EVERYTHING])
def test_the_part_computes_what_the_whole_computes(make_network, head, outputs):
    whole = make_network(replace(TINY, head=head))

    for found, expected in zip(steps(part_of(whole, outputs), outputs), steps(whole, outputs)):
        most = 1e-5 * max(1.0, expected.abs().max().item())
        torch.testing.assert_close(found, expected, rtol=0, atol=most)


def test_without_a_pose_memory_the_part_computes_the_same_bits(make_network):
    whole = make_network(replace(TINY, pose_memory=False))

    for found, expected in zip(steps(part_of(whole)), steps(whole)):
        assert torch.equal(found, expected)


def test_an_output_that_was_not_asked_for_is_refused(make_network):
    part = part_of(make_network())

    with pytest.raises(ValueError, match='no head for an output'):
        steps(part, HeadSelection(world_points=True))
    with pytest.raises(ValueError, match='no ray-map encoder'):
        part.encode(None, torch.zeros(1, 6, 32, 48))


@pytest.mark.parametrize('precision', ['strict', 'fast'])
def test_a_checkpoint_loads_as_the_part_of_its_whole_network(tmp_path, make_network, precision):
    path = tmp_path / 'some.safetensors'
    save_checkpoint(path, make_network(), TINY, {})

    part, info = load_network_of_images(path, 'cpu', precision)

    whole = load_network(path, 'cpu', precision)[0].state_dict()
    assert info.architecture == TINY
    assert not part.training
    for name, tensor in part.state_dict().items():
        assert torch.equal(tensor, whole[name][-len(tensor) :]), name
        assert tensor.untyped_storage().nbytes() == tensor.nbytes, name


def test_what_is_not_needed_is_not_read(tmp_path, tensors, save_pth, monkeypatch):
    path = save_pth(tmp_path / 'tiny.pth', tensors)
    needed_names = Network.of_images(TINY, POINTS_AND_POSE).state_dict().keys()
    read = checkpoint._read

    def without_numbers(path):
        opened = read(path)
        tensors = opened.tensors.items()
        return replace(
            opened, tensors={n: t if n in needed_names else t.to('meta') for n, t in tensors}
        )

    monkeypatch.setattr(checkpoint, '_read', without_numbers)

    assert load_network_of_images(path, 'cpu', 'strict')[0]
    with pytest.raises(NotImplementedError):  # the others have no numbers
        load_network(path, 'cpu', 'strict')


@pytest.mark.parametrize('name', ['dec_norm.weight', 'enc_norm_ray_map.weight'])
def test_a_file_without_a_tensor_of_its_architecture_is_refused(tmp_path, tensors, save_pth, name):
    part = {other: tensor for other, tensor in tensors.items() if other != name}
    path = save_pth(tmp_path / 'tiny.pth', part)

    with pytest.raises(checkpoint.CheckpointError, match=f'1 missing \\({name}\\)'):
        load_network_of_images(path, 'cpu', 'strict')
