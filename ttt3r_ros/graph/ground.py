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

FEWEST_FLOORS, MOST_FLOORS = 5, 100  # key frames
NEAR_FLOORS = 15  # of which show the floor where the camera is, also in a map that leans
LEAN_SIGMA = np.radians(2.0)  # a floor that leans more against the map is less sure
# The floor of one image leans by so much; a map that leans by less than the other is level.
FLOOR_SIGMA, LEAST_LEAN = np.radians(4.0), np.radians(1.0)


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
    The floor below a camera alone, by the key frames that show it.

    On drives through simulated buildings the floor of one image errs by a quarter of its height
    and 6 degrees in the mean, the median of nine by 2 to 5 % and 2 degrees.
    """

    def __init__(self) -> None:
        """Begin with no image."""
        # In the map: below each key frame the nearest point of its floor, and what is up there.
        self._feet: deque[Array] = deque(maxlen=MOST_FLOORS)
        self._ups: deque[Array] = deque(maxlen=MOST_FLOORS)

    def see(self, pointmap: Pointmap, map_T_camera: Array) -> None:
        """
        Take in a key frame, if it shows the floor.

        :param pointmap: of the image, metres.
        :param map_T_camera: (4, 4), metres, z up.
        """
        ground = find_ground(pointmap, map_T_camera[2, :3])
        if ground is not None:
            up = map_T_camera[:3, :3] @ ground.up
            self._feet.append(map_T_camera[:3, 3] - ground.height * up)
            self._ups.append(up)

    @property
    def z(self) -> float | None:
        """Return its height in the map, metres, here; None: few key frames showed it."""
        if len(self._feet) < FEWEST_FLOORS:
            return None
        heights = np.stack(self._feet)[-NEAR_FLOORS:, 2]
        leans = np.arccos(np.clip(np.stack(self._ups)[-NEAR_FLOORS:, 2], -1.0, 1.0))
        return weighted_median(heights, 1.0 / (1.0 + (leans / LEAN_SIGMA) ** 2))

    @property
    def leaning_up(self) -> Array | None:
        """Return what is up by the floor, (3,) in the map; None while z may well be."""
        if len(self._ups) < FEWEST_FLOORS:
            return None
        median = np.median(np.stack(self._ups), axis=0)
        up: Array = median / np.linalg.norm(median)
        lean = float(np.arccos(np.clip(up[2], -1.0, 1.0)))
        return up if lean > LEAST_LEAN + FLOOR_SIGMA / np.sqrt(len(self._ups)) else None

    def move(self, moved: Array) -> None:
        """
        Move along with the map.

        :param moved: (4, 4), metres.
        """
        self._feet = deque((moved[:3, :3] @ p + moved[:3, 3] for p in self._feet), MOST_FLOORS)
        self._ups = deque((moved[:3, :3] @ up for up in self._ups), MOST_FLOORS)


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
