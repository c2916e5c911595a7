# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Key frames, what was measured between them, and what is estimated from it.

They form submaps: within one the motion from key frame to key frame is known. The oldest submap
holds the frame of the map, the newest one grows. As soon as two key frames recognise places of
another submap, and agree, the younger of both submaps is moved to the older one. It is moved away
again when more of them recognise it elsewhere.

Each camera of a robot adds key frames of its own. Ties, which follow from how the cameras are
mounted, hold them together, and join their submaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, Similarity
from ttt3r_ros.graph.belief import Belief, Located, LoopCounts
from ttt3r_ros.graph.certainty import Certainty
from ttt3r_ros.graph.chain import Chain, WINDOW
from ttt3r_ros.graph.contradictions import Contradictions
from ttt3r_ros.graph.joining import Hint, Join, Joining
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.loops import (
    CANDIDATES,
    Found,
    Loop,
    Loops,
    MOST_SIGMAS_AFTER,
    RECENT_KEYS,
    VOCABULARY_KEYS,
    with_loops,
)
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.places import Vocabulary
from ttt3r_ros.graph.relocalisation import KnownPlaces
from ttt3r_ros.graph.solver.pose_graph import Covariances, Estimate, Motion, PoseGraph, Solution
from ttt3r_ros.graph.stored_graph import StoredGraph
from ttt3r_ros.graph.strands import Pairs, part
from ttt3r_ros.graph.thinning import ENOUGH_OTHERS, most_covered, RemovedKeyFrame
from ttt3r_ros.graph.ties import metric, Ties
from ttt3r_ros.graph.wheels import NOISES, WheelNoise
from ttt3r_ros.tracking.tracked_pose import KeyView, TrackedPose

__all__ = ['Belief', 'Change', 'KeyFrameGraph', 'Located', 'LoopCounts']

MOST_KEYS = 500
USUAL_WHEELS = NOISES['usual']
ROUNDS, ROUNDS_AFTER_LOOP = 2, 6
FAR_FIRST = 1  # of them: what a loop corrects is many of its sigmas
# Where a large graph moves, key frames share the rounds: each takes one, or what this many
# measured motions allow.
MOTIONS_AT_ONCE = 5500
SETTLED = 3e-3  # metres and radians; else the next key frame goes on with the whole
NEAR = 0.02  # to the optimum, so that it shows which loops are wrong
MOVING = 40  # newest key frames that move while no loop is closed
# A submap that ends with fewer key frames is dropped; if it was the map, the next one is the map.
LEAST_SUBMAP = VOCABULARY_KEYS
HINT_RADIUS = 2.0
# A map that has ended has time for more comparisons: so many of each key frame with another map.
BETWEEN = 20


@dataclass(frozen=True, eq=False)
class Change:
    """
    What a new key frame has changed.

    jump: metres by which the correction moved the newest camera, 0 where the camera was or is not
    in the map. closed: whether a loop was closed, which moves older key frames too. removed: a key
    frame that went, or None. joined: whether submaps were joined, which may bring key frames into
    the map. dropped: numbers of the key frames of a submap that was too short to be kept. parted:
    of those that were in the map and are not any more, because they were joined to it wrongly.
    """

    jump: float
    closed: bool
    removed: RemovedKeyFrame | None
    joined: bool = False
    dropped: tuple[int, ...] = ()
    parted: tuple[int, ...] = ()


class KeyFrameGraph:
    """
    Key frames, what was measured between them, and what is estimated from it.

    `locate` and `belief` only read the newest estimate and may be used by any thread; all else
    takes long and belongs to one thread.
    """

    def __init__(
        self,
        wheels: WheelNoise = USUAL_WHEELS,
        start: Array | None = None,
        most_keys: int = MOST_KEYS,
    ) -> None:
        """
        Begin with nothing.

        :param wheels: how good they are.
        :param start: (4, 4) map_T_camera of the first key frame; None: the map begins there.
        :param most_keys: key frames that are kept, at most.
        """
        self._wheels = wheels
        self._most_keys = most_keys
        self._start = np.eye(4) if start is None else start
        self._nodes = Nodes()
        self._chain = Chain(wheels)
        self._ties = Ties()
        self._loops = Loops()
        self._joining = Joining()
        self._contradictions = Contradictions()
        self._certainty = Certainty()
        self._settled = True  # else the optimum was not reached in all rounds
        self._next_number = 0
        self._begins = False  # a submap, with the next key frame
        self._belief = Belief(
            Similarity(self._start), 0, {}, {}, {}, {}, False, (), LoopCounts(), np.zeros((6, 6))
        )

    @classmethod
    def resumed(
        cls,
        stored: StoredGraph,
        wheels: WheelNoise = USUAL_WHEELS,
        most_keys: int = MOST_KEYS,
    ) -> KeyFrameGraph:
        """
        Go on in a map that was saved; the next key frame begins a submap.

        :param stored: the map.
        :param wheels: how good those of now are.
        :param most_keys: key frames that are kept, at most.
        """
        graph = cls(wheels, stored.start, most_keys)
        graph._nodes = Nodes(stored.frames, stored.estimate, stored.submaps)
        graph._chain = Chain(wheels, stored.measured)
        graph._ties = Ties(stored.ties)
        graph._loops = Loops(stored.vocabulary, stored.counts, stored.loops)
        graph._next_number = stored.next_number
        graph.begin_submap()
        return graph

    def stored(self) -> StoredGraph:
        """
        Return all that another run needs to go on in this map.

        :raises ValueError: before there is a vocabulary.
        """
        nodes, loops = self._nodes, self._loops
        return StoredGraph(
            tuple(nodes.frames.values()),
            nodes.estimate,
            tuple(nodes.submaps.values()),
            self._chain.measured,
            loops.accepted,
            self._vocabulary(),
            loops.counts,
            self._start,
            self._next_number,
            self._ties.all,
        )

    def _vocabulary(self) -> Vocabulary:
        if self._loops.vocabulary is None:
            raise ValueError('the map has no places yet: too few key frames, or without features')
        return self._loops.vocabulary

    @property
    def belief(self) -> Belief:
        """Return the newest estimate; it does not change any more."""
        return self._belief

    @property
    def next_number(self) -> int:
        """Return the least number that the next key frame may have."""
        return self._next_number

    def locate(self, tracked_pose: TrackedPose) -> Located:
        """
        Compute where an image is, by the newest estimate.

        :param tracked_pose: by the tracker.
        """
        return self._belief.locate(tracked_pose, self._wheels, self._start)

    def begin_submap(self) -> None:
        """
        Begin a submap with the next key frame: how it lies to those before is not known.

        A key frame of another track begins one by itself.
        """
        if len(self._nodes) and not self._begins:
            self._begins = True
            self._loops.forget_optimum()
            for camera in self._chain.ends:
                self._chain.begin(camera)
            self._joining.forget()
            self._publish()

    def expect(self, map_T_camera: Array, radius: float = HINT_RADIUS) -> None:
        """
        Look for the submap that grows near a pose, and nowhere else for the next key frames.

        The pose itself is not taken over: places must be recognised as without it.

        :param map_T_camera: (4, 4) now.
        :param radius: metres by which it may be wrong.
        :raises ValueError: when the camera is in the map already; begin a submap to doubt that.
        """
        if not self._belief.lost:
            raise ValueError('the camera is in the map: there is nothing to look for')
        here = self._start if self._begins else self._nodes.estimate.poses[-1]
        self._joining.expect(Hint(map_T_camera, here, radius))

    def add(self, key: KeyView) -> Change:
        """
        Add a key frame, look for loops, and optimise the graph.

        :param key: by the tracker, one after the other.
        :raises ValueError: when its number is not above those of all others.
        """
        if key.number < self._next_number:
            raise ValueError(f'key frame {key.number} comes after {self._next_number - 1}')
        self._next_number = key.number + 1
        frame = KeyFrame.of(key)
        dropped = self._begin_submap_before(key)
        before = self._belief
        self._chain.append(key, frame, self._nodes, self._start)
        closed, moved = self._close_loops()
        joined = self._join(key.number) or moved
        removed = self._thin()
        self._loops.bound(self._strands())
        numbers = self._nodes.members(self._nodes.newest_submap)
        self._certainty.update(self._whole(numbers), joined)
        self._publish()
        jump = 0.0
        if not (before.lost or self._belief.lost):
            jump = _jump(before.correction, self._belief.correction, frame.track_T_camera)
        left = before.poses.keys() - self._belief.poses.keys() - set(dropped)
        parted = tuple(number for number in self._nodes.numbers if number in left)
        return Change(jump, closed or joined, removed, joined, dropped, parted)

    def tie(self, ties: Sequence[Motion]) -> Change:
        """
        Hold key frames of different cameras together; submaps that are tied become one.

        :param ties: those of which a key frame went meanwhile are ignored.
        """
        nodes, joined = self._nodes, False
        known = [tie for tie in ties if {tie.here, tie.there} <= nodes.frames.keys()]
        for tie in known:
            self._ties.add(tie)
            if nodes.submaps[tie.here] != nodes.submaps[tie.there]:
                self._pull_together(tie)
                joined = True
        for submap in dict.fromkeys(nodes.submaps[tie.there] for tie in known):
            self._adjust_newest(nodes.members(submap))
        if known:
            self._publish()
        return Change(0.0, joined, None, joined)

    def _pull_together(self, tie: Motion) -> None:
        """Join the submaps of two key frames that are tied; both have the metre."""
        nodes, (here, there) = self._nodes, (tie.here, tie.there)
        at = nodes.part([here, there])
        pose = at.poses[0] @ metric(tie, float(at.log_scales[0]))
        places = Similarity(pose), Similarity(at.poses[1])
        stays, moves = nodes.submaps[here], nodes.submaps[there]
        if stays > moves:
            stays, moves, places = moves, stays, places[::-1]
        join = Join(moves, stays, places[0].after(places[1].inverse()), ())
        numbers = nodes.members(moves, stays)
        nodes.update(numbers, join.applied(nodes, numbers))
        nodes.merge(moves, stays)
        self._joining.forget()
        self._contradictions.forget()
        self._optimise(self._whole(numbers))

    def revisit(self, numbers: Sequence[int]) -> bool:
        """
        Look at key frames of submaps that have ended once more: for other submaps, then for loops.

        :param numbers: of them, rising; loops among themselves are not looked for.
        :returns: whether submaps were joined.
        """
        self._loops.describe(self._nodes.frames)
        joined = False
        for number in numbers:
            joined |= self._join(number)
        if joined:
            self._close_between(numbers)
        self._publish()
        return joined

    def _close_between(self, numbers: Sequence[int]) -> None:
        """Close loops from key frames to those of their submap that are not among them."""
        nodes, own = self._nodes, set(numbers)
        for number in numbers:
            members = nodes.members(nodes.submaps[number])
            others = [n for n in members if n not in own]
            self._split_wrong_joins(self._look_for_loops(members, number, others, BETWEEN))
        self._loops.bound(self._strands())  # before they count, as in a map that grows
        for submap in dict.fromkeys(nodes.submaps[number] for number in numbers):
            self._settle(self._whole(nodes.members(submap)))

    def thin(self) -> tuple[RemovedKeyFrame, ...]:
        """Remove all key frames that are of no use, or too many; return who has what they had."""
        removed = []
        while (one := self._thin()) is not None:
            removed.append(one)
        self._loops.bound(self._strands())
        self._publish()
        return tuple(removed)

    def known_places(self) -> KnownPlaces:
        """
        Return what another run needs to find itself in this map.

        :raises ValueError: before there is a vocabulary.
        """
        belief = self._belief
        frames = {number: self._nodes.frames[number] for number in belief.poses}
        return KnownPlaces(frames, belief.poses, belief.log_scales, self._vocabulary())

    def relative_covariance(self, here: int, there: int) -> Array:
        """
        Compute how sure one key frame is as seen from another one.

        :param here: number of one, there: of the other, of the same submap.
        :returns: (6, 6) of rotation and translation, metres, to the right of the pose.
        """
        nodes = self._nodes
        numbers = nodes.members(nodes.submaps[here])
        graph = self._whole(numbers)
        i, j = numbers.index(here), numbers.index(there)
        motion = invert(graph.estimate.poses[i]) @ graph.estimate.poses[j]
        return Covariances.of(graph).between(i, j, motion)

    def _begin_submap_before(self, key: KeyView) -> tuple[int, ...]:
        """Begin a submap where one is due; return the key frames that go for it."""
        nodes, camera = self._nodes, key.view.camera_index
        ended = self._chain.ends.get(camera)
        if self._begins:
            self._begins, last = False, nodes.numbers[-1]
        elif ended is not None and (ended.track != key.track or key.motion is None):
            self._chain.begin(camera)
            self._joining.forget()
            last = ended.number
        else:
            return ()
        submap = nodes.submaps[last]
        members = nodes.members(submap)
        grows = submap in {nodes.submaps[end.number] for end in self._chain.ends.values()}
        if grows or len(members) >= LEAST_SUBMAP:
            return ()
        if submap == nodes.main_submap:  # a new map, that begins where the old one ended
            self._start = nodes.part([last]).poses[0]
        self._chain.forget(members)
        self._ties.forget(members)
        self._loops.forget(members)
        nodes.remove(members)
        return members

    def _graph(self, numbers: tuple[int, ...]) -> PoseGraph:
        graph = self._chain.graph(self._nodes, numbers)
        return replace(graph, motions=(*graph.motions, *self._ties.within(numbers)))

    def _estimated(self, numbers: tuple[int, ...]) -> PoseGraph:
        """Return where key frames are, without what was measured."""
        return PoseGraph(numbers, self._nodes.part(numbers), (), ())

    def _whole(self, numbers: tuple[int, ...]) -> PoseGraph:
        """Return the graph of some submaps with loops."""
        return self._loops.added_to(self._graph(numbers))

    def _close_loops(self) -> tuple[bool, bool]:
        """
        Close loops in the submap that grows, and optimise it.

        :returns: whether all of it moved, and whether submaps lie elsewhere now.
        """
        nodes = self._nodes
        numbers = nodes.members(nodes.newest_submap)
        newest, old = numbers[-1], self._long_ago(numbers)
        found = self._look_for_loops(numbers, newest, old)
        if not (self._settled and self._loops.fit(self._estimated(numbers))):
            far = FAR_FIRST if self._settled or found.closed else 0
            graph = self._whole(numbers)
            self._settle(graph, rounds_at_once(graph), far)
            return True, self._split_wrong_joins(found)
        self._adjust_newest(numbers)
        return False, self._split_wrong_joins(found)

    def _adjust_newest(self, numbers: tuple[int, ...]) -> None:
        """Optimise the newest key frames of a submap; the others stay."""
        recent = numbers[-MOVING:]
        graph = self._whole(numbers).around(MOVING)
        at, count = graph.optimised(ROUNDS).estimate, len(recent)
        self._nodes.update(recent, Estimate(at.poses[-count:], at.log_scales[-count:]))

    def _long_ago(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """Leave out the newest key frame, and those that its camera took just before."""
        frames = self._nodes.frames
        camera = frames[numbers[-1]].camera_index
        own = [n for n in numbers if frames[n].camera_index == camera]
        recent = set(own[-1 - RECENT_KEYS :])
        return tuple(number for number in numbers if number not in recent)

    def _look_for_loops(
        self,
        numbers: tuple[int, ...],
        newest: int,
        old: Sequence[int],
        most: int = CANDIDATES,
    ) -> Found:
        """Close loops from one key frame of a submap to others."""
        graph, certainty = self._whole(numbers), self._certainty
        between = partial(certainty.between, graph)
        return self._loops.close(self._nodes.frames, graph, newest, old, between, most)

    def _settle(
        self, graph: PoseGraph, rounds: int = ROUNDS_AFTER_LOOP, far: int = FAR_FIRST
    ) -> None:
        """Optimise a submap, without the loops that the optimum contradicts."""
        nodes, before = self._nodes, self._loops.pairs
        step = self._optimise(graph, rounds, far)
        there = rounds == ROUNDS_AFTER_LOOP or step < NEAR
        if there and self._loops.reject(self._estimated(graph.numbers)):
            self._part(before)
            for submap in dict.fromkeys(nodes.submaps[number] for number in graph.numbers):
                self._optimise(self._whole(nodes.members(submap)), rounds)
        self._loops.remember(self._estimated(nodes.numbers))

    def _optimise(
        self, graph: PoseGraph, rounds: int = ROUNDS_AFTER_LOOP, far: int = FAR_FIRST
    ) -> float:
        """Optimise a submap; return the last step."""
        solution = graph.solved(rounds, far)
        self._take(graph.numbers, solution)
        return solution.step

    def _take(self, numbers: tuple[int, ...], solution: Solution) -> None:
        """Take over the optimum of a submap."""
        self._nodes.update(numbers, solution.graph.estimate)
        if numbers[-1] == self._nodes.numbers[-1]:
            self._settled = solution.step < SETTLED
            self._certainty.learn(numbers, solution.covariances)

    def _part(self, before: Pairs) -> None:
        """Make submaps of their own of what loops do not hold any more."""
        if part(self._nodes, self._strands(), before, self._loops.pairs):
            self._joining.forget()
            self._contradictions.forget()

    def _strands(self) -> dict[int, int]:
        return self._ties.bundled(self._chain.strands(self._nodes.numbers))

    def _split_wrong_joins(self, found: Found) -> bool:
        """Take submaps apart that were joined wrongly; return whether they were."""
        if not found.elsewhere:
            return False
        nodes, before = self._nodes, self._loops.pairs
        known = self._known()
        contradiction = self._contradictions.look(found, self._strands(), before, known)
        if contradiction is None:
            return False
        self._loops.discard(contradiction.pairs)
        self._part(before)
        for submap in dict.fromkeys(nodes.submaps.values()):
            self._optimise(self._whole(nodes.members(submap)))
        join = contradiction.join(nodes, self._known())
        if join.moves != join.stays:
            self._apply(join)
        return True

    def _known(self) -> KnownPlaces:
        """Return all key frames, each in the frame of its submap."""
        nodes, at = self._nodes, self._nodes.estimate
        return KnownPlaces(
            nodes.frames,
            dict(zip(nodes.numbers, at.poses)),
            dict(zip(nodes.numbers, at.log_scales.tolist())),
            self._vocabulary(),
        )

    def _join(self, number: int) -> bool:
        """Join two submaps where a key frame confirms that they belong together."""
        nodes = self._nodes
        if self._loops.vocabulary is None or nodes.whole:
            return False
        join = self._joining.look(nodes, self._known(), number)
        return join is not None and self._apply(join)

    def _apply(self, join: Join) -> bool:
        """Move one submap to another, unless the optimum of both contradicts that."""
        nodes = self._nodes
        numbers = nodes.members(join.moves, join.stays)
        focal_known = nodes.frames[join.place_matches[-1].there].focal_known
        loops = [Loop.of(s.here, s.there, s.closure, focal_known) for s in join.place_matches]
        graph = self._loops.added_to(self._graph(numbers))
        graph = replace(with_loops(graph, loops), estimate=join.applied(nodes, numbers))
        solution = graph.solved(ROUNDS_AFTER_LOOP)
        if solution.graph.errors()[-2 * len(loops) :].max() > MOST_SIGMAS_AFTER:
            return False  # all that is known together contradicts it
        self._take(numbers, solution)
        nodes.merge(join.moves, join.stays)
        self._loops.add(loops)
        self._joining.forget()
        self._contradictions.forget()
        return True

    def _thin(self) -> RemovedKeyFrame | None:
        """Remove one key frame that others replace, and join what was measured through it."""
        nodes, count = self._nodes, len(self._nodes)
        least = ENOUGH_OTHERS if count <= self._most_keys else 0
        numbers, at, inner = nodes.numbers, nodes.estimate, self._chain.inner()
        may_go = [i for i in range(count - WINDOW - RECENT_KEYS) if numbers[i] in inner]
        chosen = most_covered(at.poses, list(nodes.submaps.values()), may_go, least)
        if chosen is None:
            return None
        removed, successor = chosen
        number = numbers[removed]
        result = RemovedKeyFrame(
            number,
            numbers[successor],
            invert(at.poses[successor]) @ at.poses[removed],
            float(at.log_scales[removed]),
            float(at.log_scales[successor]),
        )
        link = self._chain.link(number)
        self._loops.remove(number, link[0].there, link, nodes)
        self._ties.hand_over(link[0], nodes)
        self._chain.remove(number, nodes)
        nodes.remove([number])
        return result

    def _publish(self) -> None:
        nodes, at = self._nodes, self._nodes.estimate
        poses = dict(zip(nodes.numbers, at.poses))
        inside = set(nodes.members(nodes.main_submap))
        ends = {camera: nodes.frames[end.number] for camera, end in self._chain.ends.items()}
        correction = Similarity(self._start)
        if ends:
            newest = nodes.frames[nodes.numbers[-1]]
            stretch = float(np.exp(at.log_scales[-1] - newest.log_scale))
            correction = Similarity.through(at.poses[-1], newest.track_T_camera, stretch)
        self._belief = Belief(
            correction,
            self._belief.generation + 1,
            ends,
            {number: pose for number, pose in poses.items() if number in inside},
            {number: pose for number, pose in poses.items() if number not in inside},
            dict(zip(nodes.numbers, at.log_scales.tolist())),
            inside.isdisjoint(end.number for end in ends.values()),
            self._loops.pairs,
            self._loops.counts,
            self._certainty.covariance if ends else np.zeros((6, 6)),
            self._chain.bends,
        )


def _jump(before: Similarity, after: Similarity, track_T_camera: Array) -> float:
    then, now = before.pose(track_T_camera), after.pose(track_T_camera)
    return float(np.linalg.norm(now[:3, 3] - then[:3, 3]))


def rounds_at_once(graph: PoseGraph) -> int:
    """
    Return how many rounds of its optimisation one key frame waits for.

    :param graph: that moves as a whole.
    """
    return max(1, min(ROUNDS_AFTER_LOOP, MOTIONS_AT_ONCE // max(len(graph.motions), 1)))
