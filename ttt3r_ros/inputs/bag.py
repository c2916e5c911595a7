# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Images recorded in a rosbag2 (sqlite3 or mcap), read without ROS."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.image_formats import (
    check_raw,
    fitted_range,
    FULL_RANGE,
    RAW_ENCODINGS,
    rgb_from_encoded,
    rgb_from_raw,
    tight_rows,
    ValueRange,
    wide_values,
)
from ttt3r_ros.inputs.bag_calibration import BagCalibration
from ttt3r_ros.inputs.bag_reader import BagReader, DAMAGE, message_types, one_line
from ttt3r_ros.inputs.source import (
    BadFrame,
    IGNORED,
    InputError,
    InputFrame,
    missing_frames,
)
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.units import NANOSECONDS

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'

# So many messages decide which clock and which values a topic has.
MESSAGES_TO_CHOOSE = 5

VIDEO_FORMATS = (
    *('h264', 'h.264', 'avc', 'h265', 'hevc', 'hev1', 'hvc1', 'av1', 'av01', 'vp8', 'vp08'),
    *('vp9', 'vp09', 'mpeg4', 'theora', 'ffmpeg'),
)
VIDEO_STARTS = (b'\0\0\0\1', b'\0\0\1')


class BagSource:
    """
    The images of one topic of a bag, with the recorded calibration.

    topic: of the images. compressed: whether they are CompressedImages.

    Their stamps are those of the headers, or all of the recording where the headers have none.
    """

    live = False
    odometry = 'no odometry: not asked for'
    images_without_odometry = 0
    notes: Sequence[str] = ()

    def __init__(self, path: Path, topic: str = '', with_intrinsics: bool = True) -> None:
        """
        Find the images in a bag.

        :param path: the folder of a bag, or one of its files.
        :param topic: of the images; empty when the bag has only one.
        :param with_intrinsics: whether to read the CameraInfo.
        :raises InputError: when the bag cannot be read, or has no such topic or several.
        """
        self.name = str(path)
        self._path = path
        self._types = message_types()
        try:
            with BagReader(path) as reader:
                chosen = _choose_topic(path, reader.connections, topic)
                self.topic = chosen.topic
                self.compressed = chosen.msgtype == COMPRESSED
                self.length = sum(
                    c.msgcount for c in reader.connections if c.topic == chosen.topic
                )
                notes = list(reader.notes)
                if self.compressed:
                    self._refuse_video(reader)
                self._stamped = self._headers_have_times(reader)
                if not self._stamped:
                    notes.append(
                        f'the headers of {self.topic} have no times of their own: those of the '
                        'recording count'
                    )
                self._range = self._fit_range(reader)
                if self._range != FULL_RANGE:
                    low, high = self._range.low, self._range.high
                    notes.append(f'16 bit images: {low} to {high} become 0 to 255 in all of them')
                self.notes = notes
                self._calibration = BagCalibration(path, chosen.topic)
                self.intrinsics: CameraIntrinsics | None = None
                self.calibration = IGNORED
                if with_intrinsics:
                    found = self._calibration.first(reader, self._first_shape)
                    self.intrinsics, self.calibration = found
        except DAMAGE as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f'cannot read the bag {path}: {one_line(error)}') from error

    def frames(self, step: int) -> Generator[InputFrame | BadFrame, None, None]:
        """
        Read the bag from its beginning.

        :param step: read every step-th image.
        """
        expected = 0
        why = 'missing'
        try:
            with BagReader(self._path) as reader:
                wanted = [c for c in reader.connections if c.topic == self.topic]
                changes = None
                if self.intrinsics is not None:
                    changes = self._calibration.changes(self.intrinsics)
                    wanted += self._calibration.connections(reader)
                for connection, recorded_ns, data in reader.messages(wanted):
                    if changes is not None and connection.topic != self.topic:
                        changes.take(data)
                        continue
                    index, expected = expected, expected + 1
                    if index % step == 0:
                        frame = self._frame(index, connection.msgtype, recorded_ns, data)
                        if changes is not None and isinstance(frame, InputFrame):
                            frame = replace(frame, intrinsics=changes.newest)
                        yield frame
        except DAMAGE as error:
            why = f'the bag is damaged: {one_line(error)}'
        yield from missing_frames(expected, self.length, step, why)

    def camera_frame(self) -> str:
        """
        Return the frame_id of the first image that can be read.

        :returns: the name of a frame, which all images of a topic share; empty when no image can
            be read or it has none.
        """
        # What is damaged here is reported by frames() in its place.
        with suppress(*DAMAGE), BagReader(self._path) as reader:
            images = [c for c in reader.connections if c.topic == self.topic]
            for connection, _, data in reader.messages(images):
                with suppress(*DAMAGE):
                    message: Any = self._types.deserialize_cdr(data, connection.msgtype)
                    return str(message.header.frame_id).lstrip('/')
        return ''

    def _frame(
        self, index: int, message_type: str, recorded_ns: int, data: bytes
    ) -> InputFrame | BadFrame:
        try:
            message: Any = self._types.deserialize_cdr(data, message_type)
            rgb = _rgb(message, message_type, self._range)
        except DAMAGE as error:
            return BadFrame(f'image {index}: {one_line(error)}')
        stamp = message.header.stamp
        stamp_ns = stamp.sec * NANOSECONDS + stamp.nanosec
        return InputFrame(index, stamp_ns if self._stamped else recorded_ns, rgb)

    def _fit_range(self, reader: BagReader) -> ValueRange:
        """Fit one range to images of 16 bits, by the first ones."""
        images = [c for c in reader.connections if c.topic == self.topic]
        wide = []
        for connection, _, data in itertools.islice(reader.messages(images), MESSAGES_TO_CHOOSE):
            with suppress(*DAMAGE):
                message: Any = self._types.deserialize_cdr(data, connection.msgtype)
                values = _wide_values(message, connection.msgtype)
                if values is None:
                    return FULL_RANGE
                wide.append(values)
        return fitted_range(wide) if wide else FULL_RANGE

    def _refuse_video(self, reader: BagReader) -> None:
        """Refuse a video in pieces, whose messages are no images of their own."""
        images = [c for c in reader.connections if c.topic == self.topic]
        found = None
        with suppress(*DAMAGE):
            _, _, data = next(reader.messages(images), (None, 0, b''))
            message: Any = self._types.deserialize_cdr(data, COMPRESSED)
            named = [name for name in VIDEO_FORMATS if name in str(message.format).lower()]
            starts = message.data[:4].tobytes().startswith(VIDEO_STARTS)
            found = next(iter(named), 'h264' if starts else None)
        if found:
            raise InputError(
                f'{self._path}: {self.topic} is {found!r} video, which is not read: republish it '
                'as raw or JPEG (ros2 run image_transport republish) and record that'
            )

    def _headers_have_times(self, reader: BagReader) -> bool:
        """
        Choose the clock of the topic by its first messages.

        :returns: whether the stamps of the headers differ, all but one, or the only one is not
            zero.
        """
        images = [c for c in reader.connections if c.topic == self.topic]
        first = itertools.islice(reader.messages(images), MESSAGES_TO_CHOOSE)
        # The header comes first in both kinds of images: seconds and nanoseconds after 4 bytes.
        stamps = [bytes(data[:12]) for _, _, data in first if len(data) >= 12]
        if len(stamps) < 2:
            return any(stamp[4:] != bytes(8) for stamp in stamps)
        return len(set(stamps)) > max(1, len(stamps) - 2)

    def _first_shape(self, reader: BagReader) -> tuple[int, int]:
        """Return the height and width of the first image that can be read, or zeros."""
        images = [c for c in reader.connections if c.topic == self.topic]
        for connection, recorded_ns, data in reader.messages(images):
            item = self._frame(0, connection.msgtype, recorded_ns, data)
            if isinstance(item, InputFrame):
                return item.rgb.shape[0], item.rgb.shape[1]
        return 0, 0


def _choose_topic(path: Path, connections: list[Connection], topic: str) -> Connection:
    images = {
        c.topic: c
        for c in connections
        if c.msgtype in (RAW, COMPRESSED) and not c.topic.endswith('/compressedDepth')
    }
    filled = sorted(name for name, c in images.items() if c.msgcount)
    listed = ', '.join(filled) or 'none'
    if topic:
        if topic not in images:
            raise InputError(f'{path} has no image topic {topic}; its image topics: {listed}')
        if topic not in filled:
            raise InputError(f'{path} has no message of {topic}; its image topics: {listed}')
        return images[topic]
    if not filled:
        if any(getattr(c.ext, 'serialization_format', '') == 'ros1' for c in connections):
            raise InputError(
                f'{path} has messages of ROS 1: convert the .bag that it was made from with '
                '`rosbags-convert --src FILE.bag --dst FOLDER`'
            )
        others = (
            ', '.join(
                sorted({f'{c.topic} ({c.msgtype}, {c.msgcount} messages)' for c in connections})
            )
            or 'none'
        )
        raise InputError(f'{path} has no image topic; its topics: {others}')
    if len(filled) > 1:
        raise InputError(f'{path} has several image topics, choose one with --topic: {listed}')
    return images[filled[0]]


def _wide_values(message: Any, message_type: str) -> NDArray[np.unsignedinteger[Any]] | None:
    """Return the values of an image of 16 bits, or None for any other."""
    if message_type == COMPRESSED:
        return wide_values(io.BytesIO(message.data.tobytes()))
    if RAW_ENCODINGS[message.encoding][0] is not np.uint16:
        return None
    shape = message.width, message.height, message.step, message.encoding
    check_raw(message.data.size, *shape)
    return tight_rows(message.data, *shape, bool(message.is_bigendian))


def _rgb(message: Any, message_type: str, value_range: ValueRange) -> Pixels:
    if message_type == COMPRESSED:
        return rgb_from_encoded(io.BytesIO(message.data.tobytes()), value_range)
    return rgb_from_raw(
        message.data,
        message.width,
        message.height,
        message.step,
        message.encoding,
        bool(message.is_bigendian),
        value_range,
    )
