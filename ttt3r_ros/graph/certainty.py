# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How sure the newest key frame is: in full now and then, else carried on from the one before."""

from __future__ import annotations

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, invert
from ttt3r_ros.graph.chain import WINDOW
from ttt3r_ros.graph.loops import Loops, relative
from ttt3r_ros.graph.pose_graph import Covariances, PoseGraph

FULL_EVERY = 5  # key frames; it takes as long as a step of the optimisation of the whole graph


class Certainty:
    """
    The covariance of the newest key frame since the first one of its piece.

    covariance: (6, 6) of rotation and translation to the right of the pose.
    """

    def __init__(self) -> None:
        """Begin with a key frame that is where it is."""
        self.covariance: Array = np.zeros((6, 6))
        self._number: int | None = None
        self._age = 0

    def update(self, chain: PoseGraph, loops: Loops, joined: bool) -> None:
        """
        Follow the newest key frame.

        What its loops add to a covariance that is carried on is left out until the next full one.

        :param chain: its piece, without loops.
        :param loops: of all pieces.
        :param joined: whether the piece has just become another one.
        """
        last = len(chain.numbers) - 1
        carries = last > 0 and self._number == chain.numbers[last - 1] and not joined
        if carries and self._age + 1 < FULL_EVERY:
            self._age += 1
            self.covariance = _carried(self.covariance, chain)
        else:
            self._age = 0
            self.covariance = np.zeros((6, 6))
            if last > 0:
                self.covariance = Covariances.of(loops.added_to(chain)).joint(last, last)[:6, :6]
        self._number = chain.numbers[last]


def _carried(covariance: Array, chain: PoseGraph) -> Array:
    """Add the motion of the newest key frame to the covariance of the one before."""
    recent = chain.around(WINDOW)
    last = len(recent.numbers) - 1
    before, newest = recent.estimate.poses[-2:]
    motion = invert(before) @ newest
    added = relative(Covariances.of(recent).joint(last - 1, last), motion)
    turned = adjoint(invert(motion))
    total: Array = turned @ covariance @ turned.T + added
    return total
