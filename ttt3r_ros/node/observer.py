# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A received image and what TF and calibration know of it, as the observation of the mapper."""

from __future__ import annotations

from collections.abc import Callable
import time

from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.image_formats import FULL_RANGE, GrowingRange
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics
from ttt3r_ros.node import messages
from ttt3r_ros.node.diagnostics import Reporter
from ttt3r_ros.node.gravity import Gravity
from ttt3r_ros.node.inputs import ReceivedImage
from ttt3r_ros.node.transforms import FrameTree, TransformMissing
from ttt3r_ros.settings import NodeSettings
from ttt3r_ros.tracking.image_rotation import ImageRotation
from ttt3r_ros.tracking.observation import Observation


class NoGravity(UserError):
    """An IMU is to level the map, and has measured nothing yet."""


class Observer:
    """Decode images, and look up their calibration and transforms."""

    def __init__(
        self,
        settings: Callable[[], NodeSettings],
        frames: FrameTree,
        reporter: Reporter,
        gravity: Gravity | None,
        image_rotation: ImageRotation,
    ) -> None:
        """
        Keep what the look-ups need.

        :param settings: returns the present ones.
        :param frames: TF.
        :param reporter: receives warnings about missing calibration and odometry.
        :param gravity: of an IMU, None where there is none.
        :param image_rotation: of the pictures.
        """
        self._settings, self._frames, self._reporter = settings, frames, reporter
        self._gravity, self._image_rotation = gravity, image_rotation
        self._range = GrowingRange()  # of images of 16 bits

    def observe(self, image: ReceivedImage, first: bool) -> Observation:
        """
        Return the observation of an image, turned upright; waits for its transforms.

        :param first: whether the map is empty, so that the odometry is needed as its start.
        :raises UnsupportedImage: when the image cannot be decoded.
        :raises CalibrationError: when a required calibration is missing or does not fit.
        :raises TransformMissing: when TF lacks a transform at the stamp.
        :raises NoGravity: when the map is to begin and the IMU is silent.
        """
        rgb = self._decode(image)
        intrinsics = self._intrinsics(image, rgb.shape[1], rgb.shape[0])
        base_T_camera = self._base_T_camera(image)
        odom_T_base = self._odom_T_base(image, first)
        up_camera = None
        if first and odom_T_base is None and self._gravity is not None:
            up_camera = self._up_camera(self._gravity, image)
        return self._image_rotation.observation(
            Observation(
                rgb,
                image.stamp_ns,
                intrinsics,
                base_T_camera,
                odom_T_base,
                up_camera,
                image.camera_index,
            )
        )

    def _decode(self, image: ReceivedImage) -> Pixels:
        values = messages.wide_values(image.message)
        if values is None:
            return image.decode()
        value_range = self._range.of(values)
        if value_range != FULL_RANGE:
            self._reporter.note(
                'range of 16 bit images',
                f'16 bit images: {value_range.low} to {value_range.high} become 0 to 255',
            )
        return image.decode(value_range)

    def _up_camera(self, gravity: Gravity, image: ReceivedImage) -> Array:
        found = gravity.up_at(image.stamp_ns)
        if found is None:
            raise NoGravity(
                f'the IMU of {self._settings().imu_topic} has measured no gravity about the first '
                'image: the map waits for it, to be level'
            )
        frame, up = found
        camera_T_imu = self._look_up(image.camera_frame, frame, image)
        turned: Array = camera_T_imu[:3, :3] @ up
        return turned

    def _intrinsics(
        self, image: ReceivedImage, width: int, height: int
    ) -> CameraIntrinsics | None:
        try:
            return image.intrinsics(width, height)
        except CalibrationError as error:
            if self._settings().inputs.require_camera_info:
                raise
            self._reporter.note(
                'no calibration', f'{error}: the focal length is estimated from the images'
            )
            return None

    def _base_T_camera(self, image: ReceivedImage) -> Array | None:
        if image.base_frame == image.camera_frame:
            return None
        return self._look_up(image.base_frame, image.camera_frame, image)

    def _odom_T_base(self, image: ReceivedImage, first: bool) -> Array | None:
        """Look up the odometry; without it the last map_T_odom holds, after the start."""
        node = self._settings()
        if not node.odom_frame or node.publish_odom_to_base_tf:
            return None
        try:
            return self._look_up(node.odom_frame, image.base_frame, image)
        except TransformMissing as error:
            if first:
                raise
            self._reporter.warn(
                'odometry missing',
                f'{error}; {node.map_frame} to {node.odom_frame} stays as it was',
            )
            return None

    def _look_up(self, target: str, source: str, image: ReceivedImage) -> Array:
        waited_s = time.monotonic() - image.arrived
        timeout_s = max(0.0, self._settings().tf.timeout - waited_s)
        return self._frames.look_up(target, source, image.stamp_ns, timeout_s)
