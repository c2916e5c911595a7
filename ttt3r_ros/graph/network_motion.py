# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The network's own motion from key frame to key frame, and what it is worth."""

from __future__ import annotations

from collections import deque

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, rotation_angle
from ttt3r_ros.graph.solver.pose_graph import Motion

TURN_SIGMA, SHIFT_SIGMA, SHARE = np.radians(1.9), 0.05, 0.1
KERNEL = 1.0

# Where these sigmas were measured, robots in simulated buildings, half of the motions differ from
# those of the features by less than so many sigmas of turn and of shift. They are that wide
# because errors of key frames that follow each other go together.
USUAL_OFF = np.array([0.5, 0.9])
REMEMBERED, FEWEST = 30, 4  # key frames


class NetworkMotion:
    """
    Measures key frames by the motion of the network: weak, but it helps where pixels fail.

    It is in metres for itself: what is wrong with the scale of a depth is not with the motion.
    How far it usually is from the motion of the features widens its sigmas: on images unlike those
    that the network has learned from it may be several times worse, and always to one side.
    """

    def __init__(self) -> None:
        """Begin with what is usual."""
        self._off: deque[Array] = deque(maxlen=REMEMBERED)

    def compare(self, by_network: Array, by_features: Array) -> None:
        """
        Remember how far the network is off.

        :param by_network: (4, 4) from a key frame to the next, metres.
        :param by_features: (4, 4) the same by features.
        """
        error = invert(by_features) @ by_network
        off = np.array([rotation_angle(error[:3, :3]), np.linalg.norm(error[:3, 3])])
        self._off.append(off / _sigmas(by_network))

    def between(self, here: int, there: int, by_network: Array) -> Motion:
        """
        Return what the network measured between two key frames.

        :param here: number of the first.
        :param there: number of the second.
        :param by_network: (4, 4) from the first to the second, metres.
        """
        turn, shift = self._width() * _sigmas(by_network)
        covariance = np.diag([turn**2] * 3 + [shift**2] * 3)
        return Motion(here, there, by_network, covariance, scaled=0.0, kernel=KERNEL)

    def _width(self) -> Array:
        """Return by what the sigmas are multiplied, (2,) of turn and shift, at least 1."""
        if len(self._off) < FEWEST:
            return np.ones(2)
        width: Array = np.maximum(np.median(self._off, axis=0) / USUAL_OFF, 1.0)
        return width


def _sigmas(motion: Array) -> Array:
    """Return the usual sigmas of turn [rad] and shift [m], (2,)."""
    size = np.array([rotation_angle(motion[:3, :3]), np.linalg.norm(motion[:3, 3])])
    sigmas: Array = np.array([TURN_SIGMA, SHIFT_SIGMA]) + SHARE * size
    return sigmas
