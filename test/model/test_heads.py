# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import replace
import math

import pytest
import torch
from torch.nn import functional

from ttt3r_ros.model import Architecture
from ttt3r_ros.model.blocks import ModulatedBlock, ModulatedNorm
from ttt3r_ros.model.heads import DptHead, Fusion, Levels, PoseHead, stretch
from ttt3r_ros.model.rotary import grid_positions, rotary

LINEAR = replace(Architecture.tiny(), head='linear')


def levels_of(height, width, batch_size=2, seed=0):
    torch.manual_seed(seed)
    count = height * width
    widths = (64, 32, 32, 32)
    return Levels(*(torch.randn(batch_size, count, c) for c in widths), height, width)


@pytest.fixture
def tiny_heads(tiny_network):
    return tiny_network.downstream_head


@pytest.fixture
def linear_heads(make_network):
    return make_network(LINEAR).downstream_head


def enlarge(x):
    return functional.interpolate(x, scale_factor=2, mode='bilinear', align_corners=True)


def published_residual_unit(weights, name, x):
    y = x
    for conv in ('conv1', 'conv2'):
        w, b = weights[f'{name}.{conv}.weight'], weights[f'{name}.{conv}.bias']
        y = functional.conv2d(y.relu(), w, b, padding=1)
    return x + y


def published_fusion(weights, name, x, finer):
    """Fuse as published: the 1x1 convolution after the enlargement."""
    if finer is not None:
        x = x + published_residual_unit(weights, f'{name}.resConfUnit1', finer)
    x = enlarge(published_residual_unit(weights, f'{name}.resConfUnit2', x))
    return functional.conv2d(
        x, weights[f'{name}.out_conv.weight'], weights[f'{name}.out_conv.bias']
    )


def published_dpt(weights, levels):
    """Run a DPT head from its published names, written out step by step."""
    shape = (levels.height, levels.width)

    def conv(name, x, **options):
        return functional.conv2d(
            x, weights[f'{name}.weight'], weights.get(f'{name}.bias'), **options
        )

    def grow(name, x, stride):
        w, b = weights[f'{name}.weight'], weights[f'{name}.bias']
        return functional.conv_transpose2d(x, w, b, stride=stride)

    maps = [
        conv(f'act_postprocess.{i}.0', tokens.mT.reshape(len(tokens), -1, *shape))
        for i, tokens in enumerate(levels[:4])
    ]
    maps[0] = grow('act_postprocess.0.1', maps[0], 4)
    maps[1] = grow('act_postprocess.1.1', maps[1], 2)
    maps[3] = conv('act_postprocess.3.1', maps[3], stride=2, padding=1)
    maps = [conv(f'scratch.layer{i + 1}_rn', x, padding=1) for i, x in enumerate(maps)]
    x = published_fusion(weights, 'scratch.refinenet4', maps[3], None)
    x = x[:, :, : shape[0], : shape[1]]
    for level in (3, 2, 1):
        x = published_fusion(weights, f'scratch.refinenet{level}', x, maps[level - 1])
    x = enlarge(conv('head.0', x, padding=1))
    return conv('head.4', conv('head.2', x, padding=1).relu())


def test_the_1x1_convolution_may_run_before_the_enlargement():
    torch.manual_seed(0)
    fusion = Fusion(8)
    x, finer = torch.randn(2, 8, 5, 3), torch.randn(2, 8, 5, 3)

    fused = fusion(x, finer)

    weights = {f'fuse.{name}': tensor for name, tensor in fusion.state_dict().items()}
    torch.testing.assert_close(
        fused, published_fusion(weights, 'fuse', x, finer), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize('grid', [(2, 4), (3, 4), (4, 3), (5, 7), (1, 1)])
def test_a_dpt_head_equals_the_published_steps_on_even_and_odd_grids(tiny_heads, grid):
    levels = levels_of(*grid)

    raw = tiny_heads.dpt_self(levels)

    assert raw.shape == (2, 4, 16 * grid[0], 16 * grid[1])
    torch.testing.assert_close(
        raw, published_dpt(tiny_heads.dpt_self.state_dict(), levels), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize('grid', [(3, 4), (4, 3)])
def test_camera_points_are_the_stretched_outputs_of_the_self_head(tiny_heads, grid):
    levels = levels_of(*grid)

    points, confidence = tiny_heads.camera_points(levels)

    x, y, z, c = tiny_heads.dpt_self(levels).unbind(1)
    r = (x * x + y * y + z * z).sqrt()
    expected = torch.stack([x, y, z], dim=-1) / r[..., None] * (r.exp() - 1)[..., None]
    torch.testing.assert_close(points, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(confidence, 1 + c.exp(), rtol=0, atol=1e-5)
    assert (confidence > 1).all()


def test_world_points_come_from_tokens_transformed_under_the_pose(tiny_heads):
    levels = levels_of(3, 4)
    pose_token = torch.randn(2, 32)
    turn = rotary(grid_positions(3, 4), 16, 100.0)

    points, confidence = tiny_heads.world_points(levels, pose_token, turn)

    tokens = levels.last
    for block in tiny_heads.final_transform:
        tokens = block(tokens, pose_token, turn)
    raw = published_dpt(tiny_heads.dpt_cross.state_dict(), levels._replace(last=tokens))
    torch.testing.assert_close(points, stretch(raw[:, :3].movedim(1, -1)), rtol=0, atol=2e-5)
    torch.testing.assert_close(confidence, 1 + raw[:, 3].exp(), rtol=0, atol=1e-5)


def test_a_modulated_norm_shifts_and_scales_by_the_condition():
    torch.manual_seed(0)
    norm = ModulatedNorm(8)
    x, condition = torch.randn(2, 5, 8), torch.randn(2, 8)

    modulated = norm(x, condition)

    shift_and_scale = norm.mlp[1](condition * condition.sigmoid())
    shift, scale = shift_and_scale[:, None, :8], shift_and_scale[:, None, 8:]
    centred = x - x.mean(-1, keepdim=True)
    normal = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(modulated, normal * (1 + scale) + shift, rtol=0, atol=1e-5)


def test_a_modulated_block_has_no_gates():
    torch.manual_seed(0)
    block = ModulatedBlock(32, 2, 4)
    x, condition = torch.randn(2, 12, 32), torch.randn(2, 32)
    turn = rotary(grid_positions(3, 4), 16, 100.0)

    y = block(x, condition, turn)

    x = x + block.attn(block.norm1(x, condition), turn)
    torch.testing.assert_close(y, x + block.mlp(block.norm2(x, condition)), rtol=0, atol=1e-5)


def test_colors_lie_between_minus_one_and_one_and_touch_neither(tiny_heads):
    levels = levels_of(2, 2)

    colors = tiny_heads.colors(levels)

    raw = published_dpt(tiny_heads.dpt_rgb.state_dict(), levels).movedim(1, -1)
    torch.testing.assert_close(colors, 2 / (1 + (-raw).exp()) - 1, rtol=0, atol=1e-5)
    with torch.no_grad():
        extreme = tiny_heads.colors(levels._replace(encoder=levels.encoder * 1e9))
    assert extreme.abs().max() < 1
    assert extreme.max() > 0.9999
    assert extreme.min() < -0.9999


def shuffle_slowly(values, height, width, channels, patch):
    """Lay (B, N, channels * patch^2) values out as pixels, channel-major, one at a time."""
    pixels = torch.zeros(len(values), channels, height * patch, width * patch)
    for token in range(height * width):
        top, left = token // width * patch, token % width * patch
        for channel in range(channels):
            for row in range(patch):
                for column in range(patch):
                    value = values[:, token, (channel * patch + row) * patch + column]
                    pixels[:, channel, top + row, left + column] = value
    return pixels


def test_a_linear_head_lays_out_a_patch_of_pixels_per_token(linear_heads):
    levels = levels_of(2, 3)
    head = linear_heads.rgb_proj

    raw = head(levels)

    hidden = levels.last @ head.fc1.weight.mT + head.fc1.bias
    hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
    values = hidden @ head.fc2.weight.mT + head.fc2.bias
    torch.testing.assert_close(raw, shuffle_slowly(values, 2, 3, 3, 16), rtol=0, atol=1e-5)


def test_linear_heads_see_points_in_front_of_the_camera_only(linear_heads):
    levels = levels_of(2, 3)

    points, confidence = linear_heads.camera_points(levels)

    x, y, z, c = linear_heads.proj(levels).unbind(1)
    assert (z < 0).any()
    sign = torch.where(z < 0, -1.0, 1.0)
    r = (x * x + y * y + z * z).sqrt()
    expected = torch.stack([x, y, z], -1) * (sign * (r.exp() - 1) / r)[..., None]
    torch.testing.assert_close(points, expected, rtol=0, atol=2e-5)
    assert (points[..., 2] >= 0).all()
    torch.testing.assert_close(confidence, 1 + c.exp(), rtol=0, atol=1e-5)


def test_linear_world_points_may_lie_anywhere(linear_heads):
    levels = levels_of(2, 3)
    pose_token = torch.randn(2, 32)
    turn = rotary(grid_positions(2, 3), 16, 100.0)

    points, _ = linear_heads.world_points(levels, pose_token, turn)

    assert (points[..., 2] < 0).any()
    assert (points[..., 2] > 0).any()


@pytest.mark.parametrize('length', [0.0, 1e-12, 1e-4, 0.5, 3.0, 10.0])
def test_stretching_takes_a_length_to_its_exponential_minus_one(length):
    direction = torch.tensor([[2.0, -1.0, 2.0]]) / 3

    stretched = stretch(direction * length)

    expected = direction.double() * math.expm1(length)
    torch.testing.assert_close(stretched.double(), expected, rtol=1e-5, atol=1e-12)


@pytest.fixture
def pose_head_giving():
    """Return a pose head whose raw output is what is asked for."""

    def make(raw):
        head = PoseHead(Architecture.tiny()).requires_grad_(False)
        head.mlp.fc2.weight.zero_()
        head.mlp.fc2.bias.copy_(torch.tensor(raw))
        return head

    return make


def test_a_pose_is_a_stretched_translation_and_a_unit_quaternion(pose_head_giving):
    head = pose_head_giving([0.0, 3.0, -4.0, 1.0, 2.0, 4.0, 2.0])  # t, then w x y z of length 5

    translation, quaternion_xyzw = head(torch.randn(1, 32))

    far = math.expm1(5)
    torch.testing.assert_close(
        translation, torch.tensor([[0, 0.6 * far, -0.8 * far]]), rtol=0, atol=1e-4
    )
    torch.testing.assert_close(
        quaternion_xyzw, torch.tensor([[0.4, 0.8, 0.4, 0.2]]), rtol=0, atol=1e-5
    )


def test_a_quaternion_with_negative_w_is_given_as_its_twin(pose_head_giving):
    head = pose_head_giving([0.0, 0.0, 0.0, -1.0, 2.0, -4.0, 2.0])

    translation, quaternion_xyzw = head(torch.randn(1, 32))

    torch.testing.assert_close(
        quaternion_xyzw, torch.tensor([[-0.4, 0.8, -0.4, 0.2]]), rtol=0, atol=1e-5
    )
    assert torch.equal(translation, torch.zeros(1, 3))


def test_a_half_turn_keeps_its_axis(pose_head_giving):
    _, quaternion_xyzw = pose_head_giving([0.0, 0.0, 0.0, 0.0, 0.0, -2.0, 0.0])(torch.randn(1, 32))

    assert quaternion_xyzw.tolist() == [[0, -1, 0, 0]]


def test_heads_that_the_architecture_lacks_do_not_exist(make_network):
    bare = make_network(replace(Architecture.tiny(), world_head=False, rgb_head=False))

    names = {name for name, _ in bare.downstream_head.named_children()}

    assert names == {'pose_head', 'dpt_self'}
    assert isinstance(bare.downstream_head.dpt_self, DptHead)
