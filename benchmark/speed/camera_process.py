# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A camera in a separate process: repeats images to and fro, each stamped when sent."""

from __future__ import annotations

import argparse
from contextlib import suppress
import itertools
from pathlib import Path
import sys
import time

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.players.camera_topics import CameraTopics

FIELD_OF_VIEW = 70.0
DISTORTION = (-0.1, 0.02, 0.0, 0.0, 0.0)


class Camera(Node):
    """Publishes images at a rate while the topic has a subscriber."""

    def __init__(self, images: np.ndarray, rate_hz: float, calibrated: bool) -> None:
        """
        Create the publishers.

        :param images: (T, H, W, 3) uint8, RGB.
        :param rate_hz: images per second.
        :param calibrated: whether camera_info is published, with distortion.
        """
        super().__init__('camera')
        frame = f'{self.get_namespace().strip("/")}_optical_frame'
        self._topics = CameraTopics(self, frame, calibrated)
        self._images = itertools.cycle([*images, *images[-2:0:-1]])
        self._intrinsics = None
        if calibrated:
            height, width = images.shape[1:3]
            pinhole = CameraIntrinsics.from_field_of_view(width, height, FIELD_OF_VIEW)
            self._intrinsics = CameraIntrinsics(
                width, height, pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy,
                'plumb_bob', DISTORTION,
            )  # fmt: skip
        self.create_timer(1 / rate_hz, self._show)

    def _show(self) -> None:
        if self._topics.has_subscriber():
            picture = self._topics.picture(next(self._images), self._intrinsics)
            self._topics.publish(picture, time.time_ns())


def main() -> int:
    """Run until a signal, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('images', type=Path, help='(T, H, W, 3) uint8 as a .npy file')
    parser.add_argument('rate', type=float, help='images a second')
    parser.add_argument('--calibrated', action='store_true', help='publish camera_info')
    arguments, _ = parser.parse_known_args()
    rclpy.init()
    camera = Camera(np.load(arguments.images), arguments.rate, arguments.calibrated)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(camera)
    rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
