# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where a map begins: at a pose that was set, with the odometry, or upright on the floor."""

from __future__ import annotations

from dataclasses import dataclass

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import BODY_T_OPTICAL, Similarity
from ttt3r_ros.graph.anchor import near_origin
from ttt3r_ros.graph.ground import find_ground, levelled
from ttt3r_ros.graph.located import camera_pose
from ttt3r_ros.tracking.frame import TrackedFrame
from ttt3r_ros.tracking.observation import Observation


@dataclass(frozen=True, eq=False)
class Start:
    """
    What is known of a map before its first image.

    map_T_base: (4, 4), where a user has set the robot, or None. map_T_network: where the chained
    poses of the network lie in a map that goes on without its key frames, or None.
    """

    map_T_base: Array | None = None
    map_T_network: Similarity | None = None

    def levels(self, observation: Observation) -> bool:
        """
        Return whether nothing but the floor shows what is up.

        :param observation: the first image.
        """
        placed = self.map_T_base is not None or self.map_T_network is not None
        known = (observation.base_T_camera, observation.odom_T_base, observation.up_camera)
        return not placed and all(one is None for one in known)

    def map_T_camera(self, tracked: TrackedFrame, observation: Observation) -> Array:
        """
        Return the pose of the camera at the first image, (4, 4).

        :param tracked: what the front end made of it.
        :param observation: the same image as it came.
        """
        mount = observation.base_T_camera
        if self.map_T_base is not None:
            return camera_pose(self.map_T_base, mount)
        if self.map_T_network is not None:
            return self.map_T_network.pose(tracked.network_T_camera)
        if observation.odom_T_base is not None:
            return camera_pose(near_origin(observation.odom_T_base), mount)
        # A camera alone looks ahead along x, z up.
        start, up = BODY_T_OPTICAL if mount is None else mount, observation.up_camera
        if up is None and mount is None:
            ground = find_ground(tracked.pointmap, start[2, :3])
            up = None if ground is None else ground.up
        return start if up is None else levelled(start, up)
