# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a place looks like, as one vector by which similar places are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ttt3r_ros.arrays import Array32, Pixels

WORDS = 64


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
