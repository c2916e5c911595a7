# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The input of the mapper: an image, with calibration and transforms at its stamp."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.intrinsics import CameraIntrinsics


@dataclass(frozen=True, eq=False)
class Observation:
    """
    One image with calibration and transforms at its stamp.

    rgb: (H, W, 3) uint8; the size may change from image to image. stamp_ns: nanoseconds.
    intrinsics: of this image, or None. base_T_camera: (4, 4), metres, pose of the camera on the
    robot; None: there is no robot, and the base is the camera.
    odom_T_base: (4, 4), metres, the robot's odometry; None: there is none at this stamp.
    up_camera: (3,) unit vector, up by an IMU, in the axes of the camera; None: unknown.
    camera_index: of the camera on the robot, from 0; stamps of one camera must increase.
    """

    rgb: Pixels
    stamp_ns: int
    intrinsics: CameraIntrinsics | None = None
    base_T_camera: Array | None = None
    odom_T_base: Array | None = None
    up_camera: Array | None = None
    camera_index: int = 0

    @cached_property
    def odom_T_camera(self) -> Array | None:
        """Return where the wheels have the camera, (4, 4), or None."""
        if self.odom_T_base is None or self.base_T_camera is None:
            return self.odom_T_base
        return self.odom_T_base @ self.base_T_camera
