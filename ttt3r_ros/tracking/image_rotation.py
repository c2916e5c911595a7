# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Pictures of a camera that is mounted upside down or on its side, turned upright."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, transform
from ttt3r_ros.intrinsics import CameraIntrinsics, ORIENTATIONS
from ttt3r_ros.tracking.observation import Observation

Values = TypeVar('Values', bound=np.generic)

# EXIF's number of an image that has to be turned clockwise by so many degrees.
EXIF_OF_DEGREES = {0: 1, 90: 6, 180: 3, 270: 8}


@dataclass(frozen=True)
class ImageRotation:
    """
    By how much pictures are turned before anything else is done with them.

    `stored` is the optical frame of the images as they come, `upright` that of the turned ones.

    degrees: clockwise, one of EXIF_OF_DEGREES.
    """

    degrees: int = 0

    def picture(self, stored: NDArray[Values]) -> NDArray[Values]:
        """
        Turn a picture.

        :param stored: (H, W, ...) values of pixels.
        :returns: (W, H, ...) after a quarter, else (H, W, ...); contiguous.
        """
        return np.ascontiguousarray(np.rot90(stored, -self.degrees // 90))

    def picture_back(self, upright: NDArray[Values]) -> NDArray[Values]:
        """
        Undo `picture`.

        :param upright: (H, W, ...) values of pixels.
        """
        return np.ascontiguousarray(np.rot90(upright, self.degrees // 90))

    def camera(self, stored: CameraIntrinsics) -> CameraIntrinsics:
        """
        Return the calibration of the turned picture.

        :raises CalibrationError: when a tilted sensor would have to be turned.
        """
        return stored.turned(EXIF_OF_DEGREES[self.degrees])

    def camera_back(self, upright: CameraIntrinsics) -> CameraIntrinsics:
        """Undo `camera`."""
        return upright.turned(EXIF_OF_DEGREES[-self.degrees % 360])

    @property
    def upright_T_stored(self) -> Array:
        """Return the pose of the frame of the images in that of the turned ones, (4, 4)."""
        turn = np.eye(3)
        turn[:2, :2] = ORIENTATIONS[EXIF_OF_DEGREES[self.degrees]]
        return transform(turn, [0.0, 0.0, 0.0])

    @property
    def stored_T_upright(self) -> Array:
        """Return the inverse of `upright_T_stored`."""
        return invert(self.upright_T_stored)

    def observation(self, observation: Observation) -> Observation:
        """
        Return what a camera would see that is mounted upright in the same place.

        :param observation: image, calibration and transforms of the camera as it is mounted.
        :raises CalibrationError: when a tilted sensor would have to be turned.
        """
        if not self.degrees:
            return observation
        changes: dict[str, Any] = {'rgb': self.picture(observation.rgb)}
        if observation.intrinsics is not None:
            changes['intrinsics'] = self.camera(observation.intrinsics)
        if observation.up_camera is not None:
            changes['up_camera'] = self.upright_T_stored[:3, :3] @ observation.up_camera
        if observation.base_T_camera is not None:
            changes['base_T_camera'] = observation.base_T_camera @ self.stored_T_upright
        elif observation.odom_T_base is not None:  # the base is the camera
            changes['odom_T_base'] = observation.odom_T_base @ self.stored_T_upright
        return replace(observation, **changes)
