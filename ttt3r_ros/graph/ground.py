# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is up and where the floor is, for a camera where neither odometry nor a mount gives it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array, Mask
from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.tracking.frame import Pointmap
from ttt3r_ros.tracking.scale import weighted_median

MOST_POINTS = 2000
ROUNDS = 200
STEEPEST = np.radians(25.0)  # a floor leans by no more against what is taken to be up
LEAST_HEIGHT = 0.15  # of the camera above it, in the unit of the points
NEAR = 0.05  # a point of the floor is off by no more than this share of its depth
LEAST_SHARE = 0.25  # of what is below the camera must be floor
MOST_BELOW = 0.05  # and no more below it: else it is a table
LEAST_POINTS = 100

FEWEST_FLOORS, MOST_FLOORS = 5, 15  # key frames
LEAN_SIGMA = np.radians(2.0)  # a floor that leans more against the map is less sure


@dataclass(frozen=True, eq=False)
class Ground:
    """
    The floor as one image shows it.

    up: (3,) unit vector in the axes of the camera. height: of the camera above it, in the unit of
    the points.
    """

    up: Array
    height: float


def find_ground(pointmap: Pointmap, up: Array) -> Ground | None:
    """
    Look for the floor: the plane that most of what is below the camera lies on, and nothing under.

    :param pointmap: of one image.
    :param up: (3,) about, in the axes of the camera.
    :returns: None where none is seen.
    """
    points = pointmap.points_camera[pointmap.confidence > 1.0].astype(np.float64)
    points = points[points @ up < -LEAST_HEIGHT]
    points = points[:: len(points) // MOST_POINTS + 1]
    if len(points) < LEAST_POINTS:
        return None
    normals, heights = _planes(points, up)
    if not len(normals):
        return None
    # Along its ray a point is off by as large a share of its depth as it is of the height.
    off = normals @ points.T / heights[:, None] + 1
    best = int((np.abs(off) < NEAR).sum(axis=1).argmax())
    off_best = off[best]
    for near in (NEAR, NEAR / 2, NEAR / 2):  # the foot of a wall goes
        normal, height = _refined(points, np.abs(off_best) < near, up)
        off_best = points @ normal / height + 1
    share, below = np.mean(np.abs(off_best) < NEAR), np.mean(off_best < -NEAR)
    leans = float(normal @ up) < np.cos(STEEPEST)
    if share < LEAST_SHARE or below > MOST_BELOW or height < LEAST_HEIGHT or leans:
        return None
    return Ground(normal, height)


class FoundFloor:
    """
    The height of the floor in the map below a camera alone, by the last key frames that show it.

    The floor of one image errs by a quarter in the mean, the weighted median of nine by 2 to 5 %
    (drives through simulated buildings). That of the last ones holds in a map that leans, too.
    """

    def __init__(self) -> None:
        """Begin with no image."""
        self._heights: deque[float] = deque(maxlen=MOST_FLOORS)
        self._weights: deque[float] = deque(maxlen=MOST_FLOORS)

    def see(self, pointmap: Pointmap, map_T_camera: Array) -> None:
        """
        Take in a key frame, if it shows the floor.

        :param pointmap: of the image, metres.
        :param map_T_camera: (4, 4), metres, z up.
        """
        up = map_T_camera[2, :3]
        ground = find_ground(pointmap, up)
        if ground is not None:
            lean = float(np.arccos(np.clip(ground.up @ up, -1.0, 1.0)))
            self._heights.append(float(map_T_camera[2, 3]) - ground.height)
            self._weights.append(1.0 / (1.0 + (lean / LEAN_SIGMA) ** 2))

    @property
    def z(self) -> float | None:
        """Return the height of the floor in the map, metres; None: few key frames showed it."""
        if len(self._heights) < FEWEST_FLOORS:
            return None
        return weighted_median(np.array(self._heights), np.array(self._weights))

    def move(self, up: float) -> None:
        """
        Move along with the map.

        :param up: metres.
        """
        self._heights = deque((z + up for z in self._heights), maxlen=MOST_FLOORS)


def _planes(points: Array, up: Array) -> tuple[Array, Array]:
    """Return planes through three points each that lean little: (R, 3) normals, (R,) heights."""
    a, b, c = points[np.random.default_rng(0).integers(0, len(points), (3, ROUNDS))]
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1)
    fine = length > 1e-9
    normals = normals[fine] / length[fine, None]
    normals *= np.sign(normals @ up)[:, None]
    heights = -np.einsum('ni,ni->n', normals, a[fine])
    flat = (normals @ up > np.cos(STEEPEST)) & (heights > LEAST_HEIGHT)
    return normals[flat], heights[flat]


def _refined(points: Array, near: Mask, up: Array) -> tuple[Array, float]:
    """Fit a plane to its points; far ones err more."""
    chosen = points[near]
    weights = 1.0 / np.einsum('ni,ni->n', chosen, chosen)
    middle = np.average(chosen, axis=0, weights=weights)
    spread = (chosen - middle) * np.sqrt(weights)[:, None]
    normal: Array = np.linalg.svd(spread, full_matrices=False)[2][2]
    normal = normal * np.sign(normal @ up)
    return normal, -float(normal @ middle)


def levelled(map_T_camera: Array, up: Array) -> Array:
    """
    Turn a camera, where it is, by no more than is needed so that up is up in the map.

    :param map_T_camera: (4, 4), z up.
    :param up: (3,) unit vector in the axes of the camera.
    :returns: (4, 4).
    """
    now = map_T_camera[:3, :3] @ up
    axis = np.cross(now, [0.0, 0.0, 1.0])
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9 and now[2] < 0:  # upside down: about the axis along which the map looks
        axis, sine = np.array([1.0, 0.0, 0.0]), 0.0
    elif sine < 1e-9:
        return map_T_camera
    turn = rotation_about(axis, float(np.arctan2(sine, now[2])))
    return transform(turn @ map_T_camera[:3, :3], map_T_camera[:3, 3])
