# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The focal length that a map of points implies."""

from __future__ import annotations

import math

import numpy as np

from ttt3r_ros.arrays import Array32

ROUNDS = 10
SMALLEST_RESIDUAL = 1e-8  # pixels; keeps the weights of exact pixels finite

# Over so many images an estimate is steady; per pixel of the longest side it must be within these.
STEADY_IMAGES = 31
SHORTEST, LONGEST = 0.2, 10.0

# One number needs no more pixels: of a larger map every second, third, ... row and column.
MOST_PIXELS = 12_500


def estimate_focal(points_camera: Array32) -> float:
    """
    Fit one focal length to the pixels by Weiszfeld's robust mean, as the published demo does.

    Minimises the sum of |pixel - focal * (x/z, y/z)| with the principal point in the middle.

    :param points_camera: (h, w, 3) float32, camera frame; points at z = 0 count as (0, 0).
    :returns: focal length in pixels of this map, >= 0; 0 when every ray is the optical axis.
    """
    height, width = points_camera.shape[:2]
    step = math.ceil(math.sqrt(height * width / MOST_PIXELS))
    some = slice(step // 2, None, step)
    u = np.arange(width, dtype=np.float32)[some] - width // 2  # (w,)
    v = (np.arange(height, dtype=np.float32)[some] - height // 2)[:, None]  # (h, 1)
    points = points_camera[some, some]
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        slopes = points[..., :2] / points[..., 2:]
    x, y = np.moveaxis(np.nan_to_num(slopes, nan=0.0, posinf=0.0, neginf=0.0), -1, 0).copy()
    along, square = x * u + y * v, x * x + y * y  # (h, w) each
    if not square.any():
        return 0.0
    focal = along.mean() / square.mean()
    for _ in range(ROUNDS):
        residual = np.sqrt((u - focal * x) ** 2 + (v - focal * y) ** 2)
        weight = 1.0 / np.maximum(residual, SMALLEST_RESIDUAL)
        focal = (weight * along).mean() / (weight * square).mean()
    return max(float(focal), 0.0)


def steady_focal(
    before: tuple[float, ...], points_camera: Array32, side: int
) -> tuple[tuple[float, ...], float]:
    """
    Return the median of the estimates of the last images, all per pixel of the longest side.

    :param before: estimates of the images before, oldest first.
    :param points_camera: (h, w, 3) float32 of the newest image, see `estimate_focal`.
    :param side: the longest one of that image before it was cropped, pixels.
    :returns: the estimates to go on with, and their median.
    """
    newest = estimate_focal(points_camera) / side
    kept = (*before, min(max(newest, SHORTEST), LONGEST))[-STEADY_IMAGES:]
    return kept, float(np.median(kept))
