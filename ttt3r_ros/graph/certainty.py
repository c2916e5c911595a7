# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How sure key frames are: of the whole graph now and then, else carried on from there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, invert
from ttt3r_ros.graph.chain import WINDOW
from ttt3r_ros.graph.solver.pose_graph import Covariances, PoseGraph, SHARED_SCALE_SIGMA

FULL_EVERY = 5  # key frames; it takes as long as a step of the optimisation of the whole graph
# Of the first key frame, which is where it is; but its depth errs as those of all do.
FIRST_SHARED: Array = np.append(np.zeros(6), SHARED_SCALE_SIGMA)


@dataclass(frozen=True, eq=False)
class _Known:
    """Covariances of a whole submap, and where its key frames were in it, by number."""

    index: dict[int, int]
    newest: int
    covariances: Covariances

    @classmethod
    def of(cls, numbers: tuple[int, ...], covariances: Covariances) -> _Known:
        index = {number: i for i, number in enumerate(numbers)}
        return cls(index, numbers[-1], covariances)

    def between(self, graph: PoseGraph, here: int, there: int) -> Array:
        motion = _motion(graph, here, there)
        return self.covariances.between(self.index[here], self.index[there], motion)


class Certainty:
    """The covariance of the newest key frame since the first one of its submap, and of others."""

    def __init__(self) -> None:
        """Begin with a key frame that is where it is."""
        self._alone: Array = np.zeros((6, 6))
        self._shared = FIRST_SHARED
        self._age = 0
        self._number: int | None = None
        self._known: _Known | None = None
        self._solved: _Known | None = None  # since the last update

    @property
    def covariance(self) -> Array:
        """Return that of the newest one, (6, 6), rotation and translation to the right of it."""
        shared = self._shared[:6]
        return self._alone + np.outer(shared, shared)

    def learn(self, numbers: tuple[int, ...], covariances: Covariances) -> None:
        """
        Take over what the optimisation of a whole submap has found.

        :param numbers: of its key frames.
        """
        self._known = self._solved = _Known.of(numbers, covariances)

    def update(self, graph: PoseGraph, joined: bool) -> None:
        """
        Follow the newest key frame.

        What its loops add to a covariance that is carried on is left out until the next full one.

        :param graph: its submap, with loops.
        :param joined: whether the submap has just become another one.
        """
        newest, solved = graph.numbers[-1], self._solved
        count, self._solved = len(graph.numbers), None
        carries = count > 1 and self._number == graph.numbers[-2] and not joined
        self._age += 1
        if solved is not None and solved.newest == newest and graph.numbers[0] in solved.index:
            self._begin(solved)
        elif carries and self._age < FULL_EVERY:
            self._alone = _carried(self._alone, graph, graph.numbers[-2])
            self._shared = _stretched(self._shared, _motion(graph, *graph.numbers[-2:]))
        elif count > 1:
            self._begin(_Known.of(graph.numbers, Covariances.of(graph)))
        else:
            self._alone, self._shared, self._age = np.zeros((6, 6)), FIRST_SHARED, 0
        self._number = newest

    def _begin(self, known: _Known) -> None:
        self._known, self._age = known, 0
        newest = known.index[known.newest]
        self._alone = known.covariances.of_one(newest)
        self._shared = known.covariances.shared(newest)

    def between(self, graph: PoseGraph, here: int, there: int) -> Array:
        """
        Compute how sure one key frame is as seen from another one.

        What was known of the submap a few key frames ago serves for it: loops since then count as
        little as if they were not there.

        :param graph: their submap, with loops.
        :param here: number of one, there: of the other, which is newer.
        :returns: (6, 6) of rotation and translation to the right of the pose.
        """
        known, recent = self._known, graph.numbers[-WINDOW:]
        if known is not None and here in known.index:
            if there in known.index:
                return known.between(graph, here, there)
            if there == graph.numbers[-1] and known.newest in recent:
                return _carried(known.between(graph, here, known.newest), graph, known.newest)
        self._known = _Known.of(graph.numbers, Covariances.of(graph))
        return self._known.between(graph, here, there)


def _motion(graph: PoseGraph, here: int, there: int) -> Array:
    poses = graph.estimate.poses
    i, j = graph.numbers.index(here), graph.numbers.index(there)
    motion: Array = invert(poses[i]) @ poses[j]
    return motion


def _carried(covariance: Array, graph: PoseGraph, before: int) -> Array:
    """Add the motion from a recent key frame to the newest one to the covariance of the former."""
    part = graph.around(WINDOW)
    last = len(part.numbers) - 1
    motion = _motion(part, before, part.numbers[-1])
    added = Covariances.of(part).between(part.numbers.index(before), last, motion)
    turned = adjoint(invert(motion))
    total: Array = turned @ covariance @ turned.T + added
    return total


def _stretched(shared: Array, motion: Array) -> Array:
    """Carry what all depths err alike over a motion, which is as much too long as they are."""
    scale = shared[6]
    shift = motion[:3, :3].T @ motion[:3, 3]
    pose = adjoint(invert(motion)) @ shared[:6]
    pose[3:] += scale * shift
    return np.append(pose, scale)
