# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Rotary position embedding of tokens on a grid (RoPE-2D, arXiv 2104.09864)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

POSE_TOKEN_POSITION = -1


class Rotary(NamedTuple):
    """
    The rotation of the features of each token: (N, head width) float32 each.

    cos: factor of the feature itself. sin: signed factor of its partner.
    """

    cos: Tensor
    sin: Tensor


def grid_positions(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """
    Return the positions of a grid of tokens, row by row.

    :returns: (height * width, 2) int64, row and column.
    """
    rows = torch.arange(height, device=device)
    columns = torch.arange(width, device=device)
    return torch.cartesian_prod(rows, columns).view(-1, 2)


def rotary(positions: Tensor, head_width: int, base: float) -> Rotary:
    """
    Return the rotation of every token.

    In closed form, as positions may be negative: the pose token is at (-1, -1).

    :param positions: (N, 2) row and column.
    :param head_width: features per head, a multiple of 4: the first half rotates with the row,
        the second with the column, and within each half feature i pairs with i + quarter.
    :param base: wavelength base.
    """
    quarter = head_width // 4
    index = torch.arange(quarter, device=positions.device, dtype=torch.float32)
    frequency = base ** (-index / quarter)
    angles = positions[:, :, None].float() * frequency  # (N, 2, quarter)
    cos, sin = angles.cos(), angles.sin()
    return Rotary(
        torch.cat([cos, cos], dim=-1).flatten(1), torch.cat([-sin, sin], dim=-1).flatten(1)
    )


def rotate(features: Tensor, turn: Rotary) -> Tensor:
    """
    Rotate the features of each token by its position, in float32.

    :param features: (..., N, head width).
    :returns: the same shape, float32.
    """
    u_row, v_row, u_column, v_column = features.chunk(4, dim=-1)
    partner = torch.cat([v_row, u_row, v_column, u_column], dim=-1)
    # Float32 by promotion, within the two kernels instead of before them.
    return torch.addcmul(features * turn.cos, partner, turn.sin)
