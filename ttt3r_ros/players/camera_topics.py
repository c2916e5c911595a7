# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The topics on which a camera driver speaks."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.node import messages
from ttt3r_ros.node.qos import RELIABLE

JPEG_QUALITY = 90


@dataclass(frozen=True, eq=False)
class Picture:
    """The messages of one image, without stamps; None for a topic that nobody hears."""

    raw: Image | None
    compressed: CompressedImage | None
    info: CameraInfo | None


class CameraTopics:
    """Publish image, image/compressed and, where it is known, camera_info."""

    def __init__(self, node: Node, frame: str, calibrated: bool) -> None:
        """
        Advertise.

        :param node: publishes.
        :param frame: name of the optical frame.
        :param calibrated: whether there will be a calibration; else nobody is to wait for it.
        """
        self._frame = frame
        self._raw = node.create_publisher(Image, 'image', RELIABLE)
        self._compressed = node.create_publisher(CompressedImage, 'image/compressed', RELIABLE)
        self._info = None
        if calibrated:
            self._info = node.create_publisher(CameraInfo, 'camera_info', RELIABLE)

    def is_heard(self) -> bool:
        """Tell whether somebody subscribes to the images."""
        publishers = self._raw, self._compressed
        return any(publisher.get_subscription_count() for publisher in publishers)

    def picture(self, rgb: Pixels, intrinsics: CameraIntrinsics | None) -> Picture:
        """
        Make the messages that somebody wants.

        :param rgb: (H, W, 3) uint8.
        :param intrinsics: of the image, where they are known.
        """
        header = Header(frame_id=self._frame)
        raw = compressed = info = None
        if self._raw.get_subscription_count():
            raw = messages.rgb_image(rgb, header)
        if self._compressed.get_subscription_count():
            compressed = messages.jpeg_image(rgb, header, JPEG_QUALITY)
        if intrinsics is not None and self._info and self._info.get_subscription_count():
            info = messages.camera_info(intrinsics, header)
        return Picture(raw, compressed, info)

    def publish(self, picture: Picture, stamp_ns: int) -> None:
        """
        Publish the messages of one image, the calibration first.

        :param picture: its messages.
        :param stamp_ns: their stamp.
        """
        stamp = messages.time_message(stamp_ns)
        for publisher, message in (
            (self._info, picture.info),
            (self._raw, picture.raw),
            (self._compressed, picture.compressed),
        ):
            if publisher is not None and message is not None:
                message.header.stamp = stamp
                publisher.publish(message)
