# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The scale between two depth maps of the same image, and whether to apply it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from ttt3r_ros.arrays import Array, Array32

# A scale is applied on its own account only when it is both. Significant: four standard
# deviations off, so that chance hardly ever changes the unit of a map. Substantial: beyond
# 5 %, because the depth that a network gives one image varies by some percent with what it
# remembers; applying each such wobble would let the scale of a long chain walk at random.
SIGNIFICANT_SIGMAS = 4.0
SUBSTANTIAL_LOG_SCALE = math.log(1.05)

# Networks are trained in metres and err in their unit, but not by more than this factor. Scales
# that all point one way would multiply without end over the segments of a long run.
LARGEST_SCALE = 3.0

# For normal errors: from the median absolute deviation of one observation to the standard
# deviation of the median of many, times the root of their number.
SIGMA_OF_MEDIAN = 1.4826 * math.sqrt(math.pi / 2)

# The spread that any two depth maps are assumed to have, so that a few patches that agree by
# chance (a small image has a dozen) cannot claim to know the scale well.
SMALLEST_SPREAD = 0.1


@dataclass(frozen=True)
class ScaleEstimate:
    """The logarithm of a scale and its standard deviation; infinite when nothing is known."""

    log_scale: float
    log_sigma: float

    def chosen(self, segment_scale: str) -> float:
        """
        Return the scale to apply.

        :param segment_scale: fixed, free, or sure: free where it is significant and substantial.
        """
        if segment_scale == 'fixed' or math.isinf(self.log_sigma):
            return 1.0
        significant = abs(self.log_scale) > SIGNIFICANT_SIGMAS * self.log_sigma
        substantial = abs(self.log_scale) > SUBSTANTIAL_LOG_SCALE
        if segment_scale == 'free' or (significant and substantial):
            return math.exp(self.log_scale)
        return 1.0


def estimate_scale(
    depths: Sequence[tuple[Array32, Array32]],
    confidences: Sequence[Array32],
    patch_pixels: int,
) -> ScaleEstimate:
    """
    Estimate the factor from the second depth map to the first, over several images.

    It is the weighted median of log(first / second). The errors of neighbouring pixels are
    correlated, so a patch counts as one observation, and the spread between images adds to the
    spread within them.

    :param depths: for each image two (h, w) depth maps, metres; those <= 0 are left out.
    :param confidences: for each image (h, w), 1 means none; weights are its logarithm.
    :param patch_pixels: number of pixels in a patch.
    """
    logs, weights, image_medians = [], [], []
    for (first, second), confidence in zip(depths, confidences):
        good = (first > 0) & (second > 0) & (confidence > 1)
        if good.any():
            logs.append(np.log(first[good] / second[good]).astype(np.float64))
            weights.append(np.log(confidence[good]).astype(np.float64))
            image_medians.append(weighted_median(logs[-1], weights[-1]))
    if not logs:
        return ScaleEstimate(0.0, math.inf)
    log, weight = np.concatenate(logs), np.concatenate(weights)
    log_scale = weighted_median(log, weight)
    deviation = weighted_median(np.abs(log - log_scale), weight)
    spread = max(SIGMA_OF_MEDIAN * deviation, SMALLEST_SPREAD)
    observations = max(weight.sum() ** 2 / (weight**2).sum() / patch_pixels, 1.0)
    between = float(np.std(image_medians)) / math.sqrt(len(image_medians))
    return ScaleEstimate(log_scale, math.hypot(spread / math.sqrt(observations), between))


def weighted_median(values: Array, weights: Array) -> float:
    """
    Return the smallest value that has half of the weight at or below it.

    :param values: (N,), not empty.
    :param weights: (N,) > 0.
    """
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(below, 0.5 * below[-1])]])
