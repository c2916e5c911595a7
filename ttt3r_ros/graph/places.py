# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a place looks like: local features, and one vector by which similar places are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array32, Pixels

MOST_FEATURES = 300
CONTRAST = 0.02  # of a corner of SIFT; lower than usual, because walls are plain
WORDS = 64
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


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """
    The words to which descriptors are assigned.

    words: (WORDS, 128) float32.
    """

    words: Array32

    @classmethod
    def learned(cls, descriptors: Sequence[Pixels]) -> Vocabulary:
        """
        Cluster the descriptors of some key frames, the same ones always into the same words.

        :param descriptors: (N, 128) of each key frame, at least WORDS together.
        """
        data = np.concatenate(descriptors).astype(np.float32)
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 1.0)
        cv2.setRNGSeed(0)
        labels = np.empty((len(data), 1), np.int32)
        _, _, words = cv2.kmeans(data, WORDS, labels, stop, 1, cv2.KMEANS_PP_CENTERS)
        return cls(np.asarray(words, dtype=np.float32))

    def describe(self, descriptors: Pixels) -> Array32:
        """
        Describe a place by how its descriptors differ from their words (VLAD).

        :param descriptors: (N, 128).
        :returns: (len(words) * 128,) of unit length, zero where there is nothing.
        """
        data = descriptors.astype(np.float32)
        sums = np.zeros_like(self.words)
        if len(data):
            distance = (self.words**2).sum(axis=1) - 2.0 * (data @ self.words.T)
            word = distance.argmin(axis=1)
            np.add.at(sums, word, data - self.words[word])
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        flat = (sums / np.maximum(length, 1e-6)).ravel()
        norm = float(np.linalg.norm(flat))
        vector: Array32 = flat / max(norm, 1e-6)
        return vector
