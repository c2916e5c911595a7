# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Resize images as for the published models: the filters of Pillow, on the host or on a device.

Pillow computes each output pixel as a weighted sum along the row, rounds it to 8 bit, and does the
same along the column. On a device these are two products with matrices of the weights. Which one
is first depends on the version of Pillow and on the shape (columns, for tall images in 13); it is
determined by resizing an image of noise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
import math
from typing import NamedTuple

import numpy as np
from PIL import Image
import torch
from torch import Tensor
from torch.nn import functional as F

from ttt3r_ros.arrays import Array, Pixels

LANCZOS_LOBES = 3.0
BICUBIC_SHARPNESS = -0.5
WEIGHT_BITS = 22  # Pillow holds its weights in fixed point

# Torch, too, has Lanczos' filter from 2.13 on. Without vector instructions Pillow is faster.
TORCH_SHRINKS_FASTER = hasattr(
    torch.ops.aten, '_upsample_lanczos2d_aa'
) and torch.backends.cpu.get_cpu_capability().startswith('AVX')


def resize_on_host(rgb: Pixels, size: tuple[int, int]) -> Pixels:
    """
    Resize as Pillow does: Lanczos to shrink, bicubic to enlarge.

    Where torch is used, as it is faster, some pixels differ by one level, few by two.

    :param rgb: (H, W, 3) uint8.
    :param size: new width and height, pixels.
    :returns: (height, width, 3).
    """
    if TORCH_SHRINKS_FASTER and _shrinks(rgb, size) and _torch_agrees(rgb.shape[:2], size):
        return _shrink_with_torch(rgb, size)
    return resize_with_pillow(rgb, size)


def resize_with_pillow(rgb: Pixels, size: tuple[int, int]) -> Pixels:
    """
    Resize with Pillow itself.

    :param rgb: (H, W, 3) uint8.
    :param size: new width and height, pixels.
    :returns: (height, width, 3).
    """
    smooth = Image.Resampling.LANCZOS if _shrinks(rgb, size) else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(rgb).resize(size, smooth))


def _shrink_with_torch(rgb: Pixels, size: tuple[int, int]) -> Pixels:
    image = torch.from_numpy(np.require(rgb, requirements=['C', 'W'])).movedim(-1, 0)
    small = F.interpolate(image[None], size=size[::-1], mode='lanczos', antialias=True)[0]
    return np.ascontiguousarray(small.movedim(0, -1).numpy())


@lru_cache(maxsize=8)
def _torch_agrees(before: tuple[int, int], size: tuple[int, int]) -> bool:
    """Return whether this Pillow begins with the rows, too; otherwise levels differ by ten."""
    noise = _noise(before)
    apart = _shrink_with_torch(noise, size).astype(int) - resize_with_pillow(noise, size)
    return int(np.abs(apart).max()) <= 2


def _noise(shape: tuple[int, int]) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


class DeviceResize:
    """The resize of Pillow on a device, much faster; some pixels differ by one level."""

    def __init__(self, device: torch.device) -> None:
        """
        Construct the resize function.

        :param device: device of the computation.
        """
        self._device = device
        # From pageable memory a copy waits twice; torch keeps pinned memory for the next one.
        self._pinned = device.type == 'cuda'
        self._weights = lru_cache(maxsize=8)(self._make_weights)

    @torch.inference_mode()
    def __call__(self, rgb: Pixels, size: tuple[int, int]) -> Pixels:
        """
        Resize.

        :param rgb: (H, W, 3) uint8.
        :param size: new width and height, pixels.
        :returns: (height, width, 3).
        """
        return self._resize(rgb, self._weights(rgb.shape[:2], size))

    def _make_weights(self, before: tuple[int, int], size: tuple[int, int]) -> _Weights:
        noise = _noise(before)
        smooth = lanczos if _shrinks(noise, size) else bicubic
        across, down = (
            torch.from_numpy(filter_weights(*sides, smooth).astype(np.float32)).to(self._device)
            for sides in ((before[1], size[0]), (before[0], size[1]))
        )
        both = [_Weights(across, down, rows_first) for rows_first in (True, False)]
        wanted = resize_with_pillow(noise, size).astype(int)
        return min(both, key=lambda p: int(np.abs(self._resize(noise, p) - wanted).sum()))

    def _resize(self, rgb: Pixels, weights: _Weights) -> Pixels:
        planes = self._upload(rgb).movedim(-1, 0).float()
        if weights.rows_first:
            image = _rounded(weights.down @ _rounded(planes @ weights.across.T))
        else:
            image = _rounded(_rounded(weights.down @ planes) @ weights.across.T)
        return self._download(image.movedim(0, -1).to(torch.uint8))

    def _upload(self, rgb: Pixels) -> Tensor:
        host = torch.empty(rgb.shape, dtype=torch.uint8, pin_memory=self._pinned)
        host.numpy()[...] = rgb  # of any strides, as of BGR images that are seen backwards
        return host.to(self._device, non_blocking=True)

    def _download(self, pixels: Tensor) -> Pixels:
        host = torch.empty(pixels.shape, dtype=torch.uint8, pin_memory=self._pinned)
        host.copy_(pixels, non_blocking=True)
        if self._pinned:
            torch.cuda.current_stream(self._device).synchronize()
        resized: Pixels = host.numpy().copy()
        return resized


class _Weights(NamedTuple):
    """Weights along rows, (width, W), and along columns, (height, H), and which is first."""

    across: Tensor
    down: Tensor
    rows_first: bool


def _shrinks(rgb: Pixels, size: tuple[int, int]) -> bool:
    return bool(max(rgb.shape[:2]) > max(size))


def _rounded(values: Tensor) -> Tensor:
    return (values + 0.5).floor().clamp(0, 255)


def lanczos(x: Array) -> Array:
    """
    Return the Lanczos filter: sinc, windowed by a wider sinc.

    :param x: any shape, distances, pixels.
    """
    return np.where(np.abs(x) < LANCZOS_LOBES, np.sinc(x) * np.sinc(x / LANCZOS_LOBES), 0.0)


def bicubic(x: Array) -> Array:
    """
    Return the cubic convolution filter (Keys 1981).

    :param x: any shape, distances, pixels.
    """
    x, a = np.abs(x), BICUBIC_SHARPNESS
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def filter_weights(before: int, after: int, smooth: Callable[[Array], Array]) -> Array:
    """
    Return the weight of each pixel of a line in each pixel of the resized line.

    :param before: pixels of the line.
    :param after: pixels of the resized line.
    :param smooth: filter over distances in pixels, widened where the line shrinks.
    :returns: (after, before), rows sum to 1 but for the rounding.
    """
    step = before / after
    widening = max(step, 1.0)
    reach = (LANCZOS_LOBES if smooth is lanczos else 2.0) * widening
    weights = np.zeros((after, before))
    for i in range(after):
        centre = (i + 0.5) * step
        first = max(math.floor(centre - reach + 0.5), 0)
        end = min(math.floor(centre + reach + 0.5), before)
        line = smooth((np.arange(first, end, dtype=np.float64) - centre + 0.5) / widening)
        weights[i, first:end] = line / line.sum()
    rounded: Array = np.round(weights * 2**WEIGHT_BITS) / 2**WEIGHT_BITS
    return rounded
