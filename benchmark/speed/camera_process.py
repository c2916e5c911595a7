# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A camera as a process of its own: shows a film forth and back, each image stamped when sent."""

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
    """Publish images at a rate, from the moment that somebody hears them."""

    def __init__(self, film: np.ndarray, rate_hz: float, calibrated: bool) -> None:
        """
        Advertise.

        :param film: (T, H, W, 3) uint8.
        :param rate_hz: images a second.
        :param calibrated: whether camera_info is published, with some distortion.
        """
        super().__init__('camera')
        frame = f'{self.get_namespace().strip("/")}_optical_frame'
        self._topics = CameraTopics(self, frame, calibrated)
        self._images = itertools.cycle([*film, *film[-2:0:-1]])
        self._intrinsics = None
        if calibrated:
            height, width = film.shape[1:3]
            pinhole = CameraIntrinsics.from_field_of_view(width, height, FIELD_OF_VIEW)
            self._intrinsics = CameraIntrinsics(
                width, height, pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy,
                'plumb_bob', DISTORTION,
            )  # fmt: skip
        self.create_timer(1 / rate_hz, self._show)

    def _show(self) -> None:
        if self._topics.is_heard():
            picture = self._topics.picture(next(self._images), self._intrinsics)
            self._topics.publish(picture, time.time_ns())


def main() -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('film', type=Path, help='(T, H, W, 3) uint8 as a .npy file')
    parser.add_argument('rate', type=float, help='images a second')
    parser.add_argument('--calibrated', action='store_true', help='publish camera_info')
    arguments, _ = parser.parse_known_args()
    rclpy.init()
    camera = Camera(np.load(arguments.film), arguments.rate, arguments.calibrated)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(camera)
    rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
