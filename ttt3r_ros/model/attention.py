# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Self- and cross-attention that never store the logits of all heads."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn, Tensor
from torch.nn.functional import scaled_dot_product_attention

from ttt3r_ros.model.layers import Linear
from ttt3r_ros.model.rotary import Rotary, rotate

# From so many logits of one head on, products one head at a time beat the fused kernel of CPUs.
LARGE_HEAD = 2**16


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """
    Return for each query the mean of the values, weighted by the softmax of its scaled logits.

    :param q: (B, heads, S, c).
    :param k: (B, heads, N, c).
    :param v: (B, heads, N, c), whose dtype is that of the products.
    :returns: (B, heads, S, c).
    """
    q, k = q.to(v.dtype), k.to(v.dtype)
    of_bfloat16_on_cpu = v.dtype == torch.bfloat16 and v.device.type == 'cpu'
    large = q.shape[2] * k.shape[2] >= LARGE_HEAD
    if of_bfloat16_on_cpu and large and not torch.is_grad_enabled():
        return _attend_head_by_head(q, k, v)
    return scaled_dot_product_attention(q, k, v)


def _attend_head_by_head(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """
    Compute `attend` with the logits of one head at a time, which fit into the cache.

    On CPUs the fused kernel multiplies bfloat16 at less than half the rate of plain products.
    """
    attended = torch.empty_like(q, memory_format=torch.contiguous_format)
    logits = q.new_empty(q.shape[2], k.shape[2])
    weights = torch.empty_like(logits)
    q, keys, v = (x.flatten(0, 1) for x in (q * q.shape[-1] ** -0.5, k.mT, v))
    for out, queries, head_keys, values in zip(attended.flatten(0, 1), q, keys, v.contiguous()):
        torch.mm(queries, head_keys, out=logits)
        torch.softmax(logits, dim=-1, out=weights)
        torch.mm(weights, values, out=out)
    return attended


def split_heads(x: Tensor, heads: int) -> Tensor:
    """
    Split the channels into heads.

    :param x: (B, N, C).
    :returns: (B, heads, N, C / heads).
    """
    return torch.unflatten(x, -1, (heads, -1)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """
    Concatenate the channels of the heads.

    :param x: (B, heads, N, C / heads).
    :returns: (B, N, C).
    """
    return x.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """
    Tokens attend to each other.

    half_rotation imitates the image encoder of the public checkpoint, which was run with
    queries and keys rounded to float16 before and after their rotation, where they are float32.
    """

    def __init__(self, width: int, heads: int, half_rotation: bool = False) -> None:
        """Construct the layer for `width` channels."""
        super().__init__()
        self.heads = heads
        self.half_rotation = half_rotation
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor, turn: Rotary | None) -> Tensor:
        """
        Compute the attention between the tokens.

        :param x: (B, N, C).
        :param turn: rotation of the N tokens, or None for attention without positions.
        :returns: (B, N, C).
        """
        parts = torch.unflatten(self.qkv(x), -1, (3, self.heads, -1))
        parts = parts.movedim(2, 0).transpose(2, 3)  # (3, B, heads, N, c)
        # Queries and keys are rotated and cast together: on a GPU each operation has its price.
        rotated, v = parts[:2], parts[2]
        if turn is not None:
            rotated = self._rotate(rotated, turn).to(v.dtype)
        q, k = rotated.unbind()
        attended = attend(q, k, v)
        y: Tensor = self.proj(join_heads(attended))
        return y

    def _rotate(self, x: Tensor, turn: Rotary) -> Tensor:
        if self.half_rotation and x.dtype == torch.float32:  # bfloat16 is coarser than float16
            return rotate(x.to(torch.float16), turn).to(torch.float16)
        return rotate(x, turn)


class CrossLogits(NamedTuple):
    """
    The logits of a cross-attention, which are never stored.

    queries: (B, heads, S, c). keys: (B, heads, N, c), both rotated.
    """

    queries: Tensor
    keys: Tensor

    def mean(self) -> Tensor:
        """
        Return their mean over heads and context, the match behind TTT3R's gain (arXiv 2509.26645).

        :returns: (B, S) float32.
        """
        q, k = self
        # A mean of dot products is a dot product with the mean key.
        mean_key = k.float().mean(dim=2, keepdim=True)
        match: Tensor = (q.float() * mean_key).sum(dim=-1).mean(dim=1) * q.shape[-1] ** -0.5
        return match


class CrossAttention(nn.Module):
    """Tokens attend to a context of other tokens."""

    def __init__(self, width: int, heads: int) -> None:
        """Construct the layer for `width` channels of tokens and context."""
        super().__init__()
        self.heads = heads
        self.projq = Linear(width, width)
        self.projk = Linear(width, width)
        self.projv = Linear(width, width)
        self.proj = Linear(width, width)

    def forward(
        self, x: Tensor, context: Tensor, x_turn: Rotary | None, context_turn: Rotary | None
    ) -> tuple[Tensor, CrossLogits]:
        """
        Compute the attention of the tokens to the context.

        :param x: (B, S, C).
        :param context: (B, N, C).
        :param x_turn: rotation of the S tokens, or None for attention without positions.
        :param context_turn: rotation of the N tokens, or None.
        :returns: (B, S, C) attended tokens; the logits, of which few callers need the mean.
        """
        q = split_heads(self.projq(x), self.heads)
        k = split_heads(self.projk(context), self.heads)
        v = split_heads(self.projv(context), self.heads)
        if x_turn is not None and context_turn is not None:
            q, k = rotate(q, x_turn), rotate(k, context_turn)
        attended = attend(q, k, v)
        return self.proj(join_heads(attended)), CrossLogits(q, k)
