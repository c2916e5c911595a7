# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The normal equations of a graph of key frames.

What is between two key frames counts by how they lie to each other: in their own axes it changes
little when both are moved, however far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import cross_matrices
from ttt3r_ros.graph.solver.factors import Estimate, Motion, ScaleFix, ScaleStep, SIZE
from ttt3r_ros.graph.solver.gathering import hubs
from ttt3r_ros.graph.solver.linear_system import conjugate_gradients, Factor, Structure
from ttt3r_ros.graph.solver.rotations import rotation_vectors
from ttt3r_ros.graph.solver.sums import Indices, Summed

SCALE_SIGMA = 0.3  # of the depth of a key frame, a property of the network
GAUGE_SIGMA = 1e-4  # the first key frame stays where it is
ROW = 57  # numbers of a motion
DAMPING = 1e-6
MOST_ENDS = 250  # key frames at which loops end in the matrix that is factorised


@dataclass(frozen=True, eq=False)
class Relative:
    """
    How key frames lie to others, and how that changes.

    turn: (P, 3, 3), shift: (P, 3), of there as seen from here.
    """

    turn: Array
    shift: Array

    @classmethod
    def of(cls, at: Estimate, here: Indices, there: Indices) -> Relative:
        """
        Return how the second key frames of pairs lie to the first ones.

        :param at: of all key frames.
        :param here: (P,) indices of the first ones.
        :param there: (P,) of the second ones.
        """
        turn, place = at.poses[:, :3, :3], at.poses[:, :3, 3]
        to_here = np.swapaxes(turn, 1, 2)[here]
        shift = (to_here @ (place[there] - place[here])[:, :, None])[:, :, 0]
        return cls(to_here @ turn[there], shift)

    def adjoint(self) -> Array:
        """Return what takes a small motion in there's axes to here's, and a scale, (P, 7, 7)."""
        result = np.zeros((len(self.turn), SIZE, SIZE))
        result[:, :3, :3] = result[:, 3:6, 3:6] = self.turn
        result[:, 3:6, :3] = cross_matrices(self.shift) @ self.turn
        result[:, 6, 6] = 1.0
        return result

    @cached_property
    def by_here(self) -> Array:
        """Return how there moves as seen from here when here does, (P, 7, 7); last the scale."""
        back = np.swapaxes(self.turn, 1, 2)
        result = np.zeros((len(back), SIZE, SIZE))
        result[:, :3, :3] = result[:, 3:6, 3:6] = -back
        result[:, 3:6, :3] = back @ cross_matrices(self.shift)
        result[:, 6, 6] = 1.0
        return result


@dataclass(frozen=True, eq=False)
class Linear:
    """
    Errors of motions at an estimate, and how they change.

    error: (M, 6) whitened. derivative: (M, 6, 7), by what there does as seen from here, and by
    here's log scale. relative: of the pairs of key frames.
    """

    error: Array
    derivative: Array
    relative: Relative


@dataclass(frozen=True, eq=False)
class Motions:
    """Motions as arrays, in the order of the graph's key frames."""

    here: Indices
    there: Indices
    pose: Array
    whitening: Array  # (M, 6, 6) of which the square is the information
    scaled: Array
    kernel: Array
    arm: Array

    @classmethod
    def of(cls, motions: Sequence[Motion], index: dict[int, int]) -> Motions:
        """Collect."""
        rows = _joined(motions, ROW)
        return cls(
            _indices(motions, 'here', index),
            _indices(motions, 'there', index),
            rows[:, :16].reshape(-1, 4, 4),
            rows[:, 16:52].reshape(-1, 6, 6),
            rows[:, 52],
            rows[:, 53],
            rows[:, 54:57],
        )

    def weights(self, error: Array, most: float) -> Array:
        """
        Return how much each counts, (M,).

        :param error: (M, 6) whitened.
        :param most: largest square of an error that lowers it.
        """
        square = np.minimum(np.einsum('ni,ni->n', error, error), most)
        weights: Array = 1.0 / (1.0 + square / self.kernel**2)
        return weights

    def _off(self, at: Estimate, turn: Array, shift: Array) -> tuple[Array, Array, Array]:
        """
        Compare motions with what was measured.

        :returns: the rotation between both, the errors, and the stretched ways back.
        """
        back = np.swapaxes(self.pose[:, :3, :3], 1, 2)
        stretch = np.exp(self.scaled * at.log_scales[self.here])[:, None]
        along = stretch * self.pose[:, :3, 3]
        ways = back @ np.stack([shift - along - self.arm, along], axis=2)
        rest = back @ turn
        return rest, np.concatenate([rotation_vectors(rest), ways[:, :, 0]], axis=1), ways[:, :, 1]

    def errors(self, at: Estimate) -> Array:
        """Return whitened errors, (M, 6)."""
        relative = Relative.of(at, self.here, self.there)
        error = self._off(at, relative.turn, relative.shift)[1]
        errors: Array = (self.whitening @ error[:, :, None])[:, :, 0]
        return errors

    def linearised(self, at: Estimate, pairs: Pairs) -> Linear:
        """Return errors and derivatives."""
        relative = Relative.of(at, pairs.here, pairs.there)
        turn, shift = relative.turn[pairs.of_motion], relative.shift[pairs.of_motion]
        rest, error, along = self._off(at, turn, shift)
        result = np.empty((len(self.here), 6, SIZE))
        # To first order of the error itself, which is small where it counts.
        by_turn = np.eye(3) + 0.5 * cross_matrices(error[:, :3])
        result[:, :, :3] = self.whitening[:, :, :3] @ by_turn
        result[:, :, 3:6] = self.whitening[:, :, 3:] @ rest
        stretched = -self.scaled[:, None] * along
        result[:, :, 6] = (self.whitening[:, :, 3:] @ stretched[:, :, None])[:, :, 0]
        return Linear((self.whitening @ error[:, :, None])[:, :, 0], result, relative)


@dataclass(frozen=True, eq=False)
class Pairs:
    """
    Pairs of key frames between which there are motions; those close in time come first.

    here, there: (P,) their indices. of_motion: (M,) to which pair each belongs.
    """

    here: Indices
    there: Indices
    of_motion: Indices
    summed: Summed

    @classmethod
    def of(cls, motions: Motions, count: int) -> Pairs:
        """Collect them; count: of all key frames."""
        apart = np.abs(motions.here - motions.there)
        numbers = (apart * count + motions.here) * count + motions.there
        pairs, of_motion = np.unique(numbers, return_inverse=True)
        here, there = np.divmod(pairs % (count * count), count)
        return cls(here, there, of_motion, Summed(of_motion, len(pairs)))


@dataclass(frozen=True, eq=False)
class Scales:
    """
    What is measured of the scales of depths.

    here, there: (S,) indices of steps, of: (S, 3) their log ratio, sigma and kernel. fixed: (F,)
    indices, fixes: (F, 3) log scale, sigma and kernel.
    """

    here: Indices
    there: Indices
    steps: Array
    fixed: Indices
    fixes: Array

    @classmethod
    def of(
        cls, steps: Sequence[ScaleStep], fixes: Sequence[ScaleFix], index: dict[int, int]
    ) -> Scales:
        """Collect."""
        return cls(
            _indices(steps, 'here', index),
            _indices(steps, 'there', index),
            _joined(steps, 3),
            _indices(fixes, 'here', index),
            _joined(fixes, 3),
        )

    def _off(self, at: Estimate) -> tuple[Array, Array]:
        scales = at.log_scales
        off = scales[self.there] - scales[self.here] - self.steps[:, 0]
        return off, scales[self.fixed] - self.fixes[:, 0]

    def information(self, at: Estimate) -> tuple[Array, Array]:
        """Return that of steps, (S,), and of fixes, (F,)."""
        steps, fixes = self._off(at)
        return _cauchy(steps, *self.steps[:, 1:].T), _cauchy(fixes, *self.fixes[:, 1:].T)

    def gradient(self, at: Estimate) -> Array:
        """Return the derivatives of half the sum of squares by all scales, (N,)."""
        count, (off, off_fixes) = len(at.log_scales), self._off(at)
        firm, firm_fixes = self.information(at)
        result = np.zeros(count)
        result += np.bincount(self.there, firm * off, count)
        result -= np.bincount(self.here, firm * off, count)
        result += np.bincount(self.fixed, firm_fixes * off_fixes, count)
        return result


@dataclass(frozen=True, eq=False)
class _Ends:
    """
    Between which key frames the normal equations have something.

    here, there: (P,) of pairs. step_here, step_there: (S,) of steps of the scale.
    """

    here: Indices
    there: Indices
    step_here: Indices
    step_there: Indices
    _to_keys: Summed

    @classmethod
    def of(cls, pairs: Indices, steps: Indices, count: int) -> _Ends:
        """Begin with (2, P) and (2, S)."""
        return cls(pairs[0], pairs[1], steps[0], steps[1], Summed(pairs.ravel(), count))

    def structure(self, count: int) -> Structure:
        """Find an order of elimination."""
        here = np.concatenate([self.here, self.step_here])
        there = np.concatenate([self.there, self.step_there])
        return Structure.of(count, here, there, SIZE)

    def at_keys(self, by_here: Array, by_there: Array) -> Array:
        """Sum, for each key frame, what there is at the ends of pairs."""
        return self._to_keys(np.concatenate([by_here, by_there]))

    def matrix(self, blocks: _Blocks, steps: Array) -> _Matrix:
        """
        Return normal equations.

        :param blocks: of pairs, steps: (S,) information of steps of the scale.
        """
        diagonal = self.at_keys(blocks.here, blocks.there)
        for rows in (self.step_here, self.step_there):
            diagonal[:, 6, 6] += np.bincount(rows, steps, len(diagonal))
        return _Matrix(self, diagonal, blocks.across, steps)


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Of each pair, (P, 7, 7): for here, from here to there, and for there."""

    here: Array
    across: Array
    there: Array

    @classmethod
    def of(cls, information: Array, by_here: Array) -> _Blocks:
        """
        Compute them.

        :param information: (P, 7, 7) of there as seen from here, and of here's scale.
        :param by_here: (P, 7, 7) how that changes with here.
        """
        across = np.swapaxes(by_here, 1, 2) @ information
        own = across @ by_here
        across[:, :, 6] = information[:, 6] = information[:, :, 6] = 0.0  # not there's scale
        return cls(own, across, information)

    def moved(self, chosen: slice, here: Array, there: Array) -> _Blocks:
        """
        Return them with some ends elsewhere.

        :param chosen: G pairs. here: (G, 7, 7) how here follows the other end, there: alike.
        """
        result = _Blocks(self.here.copy(), self.across.copy(), self.there.copy())
        to_here, to_there = np.swapaxes(here, 1, 2), np.swapaxes(there, 1, 2)
        result.here[chosen] = to_here @ self.here[chosen] @ here
        result.across[chosen] = to_here @ self.across[chosen] @ there
        result.there[chosen] = to_there @ self.there[chosen] @ there
        return result


@dataclass(frozen=True, eq=False)
class _Matrix:
    """Normal equations: (N, 7, 7) of key frames, (P, 7, 7) of pairs, (S,) of steps, negative."""

    ends: _Ends
    diagonal: Array
    across: Array
    steps: Array

    def times(self, vector: Array) -> Array:
        """Return the product with (N, 7)."""
        ends, count = self.ends, len(vector)
        here = (self.across @ vector[ends.there][:, :, None])[:, :, 0]
        there = (vector[ends.here][:, None, :] @ self.across)[:, 0]
        result = (self.diagonal @ vector[:, :, None])[:, :, 0] + ends.at_keys(here, there)
        scales = vector[:, 6]
        for rows, others in (
            (ends.step_here, ends.step_there),
            (ends.step_there, ends.step_here),
        ):
            result[:, 6] -= np.bincount(rows, self.steps * scales[others], count)
        return result


@dataclass(frozen=True, eq=False)
class Gathered:
    """
    The same graph with fewer ends of loops, of which the matrix has cheap factors.

    first: index of the first pair of which the ends lie elsewhere; those after it do too. hub:
    (N,) where they lie instead, for each key frame.
    """

    ends: _Ends
    first: int
    hub: Indices

    @classmethod
    def of(cls, exact: _Ends, count: int) -> Gathered:
        """Take over what has no cheaper form."""
        near = np.stack([exact.here, exact.there])
        steps = np.stack([exact.step_here, exact.step_there])
        every = -(-count // MOST_ENDS)
        if every == 1:
            return cls(exact, len(exact.here), np.arange(count))
        far = np.abs(near[0] - near[1]) > 2 * every
        far_steps = np.abs(steps[0] - steps[1]) > 2 * every
        at = hubs(count, near[:, ~far], every)
        ends = np.where(far, at[near], near), np.where(far_steps, at[steps], steps)
        return cls(_Ends.of(*ends, count), int(np.count_nonzero(~far)), at)

    def moved(self, exact: _Ends, at: Estimate, blocks: _Blocks) -> _Blocks:
        """Return blocks with their ends here, as if what lies between were rigid."""
        if self.first == len(exact.here):
            return blocks
        to_hub = Relative.of(at, np.arange(len(self.hub)), self.hub).adjoint()
        chosen = slice(self.first, None)
        return blocks.moved(chosen, to_hub[exact.here[chosen]], to_hub[exact.there[chosen]])


@dataclass(frozen=True, eq=False)
class System:
    """
    The normal equations of a graph, of which the structure does not depend on the estimate.

    firm: (N, 7, 7) what holds the key frames at any estimate.
    """

    motions: Motions
    pairs: Pairs
    scales: Scales
    firm: Array
    _exact: _Ends
    _gathered: Gathered
    _structure: Structure
    _to_edges: Summed

    @classmethod
    def of(
        cls,
        numbers: Sequence[int],
        motions: Sequence[Motion],
        steps: Sequence[ScaleStep],
        fixes: Sequence[ScaleFix],
        held: Sequence[int],
    ) -> System:
        """
        Collect all that was measured.

        :param numbers: of all key frames, held: of those that stay.
        """
        count, index = len(numbers), {number: i for i, number in enumerate(numbers)}
        collected, scales = Motions.of(motions, index), Scales.of(steps, fixes, index)
        firm = np.tile(DAMPING * np.eye(SIZE), (count, 1, 1))
        firm[:, 6, 6] += SCALE_SIGMA**-2
        firm[0, range(6), range(6)] += GAUGE_SIGMA**-2
        firm[[index[number] for number in held]] += GAUGE_SIGMA**-2 * np.eye(SIZE)
        pairs = Pairs.of(collected, count)
        ends = _Ends.of(
            np.stack([pairs.here, pairs.there]), np.stack([scales.here, scales.there]), count
        )
        gathered = Gathered.of(ends, count)
        structure = gathered.ends.structure(count)
        edges = Summed(structure.edge[: len(pairs.here)], structure.edges)
        return cls(collected, pairs, scales, firm, ends, gathered, structure, edges)

    @property
    def exact(self) -> bool:
        """Return whether factors are those of the matrix itself."""
        return self._gathered.ends is self._exact

    def linearised(self, at: Estimate) -> Linear:
        """Return the errors of all motions and their derivatives."""
        return self.motions.linearised(at, self.pairs)

    def gradient(self, linear: Linear, at: Estimate, most: float) -> Array:
        """Return the derivatives of half the sum of squares by the unknowns, (N, 7)."""
        weighted = self.motions.weights(linear.error, most)[:, None] * linear.error
        pull = self.pairs.summed((weighted[:, None, :] @ linear.derivative)[:, 0])
        by_here = (pull[:, None, :] @ linear.relative.by_here)[:, 0]
        pull[:, 6] = 0.0  # not there's scale
        result = self._exact.at_keys(by_here, pull)
        result[:, 6] += at.log_scales * SCALE_SIGMA**-2 + self.scales.gradient(at)
        return result

    def blocks(self, linear: Linear, most: float) -> _Blocks:
        """Return the blocks of pairs."""
        weights = self.motions.weights(linear.error, most)[:, None, None]
        left = np.swapaxes(linear.derivative * weights, 1, 2)
        information = self.pairs.summed(left @ linear.derivative)
        return _Blocks.of(information, linear.relative.by_here)

    def factorised(self, blocks: _Blocks, at: Estimate) -> Factor:
        """Factorise the matrix, or one like it."""
        structure = self._structure
        moved = self._gathered.moved(self._exact, at, blocks)
        matrix = self._matrix(self._gathered.ends, moved, at)
        across, turned = matrix.across.copy(), structure.turned[: len(matrix.across)]
        across[turned] = np.swapaxes(across[turned], 1, 2)
        between = self._to_edges(across)
        edges = structure.edge[len(across) :]
        between[:, 6, 6] -= np.bincount(edges, matrix.steps, len(between))
        return structure.factorised(matrix.diagonal, between)

    def solved(self, factor: Factor, blocks: _Blocks, at: Estimate, side: Array) -> Array:
        """
        Solve for the matrix itself.

        :param factor: of one like it.
        :param side: (N, 7).
        :returns: (N, 7).
        """
        return conjugate_gradients(self._matrix(self._exact, blocks, at).times, factor, side)

    def _matrix(self, ends: _Ends, blocks: _Blocks, at: Estimate) -> _Matrix:
        steps, fixes = self.scales.information(at)
        matrix = ends.matrix(blocks, steps)
        matrix.diagonal[:] += self.firm
        matrix.diagonal[:, 6, 6] += np.bincount(self.scales.fixed, fixes, len(self.firm))
        return matrix


def _cauchy(off: Array, sigma: Array, kernel: Array) -> Array:
    """Return the information of errors by a Cauchy kernel."""
    information: Array = 1.0 / (1.0 + (off / sigma / kernel) ** 2) / sigma**2
    return information


def _joined(measured: Sequence[Motion | ScaleStep | ScaleFix], numbers: int) -> Array:
    """Return what was measured, (M, numbers)."""
    rows: Array = np.frombuffer(b''.join([one.row for one in measured])).reshape(-1, numbers)
    return rows


def _indices(measured: Sequence[object], end: str, index: dict[int, int]) -> Indices:
    """Return the index of the key frame at one end of each."""
    return np.fromiter(
        map(index.__getitem__, map(attrgetter(end), measured)), np.intp, len(measured)
    )
