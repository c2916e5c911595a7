# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Where all key frames are: poses and scales of their depth that agree best with what was measured.

The unknowns of a key frame are its pose and the logarithm of the scale of its depth. Errors count
by their covariance and a Cauchy kernel; the normal equations are sparse and solved by SuperLU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import transform
from ttt3r_ros.graph.linear_system import Factor, Indices, Structure, Summed
from ttt3r_ros.tracking.relative_pose import cross_matrices

SIZE = 7  # unknowns of a key frame: rotation, translation, log scale
SCALE_SIGMA = 0.3  # of the depth of a key frame, a property of the network
GAUGE_SIGMA = 1e-4  # the first key frame stays where it is
ENOUGH = 1e-4  # metres and radians; smaller steps end the search
# Steps so small, and so much smaller than the one before, change derivatives and weights little.
SMALL, SHRINKS = 0.03, 0.6
ROW = 57  # numbers of a motion
DAMPING = 1e-6


@dataclass(frozen=True, eq=False)
class Motion:
    """
    A measured pose of one key frame as seen from another.

    here, there: their numbers. here_T_there: (4, 4). covariance: (6, 6) of rotation and
    translation, to its right. scaled: whether its translation is in the unit of here's depth
    (1) or metres (0). kernel: width of the Cauchy kernel, sigmas; inf trusts it as it is. arm:
    (3,) metres, added to the translation whatever its unit, along the axes of here.
    """

    here: int
    there: int
    here_T_there: Array
    covariance: Array
    scaled: float = 1.0
    kernel: float = 3.0
    arm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @cached_property
    def row(self) -> Array:
        """Return all but the numbers, (57,); the covariance as its inverse Cholesky factor."""
        whitening = np.linalg.inv(np.linalg.cholesky(self.covariance))
        return np.concatenate(
            [self.here_T_there.ravel(), whitening.ravel(), [self.scaled, self.kernel, *self.arm]]
        )

    def renumbered(self, by: int) -> Motion:
        """
        Return the same between key frames with other numbers.

        :param by: what is added to them.
        """
        return replace(self, here=self.here + by, there=self.there + by)


@dataclass(frozen=True)
class ScaleStep:
    """A measured log scale of there's depth minus that of here's, with its sigma and kernel."""

    here: int
    there: int
    log_ratio: float
    sigma: float
    kernel: float = 2.0

    def renumbered(self, by: int) -> ScaleStep:
        """
        Return the same between key frames with other numbers.

        :param by: what is added to them.
        """
        return replace(self, here=self.here + by, there=self.there + by)


@dataclass(frozen=True)
class ScaleFix:
    """A measured log scale of a key frame's depth, with its sigma and kernel."""

    here: int
    log_scale: float
    sigma: float
    kernel: float = 2.0


@dataclass(frozen=True, eq=False)
class Estimate:
    """
    Estimated poses and scales.

    poses: (K, 4, 4) map_T_camera. log_scales: (K,).
    """

    poses: Array
    log_scales: Array

    def moved(self, step: Array) -> Estimate:
        """
        Return the estimate after a step.

        :param step: (K, 7), rotation and translation to the right of the poses, log scale.
        """
        turn = self.poses[:, :3, :3]
        rotation = turn @ Rotation.from_rotvec(step[:, :3]).as_matrix()
        position = self.poses[:, :3, 3] + np.einsum('nij,nj->ni', turn, step[:, 3:6])
        return Estimate(transform(rotation, position), self.log_scales + step[:, 6])


@dataclass(frozen=True, eq=False)
class _Linear:
    """Whitened errors of motions (M, 6), and their derivatives (M, 6, 14) by here and there."""

    error: Array
    derivative: Array


@dataclass(frozen=True, eq=False)
class _Motions:
    """Motions as arrays, in the order of the graph's key frames."""

    here: Indices
    there: Indices
    pose: Array
    whitening: Array  # (M, 6, 6) of which the square is the information
    scaled: Array
    kernel: Array
    arm: Array

    @classmethod
    def of(cls, motions: Sequence[Motion], index: dict[int, int]) -> _Motions:
        """Collect."""
        count = len(motions)
        rows = np.concatenate([m.row for m in motions] or [np.empty(0)]).reshape(count, ROW)
        return cls(
            np.fromiter((index[m.here] for m in motions), np.intp, count),
            np.fromiter((index[m.there] for m in motions), np.intp, count),
            rows[:, :16].reshape(-1, 4, 4),
            rows[:, 16:52].reshape(-1, 6, 6),
            rows[:, 52],
            rows[:, 53],
            rows[:, 54:57],
        )

    def weights(self, error: Array, width: float) -> Array:
        """Return how much each counts, (M,), with kernels so much wider."""
        square = np.einsum('ni,ni->n', error, error)
        weights: Array = 1.0 / (1.0 + square / (width * self.kernel) ** 2)
        return weights

    def _relative(self, at: Estimate) -> tuple[Array, Array, Array, Array]:
        """Return rotation and way from here to there, the errors, and the stretched ways."""
        turn, place = at.poses[:, :3, :3], at.poses[:, :3, 3]
        to_here = np.swapaxes(turn, 1, 2)[self.here]
        here_R_there = to_here @ turn[self.there]
        shift = (to_here @ (place[self.there] - place[self.here])[:, :, None])[:, :, 0]
        stretch = np.exp(self.scaled * at.log_scales[self.here])[:, None]
        along = stretch * self.pose[:, :3, 3]
        measured_R_here = np.swapaxes(self.pose[:, :3, :3], 1, 2)
        error = np.empty((len(self.here), 6))
        error[:, :3] = Rotation.from_matrix(measured_R_here @ here_R_there).as_rotvec()
        error[:, 3:] = (measured_R_here @ (shift - along - self.arm)[:, :, None])[:, :, 0]
        return here_R_there, shift, error, along

    def errors(self, at: Estimate) -> Array:
        """Return whitened errors, (M, 6)."""
        errors: Array = (self.whitening @ self._relative(at)[2][:, :, None])[:, :, 0]
        return errors

    def linearised(self, at: Estimate) -> _Linear:
        """Return errors and derivatives."""
        here_R_there, shift, error, along = self._relative(at)
        # To first order of the error itself, which is small where it counts.
        by_turn = np.eye(3) + 0.5 * cross_matrices(error[:, :3])
        turned = self.whitening[:, :, :3] @ by_turn
        moved = self.whitening[:, :, 3:] @ np.swapaxes(self.pose[:, :3, :3], 1, 2)
        result = np.zeros((len(self.here), 6, 2 * SIZE))
        by_here, by_there = result[:, :, :SIZE], result[:, :, SIZE:]
        by_there[:, :, :3] = turned
        by_there[:, :, 3:6] = moved @ here_R_there
        by_here[:, :, :3] = moved @ cross_matrices(shift)
        by_here[:, :, :3] -= turned @ np.swapaxes(here_R_there, 1, 2)
        by_here[:, :, 3:6] = -moved
        by_here[:, :, 6] = -self.scaled[:, None] * (moved @ along[:, :, None])[:, :, 0]
        white = (self.whitening @ error[:, :, None])[:, :, 0]
        return _Linear(white, result)


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

    def optimised(self, rounds: int, widths: Sequence[float] = ()) -> PoseGraph:
        """Return the graph with the estimate that fits best; see `solved`."""
        return self.solved(rounds, widths).graph

    def solved(self, rounds: int, widths: Sequence[float] = ()) -> Solution:
        """
        Find the estimate that fits best.

        Steps of Gauss and Newton; as soon as they are small and become smaller, the factors of
        one serve for those that follow.

        :param rounds: steps, at most.
        :param widths: factors on the kernels of motions in the first rounds: so wide, what is far
            off before anything has moved counts as well.
        """
        estimate, system = self.estimate, _System.of(self)
        factor, made_at, largest, before = None, 0.0, 0.0, 0.0
        for width in [*widths, *[1.0] * rounds][:rounds]:
            linear = system.motions.linearised(estimate)
            shrinks = largest < SMALL and largest < SHRINKS * before
            if factor is None or width != made_at or not shrinks:
                factor, made_at = system.factorised(linear, estimate, width), width
            step = -factor.solve(system.gradient(linear, estimate, width).ravel())
            if not np.isfinite(step).all():
                break
            estimate = estimate.moved(step.reshape(-1, SIZE))
            before, largest = largest, float(np.abs(step).max())
            if width == 1.0 and largest < ENOUGH:
                break
        assert factor is not None
        return Solution(replace(self, estimate=estimate), largest, Covariances(factor))

    def errors(self) -> Array:
        """Return how many sigmas each motion is off, (M,)."""
        index = {number: i for i, number in enumerate(self.numbers)}
        motions = _Motions.of(self.motions, index)
        sigmas: Array = np.linalg.norm(motions.errors(self.estimate), axis=1)
        return sigmas


@dataclass(frozen=True, eq=False)
class Covariances:
    """How sure the key frames of a graph are; it is factorised once."""

    _factor: Factor

    @classmethod
    def of(cls, graph: PoseGraph) -> Covariances:
        """Factorise a graph at its estimate."""
        system, at = _System.of(graph), graph.estimate
        return cls(system.factorised(system.motions.linearised(at), at, 1.0))

    def joint(self, here: int, there: int) -> Array:
        """
        Compute how sure two key frames are.

        :param here: index of one, there: of the other.
        :returns: (14, 14) of their unknowns.
        """
        return self._part([here, there])

    def of_one(self, here: int) -> Array:
        """
        Compute how sure one key frame is.

        :param here: its index.
        :returns: (7, 7) of its unknowns.
        """
        return self._part([here])

    def _part(self, keys: Sequence[int]) -> Array:
        wanted = np.concatenate([one * SIZE + np.arange(SIZE) for one in keys])
        covariance = self._factor.inverse_at(wanted)
        symmetric: Array = 0.5 * (covariance + covariance.T)
        return symmetric


@dataclass(frozen=True, eq=False)
class Solution:
    """
    A graph at its optimum.

    step: largest of the last one, metres or radians. covariances: by the last factors, so at an
    estimate one or a few steps before.
    """

    graph: PoseGraph
    step: float
    covariances: Covariances


@dataclass(frozen=True, eq=False)
class _System:
    """
    The normal equations of a graph, of which the structure does not depend on the estimate.

    steps, fixes: rows of indices, log scale, sigma and kernel. firm: (N, 7, 7) what holds the key
    frames at any estimate.
    """

    motions: _Motions
    steps: Array
    fixes: Array
    firm: Array
    structure: Structure
    _to_keys: Summed
    _to_edges: Summed

    @classmethod
    def of(cls, graph: PoseGraph) -> _System:
        """Collect all that was measured."""
        index = {number: i for i, number in enumerate(graph.numbers)}
        motions = _Motions.of(graph.motions, index)
        steps = np.array(
            [(index[s.here], index[s.there], s.log_ratio, s.sigma, s.kernel)
             for s in graph.scale_steps]
        ).reshape(-1, 5)  # fmt: skip
        fixes = np.array(
            [(index[f.here], f.log_scale, f.sigma, f.kernel) for f in graph.scale_fixes]
        ).reshape(-1, 4)
        firm = np.tile(DAMPING * np.eye(SIZE), (len(index), 1, 1))
        firm[:, 6, 6] += SCALE_SIGMA**-2
        firm[0, range(6), range(6)] += GAUGE_SIGMA**-2
        firm[[index[number] for number in graph.held]] += GAUGE_SIGMA**-2 * np.eye(SIZE)
        here = np.concatenate([motions.here, steps[:, 0].astype(np.intp)])
        there = np.concatenate([motions.there, steps[:, 1].astype(np.intp)])
        structure = Structure.of(len(index), here, there, SIZE)
        keys = Summed(np.concatenate([motions.here, motions.there]), len(index))
        edges = Summed(structure.edge[: len(motions.here)], structure.edges)
        return cls(motions, steps, fixes, firm, structure, keys, edges)

    def gradient(self, linear: _Linear, at: Estimate, width: float) -> Array:
        """Return the derivatives of half the sum of squares by the unknowns, (N, 7)."""
        weighted = self.motions.weights(linear.error, width)[:, None] * linear.error
        pull = (weighted[:, None, :] @ linear.derivative)[:, 0]
        result = self._to_keys(np.concatenate([pull[:, :SIZE], pull[:, SIZE:]]))
        result[:, 6] += at.log_scales * SCALE_SIGMA**-2
        for rows, sign, pulls in self._scale_pulls(at):
            result[:, 6] += np.bincount(rows, sign * pulls, len(result))
        return result

    def _scale_pulls(self, at: Estimate) -> list[tuple[Indices, float, Array]]:
        """Return where measured scales pull, to which side, and how hard."""
        fixed, here, there = self._scale_rows()
        off, firm = self._scale_fixes(at)
        step_off, step_firm = self._scale_steps(at)
        steps = step_firm * step_off
        return [(fixed, 1.0, firm * off), (here, -1.0, steps), (there, 1.0, steps)]

    def _scale_rows(self) -> tuple[Indices, Indices, Indices]:
        here, there = self.steps[:, :2].astype(np.intp).T
        return self.fixes[:, 0].astype(np.intp), here, there

    def _scale_fixes(self, at: Estimate) -> tuple[Array, Array]:
        """Return how far measured scales are off, and with what information."""
        rows, _, _ = self._scale_rows()
        off = at.log_scales[rows] - self.fixes[:, 1]
        return off, _cauchy(off, *self.fixes[:, 2:].T)

    def _scale_steps(self, at: Estimate) -> tuple[Array, Array]:
        """Return the same of measured ratios."""
        _, here, there = self._scale_rows()
        off = at.log_scales[there] - at.log_scales[here] - self.steps[:, 2]
        return off, _cauchy(off, *self.steps[:, 3:].T)

    def factorised(self, linear: _Linear, at: Estimate, width: float) -> Factor:
        """Factorise the matrix."""
        weights, structure = self.motions.weights(linear.error, width), self.structure
        left = np.swapaxes(linear.derivative * weights[:, None, None], 1, 2)
        blocks = left @ linear.derivative
        diagonal = self.firm + self._to_keys(
            np.concatenate([blocks[:, :SIZE, :SIZE], blocks[:, SIZE:, SIZE:]])
        )
        across, turned = blocks[:, :SIZE, SIZE:], structure.turned[: len(blocks)]
        across[turned] = np.swapaxes(across[turned], 1, 2)
        between = self._to_edges(across)
        fixed, here, there = self._scale_rows()
        _, firm = self._scale_fixes(at)
        _, step_firm = self._scale_steps(at)
        for rows, values in ((fixed, firm), (here, step_firm), (there, step_firm)):
            diagonal[:, 6, 6] += np.bincount(rows, values, len(diagonal))
        edges = structure.edge[len(blocks) :]
        between[:, 6, 6] -= np.bincount(edges, step_firm, len(between))
        return structure.factorised(diagonal, between)


def _cauchy(off: Array, sigma: Array, kernel: Array) -> Array:
    """Return the information of errors by a Cauchy kernel."""
    information: Array = 1.0 / (1.0 + (off / sigma / kernel) ** 2) / sigma**2
    return information
