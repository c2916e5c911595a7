# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The transformer blocks. The residual stream is float32 in every precision."""

from __future__ import annotations

from torch import nn, Tensor

from ttt3r_ros.model.attention import CrossAttention, CrossLogits, SelfAttention
from ttt3r_ros.model.layers import LayerNorm, Linear, Mlp
from ttt3r_ros.model.rotary import Rotary


class EncoderBlock(nn.Module):
    """Self-attention, then an MLP."""

    def __init__(
        self, width: int, heads: int, mlp_ratio: int, half_rotation: bool = False
    ) -> None:
        """Construct the block for `width` channels."""
        super().__init__()
        self.norm1 = LayerNorm(width)
        self.attn = SelfAttention(width, heads, half_rotation)
        self.norm2 = LayerNorm(width)
        self.mlp = Mlp(width, mlp_ratio * width)

    def forward(self, x: Tensor, turn: Rotary) -> Tensor:
        """
        Update the tokens.

        :param x: (B, N, C).
        :param turn: rotation of the N tokens.
        :returns: (B, N, C).
        """
        x = x + self.attn(self.norm1(x), turn)
        x = x + self.mlp(self.norm2(x))
        return x


class DecoderBlock(nn.Module):
    """Self-attention, cross-attention to a context, then an MLP."""

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        """Construct the block for `width` channels of tokens and context."""
        super().__init__()
        self.norm1 = LayerNorm(width)
        self.attn = SelfAttention(width, heads)
        self.cross_attn = CrossAttention(width, heads)
        self.norm2 = LayerNorm(width)
        self.norm3 = LayerNorm(width)
        self.mlp = Mlp(width, mlp_ratio * width)
        self.norm_y = LayerNorm(width)

    def forward(
        self,
        x: Tensor,
        context: Tensor,
        x_turn: Rotary | None = None,
        context_turn: Rotary | None = None,
    ) -> tuple[Tensor, CrossLogits]:
        """
        Update x from itself and from the context.

        :param x: (B, S, C).
        :param context: (B, N, C), not normalised.
        :param x_turn: rotation of the S tokens, or None for a block without positions.
        :param context_turn: rotation of the N tokens, or None.
        :returns: (B, S, C); the logits of the cross-attention.
        """
        x = x + self.attn(self.norm1(x), x_turn)
        attended, logits = self.cross_attn(
            self.norm2(x), self.norm_y(context), x_turn, context_turn
        )
        x = x + attended
        return x + self.mlp(self.norm3(x)), logits


class ModulatedNorm(nn.Module):
    """A layer norm whose scale and shift depend on a condition."""

    def __init__(self, width: int) -> None:
        """Construct the norm for `width` channels of tokens and condition."""
        super().__init__()
        self.norm = LayerNorm(width)
        self.mlp = nn.Sequential(nn.SiLU(), Linear(width, 2 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """
        Normalise tokens, with scale and shift from a condition.

        :param x: (B, N, C).
        :param condition: (B, C).
        :returns: (B, N, C).
        """
        shift, scale = self.mlp(condition)[:, None].float().chunk(2, dim=-1)
        y: Tensor = self.norm(x) * (1 + scale) + shift
        return y


class ModulatedBlock(nn.Module):
    """An encoder block under a condition: the pose token."""

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        """Construct the block for `width` channels."""
        super().__init__()
        self.norm1 = ModulatedNorm(width)
        self.attn = SelfAttention(width, heads)
        self.norm2 = ModulatedNorm(width)
        self.mlp = Mlp(width, mlp_ratio * width)

    def forward(self, x: Tensor, condition: Tensor, turn: Rotary) -> Tensor:
        """
        Update the tokens, given a condition.

        :param x: (B, N, C).
        :param condition: (B, C).
        :param turn: rotation of the N tokens.
        :returns: (B, N, C).
        """
        x = x + self.attn(self.norm1(x, condition), turn)
        x = x + self.mlp(self.norm2(x, condition))
        return x
