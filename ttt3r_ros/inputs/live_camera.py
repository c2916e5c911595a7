# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A camera of this computer; only the newest image is used."""

from __future__ import annotations

from collections.abc import Generator, Sequence
import itertools
import threading
import time

import cv2
import numpy as np

from ttt3r_ros.inputs.source import BadFrame, InputError, InputFrame, NONE_GIVEN
from ttt3r_ros.intrinsics import CameraIntrinsics

PATIENCE_S = 5.0


class CameraSource:
    """
    The images of a camera, until it stops.

    A thread reads every image and stores only the newest, so that the queue of the camera driver
    does not delay the map.
    """

    live = True
    odometry = 'no odometry: a camera has none'
    images_without_odometry = 0
    notes: Sequence[str] = ()
    length = None

    def __init__(
        self,
        number: int,
        fps: float | None = None,
        intrinsics: CameraIntrinsics | None = None,
        calibration: str = NONE_GIVEN,
    ) -> None:
        """
        Open a camera.

        :param number: index of the camera in the system, from 0.
        :param fps: images per second that are requested from it, None for its default.
        :param intrinsics: of its images, or None.
        :param calibration: where they come from, or why there are none.
        :raises InputError: when there is no such camera or it delivers no image.
        """
        self.name = f'camera {number}'
        self.intrinsics = intrinsics
        self.calibration = calibration
        self._capture = cv2.VideoCapture(number)
        if fps is not None:
            self._capture.set(cv2.CAP_PROP_FPS, fps)
        if not (self._capture.isOpened() and self._capture.read()[0]):
            self._capture.release()
            raise InputError(
                f'{self.name} cannot be opened: check that it is plugged in, that no other '
                'program uses it and that you may read it'
            )
        self._changed = threading.Condition()
        self._newest: InputFrame | None = None
        self._stopped = False

    def frames(self, step: int) -> Generator[InputFrame | BadFrame, None, None]:
        """
        Read images until the camera has delivered none for some seconds.

        :param step: use every step-th image of the camera.
        """
        grabber = threading.Thread(target=self._grab, args=(step,), name='camera', daemon=True)
        grabber.start()
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._newest or self._stopped, PATIENCE_S)
                    newest, self._newest = self._newest, None
                if newest is None:
                    yield BadFrame(f'{self.name} gives no more images')
                    return
                yield newest
        finally:
            self._stopped = True
            grabber.join(PATIENCE_S)
            self._capture.release()

    def _grab(self, step: int) -> None:
        for index in itertools.count():
            arrived, bgr = self._capture.read()
            stamp_ns = time.time_ns()
            with self._changed:
                if self._stopped or not arrived:
                    self._stopped = True
                    self._changed.notify()
                    return
                if index % step == 0:
                    rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
                    self._newest = InputFrame(index, stamp_ns, rgb)
                    self._changed.notify()
