# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The pose memory: stores pose tokens by the appearance of the whole image."""

from __future__ import annotations

import torch
from torch import nn, Tensor

from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.attention import CrossAttention, SelfAttention
from ttt3r_ros.model.blocks import DecoderBlock
from ttt3r_ros.model.layers import Linear, normal


class LoneSelfAttention(nn.Module):
    """Self-attention of one token, exactly: it attends to itself alone, so only values count."""

    def __init__(self, original: SelfAttention) -> None:
        """Take over the layers of a self-attention; of its qkv the last rows, the values."""
        super().__init__()
        width = original.proj.in_features
        self.qkv, self.proj = Linear(width, width, device='meta'), original.proj
        self.qkv.weight = nn.Parameter(original.qkv.weight[-width:])
        self.qkv.bias = nn.Parameter(original.qkv.bias[-width:])

    def forward(self, x: Tensor, turn: None) -> Tensor:
        """
        Project the value.

        :param x: (B, 1, C).
        :param turn: None, no position.
        :returns: (B, 1, C).
        """
        y: Tensor = self.proj(self.qkv(x))
        return y


class LoneContextAttention(nn.Module):
    """Cross-attention to one context token, exactly: whatever the query, it gets its value."""

    def __init__(self, original: CrossAttention) -> None:
        """Take over the layers of a cross-attention that count."""
        super().__init__()
        self.projv, self.proj = original.projv, original.proj

    def forward(self, context: Tensor) -> Tensor:
        """
        Project the value.

        :param context: (B, 1, C).
        :returns: (B, 1, C), the same for all tokens that attend to it.
        """
        y: Tensor = self.proj(self.projv(context))
        return y


class LoneContextBlock(nn.Module):
    """A decoder block without positions whose context is one token."""

    def __init__(self, original: DecoderBlock) -> None:
        """Take over the layers of a block that count."""
        super().__init__()
        self.norm1, self.attn = original.norm1, original.attn
        self.norm_y, self.cross_attn = original.norm_y, LoneContextAttention(original.cross_attn)
        self.norm3, self.mlp = original.norm3, original.mlp

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, None]:
        """
        Update x from itself and from the context.

        :param x: (B, S, C).
        :param context: (B, 1, C), not normalised.
        :returns: (B, S, C); no logits.
        """
        x = x + self.attn(self.norm1(x), None)
        x = x + self.cross_attn(self.norm_y(context))
        return x + self.mlp(self.norm3(x)), None


class PoseMemory(nn.Module):
    """Rows of (image appearance, pose token) pairs, read and written by attention."""

    def __init__(self, architecture: Architecture) -> None:
        """Construct it for an architecture."""
        super().__init__()
        width = architecture.decoder_width
        self.width = width
        self.mem = nn.Parameter(normal(1, architecture.memory_rows, 2 * width, deviation=0.02))
        self.masked_token = nn.Parameter(normal(1, 1, width, deviation=0.02))
        self.proj_q = Linear(architecture.encoder_width, width)

        def blocks() -> nn.ModuleList:
            return nn.ModuleList(
                DecoderBlock(2 * width, architecture.decoder_heads, architecture.mlp_ratio)
                for _ in range(architecture.memory_depth)
            )

        self.write_blocks = blocks()
        self.read_blocks = blocks()

    def use_shortcuts(self) -> None:
        """
        Leave out, in place, the weights that do not change what is read and written.

        One token reads, and one is written: a softmax over one token is one.
        """
        for block in self.read_blocks:
            block.attn = LoneSelfAttention(block.attn)  # type: ignore[arg-type]
        self.write_blocks = nn.ModuleList(
            LoneContextBlock(block)  # type: ignore[arg-type]
            for block in self.write_blocks
        )

    def read(self, look: Tensor, memory: Tensor) -> Tensor:
        """
        Read a pose token by the appearance of an image.

        :param look: (B, 1, E) mean of the image's encoder tokens.
        :param memory: (B, M, 2 D).
        :returns: (B, 1, D).
        """
        query = self.proj_q(look).float()
        x = torch.cat([query, self.masked_token.expand(len(look), -1, -1)], dim=-1)
        for block in self.read_blocks:
            x, _ = block(x, memory)
        return x[..., self.width :]

    def write(self, look: Tensor, pose_token: Tensor, memory: Tensor) -> Tensor:
        """
        Return the memory after this image.

        :param look: (B, 1, E) mean of the image's encoder tokens.
        :param pose_token: (B, 1, D) decoded pose token.
        :param memory: (B, M, 2 D).
        :returns: (B, M, 2 D).
        """
        entry = torch.cat([self.proj_q(look).float(), pose_token], dim=-1)
        for block in self.write_blocks:
            memory, _ = block(memory, entry)
        return memory
