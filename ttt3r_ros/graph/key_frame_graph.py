# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Key frames, what was measured between them, and what is believed of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, Similarity
from ttt3r_ros.graph.belief import Belief, Located, LoopCounts
from ttt3r_ros.graph.chain import Chain, WINDOW
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.loops import Loops, RECENT_KEYS, VOCABULARY_KEYS
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.pose_graph import Estimate, PoseGraph
from ttt3r_ros.graph.relocalisation import KnownPlaces
from ttt3r_ros.graph.thinning import Heir, most_covered
from ttt3r_ros.graph.wheels import NOISES, WheelNoise
from ttt3r_ros.tracking.following import Followed, KeyView

__all__ = ['Belief', 'Change', 'KeyFrameGraph', 'Located', 'LoopCounts']

MOST_KEYS = 500
USUAL_WHEELS = NOISES['usual']
ROUNDS, ROUNDS_AFTER_LOOP = 2, 6
MOVING = 40  # newest key frames that move while no loop is closed


@dataclass(frozen=True, eq=False)
class Change:
    """
    What a new key frame has changed.

    jump: metres by which the correction moved the newest camera. closed: whether a loop was
    closed, which moves older key frames too. gone: a key frame that went, or None.
    """

    jump: float
    closed: bool
    gone: Heir | None


class KeyFrameGraph:
    """
    Key frames, what was measured between them, and what follows.

    `add` takes its time and belongs to one thread; `locate` only reads the newest belief and may
    be called from any other.
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
        self._loops = Loops()
        self._belief = Belief(Similarity(self._start), 0, None, {}, {}, (), LoopCounts())

    @property
    def belief(self) -> Belief:
        """Return what is believed now; it does not change any more."""
        return self._belief

    def locate(self, followed: Followed, odom_T_base: Array | None = None) -> Located:
        """
        Compute where an image is, by what is believed now.

        :param followed: by the tracker.
        :param odom_T_base: (4, 4) at the image, or None.
        """
        return self._belief.locate(followed, odom_T_base, self._wheels, self._start)

    def add(self, key: KeyView) -> Change:
        """
        Take a key frame and think.

        :param key: by the tracker, one after the other.
        """
        before = self._belief.correction
        frame = KeyFrame.of(key)
        self._chain.append(key, frame, self._nodes, self._start)
        closed = self._loops.close(self._nodes.frames, self._chain.graph(self._nodes))
        if closed:
            self._optimise()
            if self._loops.reject(self._chain.graph(self._nodes)):
                self._optimise()
        else:
            self._optimise_recent()
        gone = self._thin()
        self._publish()
        return Change(_jump(before, self._belief.correction, frame.track_T_camera), closed, gone)

    def known_places(self) -> KnownPlaces:
        """
        Return what another run needs to find itself in this map.

        :raises ValueError: when there are too few key frames for a vocabulary.
        """
        vocabulary, belief = self._loops.vocabulary, self._belief
        if vocabulary is None:
            raise ValueError(f'a map needs {VOCABULARY_KEYS} key frames to be recognised')
        frames = dict(self._nodes.frames)
        return KnownPlaces(frames, belief.poses, belief.log_scales, vocabulary)

    def _graph(self) -> PoseGraph:
        return self._loops.added_to(self._chain.graph(self._nodes))

    def _optimise(self) -> None:
        self._nodes.estimate = self._graph().optimised(ROUNDS_AFTER_LOOP).estimate

    def _optimise_recent(self) -> None:
        """Fit the newest key frames alone: without a loop nothing older learns anything."""
        at = self._graph().around(MOVING).optimised(ROUNDS).estimate
        self._nodes.replace_newest(Estimate(at.poses[-MOVING:], at.log_scales[-MOVING:]))

    def _thin(self) -> Heir | None:
        """Remove one key frame where there are too many, and join what was measured through it."""
        nodes, count = self._nodes, len(self._nodes)
        if count <= self._most_keys:
            return None
        at = nodes.estimate
        chosen = most_covered(at.poses, range(1, count - WINDOW - RECENT_KEYS))
        if chosen is None:
            return None
        gone, heir = chosen
        number, after = nodes.numbers[gone], nodes.numbers[gone + 1]
        result = Heir(
            number,
            nodes.numbers[heir],
            invert(at.poses[heir]) @ at.poses[gone],
            float(at.log_scales[gone]),
        )
        self._loops.remove(number, after, self._chain.link(number), self._graph())
        self._chain.remove(gone, nodes)
        nodes.remove(gone)
        return result

    def _publish(self) -> None:
        numbers, at = self._nodes.numbers, self._nodes.estimate
        newest = self._nodes.frames[numbers[-1]]
        stretch = float(np.exp(at.log_scales[-1] - newest.log_scale))
        self._belief = Belief(
            Similarity.through(at.poses[-1], newest.track_T_camera, stretch),
            self._belief.generation + 1,
            newest,
            dict(zip(numbers, at.poses)),
            dict(zip(numbers, at.log_scales.tolist())),
            self._loops.pairs,
            self._loops.counts,
        )


def _jump(before: Similarity, after: Similarity, track_T_camera: Array) -> float:
    then, now = before.pose(track_T_camera), after.pose(track_T_camera)
    return float(np.linalg.norm(now[:3, 3] - then[:3, 3]))
