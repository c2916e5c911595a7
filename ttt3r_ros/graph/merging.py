# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Two graphs of key frames become one where they show the same places.

The second one is a submap of the first, like that of a robot that was carried away, and is joined
by the same rules; more is asked for, because nothing that comes later could contradict it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import Similarity
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.stored_graph import StoredGraph

# So many key frames of one graph must recognise the other one.
LEAST_VOTES = 4
GAP = 3  # key frames that recognise nothing do not end an overlap, up to so many


@dataclass(frozen=True, eq=False)
class Overlap:
    """
    Where a second graph shows what the first one does.

    votes: numbers of its key frames that recognise the first graph without a gap. known: numbers
    of those that they recognise. middle: (3,) of both, metres, in the map. way: metres from the
    first to the last of its key frames. sigma_m, sigma_rad: how sure one graph lies in the other
    there, by the worst axis, in the middle of it.
    """

    votes: tuple[int, ...]
    known: tuple[int, ...]
    middle: Array
    way: float
    sigma_m: float
    sigma_rad: float


@dataclass(frozen=True, eq=False)
class MergedGraph:
    """
    One graph of two.

    graph: the key frames of the first graph have their numbers, those of the second one follow.
    overlaps: where they show the same. first, second: numbers of their key frames, before any
    went. after_T_before: of each of them, from the frame of its own map to the merged one.
    """

    graph: StoredGraph
    overlaps: tuple[Overlap, ...]
    first: tuple[int, ...]
    second: tuple[int, ...]
    after_T_before: Mapping[int, Similarity]

    @property
    def votes(self) -> int:
        """Return how many key frames of the second graph recognise the first one."""
        return sum(len(overlap.votes) for overlap in self.overlaps)


def merge_graphs(first: StoredGraph, second: StoredGraph) -> MergedGraph | None:
    """
    Join two graphs.

    :param first: holds the frame of the map.
    :param second: of another drive.
    :returns: None where they do not show the same places for certain.
    """
    second = second.numbered_from(first.next_number)
    both = first.beside(second)
    graph = KeyFrameGraph.resumed(both)
    numbers = tuple(frame.number for frame in second.frames)
    if not graph.revisit(numbers) or numbers[0] not in graph.belief.poses:
        return None
    overlaps = tuple(_overlaps(graph, numbers))
    if sum(len(overlap.votes) for overlap in overlaps) < LEAST_VOTES:
        return None
    after = graph.stored().estimate
    moved = {
        frame.number: _key(after.poses[i], after.log_scales[i]).after(
            _key(both.estimate.poses[i], both.estimate.log_scales[i]).inverse()
        )
        for i, frame in enumerate(both.frames)
    }
    graph.thin()
    known = tuple(frame.number for frame in first.frames)
    return MergedGraph(graph.stored(), overlaps, known, numbers, moved)


def _key(pose: Array, log_scale: float) -> Similarity:
    return Similarity(pose, float(np.exp(log_scale)))


def _overlaps(graph: KeyFrameGraph, numbers: Sequence[int]) -> Iterator[Overlap]:
    """Yield where the key frames of the second graph recognise those of the first one."""
    known: dict[int, list[int]] = {}
    for here, there in graph.belief.loops:
        if here < numbers[0] <= there:
            known.setdefault(there, []).append(here)
    order = {number: i for i, number in enumerate(numbers)}
    run: list[int] = []
    for number in sorted(known):
        if run and order[number] - order[run[-1]] > GAP + 1:
            yield _overlap(graph, run, known)
            run = []
        run.append(number)
    if run:
        yield _overlap(graph, run, known)


def _overlap(
    graph: KeyFrameGraph, votes: Sequence[int], known: Mapping[int, Sequence[int]]
) -> Overlap:
    poses = graph.belief.poses
    theirs = sorted({here for there in votes for here in known[there]})
    there = votes[len(votes) // 2]
    sigmas = np.sqrt(np.diag(graph.relative_covariance(known[there][0], there)))
    between = [n for n in poses if votes[0] <= n <= votes[-1]]
    places = np.stack([poses[n][:3, 3] for n in between])
    return Overlap(
        tuple(votes),
        tuple(theirs),
        np.mean([poses[n][:3, 3] for n in (*votes, *theirs)], axis=0),
        float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum()),
        float(sigmas[3:].max()),
        float(sigmas[:3].max()),
    )
