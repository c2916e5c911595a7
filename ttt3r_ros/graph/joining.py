# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How the submaps of a map are found to belong together.

A submap begins where the motion since the key frame before is not known: in a saved map, after the
tracker was lost, when the robot was carried away. One key frame of it that shows a place of
another submap is a hypothesis; a second one, after the camera has moved, must agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, Similarity
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.relocalisation import KnownPlaces, near, PlaceMatch, PoseHypothesis
from ttt3r_ros.graph.solver.pose_graph import Estimate

REMEMBERED = 5  # matches that wait for another one
HINT_KEYS = 10  # key frames after which a hint that led nowhere is forgotten
HINT_RAD = np.radians(60.0)
VIEW_RAD = np.radians(90.0)  # key frames that look farther away show something else
SIGHT_M = 3.0  # a camera recognises what a key frame saw that is so far away
# What is recognised must reach so far in all directions, and in two of them: rms metres.
LEAST_DEPTH_M, LEAST_WIDTH_M = 0.1, 0.2
DRIFT_SHARE = 0.2  # of the way since the hint, before the scale of a submap is known


@dataclass(frozen=True, eq=False)
class Hint:
    """
    An approximate pose of the camera, given by a user.

    map_T_camera: (4, 4). submap_T_camera: (4, 4), where it was then in the submap that grows.
    radius: metres by which that may be wrong. left: key frames for which it still holds.
    """

    map_T_camera: Array
    submap_T_camera: Array
    radius: float
    left: int = HINT_KEYS

    def expected(self, submap_T_camera: Array) -> tuple[Array, float]:
        """
        Return where the camera should be now, and by how many metres that may be wrong.

        :param submap_T_camera: (4, 4) now.
        """
        motion = invert(self.submap_T_camera) @ submap_T_camera
        way = float(np.linalg.norm(motion[:3, 3]))
        return self.map_T_camera @ motion, self.radius + DRIFT_SHARE * way

    def agrees(self, hypothesis: PoseHypothesis) -> bool:
        """
        Check a hypothesis against the hint.

        :param hypothesis: its track is the submap.
        """
        expected, radius = self.expected(hypothesis.track_T_camera)
        return near(expected, hypothesis.map_T_camera, radius, HINT_RAD)


@dataclass(frozen=True, eq=False)
class Join:
    """
    Two submaps that belong together.

    moves: the younger one. stays: the older one. stays_T_moves: from the frame of one to that of
    the other. place_matches: what shows it.
    """

    moves: int
    stays: int
    stays_T_moves: Similarity
    place_matches: tuple[PlaceMatch, ...]

    def applied(self, nodes: Nodes, numbers: Sequence[int]) -> Estimate:
        """
        Return the estimate of both once the younger submap has moved.

        :param nodes: all key frames.
        :param numbers: of those of both submaps.
        """
        at = nodes.part(numbers)
        moves = np.array([nodes.submaps[number] == self.moves for number in numbers])
        moved = self.stays_T_moves.pose(at.poses)
        return Estimate(
            np.where(moves[:, None, None], moved, at.poses),
            at.log_scales + moves * np.log(self.stays_T_moves.scale),
        )


class UnconfirmedMatches:
    """The last place matches, which could not be confirmed yet."""

    def __init__(self, most: int) -> None:
        """
        Begin with none.

        :param most: that are remembered.
        """
        self._most = most
        self._all: list[PlaceMatch] = []

    def forget(self) -> None:
        """Forget all."""
        self._all = []

    def confirmed(
        self, place_match: PlaceMatch, belongs: Mapping[int, int], known: KnownPlaces
    ) -> tuple[PlaceMatch, ...]:
        """
        Remember a place match.

        :param belongs: what is tracked as one, of each key frame: its submap or strand.
        :param known: the key frames.
        :returns: those before that agree with it, and it; nothing where none does.
        """
        newest, own = (
            hypothesis(place_match, known),
            (belongs[place_match.here], belongs[place_match.there]),
        )
        agreeing = [
            one
            for one in self._all
            if (belongs.get(one.here), belongs.get(one.there)) == own
            and newest.confirms(hypothesis(one, known))
        ]
        self._all = [*self._all, place_match][-self._most :]
        return (*agreeing, place_match) if agreeing else ()


class Joining:
    """Look for places of other submaps in the one that grows."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._matches = UnconfirmedMatches(REMEMBERED)
        self._hint: Hint | None = None

    def forget(self) -> None:
        """Begin anew, with another submap."""
        self._matches.forget()
        self._hint = None

    def expect(self, hint: Hint) -> None:
        """
        Take over a hint; what was seen before does not count any more.

        :param hint: about the submap that grows.
        """
        self._matches.forget()
        self._hint = hint

    def look(self, nodes: Nodes, known: KnownPlaces, number: int) -> Join | None:
        """
        Look at a key frame: the newest one, or one by one those of a submap that has ended.

        :param nodes: all key frames.
        :param known: the same, as places.
        :param number: of the key frame.
        :returns: what it confirms, or None.
        """
        own, frame = nodes.submaps[number], nodes.frames[number]
        others = [n for n in nodes.numbers if nodes.submaps[n] != own]
        if self._hint is not None:
            others = self._near_hint(self._hint, nodes, known.poses)
        place_match = _certain(known.recognise(frame, others), nodes, known)
        join = None if place_match is None else self._confirmed(place_match, nodes, known)
        if self._hint is not None:
            self._hint = replace(self._hint, left=self._hint.left - 1)
            self._hint = self._hint if self._hint.left else None
        return join

    def _near_hint(self, hint: Hint, nodes: Nodes, poses: Mapping[int, Array]) -> list[int]:
        """Return the key frames of the map that a camera near the hint could recognise."""
        expected, radius = hint.expected(poses[nodes.numbers[-1]])
        members = nodes.members(nodes.main_submap)
        return [n for n in members if near(expected, poses[n], radius + SIGHT_M, VIEW_RAD)]

    def _confirmed(self, place_match: PlaceMatch, nodes: Nodes, known: KnownPlaces) -> Join | None:
        """Remember a place match; return what follows if earlier ones agree with it."""
        if self._hint is not None and not self._hint.agrees(hypothesis(place_match, known)):
            return None
        agreeing = self._matches.confirmed(place_match, nodes.submaps, known)
        if not agreeing or not is_solid(seen_points(agreeing, known)):
            return None
        submaps = nodes.submaps[place_match.here], nodes.submaps[place_match.there]
        return join_of(submaps, [hypothesis(one, known) for one in agreeing], agreeing)


def _certain(found: Sequence[PlaceMatch], nodes: Nodes, known: KnownPlaces) -> PlaceMatch | None:
    """Return the best of what one image seems to show, unless its submap has that place twice."""
    if not found:
        return None
    submap = nodes.submaps[found[0].here]
    places = [hypothesis(one, known) for one in found if nodes.submaps[one.here] == submap]
    return found[0] if places[0].is_only_one(places) else None


def hypothesis(place_match: PlaceMatch, known: KnownPlaces) -> PoseHypothesis:
    """
    Return where a place match puts a key frame now.

    :param known: all key frames.
    """
    here, there = place_match.here, place_match.there
    return place_match.hypothesis(
        known.poses[here], known.log_scales[here], known.poses[there], known.log_scales[there]
    )


def seen_points(place_matches: Sequence[PlaceMatch], known: KnownPlaces) -> Array:
    """
    Return the points that agree.

    :param place_matches: of places of one submap.
    :param known: all key frames.
    :returns: (N, 3) in the frame of that submap.
    """
    return np.concatenate([_seen(one, known) for one in place_matches])


def _seen(place_match: PlaceMatch, known: KnownPlaces) -> Array:
    unit = float(np.exp(known.log_scales[place_match.here]))
    pose, points = known.poses[place_match.here], unit * place_match.closure.points
    seen: Array = points @ pose[:3, :3].T + pose[:3, 3]
    return seen


def is_solid(points: Array) -> bool:
    """
    Check that points are of more than one wall, which may have the paper of another room.

    :param points: (N, 3) metres.
    """
    spread = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(points.T)), 0.0))
    return bool(spread[0] > LEAST_DEPTH_M and spread[1] > LEAST_WIDTH_M)


def join_of(
    submaps: tuple[int, int],
    places: Sequence[PoseHypothesis],
    place_matches: tuple[PlaceMatch, ...],
) -> Join:
    """
    Return how the younger of two submaps joins the older one, by the newest match.

    :param submaps: of the known key frames, and of those that recognised them.
    :param places: where the matches put these.
    :param place_matches: of one by the other submap.
    """
    other, own = submaps
    newest = places[-1]
    scale = float(np.exp(np.mean([one.log_scale for one in places])))
    there, here = newest.map_T_camera, newest.track_T_camera
    if other < own:
        return Join(own, other, Similarity.through(there, here, scale), place_matches)
    return Join(other, own, Similarity.through(here, there, 1.0 / scale), place_matches)
