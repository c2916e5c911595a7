# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Whether a submap was joined to the wrong place: more key frames contradict it than hold it there.

A place that looks like another one may join a submap wrongly. What it sees later then lies where
it cannot be: such matches are remembered, and those that agree with each other are counted against
the loops that hold the submap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ttt3r_ros.graph.joining import (
    hypothesis,
    is_solid,
    Join,
    join_of,
    seen_points,
    UnconfirmedMatches,
)
from ttt3r_ros.graph.loops import Found
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.relocalisation import is_sure, KnownPlaces, PlaceMatch
from ttt3r_ros.graph.strands import minimum_cut, Pairs

REMEMBERED = 100  # matches that contradict


@dataclass(frozen=True, eq=False)
class Contradiction:
    """
    What shows that two submaps were joined wrongly.

    pairs: loops that are wrong. place_matches: that agree on another place.
    """

    pairs: frozenset[tuple[int, int]]
    place_matches: tuple[PlaceMatch, ...]

    def join(self, nodes: Nodes, known: KnownPlaces) -> Join:
        """
        Return how the submaps belong together instead, once they are apart.

        :param nodes: with them as submaps of their own.
        :param known: the same key frames.
        """
        newest = self.place_matches[-1]
        submaps = nodes.submaps[newest.here], nodes.submaps[newest.there]
        return join_of(
            submaps, [hypothesis(one, known) for one in self.place_matches], self.place_matches
        )


class Contradictions:
    """Remember what contradicts how submaps were joined."""

    def __init__(self) -> None:
        """Begin without doubts."""
        self._matches = UnconfirmedMatches(REMEMBERED)

    def look(
        self, found: Found, strands: Mapping[int, int], pairs: Pairs, known: KnownPlaces
    ) -> Contradiction | None:
        """
        Look at what a key frame recognises.

        :param found: by it.
        :param strands: number of the strand of each key frame.
        :param pairs: all loops.
        :param known: all key frames.
        :returns: what outvotes the loops that hold the strands together, or None.
        """
        place_match = _doubtful(found, strands, known)
        if place_match is None:
            return None
        agreeing = self._matches.confirmed(place_match, strands, known)
        votes = len({one.there for one in agreeing})
        cut = minimum_cut(strands, pairs, strands[place_match.here], strands[place_match.there])
        if votes <= max(cut.votes, 1) or not is_solid(seen_points(agreeing, known)):
            return None
        return Contradiction(cut.pairs, agreeing)

    def forget(self) -> None:
        """Begin anew, after submaps were joined or have fallen apart."""
        self._matches.forget()


def _doubtful(found: Found, strands: Mapping[int, int], known: KnownPlaces) -> PlaceMatch | None:
    """Return the best of what is seen elsewhere, unless the same is seen where it should be."""
    settled = {strands[number] for number in found.closed}
    doubtful = [
        one
        for one in found.elsewhere
        if strands[one.here] not in settled | {strands[one.there]} and is_sure(one.closure)
    ]
    if not doubtful:
        return None
    best = max(doubtful, key=lambda one: one.closure.inliers)
    others = [one for one in doubtful if strands[one.here] == strands[best.here]]
    alone = hypothesis(best, known).is_only_one([hypothesis(one, known) for one in others])
    return best if alone else None
