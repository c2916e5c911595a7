# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Symmetric matrices of blocks whose numbers lie near the diagonal, and their Cholesky factors.

LAPACK factorises a band in a third of the time that SuperLU takes for what a robot's drives give:
key frames that are measured from each other can be numbered so that they are never far apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve_banded, cholesky_banded
import scipy.sparse as sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee
from scipy.sparse.linalg import splu, SuperLU

from ttt3r_ros.arrays import Array
from ttt3r_ros.graph.solver.sums import Indices


@dataclass(frozen=True, eq=False)
class Band:
    """
    Where the numbers of the blocks stand in a band.

    order: (L,) in which the key frames stand. width: of the band beside the diagonal, numbers.
    """

    order: Indices
    width: int
    _own: Indices  # where each number of the blocks on the diagonal goes
    _between: Indices  # and of those off it
    _stored: NDArray[np.bool_]  # which of a block on the diagonal are stored, (S, S)

    @classmethod
    def of(cls, count: int, rows: Indices, columns: Indices, size: int) -> Band:
        """
        Find an order with a narrow band.

        :param count: number of key frames.
        :param rows: (E,) key frame of each block off the diagonal.
        :param columns: (E,) the other one.
        :param size: unknowns of each.
        """
        order = _narrow_order(count, rows, columns)
        place = np.empty(count, np.intp)
        place[order] = np.arange(count)
        apart = place[rows] - place[columns]
        width = (int(np.abs(apart).max(initial=0)) + 1) * size - 1
        # Diagonals are stored one after another for each column: a number has the place
        # column * width + row. Of a block above the diagonal the transpose is stored.
        within = np.arange(size)[:, None] + np.arange(size) * width
        corner = np.minimum(place[rows], place[columns]) * size * (width + 1)
        corner += np.abs(apart) * size
        between = np.where((apart > 0)[:, None, None], within, within.T) + corner[:, None, None]
        stored = np.tri(size, dtype=np.bool_)
        own = (place * size * (width + 1))[:, None] + within[stored]
        return cls(order, width, own, between, stored)

    def factorised(self, diagonal: Array, between: Array) -> BandFactor | SuperLU:
        """
        Factorise a matrix.

        :param diagonal: (L, S, S) blocks of the key frames.
        :param between: (E, S, S) those between them.
        :returns: its Cholesky factor; those of SuperLU where rounding leaves no such factor.
        """
        try:
            band = self._filled(diagonal, between)
            lower = cholesky_banded(band, overwrite_ab=True, lower=True, check_finite=False)
            return BandFactor(lower)
        except np.linalg.LinAlgError:
            band = self._filled(diagonal, between)
            below = sparse.dia_matrix((band, -np.arange(len(band))), shape=2 * band.shape[1:])
            return splu((below + below.T - sparse.diags(band[0])).tocsc())

    def _filled(self, diagonal: Array, between: Array) -> Array:
        """Return the lower diagonals, (width + 1, L S)."""
        columns = diagonal.shape[0] * diagonal.shape[1]
        flat = np.zeros(columns * (self.width + 1))
        flat[self._own] = diagonal[:, self._stored]
        flat[self._between] = between
        band: Array = flat.reshape(columns, -1).T
        return band


@dataclass(frozen=True, eq=False)
class BandFactor:
    """A Cholesky factor, (width + 1, L S) by diagonals."""

    _lower: Array

    def solve(self, sides: Array) -> Array:
        """
        Solve for right-hand sides.

        :param sides: (L S, C).
        """
        result: Array = cho_solve_banded((self._lower, True), sides, check_finite=False)
        return result


def _narrow_order(count: int, rows: Indices, columns: Indices) -> Indices:
    ends = np.concatenate([rows, columns]), np.concatenate([columns, rows])
    graph = sparse.csr_matrix((np.ones(len(ends[0])), ends), shape=(count, count))
    order: Indices = reverse_cuthill_mckee(graph, symmetric_mode=True).astype(np.intp)
    return order
