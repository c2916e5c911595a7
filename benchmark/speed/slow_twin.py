# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The same network computed as published, written from a description of the reference.

float32; attention as softmax(Q K^T) V with its logits in memory, those of all decoder blocks until
the next frame replaces them; the gain from those logits; every head; 1x1 convolutions after the
upsampling; weights of convolutions in the default layout of torch; every output copied to the host
separately.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import fields, replace
from typing import NamedTuple

import torch
from torch import nn, Tensor
from torch.nn.functional import interpolate

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.model import FramePrediction, HeadSelection, Network, RecurrentState
from ttt3r_ros.model.attention import CrossAttention, join_heads, SelfAttention, split_heads
from ttt3r_ros.model.heads import Fusion
from ttt3r_ros.model.image_input import normalised
from ttt3r_ros.model.rotary import Rotary, rotate
from ttt3r_ros.model.state_update import Ttt3r, UpdateRule

Logits = list[Tensor]


class PublishedSelfAttention(nn.Module):
    """Self-attention with its logits in memory; shares the weights of the original."""

    def __init__(self, original: SelfAttention, stored_logits: Logits | None) -> None:
        """
        Construct it with the weights of the original.

        :param stored_logits: list that the logits are appended to, or None.
        """
        super().__init__()
        self.original = original
        self.stored_logits = stored_logits

    def forward(self, x: Tensor, turn: Rotary | None) -> Tensor:
        """
        Compute self-attention, see SelfAttention.

        :param x: (B, N, C) tokens.
        :returns: (B, N, C).
        """
        layer = self.original
        q, k, v = (split_heads(part, layer.heads) for part in layer.qkv(x).chunk(3, dim=-1))
        if turn is not None:
            half = torch.float16 if layer.half_rotation else torch.float32
            q, k = (rotate(part.to(half), turn).to(half).float() for part in (q, k))
        attended, logits = explicit_attention(q, k, v)
        if self.stored_logits is not None:
            self.stored_logits.append(logits)
        y: Tensor = layer.proj(join_heads(attended))
        return y


class StoredLogits(NamedTuple):
    """The logits of a cross-attention in memory: (B, heads, S, N)."""

    logits: Tensor

    def mean(self) -> Tensor:
        """Return the match, (B, S), see CrossLogits."""
        return self.logits.mean(dim=(1, 3))


class PublishedCrossAttention(nn.Module):
    """Cross-attention with its logits in memory, of which the match is the mean."""

    def __init__(self, original: CrossAttention, stored_logits: Logits | None) -> None:
        """
        Construct it with the weights of the original.

        :param stored_logits: list that the logits are appended to, or None.
        """
        super().__init__()
        self.original = original
        self.stored_logits = stored_logits

    def forward(
        self, x: Tensor, context: Tensor, x_turn: Rotary | None, context_turn: Rotary | None
    ) -> tuple[Tensor, StoredLogits]:
        """
        Compute cross-attention, see CrossAttention.

        :param x: (B, S, C) tokens that attend.
        :param context: (B, N, C) tokens that are attended to.
        :returns: (B, S, C) attended tokens; the logits.
        """
        layer = self.original
        q = split_heads(layer.projq(x), layer.heads)
        k = split_heads(layer.projk(context), layer.heads)
        v = split_heads(layer.projv(context), layer.heads)
        if x_turn is not None and context_turn is not None:
            q, k = rotate(q, x_turn), rotate(k, context_turn)
        attended, logits = explicit_attention(q, k, v)
        if self.stored_logits is not None:
            self.stored_logits.append(logits)
        return layer.proj(join_heads(attended)), StoredLogits(logits)


class PublishedFusion(nn.Module):
    """A level of the dense head that upsamples before the 1x1 convolution."""

    def __init__(self, original: Fusion) -> None:
        """Construct it with the weights of the original."""
        super().__init__()
        self.original = original

    def forward(self, x: Tensor, finer: Tensor | None) -> Tensor:
        """
        Fuse two levels, see Fusion.

        :param x: (B, C, h, w).
        :param finer: (B, C, h, w) from the level before, or None.
        :returns: (B, C, 2 h, 2 w).
        """
        layer = self.original
        if finer is not None:
            x = x + layer.resConfUnit1(finer)
        x = layer.resConfUnit2(x)
        x = interpolate(x, scale_factor=2, mode='bilinear', align_corners=True)
        y: Tensor = layer.out_conv(x)
        return y


def explicit_attention(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """
    Compute attention by its formula.

    :param q: (B, heads, S, c).
    :param k: (B, heads, N, c).
    :param v: (B, heads, N, c).
    :returns: (B, heads, S, c) attended; (B, heads, S, N) scaled logits.
    """
    logits = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    return logits.softmax(dim=-1) @ v, logits


def published_network(network: Network, stored_logits: Logits | None = None) -> Network:
    """
    Return a network with the same weights that computes as published.

    :param network: is not changed.
    :param stored_logits: list that gets the decoders' logits of each frame, or None.
    """
    # The weights are shared, not copied, but for those of convolutions in the product's layout.
    shared = {id(parameter): parameter for parameter in network.parameters()}
    published = deepcopy(network, shared)
    for name, module in list(published.named_modules()):
        of_decoders = stored_logits if name.startswith('dec_blocks') else None
        if isinstance(module, SelfAttention):
            _replace(published, name, PublishedSelfAttention(module, of_decoders))
        elif isinstance(module, CrossAttention):
            _replace(published, name, PublishedCrossAttention(module, of_decoders))
        elif isinstance(module, Fusion):
            _replace(published, name, PublishedFusion(module))
        elif (
            isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
            and not module.weight.is_contiguous()
        ):
            module.weight = nn.Parameter(module.weight.contiguous(), requires_grad=False)
    return published


class SlowTwin:
    """A network that is run as published."""

    def __init__(self, network: Network, rule: UpdateRule = Ttt3r()) -> None:
        """
        Construct the published version of a network.

        :param network: in strict precision; it is not changed.
        """
        self.device = next(network.parameters()).device
        self._rule = rule
        self._logits: Logits = []
        self._network = published_network(network, self._logits)
        a = network.architecture
        self._outputs = HeadSelection(world_points=a.world_head, rgb=a.rgb_head)

    @torch.inference_mode()
    def initial_state(self) -> RecurrentState:
        """Return the state before the first frame of a segment."""
        return self._network.initial_state()

    @torch.inference_mode()
    def step(self, rgb: Pixels, state: RecurrentState) -> tuple[FramePrediction, RecurrentState]:
        """
        Process one resized image.

        :param rgb: (h, w, 3) uint8.
        :returns: all outputs of the network, on the host, and the next state.
        """
        of_last_frame = list(self._logits)
        self._logits.clear()
        image = normalised(torch.from_numpy(rgb)[None])
        prediction, state = self._network.step(
            image.to(self.device), state, rule=self._rule, outputs=self._outputs
        )
        of_last_frame.clear()  # two frames' logits were alive
        named = {field.name: getattr(prediction, field.name) for field in fields(prediction)}
        on_host = {name: tensor.cpu() for name, tensor in named.items() if tensor is not None}
        return replace(prediction, **on_host), state


@contextmanager
def published_arithmetic() -> Iterator[None]:
    """Multiply float32 as TensorFloat-32 on CUDA within the block, as the reference does."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = True
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition('.')
    setattr(network.get_submodule(parent), child, module)
