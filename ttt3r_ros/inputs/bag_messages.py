# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The messages of a rosbag2 as they were recorded, read without ROS."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from rosbags.interfaces import Connection, QosDurability

from ttt3r_ros.inputs.bag_reader import BagReader, DAMAGE, one_line
from ttt3r_ros.inputs.source import InputError


@dataclass(frozen=True)
class RecordedTopic:
    """
    A topic of a bag.

    type_name: for example sensor_msgs/msg/Image. latched: whether late subscribers received its
    last messages.
    """

    name: str
    type_name: str
    latched: bool


class BagMessages:
    """All messages of a bag, in the order in which they were recorded."""

    def __init__(self, path: Path) -> None:
        """
        Read the topics of a bag.

        :param path: the folder of a bag, or one of its files.
        :raises InputError: when it cannot be read.
        """
        self._path = path
        try:
            with BagReader(path) as reader:
                found = {c.topic: _topic(c) for c in reader.connections if c.msgcount}
        except DAMAGE as error:
            raise InputError(f'cannot read the bag {path}: {one_line(error)}') from error
        self.topics = tuple(found.values())

    def messages(self, names: Collection[str]) -> Iterator[tuple[int, str, bytes]]:
        """
        Read the bag from its beginning.

        :param names: of the topics to read.
        :returns: for each message its time of recording in nanoseconds, its topic and its
            serialised form.
        :raises InputError: where the bag is damaged.
        """
        try:
            with BagReader(self._path) as reader:
                wanted = [c for c in reader.connections if c.topic in names]
                for connection, recorded_ns, data in reader.messages(wanted):
                    yield recorded_ns, connection.topic, bytes(data)
        except DAMAGE as error:
            raise InputError(f'the bag {self._path} is damaged: {one_line(error)}') from error


def _topic(connection: Connection) -> RecordedTopic:
    qualities = getattr(connection.ext, 'offered_qos_profiles', ())
    latched = any(quality.durability == QosDurability.TRANSIENT_LOCAL for quality in qualities)
    static = connection.topic.endswith('/tf_static')
    return RecordedTopic(connection.topic, connection.msgtype, latched or static)
