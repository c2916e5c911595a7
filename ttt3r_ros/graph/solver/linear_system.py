# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Normal equations of key frames: symmetric, sparse, made of blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
import scipy.sparse as sparse
from scipy.sparse.linalg import splu, SuperLU

from ttt3r_ros.arrays import Array
from ttt3r_ros.graph.solver.banded import Band
from ttt3r_ros.graph.solver.elimination import Edges, Eliminated, Plan
from ttt3r_ros.graph.solver.sums import Indices

ENOUGH, MOST_ROUNDS = 0.15, 20  # of conjugate gradients
MOST_WIDTH = 150  # of a band, numbers; SuperLU is faster beyond where loops are few


class Solver(Protocol):
    """Factors of a matrix."""

    def solve(self, sides: Array) -> Array:
        """
        Solve for right-hand sides.

        :param sides: (L S, C).
        """
        ...


class Pattern(Protocol):
    """
    Where the numbers of blocks stand in a matrix.

    order: (L,) in which the key frames stand.
    """

    @property
    def order(self) -> Indices:
        """Return the order."""
        ...

    def factorised(self, diagonal: Array, between: Array) -> Solver:
        """
        Factorise a matrix.

        :param diagonal: (L, S, S) blocks of the key frames.
        :param between: (E, S, S) those between them.
        """
        ...


@dataclass(frozen=True, eq=False)
class Structure:
    """
    Where the blocks of normal equations stand; the same while only their values change.

    edge: (P,) number of the off-diagonal block to which each pair contributes. turned: (P,)
    whether with its transpose. edges: their number.
    """

    edge: Indices
    turned: NDArray[np.bool_]
    edges: int
    _plan: Plan
    _pattern: Pattern  # of the key frames that the plan leaves

    @classmethod
    def of(cls, count: int, here: Indices, there: Indices, size: int) -> Structure:
        """
        Find the order of elimination.

        :param count: number of key frames.
        :param here: (P,) first key frame of each pair between which there is something; pairs may
            come more than once.
        :param there: (P,) the second one.
        :param size: unknowns of each.
        """
        pairs = np.maximum(here, there) * count + np.minimum(here, there)
        known, edge = np.unique(pairs, return_inverse=True)
        edges = Edges(np.arange(len(known)), *np.divmod(known, count))
        plan = Plan.of(count, edges)
        place = np.empty(count, np.intp)
        place[plan.left] = np.arange(len(plan.left))
        ends = place[plan.edges.row], place[plan.edges.column]
        band = Band.of(len(plan.left), *ends, size)
        narrow = band.width <= MOST_WIDTH
        pattern: Pattern = band if narrow else Sparse.of(len(plan.left), *ends, size)
        return cls(edge, here < there, len(known), plan, pattern)

    def factorised(self, diagonal: Array, between: Array) -> Factor:
        """
        Factorise a matrix.

        :param diagonal: (N, S, S), symmetric blocks of the key frames.
        :param between: (E, S, S), of the edges.
        """
        plan, size = self._plan, diagonal.shape[1]
        if plan.steps:
            fresh = np.zeros((plan.blocks - len(between), size, size))
            diagonal, between = diagonal.copy(), np.concatenate([between, fresh])
        steps = tuple(step.applied(diagonal, between) for step in plan.steps)
        factor = self._pattern.factorised(diagonal[plan.left], between[plan.edges.number])
        return Factor(factor, steps, plan.left[self._pattern.order], len(diagonal), size)


@dataclass(frozen=True, eq=False)
class Sparse:
    """
    Where the numbers of the blocks stand in a sparse matrix, for SuperLU.

    The order keeps the factors sparse. It is looked for among key frames, which takes a tenth of
    the time that it takes among their unknowns.

    order: (L,) in which the key frames stand.
    """

    order: Indices
    _source: Indices  # of each stored number among those of the blocks
    _rows: NDArray[np.int32]
    _starts: NDArray[np.int32]

    @classmethod
    def of(cls, count: int, rows: Indices, columns: Indices, size: int) -> Sparse:
        """
        Find an order.

        :param count: number of key frames.
        :param rows: (E,) key frame of each block off the diagonal.
        :param columns: (E,) the other one.
        :param size: unknowns of each.
        """
        order = _elimination_order(count, rows, columns)
        place = np.empty(count, np.intp)
        place[order] = np.arange(count)
        pattern = _pattern(place[rows], place[columns], size, order)
        return cls(order, pattern.data.astype(np.intp), pattern.indices, pattern.indptr)

    def factorised(self, diagonal: Array, between: Array) -> SuperLU:
        """
        Factorise a matrix.

        :param diagonal: (L, S, S) blocks of the key frames.
        :param between: (E, S, S) those between them.
        """
        numbers = np.concatenate([diagonal.ravel(), between.ravel()])
        stored, side = (numbers[self._source], self._rows, self._starts), len(self._starts) - 1
        return _factorised(sparse.csc_matrix(stored, shape=(side, side)), 'NATURAL')


@dataclass(frozen=True, eq=False)
class Factor:
    """A factorised matrix: what was eliminated in steps, and the factors of the rest."""

    _factor: Solver
    _steps: tuple[Eliminated, ...]
    _left: Indices
    _count: int
    _size: int

    @property
    def shape(self) -> tuple[int, int]:
        """Return the number of key frames, and of unknowns of each."""
        return self._count, self._size

    def solve(self, sides: Array) -> Array:
        """
        Solve for one or more right-hand sides.

        :param sides: (N, S) or (N, S, C).
        """
        result = sides.reshape(*sides.shape[:2], -1).copy()
        for step in self._steps:
            step.forward(result)
        rest = result[self._left]
        flat = rest.reshape(-1, rest.shape[2])
        result[self._left] = self._factor.solve(flat).reshape(rest.shape)
        for step in reversed(self._steps):
            step.back(result)
        solution: Array = result.reshape(sides.shape)
        return solution

    def covariance(self, at: Indices, derivative: Array) -> Array:
        """
        Return the covariance of what follows from some unknowns, of which this is the information.

        :param at: (W,) the unknowns, in the order of all.
        :param derivative: (C, W) of what follows from them.
        :returns: (C, C).
        """
        count, size = self.shape
        sides = np.zeros((count * size, len(derivative)))
        sides[at] = derivative.T
        solution = self.solve(sides.reshape(count, size, -1)).reshape(sides.shape)
        covariance: Array = derivative @ solution[at]
        symmetric: Array = 0.5 * (covariance + covariance.T)
        return symmetric


def conjugate_gradients(
    times: Callable[[Array], Array], factor: Factor, side: Array, enough: float = ENOUGH
) -> Array:
    """
    Solve for a matrix by the factors of one like it.

    :param times: multiplies by the matrix, symmetric and positive definite, (N, S) to (N, S).
    :param factor: of the one like it.
    :param side: (N, S) right-hand side.
    :param enough: by which the error, in the norm of the factors, has become smaller at the end.
    """
    result, rest = np.zeros_like(side), side
    along = nearer = factor.solve(rest)
    first = size = float(np.vdot(rest, nearer))
    for _ in range(MOST_ROUNDS):
        if not size > enough**2 * first:
            break
        product = times(along)
        share = size / float(np.vdot(along, product))
        result, rest = result + share * along, rest - share * product
        nearer = factor.solve(rest)
        before, size = size, float(np.vdot(rest, nearer))
        along = nearer + size / before * along
    return result


def _elimination_order(count: int, here: Indices, there: Indices) -> Indices:
    """Return the order that SuperLU finds for a matrix with one number a key frame."""
    own = np.arange(count)
    rows, columns = np.concatenate([own, here, there]), np.concatenate([own, there, here])
    values = np.where(rows == columns, 2.0 * len(rows), -1.0)  # whose factors exist
    matrix = sparse.csc_matrix((values, (rows, columns)), shape=(count, count))
    order: Indices = np.argsort(_factorised(matrix, 'MMD_AT_PLUS_A').perm_c)
    return order


def _pattern(rows: Indices, columns: Indices, size: int, order: Indices) -> sparse.csc_matrix:
    """Return a matrix whose numbers are their places among those of all blocks."""
    area, count = size * size, len(order)
    between = (count + np.arange(len(rows)))[:, None] * area + np.arange(area)
    between = between.reshape(-1, size, size)
    own = order[:, None] * area + np.arange(area)
    everyone = np.arange(count)
    blocks = np.concatenate([own.reshape(-1, size, size), between, np.swapaxes(between, 1, 2)])
    at = np.concatenate([everyone, rows, columns]), np.concatenate([everyone, columns, rows])
    sequence = np.lexsort((at[1], at[0]))
    starts = np.searchsorted(at[0][sequence], np.arange(count + 1))
    side = count * size
    matrix = sparse.bsr_matrix(
        (blocks[sequence].astype(float), at[1][sequence], starts), shape=(side, side)
    )
    return matrix.tocsr().T  # it is symmetric, so rows may stand for columns


def _factorised(matrix: sparse.csc_matrix, order: str) -> SuperLU:
    return splu(matrix, permc_spec=order, diag_pivot_thresh=0.0, options={'SymmetricMode': True})
