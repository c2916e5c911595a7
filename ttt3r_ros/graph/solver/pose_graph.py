# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Where all key frames are: poses and scales of their depth that agree best with what was measured.

The unknowns of a key frame are its pose and the logarithm of the scale of its depth. Errors count
by their covariance and a Cauchy kernel; the normal equations are sparse and solved by SuperLU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, invert
from ttt3r_ros.graph.solver.factors import Estimate, Motion, ScaleFix, ScaleStep, SIZE
from ttt3r_ros.graph.solver.linear_system import Factor
from ttt3r_ros.graph.solver.normal_equations import (
    DAMPING,
    GAUGE_SIGMA,
    Motions,
    SCALE_SIGMA,
    System,
)
from ttt3r_ros.graph.solver.search import search_of
from ttt3r_ros.graph.solver.sums import Indices

__all__ = [
    'DAMPING',
    'GAUGE_SIGMA',
    'SCALE_SIGMA',
    'Covariances',
    'Estimate',
    'Motion',
    'PoseGraph',
    'ScaleFix',
    'ScaleStep',
    'Solution',
]

# Squares of errors that lower, at first, how much a motion counts. Of one that fits 6 is expected,
# but with 6 loops give way and are thrown out as wrong.
NEARLY_FITS = 1.0
ENOUGH = 1e-4  # metres and radians; smaller steps end the search
# What the depths of all key frames err alike in logarithm: the rms over drives of the mean error,
# which no number of key frames makes smaller.
SHARED_SCALE_SIGMA = 0.09


@dataclass(frozen=True, eq=False)
class PoseGraph:
    """
    Key frames and what was measured between them; a value.

    numbers: of the key frames, rising. estimate: in their order. held: numbers of those that stay
    as they are; the first one's pose always does.
    """

    numbers: tuple[int, ...]
    estimate: Estimate
    motions: tuple[Motion, ...]
    scale_steps: tuple[ScaleStep, ...]
    scale_fixes: tuple[ScaleFix, ...] = ()
    held: tuple[int, ...] = ()

    def around(self, recent: int) -> PoseGraph:
        """
        Return the part that a new key frame changes when it closes no loop.

        Key frames from which something leads to a recent one belong to it, but stay.

        :param recent: how many of the newest key frames may move.
        """
        moving = set(self.numbers[-recent:])
        if len(moving) == len(self.numbers):
            return self
        motions = tuple(m for m in self.motions if m.here in moving or m.there in moving)
        numbers = sorted(moving.union(*({m.here, m.there} for m in motions)))
        known = set(numbers)
        index = [i for i, number in enumerate(self.numbers) if number in known]
        at = self.estimate
        return PoseGraph(
            tuple(numbers),
            Estimate(at.poses[index], at.log_scales[index]),
            motions,
            tuple(s for s in self.scale_steps if s.here in known and s.there in known),
            tuple(f for f in self.scale_fixes if f.here in known),
            tuple(sorted(known - moving)),
        )

    def optimised(self, rounds: int, far: int = 0) -> PoseGraph:
        """Return the graph with the estimate that fits best; see `solved`."""
        return self.solved(rounds, far).graph

    def solved(self, rounds: int, far: int = 0) -> Solution:
        """
        Find the estimate that fits best.

        :param rounds: steps, at most.
        :param far: first rounds in which what is far off, because nothing has moved yet, counts
            as what nearly fits does.
        """
        estimate, search, largest = self.estimate, search_of(_system(self)), np.inf
        for most in [*[NEARLY_FITS] * far, *[np.inf] * rounds][:rounds]:
            step = search.step(estimate, most)
            if not np.isfinite(step).all():
                break
            estimate = estimate.moved(step)
            largest = float(np.abs(step).max()) if most == np.inf else np.inf
            if largest < ENOUGH:
                break
        assert search.factor is not None
        return Solution(replace(self, estimate=estimate), largest, Covariances(search.factor))

    def errors(self) -> Array:
        """Return how many sigmas each motion is off, (M,)."""
        index = {number: i for i, number in enumerate(self.numbers)}
        motions = Motions.of(self.motions, index)
        sigmas: Array = np.linalg.norm(motions.errors(self.estimate), axis=1)
        return sigmas


@dataclass(frozen=True, eq=False)
class Covariances:
    """How sure the key frames of a graph are; it is factorised once."""

    _factor: Factor

    @classmethod
    def of(cls, graph: PoseGraph) -> Covariances:
        """Factorise a graph at its estimate."""
        system, at = _system(graph), graph.estimate
        return cls(system.factorised(system.blocks(system.linearised(at), np.inf), at))

    def between(self, here: int, there: int, here_T_there: Array) -> Array:
        """
        Compute how sure one key frame is as seen from another one.

        :param here: index of one, there: of the other.
        :param here_T_there: (4, 4).
        :returns: (6, 6) of rotation and translation to the right of there's pose.
        """
        derivative = np.concatenate([-adjoint(invert(here_T_there)), np.eye(6)], axis=1)
        return self._factor.covariance(np.concatenate([_pose(here), _pose(there)]), derivative)

    def of_one(self, here: int) -> Array:
        """
        Compute how sure one key frame is, without what all depths err alike.

        :param here: its index.
        :returns: (6, 6) of rotation and translation to the right of its pose.
        """
        return self._factor.covariance(_pose(here), np.eye(6))

    def shared(self, here: int) -> Array:
        """
        Compute how far one sigma of what all depths err alike moves a key frame.

        :param here: its index.
        :returns: (7,) of rotation and translation to the right of its pose, and of log scale.
        """
        moved: Array = SHARED_SCALE_SIGMA * self._by_shared_scale[here]
        return moved

    @cached_property
    def _by_shared_scale(self) -> Array:
        """Return how all unknowns, (N, 7), move with the mean of what the depths are taken for."""
        sides = np.zeros(self._factor.shape)
        sides[:, 6] = SCALE_SIGMA**-2
        return self._factor.solve(sides)


def _pose(here: int) -> Indices:
    """Return the indices of the unknowns of the pose of a key frame."""
    return here * SIZE + np.arange(6)


@dataclass(frozen=True, eq=False)
class Solution:
    """
    A graph at its optimum.

    step: largest of the last one, metres or radians; inf where what is far off counted in full.
    covariances: by the last factors, so at an estimate one or a few steps before.
    """

    graph: PoseGraph
    step: float
    covariances: Covariances


def _system(graph: PoseGraph) -> System:
    return System.of(
        graph.numbers, graph.motions, graph.scale_steps, graph.scale_fixes, graph.held
    )
