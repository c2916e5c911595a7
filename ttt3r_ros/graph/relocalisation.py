# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where a camera is in a map that was saved: one image supposes it, a second one confirms it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, rotation_angle, scaled
from ttt3r_ros.graph.closure import verify
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.places import Vocabulary

CANDIDATES = 5
LEAST_INLIERS = 25
WIDEST_SIGMA_M, WIDEST_SIGMA_RAD = 0.25, np.radians(6.0)
# Two images confirm each other only when the camera has moved between them.
LEAST_MOVED_M, LEAST_TURNED_RAD = 0.25, np.radians(10.0)
MOST_APART_M, MOST_APART_SHARE, MOST_APART_RAD = 0.12, 0.15, np.radians(4.0)
OLDEST = 5  # suppositions that are remembered


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

    def suppose(self, frame: KeyFrame) -> Supposition | None:
        """Look for the key frame that saw the same; None where none did for certain."""
        place = self.vocabulary.describe(frame.view.features.descriptors)
        numbers = list(self.keys)
        similar = np.stack([self.keys[n].place for n in numbers]) @ place
        best: Supposition | None = None
        for i in np.argsort(-similar)[:CANDIDATES]:
            number = numbers[i]
            closure = verify(self.keys[number].view, frame.view)
            if closure is None or closure.inliers < LEAST_INLIERS:
                continue
            sigmas = np.sqrt(np.diag(closure.here_T_there.covariance))
            if sigmas[:3].max() > WIDEST_SIGMA_RAD or sigmas[3:].max() > WIDEST_SIGMA_M:
                continue
            if best is None or closure.inliers > best.inliers:
                unit = float(np.exp(self.log_scales[number]))
                motion = scaled(closure.here_T_there.key_T_camera, unit)
                best = Supposition(
                    self.poses[number] @ motion,
                    frame.track_T_camera,
                    self.log_scales[number] + closure.log_ratio - frame.log_scale,
                    closure.inliers,
                    number,
                )
        return best


@dataclass(frozen=True, eq=False)
class Supposition:
    """
    Where a camera might be.

    map_T_camera: (4, 4). track_T_camera: (4, 4) at the same image. log_scale: of the map's lengths
    over those of track. inliers: features that agree. number: of the key frame that saw the same.
    """

    map_T_camera: Array
    track_T_camera: Array
    log_scale: float
    inliers: int
    number: int

    def confirms(self, earlier: Supposition) -> bool:
        """
        Check that the motion between two suppositions is the one that was tracked.

        :param earlier: of an image before.
        """
        tracked = invert(earlier.track_T_camera) @ self.track_T_camera
        scale = 0.5 * (self.log_scale + earlier.log_scale)
        tracked = scaled(tracked, float(np.exp(scale)))
        way = float(np.linalg.norm(tracked[:3, 3]))
        if way < LEAST_MOVED_M and rotation_angle(tracked[:3, :3]) < LEAST_TURNED_RAD:
            return False
        between = invert(earlier.map_T_camera) @ self.map_T_camera
        rest = invert(tracked) @ between
        apart = float(np.linalg.norm(rest[:3, 3]))
        near = apart < MOST_APART_M + MOST_APART_SHARE * way
        return near and bool(rotation_angle(rest[:3, :3]) < MOST_APART_RAD)


class Relocaliser:
    """Finds the robot in a saved map; until two images agree there is no pose."""

    def __init__(self, known: KnownPlaces) -> None:
        """
        Begin lost.

        :param known: the map.
        """
        self._known = known
        self._earlier: list[Supposition] = []

    def look(self, frame: KeyFrame) -> Supposition | None:
        """
        Take one key frame.

        :param frame: of a track that has not been broken since the last one.
        :returns: where it is once an earlier one confirms it, else None.
        """
        supposed = self._known.suppose(frame)
        if supposed is None:
            return None
        confirmed = any(supposed.confirms(earlier) for earlier in self._earlier)
        self._earlier = [*self._earlier, supposed][-OLDEST:]
        return supposed if confirmed else None

    def forget(self) -> None:
        """Begin anew, because the track was broken."""
        self._earlier = []
