# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Local features that are found again from elsewhere, and after a long time: RootSIFT."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Pixels

MOST_FEATURES = 300
CONTRAST = 0.02  # of a corner of SIFT; lower than usual, because walls are plain
LEVELS = 512.0  # of a component of RootSIFT, which rarely exceeds a half
RATIO = 0.85  # a match is refused when its second best is nearly as good


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """
    What can be matched.

    px: (N, 2) float32 columns and rows. descriptors: (N, 128) uint8, RootSIFT.
    """

    px: NDArray[np.float32]
    descriptors: Pixels


def detect(gray: NDArray[np.uint8]) -> LocalFeatures:
    """
    Find and describe the features of an image.

    :param gray: (h, w) uint8.
    """
    sift = cv2.SIFT.create(nfeatures=MOST_FEATURES, contrastThreshold=CONTRAST)
    points, found = sift.detectAndCompute(gray, None)
    if not points:
        return LocalFeatures(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8))
    root = np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-6))
    px = np.array([point.pt for point in points], dtype=np.float32)
    return LocalFeatures(px, np.clip(np.rint(root * LEVELS), 0, 255).astype(np.uint8))


def match(here: Pixels, there: Pixels) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """
    Pair descriptors that choose each other and are clearly better than the second best.

    :param here: (N, 128) uint8.
    :param there: (M, 128) uint8.
    :returns: indices into both, (K,) each.
    """
    if len(here) < 2 or len(there) < 2:
        none = np.empty(0, np.intp)
        return none, none
    a, b = here.astype(np.float32), there.astype(np.float32)
    square = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * (a @ b.T)
    forth, back = square.argmin(axis=1), square.argmin(axis=0)
    first = np.arange(len(a))
    two = np.partition(square, 1, axis=1)[:, :2]
    good = (back[forth] == first) & (two[:, 0] < RATIO**2 * two[:, 1])
    return first[good], forth[good]
