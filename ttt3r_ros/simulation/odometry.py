# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What wheels report of a motion: the truth with the errors of real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, rotation_about


@dataclass(frozen=True)
class Wheels:
    """
    What is wrong with the wheels of a robot.

    size: standard deviation of the wrong size of both wheels, a share of every way. unequal:
    of the difference between them, radians of wrong turn a metre, the same all the time. track:
    of the wrong distance between them, a share of every turn. slip: radians of random turn after
    a metre, growing with the root of the way. white: share of a metre by which a metre is wrong at
    random, growing likewise.
    """

    size: float
    unequal: float
    track: float
    slip: float
    white: float

    def worse(self, factor: float) -> Wheels:
        """
        Return wheels of which all errors are larger.

        :param factor: 0 gives exact ones.
        """
        return Wheels(*(factor * getattr(self, name) for name in self.__dataclass_fields__))


# Errors after a drive through a building: about 0.1 %, 1 to 2 % and 5 % of the path.
WHEELS = {
    'good': Wheels(size=0.001, unequal=0.0004, track=0.002, slip=0.001, white=0.002),
    'usual': Wheels(size=0.01, unequal=0.005, track=0.02, slip=0.01, white=0.01),
    'bad': Wheels(size=0.02, unequal=0.01, track=0.05, slip=0.0175, white=0.05),
}


class WheelMeter:
    """
    Measures a motion step by step.

    odom_T_base: (4, 4) what was measured so far, metres; at first the identity.
    """

    def __init__(self, wheels: Wheels, seed: int) -> None:
        """
        Draw what is wrong with these wheels.

        :param wheels: with which it is measured.
        :param seed: of the errors.
        """
        self.odom_T_base: Array = np.eye(4)
        self._wheels, self._rng = wheels, np.random.default_rng([5, seed])
        self._scale = 1.0 + self._rng.normal(0.0, wheels.size)
        self._bend = self._rng.normal(0.0, wheels.unequal)
        self._track = self._rng.normal(0.0, wheels.track)

    def measure(self, step: Array) -> Array:
        """
        Measure the next step.

        :param step: (4, 4) the true motion, in the frame of the base before it, metres.
        :returns: (4, 4) odom_T_base after it.
        """
        rng, wheels = self._rng, self._wheels
        length = float(np.linalg.norm(step[:3, 3]))
        turn = float(np.arctan2(step[1, 0], step[0, 0]))
        wrong = step.copy()
        along = step[:3, 3] / max(length, 1e-12)
        wrong[:3, 3] *= self._scale
        wrong[:3, 3] += rng.normal(0.0, wheels.white) * np.sqrt(length) * along
        slip = rng.normal(0.0, wheels.slip) * np.sqrt(length)
        error = self._bend * length + self._track * turn + slip
        wrong[:3, :3] = wrong[:3, :3] @ rotation_about([0.0, 0.0, 1.0], error)
        self.odom_T_base = self.odom_T_base @ wrong
        return self.odom_T_base


def measure_motion(world_T_base: Array, wheels: Wheels, seed: int) -> Array:
    """
    Measure a motion step by step.

    What is measured of a way does not depend on how many steps it is cut into, but for chance.

    :param world_T_base: (T, 4, 4) the true motion.
    :param wheels: with which it is measured.
    :param seed: of the errors.
    :returns: (T, 4, 4) odom_T_base, beginning with the identity.
    """
    meter = WheelMeter(wheels, seed)
    measured = [meter.odom_T_base]
    for step in invert(world_T_base[:-1]) @ world_T_base[1:]:
        measured.append(meter.measure(step))
    return np.stack(measured)


def noisy_odometry(world_T_base: Array, seed: int, noise: float = 1.0) -> Array:
    """
    Measure a motion with usual wheels.

    :param world_T_base: (T, 4, 4) the true motion.
    :param seed: of the errors.
    :param noise: factor on all of them; 0 measures exactly.
    :returns: (T, 4, 4) odom_T_base, beginning with the identity.
    """
    return measure_motion(world_T_base, WHEELS['usual'].worse(noise), seed)
