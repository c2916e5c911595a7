# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What holds a submap together: strands, and the loops between them.

A strand is a row of key frames of which each was tracked from the one before. Strands of one
submap are held to each other by nothing but the loops by which they were joined, so a submap falls
apart where these go.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import breadth_first_order, connected_components, maximum_flow

from ttt3r_ros.graph.nodes import Nodes

Pairs = Collection[tuple[int, int]]


@dataclass(frozen=True, eq=False)
class MinimumCut:
    """
    The minimum cut between two strands in the graph whose edges are the loops between strands.

    pairs: the loops that would have to go. votes: key frames that closed them.
    """

    pairs: frozenset[tuple[int, int]]
    votes: int


def minimum_cut(strands: Mapping[int, int], pairs: Pairs, here: int, there: int) -> MinimumCut:
    """
    Compute the fewest loops without which two strands are not connected, by maximum flow.

    A key frame votes once for two strands, however many loops between them it closed.

    :param strands: number of the strand of each key frame.
    :param pairs: loops, the older key frame first.
    :param here: one strand, there: another one.
    """
    names = sorted(set(strands.values()))
    index = {name: i for i, name in enumerate(names)}
    votes = np.zeros((len(names), len(names)), np.int32)
    for mine, theirs, _ in {(strands[a], strands[b], b) for a, b in pairs}:
        votes[index[mine], index[theirs]] += 1
    votes += votes.T
    np.fill_diagonal(votes, 0)
    both = sparse.csr_matrix(votes)
    result = maximum_flow(both, index[here], index[there])
    left = sparse.csr_matrix(both - result.flow)
    left.eliminate_zeros()
    reached = breadth_first_order(left, index[here], return_predecessors=False)
    side = {names[i] for i in reached}
    across = frozenset(pair for pair in pairs if len({strands[n] in side for n in pair}) > 1)
    return MinimumCut(across, int(result.flow_value))


def part(nodes: Nodes, strands: Mapping[int, int], before: Pairs, after: Pairs) -> bool:
    """
    Make submaps of their own of what does not hold together any more.

    The oldest part stays what it was; the poses of the others stay, and are in a frame of their
    own then.

    :param nodes: their submaps are changed.
    :param strands: number of the strand of each key frame.
    :param before: loops until now, after: from now on.
    :returns: whether a submap fell apart.
    """
    then, now = (_groups(strands, pairs) for pairs in (before, after))
    oldest: dict[int, int] = {}
    for number in nodes.numbers:
        oldest.setdefault(then[strands[number]], now[strands[number]])
    fallen = False
    first: dict[int, int] = {}
    for number in nodes.numbers:
        group = now[strands[number]]
        if group != oldest[then[strands[number]]]:
            nodes.submaps[number] = first.setdefault(group, number)
            fallen = True
    return fallen


def _groups(strands: Mapping[int, int], pairs: Pairs) -> dict[int, int]:
    """Return for each strand the number of the group that loops hold together."""
    names = sorted(set(strands.values()))
    index = {name: i for i, name in enumerate(names)}
    linked = np.zeros((len(names), len(names)), np.bool_)
    for here, there in pairs:
        linked[index[strands[here]], index[strands[there]]] = True
    _, labels = connected_components(sparse.csr_matrix(linked), directed=False)
    return dict(zip(names, labels.tolist()))
