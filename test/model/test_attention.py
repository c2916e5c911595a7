# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode

from ttt3r_ros.model.attention import attend, CrossAttention, SelfAttention
from ttt3r_ros.model.rotary import rotary, rotate

WIDTH = 32


def turns(count, heads):
    torch.manual_seed(count)
    return rotary(torch.randint(-1, 20, (count, 2)), WIDTH // heads, 100.0)


def heads_of(x, heads):
    """Return (B, N, C) as a list of (B, N, C / heads), contiguous features each."""
    size = x.shape[-1] // heads
    return [x[..., h * size : (h + 1) * size] for h in range(heads)]


@pytest.mark.parametrize('heads', [1, 4])
def test_the_match_is_the_mean_of_all_logits(heads):
    torch.manual_seed(0)
    layer = CrossAttention(WIDTH, heads)
    state, image = torch.randn(2, 5, WIDTH), torch.randn(2, 7, WIDTH)
    state_turn, image_turn = turns(5, heads), turns(7, heads)

    match = layer(state, image, state_turn, image_turn)[1].mean()

    q, k = heads_of(layer.projq(state), heads), heads_of(layer.projk(image), heads)
    logits = [  # as published: every logit exists
        rotate(q[h], state_turn) @ rotate(k[h], image_turn).mT * (WIDTH // heads) ** -0.5
        for h in range(heads)
    ]
    torch.testing.assert_close(match, torch.stack(logits).mean(dim=(0, 3)), rtol=0, atol=1e-5)


@pytest.mark.parametrize('heads', [1, 4])
@pytest.mark.parametrize('with_positions', [True, False])
def test_cross_attention_is_a_softmax_over_the_context(heads, with_positions):
    torch.manual_seed(0)
    layer = CrossAttention(WIDTH, heads)
    x, context = torch.randn(2, 5, WIDTH), torch.randn(2, 7, WIDTH)
    x_turn, context_turn = turns(5, heads), turns(7, heads)
    if not with_positions:
        x_turn = context_turn = None

    attended, _ = layer(x, context, x_turn, context_turn)

    values = []
    q, k, v = (
        heads_of(y, heads) for y in (layer.projq(x), layer.projk(context), layer.projv(context))
    )
    for h in range(heads):
        a = rotate(q[h], x_turn) if with_positions else q[h]
        b = rotate(k[h], context_turn) if with_positions else k[h]
        values.append((a @ b.mT * (WIDTH // heads) ** -0.5).softmax(-1) @ v[h])
    torch.testing.assert_close(attended, layer.proj(torch.cat(values, -1)), rtol=0, atol=1e-5)


@pytest.mark.parametrize('half_rotation', [False, True])
def test_self_attention_is_a_softmax_over_all_tokens(half_rotation):
    torch.manual_seed(0)
    heads = 4
    layer = SelfAttention(WIDTH, heads, half_rotation)
    x, turn = torch.randn(2, 6, WIDTH), turns(6, heads)

    attended = layer(x, turn)

    joint = torch.nn.functional.linear(x, layer.qkv.weight, layer.qkv.bias)
    q, k, v = (heads_of(joint[..., i * WIDTH : (i + 1) * WIDTH], heads) for i in range(3))
    values = []
    for h in range(heads):
        if half_rotation:
            a, b = (rotate(y[h].half().float(), turn).half().float() for y in (q, k))
        else:
            a, b = (rotate(y[h], turn) for y in (q, k))
        values.append((a @ b.mT * (WIDTH // heads) ** -0.5).softmax(-1) @ v[h])
    torch.testing.assert_close(attended, layer.proj(torch.cat(values, -1)), rtol=0, atol=1e-5)


def test_half_rotation_rounds_but_only_a_little():
    torch.manual_seed(0)
    exact, rounded = SelfAttention(WIDTH, 4), SelfAttention(WIDTH, 4, half_rotation=True)
    rounded.load_state_dict(exact.state_dict())
    x, turn = torch.randn(1, 6, WIDTH), turns(6, 4)

    error = (exact(x, turn) - rounded(x, turn)).abs().max()

    assert 0 < error < 1e-3


def test_the_match_is_float32_when_the_weights_are_bfloat16():
    layer = CrossAttention(WIDTH, 4).to(torch.bfloat16)
    state_turn, image_turn = turns(5, 4), turns(7, 4)

    attended, logits = layer(
        torch.randn(1, 5, WIDTH), torch.randn(1, 7, WIDTH), state_turn, image_turn
    )

    assert (attended.dtype, logits.mean().dtype) == (torch.bfloat16, torch.float32)


class Sizes(TorchDispatchMode):
    """Count the calls of every operation, and keep the size of the largest result."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()
        self.largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.calls[function.overloadpacket.__name__] += 1
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel())
        return result


def large_heads(dtype=torch.bfloat16):
    """Return q, k and v as the layers do: two images, three heads, views of (B, N, C)."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, count, 3, 48) for count in (260, 300, 300))
    return [x.to(dtype).transpose(1, 2) for x in (q, k, v)]


def test_large_heads_in_bfloat16_attend_one_at_a_time_as_the_formula_says():
    q, k, v = large_heads()
    with torch.inference_mode(), Sizes() as sizes:
        attended = attend(q.float(), k.float(), v)

    exact = scaled_dot_product_attention(q.float(), k.float(), v.float())
    assert (attended.dtype, attended.shape) == (torch.bfloat16, q.shape)
    # Queries, logits (up to 5), weights and result are rounded to 8 bits, up to 0.2 % each.
    error = (attended.float() - exact).norm(dim=-1) / exact.norm(dim=-1)
    assert error.max() < 0.02
    assert error.mean() < 0.01
    assert sizes.calls['mm'] == 2 * 2 * 3
    assert sizes.largest == max(260 * 300, q.numel(), v.numel())


def test_attention_is_the_fused_kernel_where_that_is_exact_small_or_learns():
    q, k, v = large_heads(torch.float32)
    with torch.inference_mode():
        assert torch.equal(attend(q, k, v), scaled_dot_product_attention(q, k, v))
    few = [x[:, :, :20].to(torch.bfloat16) for x in (q, k, v)]
    with torch.inference_mode():
        assert torch.equal(attend(*few), scaled_dot_product_attention(*few))
    learning = [x.clone().requires_grad_() for x in large_heads()]
    attend(*learning).float().square().sum().backward()
    assert all(x.grad.isfinite().all() and x.grad.any() for x in learning)
