# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Fitted images as input of the network."""

from torch import Tensor


def normalised(pixels: Tensor) -> Tensor:
    """
    Return resized images as input of the network.

    :param pixels: (..., h, w, 3) uint8, or the same values as float32.
    :returns: (..., 3, h, w) float32 in [-1, 1].
    """
    return (pixels.movedim(-1, -3).float() / 255 - 0.5) / 0.5
