# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Colours of points, and pictures of depth."""

from __future__ import annotations

import cv2
import numpy as np

from ttt3r_ros.arrays import Array32, Mask, Pixels
from ttt3r_ros.viewer.scene import Cloud, OUTLIERS

IMAGE, HEIGHT, CONFIDENCE, AGE = 'image', 'height', 'confidence', 'age'

UNKNOWN = (110, 110, 110)  # colour of a point whose value is not known


def colorings(cloud: Cloud) -> tuple[str, ...]:
    """Return the names of the colourings that a cloud allows."""
    return (IMAGE, HEIGHT, CONFIDENCE, *([] if cloud.seen_s is None else [AGE]))


def colored(cloud: Cloud, by: str) -> Pixels:
    """
    Return the colour of each point.

    :param by: one of `colorings`.
    :returns: (V, 3) uint8.
    """
    if by == HEIGHT:
        return on_scale(cloud.points[:, 2], cv2.COLORMAP_TURBO)
    if by == CONFIDENCE:
        return on_scale(np.log(np.maximum(cloud.confidence, 1e-3)), cv2.COLORMAP_VIRIDIS)
    if by == AGE and cloud.seen_s is not None:
        return on_scale(cloud.seen_s, cv2.COLORMAP_PLASMA)
    return cloud.colors


def on_scale(values: Array32, scale: int) -> Pixels:
    """
    Return colours of numbers, from the least to the largest of them but for outliers.

    :param values: (N,), those that are not finite get a grey.
    :param scale: a colour map of OpenCV.
    :returns: (N, 3) uint8.
    """
    known = np.isfinite(values)
    picture = np.empty((len(values), 3), np.uint8)
    picture[:] = UNKNOWN
    if known.any():
        low, high = np.percentile(values[known], [OUTLIERS, 100 - OUTLIERS])
        part = (values[known] - low) / max(float(high - low), 1e-6)
        grey = (255 * np.clip(part, 0, 1)).astype(np.uint8)
        picture[known] = cv2.applyColorMap(grey[:, None], scale)[:, 0, ::-1]
    return picture


def depth_picture(depth: Array32) -> Pixels:
    """
    Return depth as colours, near is warm.

    :param depth: (h, w) metres, not positive where unknown.
    :returns: (h, w, 3) uint8.
    """
    values = np.where(depth > 0, -depth, np.nan).astype(np.float32)
    return on_scale(values.ravel(), cv2.COLORMAP_TURBO).reshape(*depth.shape, 3)


def visible(cloud: Cloud, ceiling: float, least_certain: float, until_s: float) -> Mask:
    """
    Return which points are shown.

    :param ceiling: points above are hidden, metres, map frame.
    :param least_certain: so many percent of the points are hidden, those of least confidence.
    :param until_s: points that were seen first after so many seconds are hidden.
    :returns: (V,) bool.
    """
    shown: Mask = cloud.points[:, 2] <= ceiling
    if least_certain > 0 and len(cloud):
        shown &= cloud.confidence > np.percentile(cloud.confidence, least_certain)
    if cloud.seen_s is not None and np.isfinite(until_s):
        shown &= ~(cloud.seen_s > until_s)
    return shown
