# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a motion by the wheels is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, invert, rotation_angle

LEVEL_M, LEVEL_RAD = 0.002, 0.001
ROUNDING = 1e-6


@dataclass(frozen=True)
class WheelNoise:
    """
    Standard deviations of what wheels measure.

    way: share of the way. turn: share of the turn. slip: radians of wrong turn a metre. least:
    metres and radians that are always added, of the mount and of the time between image and
    wheels. level: whether a motion in the plane of the base is one: height, roll and pitch then
    err by LEVEL_M and LEVEL_RAD only.
    """

    way: float = 0.02
    turn: float = 0.03
    slip: float = 0.012
    least: float = 0.002
    level: bool = True

    def covariance(self, motion: Array) -> Array:
        """
        Compute the covariance of a motion.

        :param motion: (4, 4) as measured, metres.
        :returns: (6, 6) of rotation and translation, to its right.
        """
        way = float(np.linalg.norm(motion[:3, 3]))
        turn = float(rotation_angle(motion[:3, :3]))
        turn_sigma = self.least + self.turn * turn + self.slip * way
        way_sigma = self.least + self.way * way + 0.5 * turn_sigma * way
        sigma = np.array([turn_sigma] * 3 + [way_sigma] * 3)
        if self.level and _in_plane(motion):
            sigma[[0, 1, 5]] = np.minimum(sigma[[0, 1, 5]], [LEVEL_RAD, LEVEL_RAD, LEVEL_M])
        return np.diag(sigma**2)


NOISES = {
    'good': WheelNoise(way=0.001, turn=0.002, slip=0.001, least=0.0003),
    'usual': WheelNoise(),
    'bad': WheelNoise(way=0.05, turn=0.05, slip=0.02, least=0.005),
}


def _in_plane(motion: Array) -> bool:
    """Return whether a motion has no height, roll and pitch, but for rounding."""
    tilt = max(abs(motion[0, 2]), abs(motion[1, 2]))
    return bool(abs(motion[2, 3]) < ROUNDING and tilt < ROUNDING)


def camera_covariance(by_wheels: Array, wheels: WheelNoise, base_T_camera: Array | None) -> Array:
    """
    Compute the covariance of a motion of the camera; the wheels' own is in the axes of the base.

    :param by_wheels: (4, 4) camera_T_later_camera.
    :param wheels: how good they are.
    :param base_T_camera: (4, 4); None: the base is the camera.
    :returns: (6, 6) of rotation and translation, to its right.
    """
    if base_T_camera is None:
        return wheels.covariance(by_wheels)
    motion = base_T_camera @ by_wheels @ invert(base_T_camera)
    turned = adjoint(invert(base_T_camera))
    covariance: Array = turned @ wheels.covariance(motion) @ turned.T
    return covariance
