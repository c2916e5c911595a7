# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Key frames that saw the same place at different times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, invert, scaled
from ttt3r_ros.graph.belief import LoopCounts
from ttt3r_ros.graph.closure import Closure, verify
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.places import Vocabulary, WORDS
from ttt3r_ros.graph.relocalisation import PlaceMatch
from ttt3r_ros.graph.solver.pose_graph import Estimate, Motion, PoseGraph, ScaleStep
from ttt3r_ros.graph.solver.rotations import log_pose
from ttt3r_ros.graph.thinning import joined, joined_step

VOCABULARY_KEYS = 10  # from which words are learned, as soon as they have a feature for each
RECENT_KEYS = 9  # share features with the newest one anyway
CANDIDATES = 3
KERNEL = 1.0
RATIO_SIGMA = 0.06
FOCAL_SIGMA = 0.1  # radians and metres, without calibration
# A loop must lie within what the path may have drifted, and agree with the others afterwards.
MOST_SURPRISE = 25.0  # chi2 of six numbers
DRIFT_ALLOWANCE = 4.0  # on its variance: errors of key frames that follow each other go together
MOST_SIGMAS_AFTER = 6.0
FITS = 2.0  # sigmas by which a loop may be off that moves nothing
# At the optimum some are off by more: as long as they are not much farther off, it still holds.
STILL_FITS = 1.0
# Those of one key frame that are kept: a place that is seen again and again closes ever more.
MOST_LOOPS = 10
NO_LOOPS = LoopCounts()


@dataclass(frozen=True, eq=False)
class Loop:
    """What closes a loop: the motion in both directions, and the ratio of the scales."""

    forth: Motion
    back: Motion
    ratio: ScaleStep

    @classmethod
    def of(cls, here: int, there: int, closure: Closure, focal_known: bool) -> Loop:
        """
        Take over what two key frames measured.

        :param here: number of one, there: of the other.
        :param focal_known: whether the camera is calibrated.
        """
        forth, back = closure.here_T_there, closure.there_T_here
        added = (0.0 if focal_known else FOCAL_SIGMA**2) * np.eye(6)
        return cls(
            Motion(here, there, forth.key_T_camera, forth.covariance + added, kernel=KERNEL),
            Motion(there, here, back.key_T_camera, back.covariance + added, kernel=KERNEL),
            ScaleStep(here, there, closure.log_ratio, RATIO_SIGMA, KERNEL),
        )

    def renumbered(self, by: int) -> Loop:
        """
        Return the same between key frames with other numbers.

        :param by: what is added to them.
        """
        return Loop(self.forth.renumbered(by), self.back.renumbered(by), self.ratio.renumbered(by))

    def reversed(self) -> Loop:
        """Return the same loop from its other end."""
        ratio = self.ratio
        turned = replace(ratio, here=ratio.there, there=ratio.here, log_ratio=-ratio.log_ratio)
        return Loop(self.back, self.forth, turned)

    def handed_over(
        self, motion: Motion, step: ScaleStep, at: Estimate, indices: tuple[int, int, int]
    ) -> Loop:
        """
        Return the loop to the next key frame after the one where it ends, which goes.

        :param motion: from the one that goes to the next, step: alike.
        :param indices: in the estimate, of where it begins, ends, and of the next.
        """
        here, gone, after = indices
        moved = replace(joined(self.forth, motion, at, here, gone), kernel=KERNEL)
        unit = float(np.exp(at.log_scales[here] - at.log_scales[after]))
        there_T_here = scaled(invert(moved.here_T_there), unit)
        turned = adjoint(moved.here_T_there)
        covariance = turned @ moved.covariance @ turned.T
        return Loop(
            moved,
            Motion(moved.there, moved.here, there_T_here, covariance, kernel=KERNEL),
            replace(joined_step(self.ratio, step), kernel=KERNEL),
        )


@dataclass(frozen=True, eq=False)
class Found:
    """
    What a key frame recognises.

    closed: numbers of those to which it has a loop now. elsewhere: what it seems to show as well,
    so far away that it contradicts all that is known.
    """

    closed: tuple[int, ...]
    elsewhere: tuple[PlaceMatch, ...]


class Loops:
    """Loop closures: candidates are looked for and verified; outliers are rejected later."""

    def __init__(
        self,
        vocabulary: Vocabulary | None = None,
        counts: LoopCounts = NO_LOOPS,
        loops: Iterable[Loop] = (),
    ) -> None:
        """
        Begin with some.

        :param vocabulary: by which places are described, None before there is one.
        :param counts: of loops.
        :param loops: accepted so far.
        """
        self.vocabulary = vocabulary
        self.counts = counts
        self._loops = {(loop.forth.here, loop.forth.there): loop for loop in loops}
        self._at_optimum: dict[tuple[int, int], float] = {}  # sigmas by which each was off there

    @property
    def accepted(self) -> tuple[Loop, ...]:
        """Return all loops that were accepted and not rejected since."""
        return tuple(self._loops.values())

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Return the numbers of the key frames of each loop."""
        return tuple(self._loops)

    def added_to(self, graph: PoseGraph) -> PoseGraph:
        """
        Return a graph with the loops between its key frames as its last motions and steps.

        :param graph: without them.
        """
        return with_loops(graph, [self._loops[pair] for pair in self._within(graph)])

    def _within(self, graph: PoseGraph) -> list[tuple[int, int]]:
        known = set(graph.numbers)
        return [pair for pair in self._loops if known.issuperset(pair)]

    def add(self, loops: Iterable[Loop]) -> None:
        """
        Accept loops.

        :param loops: that were verified.
        """
        for loop in loops:
            self._keep(loop)
            self.counts = replace(self.counts, accepted=self.counts.accepted + 1)

    def _keep(self, loop: Loop) -> None:
        self._loops[loop.forth.here, loop.forth.there] = loop

    def of(self, number: int) -> tuple[Loop, ...]:
        """
        Return the loops that begin or end at a key frame.

        :param number: of it.
        """
        return tuple(loop for pair, loop in self._loops.items() if number in pair)

    def discard(self, pairs: Collection[tuple[int, int]]) -> None:
        """
        Reject loops.

        :param pairs: numbers of their key frames.
        """
        for pair in pairs:
            del self._loops[pair]
        self.counts = replace(self.counts, rejected=self.counts.rejected + len(pairs))

    def close(
        self,
        frames: dict[int, KeyFrame],
        graph: PoseGraph,
        number: int,
        among: Sequence[int],
        certainty: Callable[[int, int], Array],
        most: int = CANDIDATES,
    ) -> Found:
        """
        Look for key frames of its submap that saw the same place as another one.

        :param frames: all, of which the places are described on the way.
        :param graph: of the submap.
        :param number: of the key frame, among: of those that come into question.
        :param certainty: returns the covariance of a key frame as seen from another one, (6, 6).
        :param most: that are compared, those that look most like it.
        """
        self.describe(frames)
        frame, closed, elsewhere = frames[number], [], []
        for other in _candidates(frames, frame, among)[:most]:
            self.counts = replace(self.counts, tried=self.counts.tried + 1)
            closure = verify(frames[other].feature_points, frame.feature_points)
            if closure is None:
                continue
            if not _plausible(other, number, closure, graph, certainty):
                elsewhere.append(PlaceMatch(other, number, closure))
                continue
            self.add([Loop.of(other, number, closure, frame.focal_known)])
            closed.append(other)
        return Found(tuple(closed), tuple(elsewhere))

    def describe(self, frames: dict[int, KeyFrame]) -> None:
        """
        Compute the vectors by which key frames are found as places, where they are missing.

        :param frames: all; they are replaced.
        """
        fresh = [frame for frame in frames.values() if not len(frame.place)]
        if self.vocabulary is None:
            descriptors = [frame.feature_points.features.descriptors for frame in fresh]
            if len(fresh) < VOCABULARY_KEYS or sum(map(len, descriptors)) < WORDS:
                return
            self.vocabulary = Vocabulary.learned(descriptors)
        for one in fresh:
            place = self.vocabulary.describe(one.feature_points.features.descriptors)
            frames[one.number] = replace(one, place=place)

    def fit(self, graph: PoseGraph) -> bool:
        """
        Check that an estimate fits all loops, so that none moves what is far from its ends.

        :param graph: without loops.
        """
        known = self._at_optimum
        bounds = [max(FITS, known.get(p, 0.0) + STILL_FITS) for p in self._within(graph)]
        return bool((self._errors(graph) < bounds).all())

    def remember(self, graph: PoseGraph) -> None:
        """
        Remember how far off each loop is where all that was measured fits best.

        :param graph: of all key frames without loops, at its optimum with them.
        """
        self._at_optimum = dict(zip(self._within(graph), self._errors(graph).tolist()))

    def forget_optimum(self) -> None:
        """Forget it: what comes next begins as after a file was read."""
        self._at_optimum = {}

    def reject(self, graph: PoseGraph) -> bool:
        """
        Reject loops that the optimum contradicts.

        :param graph: without loops, at the optimum with those between its key frames.
        :returns: whether there were any.
        """
        pairs, errors = self._within(graph), self._errors(graph)
        wrong = [pair for pair, off in zip(pairs, errors) if off > MOST_SIGMAS_AFTER]
        self.discard(wrong)
        return bool(wrong)

    def _errors(self, graph: PoseGraph) -> Array:
        """Return how many sigmas each loop between the key frames of a graph is off."""
        alone = self.added_to(replace(graph, motions=(), scale_steps=()))
        sigmas: Array = alone.errors().reshape(-1, 2).max(axis=1)
        return sigmas

    def bound(self, strands: Mapping[int, int]) -> None:
        """
        Drop the least certain loops of key frames that have more than MOST_LOOPS.

        The last loop between two strands stays, since nothing else may hold them together.

        :param strands: number of the strand of each key frame.
        """
        held = Counter(number for pair in self._loops for number in pair)
        if max(held.values(), default=0) <= MOST_LOOPS:
            return
        between = Counter(_between(pair, strands) for pair in self._loops)
        for pair in sorted(self._loops, key=self._uncertainty, reverse=True):
            across = _between(pair, strands)
            is_last = len(across) > 1 and between[across] == 1
            if max(held[number] for number in pair) > MOST_LOOPS and not is_last:
                del self._loops[pair]
                held.subtract(pair)
                between[across] -= 1

    def _uncertainty(self, pair: tuple[int, int]) -> float:
        return float(np.linalg.slogdet(self._loops[pair].forth.covariance).logabsdet)

    def remove(
        self,
        number: int,
        after: int,
        link: tuple[Motion, ScaleStep | None],
        nodes: Nodes,
    ) -> None:
        """
        Remove a key frame; loops that begin or end there do so at the next one.

        :param after: number of the next one.
        :param link: what leads there.
        :param nodes: with both.
        """
        index = {n: i for i, n in enumerate(nodes.numbers)}
        motion, step = link
        for loop in self.of(number):
            if step is None:
                break
            ends_there = loop.forth.there == number
            loop = loop if ends_there else loop.reversed()
            other = loop.forth.here
            if other == after or {(other, after), (after, other)} & self._loops.keys():
                continue
            indices = index[other], index[number], index[after]
            moved = loop.handed_over(motion, step, nodes.estimate, indices)
            self._keep(moved if ends_there else moved.reversed())
        self.forget([number])

    def forget(self, numbers: Collection[int]) -> None:
        """
        Forget the loops of some key frames.

        :param numbers: of them.
        """
        gone = set(numbers)
        self._loops = {pair: loop for pair, loop in self._loops.items() if gone.isdisjoint(pair)}


def _between(pair: tuple[int, int], strands: Mapping[int, int]) -> frozenset[int]:
    return frozenset(strands[number] for number in pair)


def with_loops(graph: PoseGraph, loops: Sequence[Loop]) -> PoseGraph:
    """
    Return a graph with loops as its last motions and steps.

    :param graph: with or without others.
    """
    motions: list[Motion] = []
    for loop in loops:
        motions += [loop.forth, loop.back]
    steps = [loop.ratio for loop in loops]
    return replace(
        graph, motions=(*graph.motions, *motions), scale_steps=(*graph.scale_steps, *steps)
    )


def _plausible(
    here: int,
    there: int,
    closure: Closure,
    graph: PoseGraph,
    certainty: Callable[[int, int], Array],
) -> bool:
    """
    Check that a loop is not farther off than the path may have drifted.

    :param here: number of one key frame, there: of the other.
    :param certainty: returns how sure there is as seen from here, which may take long.
    """
    i, j = graph.numbers.index(here), graph.numbers.index(there)
    poses, log_scales = graph.estimate.poses, graph.estimate.log_scales
    here_T_there = invert(poses[i]) @ poses[j]
    measured = scaled(closure.here_T_there.key_T_camera, float(np.exp(log_scales[i])))
    error, covariance = log_pose(invert(measured) @ here_T_there), closure.here_T_there.covariance
    if float(error @ np.linalg.solve(covariance, error)) < MOST_SURPRISE:
        return True  # drift can only make it more plausible
    covariance = DRIFT_ALLOWANCE * certainty(here, there) + covariance
    return float(error @ np.linalg.solve(covariance, error)) < MOST_SURPRISE


def _candidates(frames: dict[int, KeyFrame], frame: KeyFrame, among: Sequence[int]) -> list[int]:
    """Return key frames, those that look most like another one first."""
    if not len(frame.place) or not among:
        return []
    similar = np.stack([frames[n].place for n in among]) @ frame.place
    return [among[i] for i in np.argsort(-similar)]
