# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Key frames with two neighbours are eliminated many at once, before LAPACK has the rest.

Most key frames of a path are measured only from the ones before and after them. Every second one
of such a chain is eliminated, which leaves a chain of half the length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.graph.solver.sums import Indices, Summed

LEAST = 100  # key frames at once; below, a band is as fast


@dataclass(frozen=True, eq=False)
class Edges:
    """
    Blocks off the diagonal of a symmetric matrix that have not been eliminated.

    number: (E,) of each block. row, column: (E,) key frames, the row is the larger one.
    """

    number: Indices
    row: Indices
    column: Indices

    def chosen(self, count: int) -> NDArray[np.bool_]:
        """Return which of so many key frames have two neighbours, and none that is chosen."""
        degree = np.bincount(self.row, minlength=count) + np.bincount(self.column, minlength=count)
        result: NDArray[np.bool_] = degree == 2
        both = result[self.row] & result[self.column]
        rank = _bits_reversed(count)
        loses = np.where(rank[self.row] < rank[self.column], self.row, self.column)
        result[loses[both]] = False
        return result


@dataclass(frozen=True, eq=False)
class Step:
    """
    Key frames that are eliminated at once.

    keys: (K,). others: (K, 2) their neighbours. edges: (K, 2) numbers of the blocks between them,
    of which they are the rows unless turned, (K, 2). added: (A,) numbers of the blocks that
    change, between the neighbours.
    """

    keys: Indices
    others: Indices
    edges: Indices
    turned: NDArray[np.bool_]
    added: Indices
    _swapped: NDArray[np.bool_]
    _to_keys: Summed
    _to_added: Summed

    @classmethod
    def of(cls, edges: Edges, chosen: NDArray[np.bool_], blocks: int) -> tuple[Step, Edges]:
        """
        Return how to eliminate key frames, and what is left.

        :param edges: before the step.
        :param chosen: (N,) of all key frames: whether it is eliminated.
        :param blocks: number of blocks so far; those that come into being are numbered from here.
        :returns: the step, and the edges after it.
        """
        count, gone = len(chosen), chosen[edges.row] | chosen[edges.column]
        is_row = chosen[edges.row[gone]]
        key = np.where(is_row, edges.row[gone], edges.column[gone])
        other = np.where(is_row, edges.column[gone], edges.row[gone])
        order = np.argsort(key, kind='stable')
        others = other[order].reshape(-1, 2)
        across = others.max(axis=1) * count + others.min(axis=1)
        stay = edges.row[~gone] * count + edges.column[~gone]
        pairs, at = np.unique(np.concatenate([stay, across]), return_inverse=True)
        number = np.full(len(pairs), -1, np.intp)
        number[at[: len(stay)]] = edges.number[~gone]
        fresh = number < 0
        number[fresh] = blocks + np.arange(fresh.sum())
        added, to_added = np.unique(number[at[len(stay) :]], return_inverse=True)
        step = cls(
            key[order].reshape(-1, 2)[:, 0],
            others,
            edges.number[gone][order].reshape(-1, 2),
            ~is_row[order].reshape(-1, 2),
            added,
            others[:, 0] < others[:, 1],
            Summed(others.ravel(), count),
            Summed(to_added, len(added)),
        )
        return step, Edges(number, *np.divmod(pairs, count))

    def applied(self, diagonal: Array, between: Array) -> Eliminated:
        """
        Eliminate the key frames of the step.

        :param diagonal: (N, S, S) blocks of the key frames, changed.
        :param between: (B, S, S) blocks between them, changed.
        """
        blocks = between[self.edges]
        blocks[self.turned] = np.swapaxes(blocks[self.turned], 1, 2)
        inverse = inverses(diagonal[self.keys])
        shares = inverse[:, None] @ blocks
        back = np.swapaxes(blocks, 2, 3)
        diagonal -= self._to_keys((back @ shares).reshape(-1, *diagonal.shape[1:]))
        filled = back[:, 0] @ shares[:, 1]
        side_by_side = np.concatenate([shares[:, 0], shares[:, 1]], axis=2)
        filled[self._swapped] = np.swapaxes(filled[self._swapped], 1, 2)
        between[self.added] -= self._to_added(filled)
        return Eliminated(self.keys, self.others, inverse, side_by_side, self._to_keys)


@dataclass(frozen=True, eq=False)
class Eliminated:
    """
    What a step leaves behind.

    keys: (K,). others: (K, 2) their neighbours. inverse: (K, S, S) of their blocks. shares: (K,
    S, 2 S) by which they follow both neighbours, negative.
    """

    keys: Indices
    others: Indices
    inverse: Array
    shares: Array
    _to_keys: Summed

    def forward(self, sides: Array) -> None:
        """
        Take them out of right-hand sides.

        :param sides: (N, S, C), changed.
        """
        pulls = np.swapaxes(self.shares, 1, 2) @ sides[self.keys]
        sides -= self._to_keys(pulls.reshape(-1, *sides.shape[1:]))

    def back(self, solution: Array) -> None:
        """
        Solve for them.

        :param solution: (N, S, C), right-hand sides where they stand; changed.
        """
        own = self.inverse @ solution[self.keys]
        both = solution[self.others].reshape(len(own), -1, own.shape[2])
        solution[self.keys] = own - self.shares @ both


@dataclass(frozen=True, eq=False)
class Plan:
    """
    In which steps to eliminate.

    left: (L,) key frames that are left, edges: between them. blocks: number of all blocks.
    """

    steps: tuple[Step, ...]
    left: Indices
    edges: Edges
    blocks: int

    @classmethod
    def of(cls, count: int, edges: Edges, least: int = LEAST) -> Plan:
        """
        Find steps, as long as they are large.

        :param count: number of key frames.
        :param least: key frames of a step.
        """
        steps: list[Step] = []
        left, blocks = np.ones(count, np.bool_), len(edges.number)
        while (chosen := edges.chosen(count)).sum() >= least:
            step, edges = Step.of(edges, chosen, blocks)
            blocks = max(blocks, int(edges.number.max()) + 1)
            left &= ~chosen
            steps.append(step)
        return cls(tuple(steps), np.flatnonzero(left), edges, blocks)


def inverses(blocks: Array) -> Array:
    """
    Return the inverses of symmetric, positive definite blocks.

    By steps of Gauss and Jordan for all at once, in half the time of LAPACK for one by one.

    :param blocks: (K, S, S).
    :returns: (K, S, S).
    """
    rest = np.moveaxis(blocks, 0, 2).copy()
    for i in range(len(rest)):
        pivot = 1.0 / rest[i, i]
        row, column = rest[i] * pivot, rest[:, i].copy()
        rest -= column[:, None] * row
        rest[i], rest[:, i], rest[i, i] = row, -column * pivot, pivot
    return np.ascontiguousarray(np.moveaxis(rest, 2, 0))


def _bits_reversed(count: int) -> Indices:
    """Return a rank of each number, in which neighbours lie far apart."""
    index, result = np.arange(count), np.zeros(count, np.intp)
    for bit in range(count.bit_length()):
        result = 2 * result + (index >> bit & 1)
    return result
