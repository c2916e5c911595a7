# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Steps of Gauss and Newton to the optimum of a graph, with as few factorisations as serve."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.graph.solver.factors import Estimate
from ttt3r_ros.graph.solver.linear_system import Factor
from ttt3r_ros.graph.solver.normal_equations import System

# Steps so small, and so much smaller than the one before, change derivatives and weights little.
SMALL, SHRINKS = 0.03, 0.6


class Search(Protocol):
    """Takes steps; factor: that of the last one, or None before."""

    factor: Factor | None

    def step(self, at: Estimate, most: float) -> Array:
        """
        Compute a step.

        :param at: where it begins.
        :param most: largest square of an error of a motion that lowers how much it counts.
        :returns: (N, 7).
        """


def search_of(system: System) -> Search:
    """Return how to find the optimum."""
    return ExactSearch(system) if system.exact else GatheredSearch(system)


class ExactSearch:
    """The factors of one step serve for those that follow as soon as they become smaller."""

    def __init__(self, system: System) -> None:
        """Begin."""
        self.factor: Factor | None = None
        self._system = system
        self._made_at = 0.0
        self._largest, self._before = 0.0, 0.0

    def step(self, at: Estimate, most: float) -> Array:
        """Compute a step; see Search."""
        system = self._system
        linear = system.linearised(at)
        shrinks = self._largest < SMALL and self._largest < SHRINKS * self._before
        if self.factor is None or most != self._made_at or not shrinks:
            self.factor = system.factorised(system.blocks(linear, most), at)
            self._made_at = most
        step = -self.factor.solve(system.gradient(linear, at, most))
        self._before, self._largest = self._largest, float(np.abs(step).max())
        return step


class GatheredSearch:
    """The factors of a graph whose loops are gathered serve for all steps."""

    def __init__(self, system: System) -> None:
        """Begin."""
        self.factor: Factor | None = None
        self._system = system

    def step(self, at: Estimate, most: float) -> Array:
        """Compute a step; see Search."""
        system = self._system
        linear = system.linearised(at)
        blocks = system.blocks(linear, most)
        if self.factor is None:
            self.factor = system.factorised(blocks, at)
        return -system.solved(self.factor, blocks, at, system.gradient(linear, at, most))
