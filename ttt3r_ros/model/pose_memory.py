# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The pose memory: stores pose tokens by the appearance of the whole image."""

from __future__ import annotations

import torch
from torch import nn, Tensor

from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.blocks import DecoderBlock
from ttt3r_ros.model.layers import Linear, normal


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
