# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How a robot with several cameras moves from image to image, by all of them.

A camera that looks along a wall errs by several steps now and then. The other cameras contradict
it, and so does inertia: between two images a robot goes on about as before. Where the map has the
robot errs as much, so that it counts by how sure it is against where the motion has it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, IDENTITY, invert
from ttt3r_ros.graph.between_images import MOST_GAP_S, unknown_motion
from ttt3r_ros.graph.solver.fusion import fused
from ttt3r_ros.graph.solver.rotations import exp_pose, log_pose
from ttt3r_ros.units import NANOSECONDS

REMEMBERED = 4
# What key frames of different cameras err against each other, however sure an image is beside one.
KEYS_TURN_SIGMA, KEYS_SHIFT_SIGMA = 0.01, 0.03


@dataclass(frozen=True, eq=False)
class OtherMotions:
    """
    Motions of a robot by its other cameras, beside the motion by the camera of an image.

    own: (6, 6) covariance of that, None where the camera has no image before. others: (4, 4)
    motion of the robot by each other camera with its (6, 6) covariance, to the right of it.
    """

    own: Array | None
    others: Sequence[tuple[Array, Array]]

    def measured(self, step: Array) -> list[tuple[Array, Array]]:
        """
        Return all motions.

        :param step: (4, 4), metres, by the camera of the image.
        """
        return [*([] if self.own is None else [(step, self.own)]), *self.others]


@dataclass(frozen=True, eq=False)
class _LastMotion:
    """
    The last motion.

    end_ns: when it ended. seconds: how long it took. twist: (6,) rotation and translation in a
    second. covariance: (6, 6) of the motion. drift: (6, 6) of where the robot is by all motions.
    """

    end_ns: int
    seconds: float
    twist: Array
    covariance: Array
    drift: Array


class RigMotion:
    """Weigh the motions of a robot by its cameras and by its inertia."""

    def __init__(self) -> None:
        """Begin with a robot of which no motion is known."""
        # The last few: not every image goes on from the newest one.
        self._goings: deque[_LastMotion] = deque(maxlen=REMEMBERED)

    def moved(self, begin_ns: int, end_ns: int, measured: Sequence[tuple[Array, Array]]) -> Array:
        """
        Return how the robot moved between two times, and remember it.

        :param begin_ns: when the motion before ended; end_ns: later.
        :param measured: (4, 4) by each camera with its (6, 6) covariance, to the right of it.
        """
        seconds, before = (end_ns - begin_ns) / NANOSECONDS, self._ended(begin_ns)
        known = [*measured, *_inertia(before, seconds)]
        if not known:
            return IDENTITY
        step, covariance = fused([pose for pose, _ in known], [one for _, one in known])
        drift = covariance
        if before is not None:
            turned = adjoint(invert(step))
            drift = turned @ before.drift @ turned.T + covariance
        twist = log_pose(step) / seconds
        self._goings.append(_LastMotion(end_ns, seconds, twist, covariance, drift))
        return step

    def weighed(self, stamp_ns: int, expected: Array, placed: Array, covariance: Array) -> Array:
        """
        Return where the robot is by its motion and by the map.

        :param stamp_ns: of the image.
        :param expected: (4, 4) map_T_base where the motion has it.
        :param placed: (4, 4), metres, where the map has it.
        :param covariance: (6, 6) of that since its key frame, to the right of it.
        """
        going = self._ended(stamp_ns)
        if going is None:
            return placed
        apart = np.diag([KEYS_TURN_SIGMA**2] * 3 + [KEYS_SHIFT_SIGMA**2] * 3)
        gain = going.drift @ np.linalg.inv(going.drift + covariance + apart)
        self._goings.remove(going)
        self._goings.append(replace(going, drift=going.drift - gain @ going.drift))
        pose: Array = expected @ exp_pose(gain @ log_pose(invert(expected) @ placed))
        return pose

    def _ended(self, stamp_ns: int) -> _LastMotion | None:
        """Return the newest motion that ended at a time."""
        return next((one for one in reversed(self._goings) if one.end_ns == stamp_ns), None)


def _inertia(going: _LastMotion | None, seconds: float) -> list[tuple[Array, Array]]:
    """Return how a robot moves if it goes on as before, where that is known."""
    if going is None or going.seconds + seconds > MOST_GAP_S:
        return []
    grown = (seconds / going.seconds) ** 2 * going.covariance
    covariance = grown + unknown_motion(seconds, going.seconds)
    return [(exp_pose(seconds * going.twist), covariance)]
