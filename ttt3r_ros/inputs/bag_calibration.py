# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The CameraInfo beside the images of a rosbag2; it may come late, and change on the way."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection

from ttt3r_ros.inputs.bag_reader import BagReader, DAMAGE, message_types, one_line
from ttt3r_ros.inputs.source import InputError, NONE_GIVEN
from ttt3r_ros.intrinsics import CameraInfo, CameraIntrinsics, NotCalibrated

CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'

# A driver may send zeros until it has loaded its calibration.
MOST_UNCALIBRATED = 100

HEADER_BYTES = 12  # before the name of the frame: what differs in each message is the stamp


class BagCalibration:
    """The calibration of the images of one topic, by the CameraInfo of their namespace."""

    def __init__(self, path: Path, images: str) -> None:
        """
        Name the topics.

        :param path: of the bag, for messages.
        :param images: the topic of the images.
        """
        self._path = path
        namespace, _, name = images.rpartition('/')
        self._topics = {f'{namespace}/camera_info'}
        if name.startswith('compressed'):
            namespace, _, name = namespace.rpartition('/')
            self._topics.add(f'{namespace}/camera_info')
        self._rectified = name.startswith('image_rect')

    def connections(self, reader: BagReader) -> list[Connection]:
        """
        Return those of the CameraInfo; empty where there is none.

        :param reader: of the bag.
        """
        return [
            c for c in reader.connections if c.msgtype == CAMERA_INFO and c.topic in self._topics
        ]

    def first(
        self, reader: BagReader, shape: Callable[[BagReader], tuple[int, int]]
    ) -> tuple[CameraIntrinsics | None, str]:
        """
        Read the first CameraInfo that is not all zero.

        :param reader: of the bag.
        :param shape: returns height and width of the images, where a driver left them out.
        :returns: the intrinsics or None, and in one sentence where they come from or why there
            are none.
        :raises InputError: when it is not understood.
        """
        infos, why = self.connections(reader), NONE_GIVEN
        for connection, _, data in islice(
            reader.messages(infos), MOST_UNCALIBRATED if infos else 0
        ):
            topic = connection.topic
            try:
                info = self._parsed(data)
                if not info.width and not info.height:
                    height, width = shape(reader)
                    info = info.sized(width, height)
                with_p = ': K is zero, P is used' if any(info.p) and not any(info.k) else ''
                return info.intrinsics(), f'read from {topic}{with_p}'
            except NotCalibrated as error:
                why = f'{error}, in {topic}'
            except DAMAGE as error:
                raise InputError(
                    f'{self._path}: the calibration of {topic} is not understood: '
                    f'{one_line(error)}; set another with --intrinsics, or use --no-intrinsics'
                ) from error
        return None, why

    def changes(self, start: CameraIntrinsics) -> Changes:
        """
        Return what follows the calibration from message to message.

        :param start: as `first` returned it.
        """
        return Changes(self._parsed, start)

    def _parsed(self, data: bytes) -> CameraInfo:
        message: Any = message_types().deserialize_cdr(data, CAMERA_INFO)
        return CameraInfo.of_message(message, self._rectified)


class Changes:
    """
    Follows a calibration that changes on the way: a zoom, or another resolution.

    newest: the one in force, None while it is still that of the beginning.
    """

    def __init__(self, parsed: Callable[[bytes], CameraInfo], start: CameraIntrinsics) -> None:
        """
        Begin with a calibration.

        :param parsed: returns the content of a message.
        :param start: is in force at first.
        """
        self.newest: CameraIntrinsics | None = None
        self._parsed, self._start, self._content = parsed, start, b''

    def take(self, data: bytes) -> None:
        """
        Take a message into account; one that cannot be used leaves the calibration as it is.

        :param data: its serialised form.
        """
        content = bytes(data[HEADER_BYTES:])
        if content == self._content:
            return
        self._content = content
        try:
            info = self._parsed(data).sized(self._start.width, self._start.height)
            found = info.intrinsics()
        except DAMAGE:
            return
        if found != (self.newest or self._start):
            self.newest = found
