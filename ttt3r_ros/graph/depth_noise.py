# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How well the depths of key frames agree, from which follows what they are worth."""

from __future__ import annotations

from collections import deque

import numpy as np

from ttt3r_ros.arrays import Array

# All sigmas of depth are those of a network of which the depths differ by 0.05 to 0.08 from key
# frame to key frame, in their logarithm, scales aside. With spreads below this they shrink.
FINE_SPREAD = 0.04
LEAST_SHARE = 0.1  # agreement does not show what all of them err alike
REMEMBERED, FEWEST = 30, 4  # key frames
TO_SIGMA = 1.4826  # from the median of absolute deviations, for normal errors


class DepthNoise:
    """
    The noise of the depth of one camera, learned from the features that key frames share.

    A depth camera, or a better network, agrees with itself far better than the network by which
    the sigmas were measured; what is measured from its depth counts for more then.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._spreads: deque[float] = deque(maxlen=REMEMBERED)

    def add(self, log_ratios: Array) -> None:
        """
        Remember how two key frames agree.

        :param log_ratios: (N,) of the depths that both give the same features, at least one.
        """
        middle = np.median(log_ratios)
        self._spreads.append(TO_SIGMA * float(np.median(np.abs(log_ratios - middle))))

    @property
    def share(self) -> float:
        """Return by what the sigmas of depth are multiplied, 1 at most."""
        if len(self._spreads) < FEWEST:
            return 1.0
        return float(np.clip(np.median(self._spreads) / FINE_SPREAD, LEAST_SHARE, 1.0))
