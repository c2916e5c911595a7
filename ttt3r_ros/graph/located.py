# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where an image was taken in the map: the results of the back end, which never change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ttt3r_ros.arrays import Array, Array32
from ttt3r_ros.geometry import adjoint, IDENTITY, invert, Similarity
from ttt3r_ros.graph.belief import Belief, Located
from ttt3r_ros.tracking.frame import Pointmap, TrackedFrame


@dataclass(frozen=True, eq=False)
class LocatedCamera:
    """
    Where camera and robot were at one image, in metres; it never changes.

    stamp_ns: of the image. epoch: of the map that it belongs to. map_T_camera: (4, 4), as
    published, which follows corrections at a bounded speed. covariance: (6, 6) of rotation and
    translation to the right of it, as far as the map knows. base_T_camera: (4, 4), where the
    camera is mounted, or None for a camera alone, which is its own base. odom_T_base: (4, 4) at
    the stamp. track_T_camera: (4, 4). in_map: whether it is known where in the map the image was
    taken; else its poses are in a frame of their own.
    """

    stamp_ns: int
    epoch: int
    map_T_camera: Array
    covariance: Array
    base_T_camera: Array | None
    odom_T_base: Array
    track_T_camera: Array
    in_map: bool

    @cached_property
    def map_T_base(self) -> Array:
        """Return the pose of the robot, (4, 4); without a robot, of the camera."""
        return base_pose(self.map_T_camera, self.base_T_camera)

    def base_covariance(self) -> Array:
        """Return the covariance of the robot's pose along the axes of the map, (6, 6)."""
        turned = np.kron(np.eye(2), self.map_T_base[:3, :3])
        covariance: Array = turned @ at_base(self.covariance, self.base_T_camera) @ turned.T
        return covariance


@dataclass(frozen=True, eq=False)
class LocatedFrame(LocatedCamera):
    """
    One image in the map, with its points.

    tracked: as the front end saw it. map_T_key: of the key frame that it is relative to, from the
    unit of that one's depth, as estimated then. key_T_camera: (4, 4), in that unit. belief: by
    which it was located, in the frame of the first key frame. doubt: what is wrong with where TF
    has the camera on the robot, or with the unit of the wheels or of the network, in one sentence;
    empty while nothing is. floor_z: height of the floor in the map, metres, found by a camera
    alone; None: not found, or there is a robot. by_wheels: whether they measured the motion
    from the key frame too.
    """

    tracked: TrackedFrame
    map_T_key: Similarity
    key_T_camera: Array
    belief: Belief
    doubt: str
    floor_z: float | None = None
    by_wheels: bool = False

    @property
    def key(self) -> int:
        """Return the number of the key frame that the image is relative to."""
        return self.tracked.pose.key.number

    @property
    def height(self) -> float | None:
        """Return the height above the floor that a camera alone has found, metres, or None."""
        return None if self.floor_z is None else float(self.map_T_camera[2, 3]) - self.floor_z

    @property
    def scale(self) -> float:
        """Return metres per unit of the network's depth of this image."""
        return self._metres_per_track * self.tracked.scale

    @cached_property
    def pointmap(self) -> Pointmap:
        """Return the points, metres, camera frame."""
        return self.tracked.pointmap.scaled(self._metres_per_track)

    def points_map(self) -> Array32:
        """Return the points, (h, w, 3) float32, metres, map frame."""
        return self.pointmap.points_in(self.map_T_key.pose(self.key_T_camera))

    @property
    def _metres_per_track(self) -> float:
        return self.map_T_key.scale / float(np.exp(self.tracked.pose.key.log_scale))


@dataclass(frozen=True, eq=False)
class Placed:
    """An image by the newest estimate; map_T_key and key_T_camera as in LocatedFrame."""

    found: Located
    map_T_key: Similarity
    key_T_camera: Array
    belief: Belief
    doubt: str

    @property
    def map_T_camera(self) -> Array:
        """Return the pose of the camera, (4, 4)."""
        return self.map_T_key.pose(self.key_T_camera)


def base_pose(map_T_camera: Array, base_T_camera: Array | None) -> Array:
    """
    Return the pose of the robot, (4, 4), of which a camera is part.

    :param map_T_camera: (4, 4).
    :param base_T_camera: (4, 4), where it is mounted; None: the camera is its own base.
    """
    return map_T_camera if base_T_camera is None else map_T_camera @ invert(base_T_camera)


def camera_pose(map_T_base: Array, base_T_camera: Array | None) -> Array:
    """
    Return the pose of a camera, (4, 4), that is part of a robot.

    :param map_T_base: (4, 4).
    :param base_T_camera: (4, 4), where it is mounted; None: the camera is its own base.
    """
    return map_T_base if base_T_camera is None else map_T_base @ base_T_camera


def at_base(covariance: Array, base_T_camera: Array | None) -> Array:
    """
    Return the covariance of the pose of a robot, (6, 6), of which a camera is part.

    :param covariance: (6, 6) of the camera's pose, to the right of it.
    :param base_T_camera: (4, 4), where it is mounted; None: the camera is its own base.
    """
    moved = adjoint(IDENTITY if base_T_camera is None else base_T_camera)
    result: Array = moved @ covariance @ moved.T
    return result
