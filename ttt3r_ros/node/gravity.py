# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What an IMU measures of gravity."""

from __future__ import annotations

from collections import deque

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Imu

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import rotation_from_quaternion
from ttt3r_ros.node import messages
from ttt3r_ros.node.qos import FROM_ANY
from ttt3r_ros.units import NANOSECONDS

GRAVITY = 9.81  # m/s^2
# An acceleration that differs by more is that of a motion.
MOST_MOTION = 1.5
# Measurements within so long of an image are averaged; 2 s of an IMU of 500 Hz are kept.
NEAR_S = 0.5
MOST_KEPT = 1000


class Gravity:
    """Subscribe to an IMU, and return which way is up; the callbacks belong to the executor."""

    def __init__(self, node: Node, topic: str) -> None:
        """
        Subscribe.

        :param node: has the subscription.
        :param topic: of sensor_msgs/Imu.
        """
        self._node = node
        self._kept: deque[tuple[int, str, Array]] = deque(maxlen=MOST_KEPT)
        self._subscription = node.create_subscription(Imu, topic, self._on_imu, FROM_ANY)

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def _on_imu(self, message: Imu) -> None:
        up = up_of(message)
        if up is not None:
            frame = str(message.header.frame_id).lstrip('/')
            self._kept.append((messages.nanoseconds(message.header.stamp), frame, up))

    def up_at(self, stamp_ns: int) -> tuple[str, Array] | None:
        """
        Return the frame of the IMU and the direction up in it, about a moment.

        :param stamp_ns: nanoseconds.
        :returns: the direction is a (3,) unit vector; None where nothing was measured.
        """
        near_ns = NEAR_S * NANOSECONDS
        found = [one for one in list(self._kept) if abs(one[0] - stamp_ns) <= near_ns]
        if not found:
            return None
        frame = found[-1][1]
        mean = np.sum([up for _, of, up in found if of == frame], axis=0)
        length = np.linalg.norm(mean)
        return (frame, mean / length) if length > 0 else None


def up_of(message: Imu) -> Array | None:
    """
    Return which way is up: by the orientation, where there is one, else by the acceleration.

    :returns: (3,) unit vector in the frame of the IMU; None where neither has it.
    """
    q = message.orientation
    quaternion = np.array([q.x, q.y, q.z, q.w])
    # REP 145: a covariance of -1 means that there is no orientation.
    if message.orientation_covariance[0] != -1 and abs(np.linalg.norm(quaternion) - 1) < 0.1:
        up: Array = rotation_from_quaternion(quaternion)[2]
        return up
    a = message.linear_acceleration
    measured = np.array([a.x, a.y, a.z])
    size = float(np.linalg.norm(measured))
    if message.linear_acceleration_covariance[0] == -1 or not abs(size - GRAVITY) < MOST_MOTION:
        return None
    return measured / size
