# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Linear and convolution layers that work in the precision of their own weights.

Whoever casts a layer's weights chooses its arithmetic; norms and the residual stream stay in
float32, because float32 + bfloat16 is float32. In strict precision every cast is a no-op.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor

NORM_EPSILON = 1e-6


class Linear(nn.Linear):
    """A linear layer that takes its input to the precision of its weights."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        return nn.functional.linear(x.to(self.weight.dtype), self.weight, self.bias)


class Conv2d(nn.Conv2d):
    """A convolution that takes its input to the precision of its weights."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H', W')."""
        return super().forward(x.to(self.weight.dtype))


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that takes its input to the precision of its weights."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (B, in, H, W) to (B, out, H', W')."""
        return super().forward(x.to(self.weight.dtype), output_size)


class LayerNorm(nn.LayerNorm):
    """A float32 layer norm."""

    def __init__(self, width: int) -> None:
        """Make an affine norm over the last dimension."""
        super().__init__(width, eps=NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., width) in float32."""
        return super().forward(x.float())


class Mlp(nn.Module):
    """Two linear layers with the exact GELU between them."""

    def __init__(self, width: int, hidden: int, out: int | None = None) -> None:
        """Make it from `width` over `hidden` to `out` (default: `width`) channels."""
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width if out is None else out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to (..., out)."""
        y: Tensor = self.fc2(nn.functional.gelu(self.fc1(x)))
        return y


def normal(*shape: int, deviation: float = 1.0) -> Tensor:
    """
    Draw what parameters start from; on the meta device, which has no numbers, only the shape.

    There torch would load its whole compiler to draw them: seconds of every start.
    """
    empty = torch.empty(shape)
    return empty if empty.is_meta else deviation * torch.randn(shape)
