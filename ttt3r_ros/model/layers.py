# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Linear and convolution layers that compute in the precision of their weights.

The dtype of the weights of a layer determines its arithmetic; norms and the residual stream stay
in float32, because float32 + bfloat16 is float32. In strict precision every cast is a no-op.
Linear layers with int8 weights are separate modules, which replace bfloat16 ones.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import nn, Tensor

from ttt3r_ros.errors import UserError

NORM_EPSILON = 1e-6
INT8_MOST = 127
CACHED_NUMBERS = 2**18


class PrecisionError(UserError):
    """The chosen precision is not supported on this machine."""


class Linear(nn.Linear):
    """A linear layer that casts its input to the dtype of its weights."""

    def forward(self, x: Tensor) -> Tensor:
        """
        Apply the layer.

        :param x: (..., in).
        :returns: (..., out), in the dtype of the weights.
        """
        return nn.functional.linear(x.to(self.weight.dtype), self.weight, self.bias)


class Int8Linear(nn.Module):
    """
    A linear layer that stores its weights as int8, with a float32 scale for each output.

    The output has the dtype of the layers around it. The subclasses store the same and differ in
    the multiplication.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear, dtype: torch.dtype = torch.bfloat16) -> None:
        """
        Round the weights of a layer, which is not changed.

        :param dtype: of the output.
        """
        super().__init__()
        self.dtype = dtype
        weight, scale = rounded_to_int8(linear.weight.detach())
        self.register_buffer('weight', weight)
        self.register_buffer('scale', scale)
        self.register_buffer('bias', linear.bias.detach().float())


class Int8Product(Int8Linear):
    """
    Rounds its input to int8 too, with a scale for each token, and multiplies int8 by int8.

    The error is about that of rounding the weights. For CPUs with int8 instructions.
    """

    def forward(self, x: Tensor) -> Tensor:
        """
        Apply the layer.

        :param x: (..., in).
        :returns: (..., out) in the dtype of the layer.
        """
        rows, scale = rounded_to_int8(x.flatten(0, -2))
        product = torch._int_mm(rows, self.weight.t())
        y = torch.empty_like(product, dtype=self.dtype)
        strips = (strips_of(tensor, product.shape[1]) for tensor in (y, product, scale[:, None]))
        for out, strip, token_scale in zip(*strips):
            out.copy_(torch.addcmul(self.bias, strip.float().mul_(token_scale), self.scale))
        return y.view(*x.shape[:-1], -1)


class Int8Storage(Int8Linear):
    """Multiplies in its dtype: half the memory of bfloat16 weights, and about their speed."""

    def forward(self, x: Tensor) -> Tensor:
        """
        Apply the layer.

        :param x: (..., in).
        :returns: (..., out) in the dtype of the layer.
        """
        # Written with out=, the scaled weights are rounded once and never exist in float32.
        weight = torch.empty_like(self.weight, dtype=self.dtype)
        torch.mul(self.weight, self.scale[:, None], out=weight)
        return nn.functional.linear(x.to(self.dtype), weight, self.bias.to(self.dtype))


def rounded_to_int8(rows: Tensor) -> tuple[Tensor, Tensor]:
    """
    Round every row to integer multiples of its own scale.

    :param rows: (N, C) floating-point numbers.
    :returns: (N, C) int8, -127 to 127; (N,) float32 scale, so that row = int8 * scale. On the
        meta device only their shapes, see `normal`.
    """
    if rows.is_meta:
        shapes = (rows.shape, torch.int8), (rows.shape[:1], torch.float32)
        whole, scale = (torch.empty(shape, dtype=dtype, device='meta') for shape, dtype in shapes)
        return whole, scale
    whole = torch.empty_like(rows, dtype=torch.int8)
    scale = rows.new_empty(len(rows), dtype=torch.float32)
    strips = (strips_of(tensor, rows.shape[1]) for tensor in (whole, scale, rows))
    for out, out_scale, strip in zip(*strips):
        strip = strip.float()
        # Twice as fast as strip.abs().amax(1), and seven times as aminmax or a norm.
        largest = torch.maximum(strip.amax(1), -strip.amin(1)).clamp_min(1e-30)
        out.copy_((strip * (INT8_MOST / largest)[:, None]).round_())
        torch.div(largest, INT8_MOST, out=out_scale)
    return whole, scale


def strips_of(rows: Tensor, width: int) -> tuple[Tensor, ...]:
    """
    Split rows into strips that fit into the cache for several operations.

    :param rows: (N, ...).
    :param width: numbers per row of the widest tensor that is split alike.
    """
    return torch.split(rows, max(CACHED_NUMBERS // width, 1))


def int8_kind(device: torch.device) -> type[Int8Linear]:
    """
    Return the class of int8 layers for a device.

    :raises PrecisionError: when this processor, or this version of torch, does not support int8.
    """
    if device.type == 'cuda':
        return Int8Storage
    if not _multiplies_int8():
        raise PrecisionError(
            'precision int8 needs a torch and a processor that multiply int8 exactly (AVX-512 or '
            'AVX2 with VNNI, or ARM with dot products), which these are not: use strict or fast'
        )
    return Int8Product


@cache
def _multiplies_int8() -> bool:
    """Return whether int8 products work, and do not saturate as they do without VNNI."""
    largest = torch.full((32, 64), INT8_MOST, dtype=torch.int8, device='cpu')
    try:
        product = torch._int_mm(largest, largest.t())
    except (AttributeError, RuntimeError):
        return False
    return bool((product == 64 * INT8_MOST**2).all())


class Conv2d(nn.Conv2d):
    """A convolution that casts its input to the dtype of its weights."""

    def forward(self, x: Tensor) -> Tensor:
        """
        Apply the layer.

        :param x: (B, in, H, W).
        :returns: (B, out, H', W').
        """
        return super().forward(x.to(self.weight.dtype))


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that casts its input to the dtype of its weights."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """
        Apply the layer.

        :param x: (B, in, H, W).
        :returns: (B, out, H', W').
        """
        return super().forward(x.to(self.weight.dtype), output_size)


class LayerNorm(nn.LayerNorm):
    """A float32 layer norm."""

    def __init__(self, width: int) -> None:
        """Construct an affine norm over the last dimension."""
        super().__init__(width, eps=NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """
        Normalise in float32.

        :param x: (..., width).
        :returns: (..., width) float32.
        """
        return super().forward(x.float())


class Mlp(nn.Module):
    """Two linear layers with the exact GELU between them."""

    def __init__(self, width: int, hidden: int, out: int | None = None) -> None:
        """Construct it for `width` input, `hidden` and `out` (default: `width`) channels."""
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width if out is None else out)

    def forward(self, x: Tensor) -> Tensor:
        """
        Apply both layers.

        :param x: (..., width).
        :returns: (..., out).
        """
        y: Tensor = self.fc2(nn.functional.gelu(self.fc1(x)))
        return y


def normal(*shape: int, deviation: float = 1.0) -> Tensor:
    """
    Return normally distributed initial values; on the meta device an empty tensor.

    On the meta device torch.randn would import the compiler of torch, which takes seconds.
    """
    empty = torch.empty(shape)
    return empty if empty.is_meta else deviation * torch.randn(shape)
