# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The topics of a camera driver."""

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
    """The messages of one image, without stamps; None for a topic without a subscriber."""

    raw: Image | None
    compressed: CompressedImage | None
    info: CameraInfo | None


class CameraTopics:
    """Publishes image, image/compressed and, where the calibration is known, camera_info."""

    def __init__(self, node: Node, frame: str, calibrated: bool) -> None:
        """
        Create the publishers.

        :param node: node of the publishers.
        :param frame: name of the optical frame.
        :param calibrated: whether to advertise camera_info, which the mapping node waits for.
        """
        self._frame = frame
        self._raw = node.create_publisher(Image, 'image', RELIABLE)
        self._compressed = node.create_publisher(CompressedImage, 'image/compressed', RELIABLE)
        self._info = None
        if calibrated:
            self._info = node.create_publisher(CameraInfo, 'camera_info', RELIABLE)

    def has_subscriber(self) -> bool:
        """Return whether the images have a subscriber."""
        publishers = self._raw, self._compressed
        return any(publisher.get_subscription_count() for publisher in publishers)

    def picture(self, rgb: Pixels, intrinsics: CameraIntrinsics | None) -> Picture:
        """
        Return the messages of the topics that have a subscriber.

        :param rgb: (H, W, 3) uint8.
        :param intrinsics: of the image, None where they are unknown.
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

        :param picture: the messages.
        :param stamp_ns: their stamp, nanoseconds.
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
