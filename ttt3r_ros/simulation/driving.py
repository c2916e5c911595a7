# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A wheeled base that is driven by velocities, and stopped by walls."""

from __future__ import annotations

import math

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, rotation_about, transform
from ttt3r_ros.simulation.world import FloorPlan

RADIUS_M = 0.2  # of the base; nothing comes nearer to its middle

# What motors of a small robot can do.
ACCELERATION, TURN_ACCELERATION = 1.0, 3.0  # metres and radians per second squared
LARGEST_TURN = 1.5  # radians per second

# A base whose commands stop coming stops, as real ones do.
COMMAND_LASTS_S = 0.5


class DrivenBase:
    """
    A base with two driven wheels on a floor plan.

    bumped: whether something was in the way of the last step.
    """

    def __init__(self, plan: FloorPlan, world_T_base: Array, largest_speed: float) -> None:
        """
        Put the base onto the floor.

        :param plan: of the building.
        :param world_T_base: (4, 4) where it begins, upright, metres.
        :param largest_speed: forwards and backwards, metres per second.
        """
        self.bumped = False
        self._plan, self._largest_speed = plan, largest_speed
        self._place = world_T_base[:2, 3].copy()
        self._yaw = math.atan2(world_T_base[1, 0], world_T_base[0, 0])
        self._wanted = (0.0, 0.0)
        self._commanded_s = -math.inf
        self._speed = self._turn = 0.0

    @property
    def world_T_base(self) -> Array:
        """Return the pose, (4, 4), metres."""
        return transform(rotation_about([0.0, 0.0, 1.0], self._yaw), [*self._place, 0.0])

    @property
    def velocity(self) -> tuple[float, float]:
        """Return the speed, metres per second, and the turn, radians per second."""
        return self._speed, self._turn

    def command(self, speed: float, turn: float, now_s: float) -> None:
        """
        Set the wanted velocity; what is not finite stops the base.

        :param speed: metres per second, positive forwards.
        :param turn: radians per second, positive to the left.
        :param now_s: time of the command, seconds.
        """
        if not (math.isfinite(speed) and math.isfinite(turn)):
            speed = turn = 0.0
        limit = self._largest_speed
        self._wanted = (
            min(max(speed, -limit), limit),
            min(max(turn, -LARGEST_TURN), LARGEST_TURN),
        )
        self._commanded_s = now_s

    def step(self, seconds: float, now_s: float) -> Array:
        """
        Move on.

        :param seconds: duration of the step, short against that of a turn.
        :param now_s: time at its end, seconds.
        :returns: (4, 4) the motion, in the frame of the base before it, metres.
        """
        wanted = self._wanted if now_s - self._commanded_s <= COMMAND_LASTS_S else (0.0, 0.0)
        self._speed = _towards(self._speed, wanted[0], ACCELERATION * seconds)
        self._turn = _towards(self._turn, wanted[1], TURN_ACCELERATION * seconds)
        before = self.world_T_base
        middle = self._yaw + 0.5 * self._turn * seconds
        ahead = np.array([math.cos(middle), math.sin(middle)])
        there = self._place + self._speed * seconds * ahead
        self.bumped = self._is_blocked(there)
        if self.bumped:
            self._speed = 0.0
        else:
            self._place = there
        self._yaw += self._turn * seconds
        return invert(before) @ self.world_T_base

    def _is_blocked(self, there: Array) -> bool:
        """Return whether a place is too near to something, and not on the way out."""
        clearance = float(self._plan.clearance_at(there))
        return clearance < RADIUS_M and clearance < float(self._plan.clearance_at(self._place))


def _towards(value: float, wanted: float, most: float) -> float:
    """Return a value that comes nearer to another one by at most so much."""
    return value + min(max(wanted - value, -most), most)
