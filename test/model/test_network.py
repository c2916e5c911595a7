# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from ast import literal_eval
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.nn.attention import sdpa_kernel, SDPBackend
from torch.utils._python_dispatch import TorchDispatchMode

from ttt3r_ros.geometry import rotation_from_quaternion
from ttt3r_ros.model import Architecture, FramePrediction, HeadSelection, Network, update_rule
from ttt3r_ros.model.published.names import with_aliases
from ttt3r_ros.model.rotary import rotary
from ttt3r_ros.model.state_update import RULES

EVERYTHING = HeadSelection(points=True, pose=True, world_points=True, rgb=True)


def frames(count, batch_size=1, height=32, width=48, seed=0):
    torch.manual_seed(seed)
    return list(torch.rand(count, batch_size, 3, height, width) * 2 - 1)


def run(network, images, state, **options):
    """Return every frame's prediction and the state after the last."""
    predictions = []
    for image in images:
        prediction, state = network.step(image, state, **options)
        predictions.append(prediction)
    return predictions, state


def computed(prediction):
    """Return what was computed, by name."""
    named = {field.name: getattr(prediction, field.name) for field in fields(FramePrediction)}
    return {name: tensor for name, tensor in named.items() if tensor is not None}


def assert_equal(prediction, other):
    ours, theirs = computed(prediction), computed(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


# Names and shapes


@pytest.mark.parametrize(
    ('architecture', 'listing', 'count'),
    [
        (Architecture.published_512(), 'state_dict_keys_full.txt', 1248),
        (Architecture.tiny(), 'state_dict_keys_tiny.txt', 600),
    ],
)
def test_names_and_shapes_are_the_published_ones(shared_data, architecture, listing, count):
    lines = (shared_data / 'reference' / listing).read_text().splitlines()
    published = {
        name: literal_eval(shape) for name, shape, _ in (line.split('\t') for line in lines)
    }
    with torch.device('meta'):
        network = Network(architecture)

    ours = {n: tuple(tensor.shape) for n, tensor in with_aliases(network.state_dict()).items()}

    assert len(published) == count
    assert ours == published


def test_twelve_names_are_aliases_that_share_their_memory(tiny_network):
    own, published = tiny_network.state_dict(), with_aliases(tiny_network.state_dict())

    aliases = published.keys() - own.keys()

    assert aliases == {
        f'downstream_head.{head}.scratch.layer_rn.{level}.weight'
        for head in ('dpt_self', 'dpt_cross', 'dpt_rgb')
        for level in range(4)
    }
    for alias in aliases:
        start, level, _ = alias.rsplit('.', 2)
        original = f'{start.removesuffix("layer_rn")}layer{int(level) + 1}_rn.weight'
        assert published[alias].data_ptr() == own[original].data_ptr()


def test_the_linear_variant_has_its_published_head_names():
    with torch.device('meta'):
        names = with_aliases(Network(Architecture.published_224()).state_dict())

    heads = {
        '.'.join(name.split('.')[1:3]) for name in names if name.startswith('downstream_head')
    }
    assert heads == {
        'pose_head.mlp',
        'final_transform.0',
        'final_transform.1',
        *(
            f'{head}.{layer}'
            for head in ('proj', 'cross_proj', 'rgb_proj')
            for layer in ('fc1', 'fc2')
        ),
    }
    assert names['downstream_head.proj.fc2.weight'].shape == (4 * 256, 4 * 768)
    assert names['downstream_head.rgb_proj.fc2.weight'].shape == (3 * 256, 4 * 768)


# Recorded inside the published network


def test_the_recorded_start_holds(reference):
    network, arrays, images = reference

    state = network.initial_state()

    torch.testing.assert_close(state.tokens, arrays['dbg.state_init'], rtol=0, atol=5e-6)
    assert torch.equal(state.memory, arrays['sd:pose_retriever.mem'].float())
    assert torch.equal(network._state_positions(torch.device('cpu')), arrays['dbg.state_pos'][0])
    for frame in (0, 1):
        encoded = network.encode(images[frame : frame + 1])
        assert (encoded.height, encoded.width) == (3, 4)
        # float16 rounding in the encoder may fall to either side on another machine: 6e-5 was
        # seen. Without any rounding it would be 3e-4.
        torch.testing.assert_close(encoded.tokens, arrays[f'dbg.f{frame}.enc'], rtol=0, atol=2e-4)


def test_everything_recorded_inside_a_frame_holds(reference):
    network, arrays, images = reference
    _, state = network.step(images[:1], network.initial_state())
    seen = {}

    def keep(name, pick=lambda inputs, output: output):
        return lambda module, inputs, output: seen.update({name: pick(inputs, output)})

    head = network.downstream_head
    hooks = [
        network.enc_norm.register_forward_hook(keep('dec0')),
        network.dec_blocks[0].register_forward_hook(
            keep('pose_token_in', lambda inputs, output: inputs[0][:, :1])
        ),
        *(
            network.dec_blocks[i].register_forward_hook(
                keep(f'dec{i + 1}', lambda inputs, output: output[0])
            )
            for i in range(3)
        ),
        network.dec_norm.register_forward_hook(keep('dec4')),
        network.dec_norm_state.register_forward_hook(keep('new_state')),
        head.dpt_self.register_forward_hook(keep('dpt_self_raw')),
        head.pose_head.mlp.register_forward_hook(keep('pose_raw')),
    ]

    prediction, state = network.step(images[1:2], state)

    for hook in hooks:
        hook.remove()
    seen |= {'gate': prediction.gain, 'new_mem': state.memory}
    recorded = {name.removeprefix('dbg.f1.') for name in arrays if name.startswith('dbg.f1.')}
    assert seen.keys() == recorded - {'enc'}
    for name, tensor in seen.items():
        error = (tensor - arrays[f'dbg.f1.{name}']).abs().max()
        assert error < 2e-4, name


def test_the_recorded_poses_are_camera_to_world_matrices_by_our_quaternions(reference):
    network, arrays, images = reference

    predictions, _ = run(
        network, images[:, None], network.initial_state(), rule=update_rule('cut3r')
    )

    for prediction, matrix in zip(predictions, arrays['cut3r.c2w'].numpy()):
        rotation = rotation_from_quaternion(prediction.quaternion_xyzw[0].double().numpy())
        np.testing.assert_allclose(rotation, matrix[:3, :3], rtol=0, atol=1.5e-4)
        np.testing.assert_allclose(prediction.translation[0], matrix[:3, 3], rtol=0, atol=1e-5)


# A step is a function


@pytest.mark.parametrize('name', RULES)
def test_a_step_changes_neither_its_inputs_nor_the_network(tiny_network, name):
    rule = update_rule(name)
    images = frames(3, batch_size=2)
    _, state = run(tiny_network, images[:2], tiny_network.initial_state(2), rule=rule)
    kept_state, kept_image = state.clone(), images[2].clone()
    kept_weights = {name: w.clone() for name, w in tiny_network.state_dict().items()}

    first, next_state = tiny_network.step(images[2], state, rule=rule, outputs=EVERYTHING)
    again, _ = tiny_network.step(images[2], state, rule=rule, outputs=EVERYTHING)

    assert_equal(again, first)
    assert torch.equal(images[2], kept_image)
    assert (state.frames_seen, next_state.frames_seen) == (2, 3)
    assert torch.equal(state.tokens, kept_state.tokens)
    assert torch.equal(state.memory, kept_state.memory)
    assert len(state.rule_memory) == len(kept_state.rule_memory)
    assert all(map(torch.equal, state.rule_memory, kept_state.rule_memory))
    assert all(torch.equal(w, kept_weights[name]) for name, w in tiny_network.state_dict().items())


@pytest.mark.parametrize('name', RULES)
def test_a_batch_of_two_equals_two_batches_of_one(tiny_network, name):
    rule = update_rule(name, 0.5)
    images = frames(4, batch_size=2)

    together, state = run(
        tiny_network, images, tiny_network.initial_state(2), rule=rule, outputs=EVERYTHING
    )

    for b in range(2):
        alone, state_alone = run(
            tiny_network,
            [image[b : b + 1] for image in images],
            tiny_network.initial_state(),
            rule=rule,
            outputs=EVERYTHING,
        )
        torch.testing.assert_close(state.tokens[b : b + 1], state_alone.tokens, rtol=0, atol=1e-3)
        torch.testing.assert_close(state.memory[b : b + 1], state_alone.memory, rtol=0, atol=3e-3)
        for of_both, of_one in zip(together, alone):
            for field, tensor in computed(of_one).items():
                ours = computed(of_both)[field][b : b + 1]
                torch.testing.assert_close(ours, tensor, rtol=0, atol=1e-3)


@pytest.mark.parametrize('name', RULES)
def test_a_frame_that_may_not_write_changes_nothing_but_the_count(tiny_network, name):
    rule = update_rule(name)
    images = frames(3)
    _, state = run(tiny_network, images[:2], tiny_network.initial_state(), rule=rule)

    written, _ = tiny_network.step(images[2], state, rule=rule)
    prediction, after = tiny_network.step(images[2], state, rule=rule, write=False)

    assert_equal(replace(prediction, gain=written.gain), written)
    assert not prediction.gain.any()
    assert torch.equal(after.tokens, state.tokens)
    assert torch.equal(after.memory, state.memory)
    assert len(after.rule_memory) == len(state.rule_memory)
    assert all(map(torch.equal, after.rule_memory, state.rule_memory))
    assert after.frames_seen == 3


@pytest.mark.parametrize('name', RULES)
def test_a_first_frame_that_may_not_write_still_ends_freshness(tiny_network, name):
    rule = update_rule(name)
    first, second = frames(2)

    _, state = tiny_network.step(first, tiny_network.initial_state(), rule=rule, write=False)
    prediction, state_after = tiny_network.step(second, state, rule=rule)

    assert torch.equal(state.tokens, tiny_network.initial_state().tokens)
    assert not state.fresh
    written_afresh, _ = tiny_network.step(second, tiny_network.initial_state(), rule=rule)
    # The pose query was read from the memory, not the token of a first frame.
    assert not torch.allclose(
        prediction.translation, written_afresh.translation, rtol=0, atol=1e-4
    )
    if name != 'cut3r':
        assert (prediction.gain < 1).all()
    assert state_after.tokens.isfinite().all()


def test_a_nan_in_a_frame_that_may_not_write_stays_out_of_the_state(tiny_network):
    _, state = run(tiny_network, frames(2), tiny_network.initial_state())

    prediction, after = tiny_network.step(
        torch.full((1, 3, 32, 48), torch.nan), state, write=False
    )

    assert prediction.points_camera.isnan().all()
    assert torch.equal(after.tokens, state.tokens)
    assert torch.equal(after.memory, state.memory)


@pytest.mark.parametrize('name', RULES)
def test_a_fresh_frame_is_written_fully_by_every_rule(tiny_network, name):
    image = frames(1)[0]
    start = tiny_network.initial_state()

    prediction, state = tiny_network.step(image, start, rule=update_rule(name, 0.5))

    _, fully_written = tiny_network.step(image, start, rule=update_rule('cut3r'))
    assert torch.equal(prediction.gain, torch.ones(1, 20))
    assert torch.equal(state.tokens, fully_written.tokens)
    assert torch.equal(state.memory, fully_written.memory)


@pytest.mark.parametrize('name', RULES)
@pytest.mark.parametrize('scale', [1.0, 0.33])
def test_the_carried_state_moves_by_the_gain_towards_the_proposed_one(tiny_network, name, scale):
    rule = update_rule(name, scale)
    images = frames(4)
    proposed = []
    hook = tiny_network.dec_norm_state.register_forward_hook(
        lambda module, inputs, output: proposed.append(output)
    )
    state = tiny_network.initial_state()
    try:
        for image in images:
            before = state
            prediction, state = tiny_network.step(image, before, rule=rule)
            step = prediction.gain[..., None] * (proposed[-1] - before.tokens)
            torch.testing.assert_close(state.tokens, before.tokens + step, rtol=0, atol=1e-5)
    finally:
        hook.remove()

    assert ((prediction.gain >= 0) & (prediction.gain <= scale)).all()


class CountingRule:
    """A rule that remembers how often it was asked since the segment began."""

    def start(self, proposed):
        return (torch.zeros(()),)

    def gain(self, candidate, memory):
        count = memory[0] + 1
        return torch.full_like(candidate.match, 1 / (1 + count)), (count,)


def test_a_rule_gets_back_what_it_remembered_and_forgets_with_the_segment(tiny_network):
    images, rule = frames(5), CountingRule()
    gains, state = [], tiny_network.initial_state()

    for image, write in zip(images, [True, True, True, False, True]):
        prediction, state = tiny_network.step(image, state, rule=rule, write=write)
        gains.append(prediction.gain[0, 0].item())

    assert gains == pytest.approx([1, 1 / 2, 1 / 3, 0, 1 / 4], abs=1e-6)
    assert tiny_network.initial_state().rule_memory == ()


def test_no_rule_gates_the_pose_memory(tiny_network):
    image = frames(2)[1]
    _, state = tiny_network.step(frames(1)[0], tiny_network.initial_state())

    after = [
        tiny_network.step(image, state, rule=update_rule(name))[1] for name in ('cut3r', 'ttt3r')
    ]

    assert torch.equal(after[0].memory, after[1].memory)
    assert not torch.equal(after[0].tokens, after[1].tokens)


def test_starting_again_from_the_initial_state_repeats_the_first_frame(tiny_network):
    images = frames(3)
    first, _ = tiny_network.step(images[0], tiny_network.initial_state())

    run(tiny_network, images, tiny_network.initial_state())
    repeated, _ = tiny_network.step(images[0], tiny_network.initial_state())

    assert_equal(repeated, first)


# Sizes


@pytest.mark.parametrize(
    ('height', 'width'), [(48, 64), (64, 48), (16, 16), (80, 48), (16, 112), (112, 16)]
)
def test_images_of_every_grid_and_orientation_work(tiny_network, height, width):
    _, state = tiny_network.step(frames(1)[0], tiny_network.initial_state())
    image = frames(1, height=height, width=width)[0]

    prediction, state = tiny_network.step(image, state, outputs=EVERYTHING)

    shapes = {name: tuple(tensor.shape) for name, tensor in computed(prediction).items()}
    assert shapes == {
        'gain': (1, 20),
        'points_camera': (1, height, width, 3),
        'confidence': (1, height, width),
        'translation': (1, 3),
        'quaternion_xyzw': (1, 4),
        'points_world': (1, height, width, 3),
        'confidence_world': (1, height, width),
        'rgb': (1, height, width, 3),
    }
    assert all(tensor.isfinite().all() for tensor in computed(prediction).values())
    assert state.tokens.shape == (1, 20, 32)


@pytest.mark.parametrize(
    'changes',
    [
        {'head': 'linear'},
        {'head': 'linear', 'patch_size': 8},
        {'stem_widths': (4, 6), 'half_rotation': False},
        {'pose_memory': False, 'ray_encoder': False, 'world_head': False, 'rgb_head': False},
        {'state_tokens': 7, 'decoder_depth': 3, 'memory_depth': 1},
    ],
)
def test_every_variant_runs(make_network, changes):
    architecture = replace(Architecture.tiny(), **changes)
    network = make_network(architecture)
    outputs = HeadSelection(world_points=architecture.world_head, rgb=architecture.rgb_head)

    predictions, state = run(network, frames(3), network.initial_state(), outputs=outputs)

    assert predictions[-1].points_camera.shape == (1, 32, 48, 3)
    assert all(tensor.isfinite().all() for tensor in computed(predictions[-1]).values())
    assert state.memory.shape[1] == (12 if architecture.pose_memory else 0)


def test_a_stem_of_strided_convolutions_runs_before_the_patch_embedding(make_network):
    network = make_network(replace(Architecture.tiny(), stem_widths=(4, 6)))
    image = frames(1)[0]

    encoded = network.patch_embed(image)

    w = network.patch_embed.state_dict()
    x = functional.conv2d(image, w['stem.0.weight'], w['stem.0.bias'], stride=2, padding=1)
    x = functional.conv2d(
        functional.gelu(x), w['stem.2.weight'], w['stem.2.bias'], stride=2, padding=1
    )
    x = functional.conv2d(functional.gelu(x), w['proj.weight'], w['proj.bias'], stride=4)
    assert (encoded.height, encoded.width) == (2, 3)
    torch.testing.assert_close(encoded.tokens, x.flatten(2).mT, rtol=0, atol=1e-5)


# Only what is needed


class Shapes(TorchDispatchMode):
    """Keep the shape of every tensor that any operation gives."""

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.seen[tuple(tensor.shape)] += 1
        return result


def logits_among(shapes):
    """Return the shapes that pair two sets of tokens: 211 (state), 91 + 1 (image), 13."""
    counts = {211, 91, 92, 13}
    products = {a * b for a in counts for b in counts}
    return [
        shape
        for shape in shapes
        if sum(size in counts for size in shape) > 1 or any(size in products for size in shape)
    ]


@pytest.mark.parametrize('fused', [True, False])
def test_attention_logits_never_exist(make_network, fused):
    network = make_network(
        replace(Architecture.tiny(), state_tokens=211, memory_rows=13, rgb_head=False)
    )
    images = frames(2, height=13 * 16, width=7 * 16)
    _, state = network.step(images[0], network.initial_state())

    with Shapes() as shapes, sdpa_kernel(SDPBackend.FLASH_ATTENTION if fused else SDPBackend.MATH):
        network.step(images[1], state, outputs=HeadSelection(world_points=True))

    # The plain kernel, which does store logits, shows that they would be seen.
    assert bool(logits_among(shapes.seen)) is not fused


@pytest.mark.parametrize(
    ('outputs', 'modules'),
    [
        (HeadSelection(), {'dpt_self', 'pose_head'}),
        (HeadSelection(points=False), {'pose_head'}),
        (HeadSelection(pose=False), {'dpt_self'}),
        (
            HeadSelection(False, False, world_points=True),
            {'dpt_cross', 'final_transform.0', 'final_transform.1'},
        ),
        (HeadSelection(False, False, rgb=True), {'dpt_rgb'}),
        (HeadSelection(False, False), set()),
        (
            EVERYTHING,
            {
                'dpt_self',
                'dpt_cross',
                'dpt_rgb',
                'pose_head',
                'final_transform.0',
                'final_transform.1',
            },
        ),
    ],
)
def test_a_head_runs_only_when_it_is_asked_for(tiny_network, outputs, modules):
    calls = Counter()
    heads = tiny_network.downstream_head
    watched = [
        'dpt_self',
        'dpt_cross',
        'dpt_rgb',
        'pose_head',
        'final_transform.0',
        'final_transform.1',
    ]
    hooks = [
        heads.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: calls.update([name])
        )
        for name in watched
    ]

    prediction, _ = tiny_network.step(frames(1)[0], tiny_network.initial_state(), outputs=outputs)

    for hook in hooks:
        hook.remove()
    assert calls == Counter(modules)
    full, _ = tiny_network.step(frames(1)[0], tiny_network.initial_state(), outputs=EVERYTHING)
    for name, tensor in computed(prediction).items():
        assert torch.equal(tensor, getattr(full, name))


def test_the_default_outputs_are_points_and_pose(tiny_network):
    prediction, _ = tiny_network.step(frames(1)[0], tiny_network.initial_state())

    assert computed(prediction).keys() == {
        'gain',
        'points_camera',
        'confidence',
        'translation',
        'quaternion_xyzw',
    }


# Ray maps


@pytest.fixture
def ray_map():
    torch.manual_seed(5)
    return torch.randn(1, 6, 32, 48)


def test_a_ray_map_is_encoded_by_its_own_encoder_in_float32(tiny_network, ray_map):
    encoded = tiny_network.encode(None, ray_map)

    w = tiny_network.patch_embed_ray_map.proj
    x = functional.conv2d(ray_map, w.weight, w.bias, stride=16).flatten(2).mT
    positions = torch.tensor([[row, column] for row in range(2) for column in range(3)])
    for block in tiny_network.enc_blocks_ray_map:
        assert not block.attn.half_rotation
        x = block(x, rotary(positions, 64 // 16, 100.0))
    torch.testing.assert_close(encoded.tokens, tiny_network.enc_norm_ray_map(x), rtol=0, atol=1e-5)


def test_an_image_with_a_ray_map_is_the_sum_of_both(tiny_network, ray_map):
    image = frames(1)[0]

    both = tiny_network.encode(image, ray_map)

    of_image, of_rays = tiny_network.encode(image), tiny_network.encode(None, ray_map)
    torch.testing.assert_close(both.tokens, of_image.tokens + of_rays.tokens, rtol=0, atol=1e-5)


def test_an_image_with_a_ray_map_is_written(tiny_network, ray_map):
    image = frames(1)[0]
    _, state = tiny_network.step(image, tiny_network.initial_state())

    with_rays, after = tiny_network.step(image, state, ray_map=ray_map)
    without_rays, _ = tiny_network.step(image, state)

    assert not torch.equal(after.tokens, state.tokens)
    assert not torch.allclose(with_rays.translation, without_rays.translation, rtol=0, atol=1e-4)


def test_a_frame_that_is_only_a_ray_map_is_predicted_and_not_written(tiny_network, ray_map):
    _, state = tiny_network.step(frames(1)[0], tiny_network.initial_state())

    prediction, after = tiny_network.step(None, state, ray_map=ray_map)

    assert prediction.points_camera.shape == (1, 32, 48, 3)
    assert torch.equal(after.tokens, state.tokens)
    assert torch.equal(after.memory, state.memory)
    assert after.frames_seen == 2


def test_a_frame_needs_an_image_or_a_ray_map(tiny_network):
    with pytest.raises(ValueError, match='image, a ray map or both'):
        tiny_network.step(None, tiny_network.initial_state())


def test_a_network_without_a_ray_encoder_refuses_ray_maps(make_network, ray_map):
    network = make_network(replace(Architecture.tiny(), ray_encoder=False))

    with pytest.raises(ValueError, match='no ray-map encoder'):
        network.step(frames(1)[0], network.initial_state(), ray_map=ray_map)


def test_a_frame_whose_sides_are_no_multiples_of_the_patch_is_refused():
    network = Network(Architecture.tiny())

    with pytest.raises(ValueError, match=r'multiples of 16, the frame is \(40, 64\)'):
        network.step(torch.zeros(1, 3, 40, 64), network.initial_state())


@pytest.mark.parametrize('outputs', [HeadSelection(world_points=True), HeadSelection(rgb=True)])
def test_an_output_that_the_network_has_no_head_for_is_refused(outputs):
    bare = replace(Architecture.tiny(), world_head=False, rgb_head=False)
    network = Network(bare)

    with pytest.raises(ValueError, match='no head for an output'):
        network.step(torch.zeros(1, 3, 32, 32), network.initial_state(), outputs=outputs)
