# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Normal equations of key frames: symmetric, sparse, made of blocks, and solved by SuperLU."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray
import scipy.sparse as sparse
from scipy.sparse.linalg import splu, SuperLU

from ttt3r_ros.arrays import Array

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Structure:
    """
    Where the blocks of normal equations stand; the same while only their values change.

    Key frames are eliminated in an order that keeps the factors sparse. It is looked for among
    key frames, which takes a tenth of the time that it takes among their unknowns.

    order: (N,) key frames as they are eliminated. edge: (P,) number of the off-diagonal block to
    which each pair contributes. turned: (P,) whether with its transpose. edges: their number.
    """

    order: Indices
    edge: Indices
    turned: NDArray[np.bool_]
    edges: int
    _size: int
    _source: Indices  # of each stored number among those of the blocks
    _rows: NDArray[np.int32]
    _starts: NDArray[np.int32]

    @classmethod
    def of(cls, count: int, here: Indices, there: Indices, size: int) -> Structure:
        """
        Find the order.

        :param count: number of key frames.
        :param here: (P,) key frames between which there is something, there: (P,); pairs may
            come more than once.
        :param size: unknowns of each.
        """
        order = _elimination_order(count, here, there)
        place = np.empty(count, np.intp)
        place[order] = np.arange(count)
        turned = place[here] < place[there]
        later = np.where(turned, place[there], place[here])
        sooner = np.where(turned, place[here], place[there])
        known, edge = np.unique(later * count + sooner, return_inverse=True)
        rows, columns = np.divmod(known, count)
        pattern = _pattern(count, rows, columns, size, order)
        source = pattern.data.astype(np.intp)
        return cls(order, edge, turned, len(known), size, source, pattern.indices, pattern.indptr)

    def factorised(self, diagonal: Array, between: Array) -> Factor:
        """
        Factorise a matrix.

        :param diagonal: (N, S, S), symmetric blocks of the key frames.
        :param between: (E, S, S), of the edges.
        """
        numbers = np.concatenate([diagonal.ravel(), between.ravel()])[self._source]
        side = len(self.order) * self._size
        matrix = sparse.csc_matrix((numbers, self._rows, self._starts), shape=(side, side))
        unknowns = (self.order[:, None] * self._size + np.arange(self._size)).ravel()
        return Factor(_factorised(matrix, 'NATURAL'), unknowns)


@dataclass(frozen=True, eq=False)
class Factor:
    """A factorised matrix, and the order of its unknowns."""

    _factor: SuperLU
    _unknowns: Indices

    def solve(self, sides: Array) -> Array:
        """
        Solve for one or more right-hand sides.

        :param sides: (U,) or (U, C).
        """
        result = np.empty_like(sides)
        result[self._unknowns] = self._factor.solve(sides[self._unknowns])
        return result

    def inverse_at(self, wanted: Indices) -> Array:
        """
        Return a part of the inverse.

        :param wanted: (W,) rows and columns of it.
        """
        sides = np.zeros((len(self._unknowns), len(wanted)))
        sides[wanted, np.arange(len(wanted))] = 1.0
        part: Array = self.solve(sides)[wanted]
        return part


class Summed:
    """Sums rows of numbers that go to the same place."""

    def __init__(self, places: Indices, count: int) -> None:
        """
        Begin.

        :param places: (P,) to which each row goes.
        :param count: number of places.
        """
        # Not np.add.at or np.add.reduceat, which take ten times as long and keep threads waiting.
        rows = np.arange(len(places))
        self._sums = sparse.csr_matrix((np.ones(len(places)), (places, rows)), (count, len(rows)))

    def __call__(self, blocks: Array) -> Array:
        """
        Sum.

        :param blocks: (P, ...).
        """
        shape = blocks.shape[1:]
        sums = self._sums @ np.ascontiguousarray(blocks).reshape(-1, math.prod(shape))
        result: Array = sums.reshape(-1, *shape)
        return result


def _elimination_order(count: int, here: Indices, there: Indices) -> Indices:
    """Return the order that SuperLU finds for a matrix with one number a key frame."""
    own = np.arange(count)
    rows, columns = np.concatenate([own, here, there]), np.concatenate([own, there, here])
    values = np.where(rows == columns, 2.0 * len(rows), -1.0)  # whose factors exist
    matrix = sparse.csc_matrix((values, (rows, columns)), shape=(count, count))
    order: Indices = np.argsort(_factorised(matrix, 'MMD_AT_PLUS_A').perm_c)
    return order


def _pattern(
    count: int, rows: Indices, columns: Indices, size: int, order: Indices
) -> sparse.csc_matrix:
    """Return a matrix whose numbers are their places among those of all blocks."""
    area = size * size
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
