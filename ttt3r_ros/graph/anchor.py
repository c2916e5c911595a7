# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How `map` to `odom` follows the estimate: in steps small enough for a planner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert
from ttt3r_ros.graph.solver.rotations import exp_pose, log_pose
from ttt3r_ros.units import NANOSECONDS

# Planners stumble over larger steps, however long ago the image before was.
MOST_STEP_M = 0.05
RADIANS_A_METRE = 1.0

FAR_M = 10_000.0

# Odometry that moved no more than this out of its plane is planar.
PLANAR_M, PLANAR_RAD = 1e-3, 1e-3


@dataclass(frozen=True, eq=False)
class Anchor:
    """
    Where the odometry lies in the map.

    epoch: of the map for which it holds. map_T_odom: (4, 4), None while the camera is lost.
    """

    epoch: int
    map_T_odom: Array | None


def towards(pose: Array, target: Array, most_m: float) -> Array:
    """
    Return a pose that lies between two.

    :param pose: (4, 4), where it begins.
    :param target: (4, 4), metres, where it ends, unless that is too far.
    :param most_m: longest way, metres; as many radians a metre as RADIANS_A_METRE.
    """
    error = log_pose(invert(pose) @ target)
    away = max(
        float(np.linalg.norm(error[3:])), float(np.linalg.norm(error[:3])) / RADIANS_A_METRE
    )
    if away <= most_m:
        return target
    step: Array = pose @ exp_pose(error * (most_m / away))
    return step


def longest_step(speed: float, elapsed_ns: int) -> float:
    """
    Return how far a correction may move the robot at one image, metres.

    :param speed: metres a second; 0: at once.
    :param elapsed_ns: since the image before.
    """
    return min(speed * elapsed_ns / NANOSECONDS, MOST_STEP_M) if speed else np.inf


def near_origin(odom_T_base: Array) -> Array:
    """
    Return where a map begins for an odometry: there, or at the origin where that is far away.

    Of an odometry in coordinates of the earth nothing would be left to the points but rounding.

    :param odom_T_base: (4, 4).
    """
    if np.linalg.norm(odom_T_base[:3, 3]) < FAR_M:
        return odom_T_base
    turned = np.eye(4)
    turned[:3, :3] = odom_T_base[:3, :3]
    return turned


def is_planar(odom_T_base: Array) -> bool:
    """
    Return whether an odometry stays in the plane z = 0, upright.

    :param odom_T_base: (4, 4).
    """
    tilt = np.hypot(odom_T_base[0, 2], odom_T_base[1, 2])
    return bool(abs(odom_T_base[2, 3]) < PLANAR_M and tilt < PLANAR_RAD)


def flattened(a_T_b: Array) -> Array:
    """
    Return the nearest pose in the plane z = 0, upright.

    :param a_T_b: (4, 4), z up.
    """
    yaw = np.arctan2(a_T_b[1, 0] - a_T_b[0, 1], a_T_b[0, 0] + a_T_b[1, 1])
    flat = np.eye(4)
    flat[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    flat[:2, 3] = a_T_b[:2, 3]
    return flat
