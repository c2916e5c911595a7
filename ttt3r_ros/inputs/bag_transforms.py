# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""All transforms and odometry of a rosbag2, read in one pass without ROS."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
import math
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Connection

from ttt3r_ros.geometry import rotation_from_quaternion, transform
from ttt3r_ros.inputs.bag_reader import BagReader, DAMAGE, message_types, one_line
from ttt3r_ros.inputs.bag_twists import pose_is_known, TwistWatch
from ttt3r_ros.inputs.pose_series import PoseRecorder
from ttt3r_ros.inputs.transform_tree import FixedPose, Link, TransformTree
from ttt3r_ros.units import NANOSECONDS

TRANSFORMS, ODOMETRY = 'tf2_msgs/msg/TFMessage', 'nav_msgs/msg/Odometry'

# Of all links together, 128 MB; half an hour of a robot that sends 1000 transforms a second.
MOST_POSES = 2_000_000

Names = tuple[str, str, str]  # topic, parent, child


@dataclass(frozen=True, eq=False)
class RecordedMotion:
    """
    The transforms and odometry of a bag.

    transforms: the links of its TF. odometry: those of its Odometry topics. trouble: what
    could not be read, as the end of a sentence; empty when nothing.
    """

    transforms: tuple[Link, ...]
    odometry: tuple[Link, ...]
    trouble: str

    def tree(self, near: str) -> TransformTree:
        """
        Connect the frames of the TF.

        Robots that share a bag may share names of frames too. So a frame has its links from the
        topics of one namespace alone: the innermost one that encloses the topic `near`, else
        the one that shares most of its beginning. Within it a moving link replaces a static one
        of the same two frames.

        :param near: name of a topic of the robot to choose.
        """
        namespaces: dict[str, str] = {}
        chosen: dict[tuple[str, str], Link] = {}
        for link in sorted(self.transforms, key=lambda link: _distance(link, near)):
            namespace = link.topic.rpartition('/')[0]
            if namespaces.setdefault(link.child, namespace) == namespace:
                chosen.setdefault((link.parent, link.child), link)
        return TransformTree(chosen.values())


def _distance(link: Link, topic: str) -> tuple[bool, int, str, bool, str]:
    """Return a key that sorts links by the distance of their namespace from a topic."""
    namespace = link.topic.split('/')[:-1]
    pairs = zip(namespace, topic.split('/'))
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    fixed = isinstance(link.poses, FixedPose)
    return common < len(namespace), -common, '/'.join(namespace), fixed, link.topic


def read_motion(path: Path) -> RecordedMotion:
    """
    Read every TFMessage and Odometry topic of a bag, under whatever name.

    Memory is bounded: beyond MOST_POSES poses the longest link keeps every second one. Static
    are the topics named tf_static; of several static transforms of a frame the last one holds,
    at all times. A header without a stamp takes the time of the recording.

    :param path: a bag that can be opened.
    """
    links = _Links()
    types = message_types()
    trouble = ''
    try:
        with BagReader(path) as reader:
            wanted = [c for c in reader.connections if c.msgtype in (TRANSFORMS, ODOMETRY)]
            for connection, recorded_ns, data in reader.messages(wanted) if wanted else ():
                try:
                    message: Any = types.deserialize_cdr(data, connection.msgtype)
                    links.add(connection, recorded_ns, message)
                except DAMAGE:
                    links.unusable += 1
    except DAMAGE as error:
        trouble += f'; the bag is damaged: {one_line(error)}'
    for topic in links.velocities():
        trouble += (
            f'; {topic} measures velocities alone (its poses stay the same, or are unknown by '
            'their covariance), which are not integrated'
        )
    if links.unusable:
        trouble += f'; {links.unusable} transforms in the bag cannot be used'
    return RecordedMotion(links.transforms(), links.odometry(), trouble)


class _Links:
    """Collects links while a bag is read."""

    def __init__(self) -> None:
        self.unusable = 0
        self._fixed: dict[Names, FixedPose] = {}
        self._moving: dict[str, dict[Names, PoseRecorder]] = {TRANSFORMS: {}, ODOMETRY: {}}
        self._twists: defaultdict[Names, TwistWatch] = defaultdict(TwistWatch)
        self._poses = 0

    def add(self, connection: Connection, recorded_ns: int, message: Any) -> None:
        """Add the poses of a message."""
        for header, child, pose in _poses(connection.msgtype, message):
            names = connection.topic, header.frame_id.lstrip('/'), child.lstrip('/')
            length = math.hypot(*pose[3:])
            usable = names[1] != names[2] and all(map(math.isfinite, pose)) and length > 1e-6
            stamp_ns = header.stamp.sec * NANOSECONDS + header.stamp.nanosec or recorded_ns
            if connection.msgtype == ODOMETRY:
                usable = usable and pose_is_known(message)
                known = np.array(pose) if usable else None
                self._twists[names].add(stamp_ns, known, message.twist.twist)
            if not usable:
                self.unusable += 1
                continue
            pose[3:] = (value / length for value in pose[3:])
            if connection.topic.endswith('/tf_static'):
                rotation = rotation_from_quaternion(pose[3:])
                self._fixed[names] = FixedPose(transform(rotation, pose[:3]))
                continue
            recorder = self._moving[connection.msgtype].setdefault(names, PoseRecorder())
            self._record(recorder, stamp_ns, pose)

    def transforms(self) -> tuple[Link, ...]:
        """Return the links of TF."""
        fixed = (Link(*names, poses) for names, poses in self._fixed.items())
        return (*fixed, *self._moved(TRANSFORMS))

    def odometry(self) -> tuple[Link, ...]:
        """Return the links of Odometry topics."""
        links = self._moved(ODOMETRY)
        return tuple(k for k in links if not self._twists[k.topic, k.parent, k.child].is_all)

    def velocities(self) -> list[str]:
        """Return the Odometry topics that measure no poses."""
        return sorted({names[0] for names, watch in self._twists.items() if watch.is_all})

    def _moved(self, kind: str) -> Iterator[Link]:
        """Yield links one after the other, so that few poses are in memory twice."""
        recorders = self._moving[kind]
        for names in list(recorders):
            yield Link(*names, recorders.pop(names).series())

    def _record(self, recorder: PoseRecorder, stamp_ns: int, pose: list[float]) -> None:
        """Add a pose, and halve the longest series when there are too many."""
        self._poses -= len(recorder)
        recorder.add(stamp_ns, pose)
        self._poses += len(recorder)
        if self._poses > MOST_POSES:
            recorders = [r for links in self._moving.values() for r in links.values()]
            max(recorders, key=len).halve()
            self._poses = sum(map(len, recorders))


def _poses(kind: str, message: Any) -> Iterator[tuple[Any, str, list[float]]]:
    """Yield header, child frame and x y z qx qy qz qw of each pose in a message."""
    if kind == ODOMETRY:
        pose = message.pose.pose
        yield message.header, message.child_frame_id, _seven(pose.position, pose.orientation)
        return
    for stamped in message.transforms:
        found = stamped.transform
        yield stamped.header, stamped.child_frame_id, _seven(found.translation, found.rotation)


def _seven(position: Any, rotation: Any) -> list[float]:
    return [position.x, position.y, position.z, rotation.x, rotation.y, rotation.z, rotation.w]
