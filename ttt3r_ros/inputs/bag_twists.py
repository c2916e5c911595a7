# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Odometry that measures velocities alone: its poses are none, whatever stands in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ttt3r_ros.arrays import Array

# A standard deviation of x and y of 100 m, squared: drivers write so much, or -1, for "unknown".
# Those of z, roll and pitch are so large for each robot with wheels.
UNKNOWN_VARIANCE = 9999.0
# Further than the noise of a parked robot adds up to.
MOVED_M, TURNED_RAD = 0.5, 1.0
LONGEST_STEP_S = 1.0


def pose_is_known(message: Any) -> bool:
    """
    Return whether the covariance of an Odometry message states that its pose is one.

    NaN states, by MAVLink, that only the covariance is unknown.

    :param message: nav_msgs/Odometry.
    """
    x, y = message.pose.covariance[0], message.pose.covariance[7]
    return not (-1 in (x, y) or min(x, y) >= UNKNOWN_VARIANCE)


class TwistWatch:
    """Compares the poses of one Odometry link with its velocities."""

    def __init__(self) -> None:
        """Begin with no message."""
        self._first: Array | None = None
        self._last_ns = 0
        self._way = np.zeros(6)
        self._pose_moved = self._twist_moved = False

    def add(self, stamp_ns: int, pose: Array | None, twist: Any) -> None:
        """
        Add a message.

        :param stamp_ns: nanoseconds.
        :param pose: (7,), or None where it is not known.
        :param twist: geometry_msgs/Twist, in the frame of the robot.
        """
        if pose is not None:
            self._first = pose if self._first is None else self._first
            self._pose_moved |= bool(np.abs(pose - self._first).max() > 1e-9)
        step_s = (stamp_ns - self._last_ns) / 1e9
        self._last_ns = stamp_ns
        linear, angular = twist.linear, twist.angular
        speed = np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])
        if 0 < step_s <= LONGEST_STEP_S and np.isfinite(speed).all():
            self._way += speed * step_s
            moved, turned = (float(np.linalg.norm(part)) for part in np.split(self._way, 2))
            self._twist_moved |= moved > MOVED_M or turned > TURNED_RAD

    @property
    def is_all(self) -> bool:
        """Return whether the robot moves by its velocities, and never by its poses."""
        return self._twist_moved and not self._pose_moved
