# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Which known place a key frame shows, and where the camera is then, if that is right."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, rotation_angle, scaled
from ttt3r_ros.graph.closure import Closure, verify
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.places import Vocabulary

CANDIDATES = 8
LEAST_INLIERS = 12  # fewer than a loop has: another image must confirm it
WIDEST_SIGMA_M, WIDEST_SIGMA_RAD = 0.25, np.radians(6.0)
# Two images confirm each other only when the camera has moved between them.
LEAST_MOVED_M, LEAST_TURNED_RAD = 0.25, np.radians(10.0)
# One image that shows two places so far from each other shows neither for certain.
ELSEWHERE_M, ELSEWHERE_RAD = 1.0, np.radians(30.0)
MOST_APART_M, MOST_APART_SHARE, MOST_APART_RAD = 0.12, 0.15, np.radians(4.0)


@dataclass(frozen=True, eq=False)
class KnownPlaces:
    """
    A set of key frames to look for places in.

    keys: by number. poses: map_T_camera of each. log_scales: of their depths. vocabulary: by which
    their places are described.
    """

    keys: Mapping[int, KeyFrame]
    poses: Mapping[int, Array]
    log_scales: Mapping[int, float]
    vocabulary: Vocabulary

    def recognise(self, frame: KeyFrame, among: Collection[int]) -> list[PlaceMatch]:
        """
        Look for key frames that saw the same.

        :param among: numbers of those that come into question.
        :returns: those that did for certain, the one with the most inliers first.
        """
        numbers = list(among)
        if not numbers:
            return []
        place = self.vocabulary.describe(frame.feature_points.features.descriptors)
        similar = np.stack([self.keys[n].place for n in numbers]) @ place
        found = []
        for i in np.argsort(-similar)[:CANDIDATES]:
            closure = verify(
                self.keys[numbers[i]].feature_points, frame.feature_points, LEAST_INLIERS
            )
            if closure is not None and is_sure(closure):
                found.append(PlaceMatch(numbers[i], frame.number, closure))
        return sorted(found, key=lambda place_match: -place_match.closure.inliers)

    def hypothesise(self, frame: KeyFrame) -> PoseHypothesis | None:
        """
        Compute where one image might be; only another one can confirm it.

        :param frame: of any track.
        :returns: None where nothing is recognised, or two places look alike.
        """
        found = [
            place_match.hypothesis(
                self.poses[place_match.here],
                self.log_scales[place_match.here],
                frame.track_T_camera,
                frame.log_scale,
            )
            for place_match in self.recognise(frame, self.keys)
        ]
        return found[0] if found and found[0].is_only_one(found) else None


@dataclass(frozen=True, eq=False)
class PlaceMatch:
    """
    A match of place recognition: one key frame seems to show what another one saw.

    here: number of the known one, there: of the other. closure: what they measured.
    """

    here: int
    there: int
    closure: Closure

    def hypothesis(
        self, map_T_here: Array, here_scale: float, track_T_there: Array, there_scale: float
    ) -> PoseHypothesis:
        """
        Return where the camera is if that is right.

        :param map_T_here: (4, 4) of the known key frame; here_scale: its log scale.
        :param track_T_there: (4, 4) of the other; there_scale: its log scale in track.
        """
        motion = scaled(self.closure.here_T_there.key_T_camera, float(np.exp(here_scale)))
        return PoseHypothesis(
            map_T_here @ motion,
            track_T_there,
            here_scale + self.closure.log_ratio - there_scale,
        )


@dataclass(frozen=True, eq=False)
class PoseHypothesis:
    """
    Where a camera might be.

    map_T_camera: (4, 4). track_T_camera: (4, 4) at the same image, in any frame in which its
    motion is known. log_scale: of the map's lengths over those of track.
    """

    map_T_camera: Array
    track_T_camera: Array
    log_scale: float

    def is_only_one(self, others: Iterable[PoseHypothesis]) -> bool:
        """
        Check that no other hypothesis puts the camera elsewhere.

        :param others: of the same image, in the same map.
        """
        return all(
            near(self.map_T_camera, other.map_T_camera, ELSEWHERE_M, ELSEWHERE_RAD)
            for other in others
        )

    def confirms(self, earlier: PoseHypothesis) -> bool:
        """
        Check that the motion between two hypotheses is the one that was tracked.

        :param earlier: of an image before.
        """
        tracked = invert(earlier.track_T_camera) @ self.track_T_camera
        scale = 0.5 * (self.log_scale + earlier.log_scale)
        tracked = scaled(tracked, float(np.exp(scale)))
        way = float(np.linalg.norm(tracked[:3, 3]))
        if way < LEAST_MOVED_M and rotation_angle(tracked[:3, :3]) < LEAST_TURNED_RAD:
            return False
        between = invert(earlier.map_T_camera) @ self.map_T_camera
        return near(tracked, between, MOST_APART_M + MOST_APART_SHARE * way, MOST_APART_RAD)


def is_sure(closure: Closure) -> bool:
    """
    Check that it is known well from where a place was seen.

    :param closure: of two key frames.
    """
    sigmas = np.sqrt(np.diag(closure.here_T_there.covariance))
    return bool(sigmas[:3].max() < WIDEST_SIGMA_RAD and sigmas[3:].max() < WIDEST_SIGMA_M)


def near(first: Array, second: Array, metres: float, radians: float) -> bool:
    """
    Check that two poses are not far from each other.

    :param first: (4, 4), metres.
    :param second: (4, 4), metres, in the same frame.
    :param metres: between them, at most.
    :param radians: between them, at most.
    """
    rest = invert(first) @ second
    close = float(np.linalg.norm(rest[:3, 3])) < metres
    return close and bool(rotation_angle(rest[:3, :3]) < radians)
