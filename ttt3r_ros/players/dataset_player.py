# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Publishes a recording: a video, images, a sequence or a rosbag2; needs no rosbag2."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
import functools
import heapq
import importlib
from pathlib import Path
import re
import sys
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.publisher import Publisher

from ttt3r_ros.arrays import Array
from ttt3r_ros.inputs.opening import is_bag, open_source
from ttt3r_ros.inputs.source import BadFrame, InputError, InputFrame
from ttt3r_ros.node import messages
from ttt3r_ros.node.parameters import declare_fixed
from ttt3r_ros.node.qos import MANY, MANY_LATCHED
from ttt3r_ros.node.usage import printed_help
from ttt3r_ros.players.camera_topics import CameraTopics
from ttt3r_ros.players.replay import Item, Replay, ReplayNode, run_replay
from ttt3r_ros.settings import PlayerSettings
from ttt3r_ros.trajectory import read_trajectory, Trajectory
from ttt3r_ros.units import NANOSECONDS

NAME = 'dataset_player'
WORLD_FRAME = 'world'
TRUTH_FILE = 'groundtruth.txt'

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')


class ImagePlayer:
    """Plays images, with their calibration and true poses where they are known."""

    def __init__(self, node: Node, settings: PlayerSettings) -> None:
        """
        Open the recording.

        :param node: node of the publishers.
        :param settings: of the player.
        :raises UserError: when it cannot be read.
        """
        self._node = node
        self._source = open_source(settings.input, fps=settings.fps or None)
        if self._source.live:
            raise InputError(
                'a camera is no recording; a driver publishes it, such as v4l2_camera'
            )
        calibrated = self._source.intrinsics is not None
        self._camera = CameraTopics(node, settings.camera_optical_frame, calibrated)
        self.has_subscriber = self._camera.has_subscriber
        self._truth: Trajectory | None = None
        self.truth_publisher: Publisher[PoseStamped] | None = None
        if (Path(settings.input) / TRUTH_FILE).is_file():
            self._truth = read_trajectory(Path(settings.input) / TRUTH_FILE)
            self.truth_publisher = node.create_publisher(PoseStamped, 'ground_truth', 100)

    def items(self) -> Generator[Item, None, None]:
        """Yield the images and the true poses in the order of their times."""
        with closing(self._images()) as images:
            yield from heapq.merge(images, self._poses(), key=lambda item: item.time_ns)

    def _images(self) -> Generator[Item, None, None]:
        newest_ns = None
        with closing(self._source.frames(1)) as frames:
            for frame in frames:
                if isinstance(frame, BadFrame):
                    self._node.get_logger().warning(f'skipped: {frame.reason}')
                elif newest_ns is not None and frame.stamp_ns <= newest_ns:
                    self._node.get_logger().warning(
                        f'skipped: image {frame.index}: its time is not after the last one'
                    )
                else:
                    newest_ns = frame.stamp_ns
                    yield self._image(frame)

    def _image(self, frame: InputFrame) -> Item:
        camera = self._source.intrinsics
        height, width = frame.rgb.shape[:2]
        if camera is not None and (camera.width, camera.height) != (width, height):
            camera = camera.resized(width, height)
        picture = self._camera.picture(frame.rgb, camera)
        return Item(frame.stamp_ns, functools.partial(self._camera.publish, picture))

    def _poses(self) -> Generator[Item, None, None]:
        truth, publisher = self._truth, self.truth_publisher
        if truth is not None and publisher is not None:
            for time_ns, pose in zip(truth.stamps_ns.tolist(), truth.poses):
                yield Item(time_ns, functools.partial(_publish_pose, publisher, pose))


def _publish_pose(publisher: Publisher[PoseStamped], world_T_base: Array, stamp_ns: int) -> None:
    if publisher.get_subscription_count():
        header = messages.header(stamp_ns, WORLD_FRAME)
        publisher.publish(PoseStamped(header=header, pose=messages.pose_message(world_T_base)))


class BagPlayer:
    """Plays every topic of a bag as recorded, without decoding messages."""

    def __init__(self, node: Node, settings: PlayerSettings) -> None:
        """
        Open the bag.

        :param node: node of the publishers; its remaps rename the topics.
        :param settings: of the player.
        :raises UserError: when it cannot be read, or contains no message of an installed type.
        """
        if settings.loop_time == 'continue' or not settings.publish_clock:
            raise InputError(
                'the messages of a bag keep their stamps: use publish_clock:=true and '
                'loop_time:=restart'
            )
        # Here, not at the top: images are played where rosbags is not installed, too.
        from ttt3r_ros.inputs.bag_messages import BagMessages

        self._bag = BagMessages(Path(settings.input))
        self.truth_publisher = None
        self._publishers = {}
        self._images = []
        for topic in self._bag.topics:
            kind = message_class(topic.type_name)
            if topic.name == '/clock':
                continue
            if kind is None:
                node.get_logger().warning(
                    f'skipped: {topic.name}, because {topic.type_name} is not installed'
                )
                continue
            qos = MANY_LATCHED if topic.latched else MANY
            publisher = node.create_publisher(kind, topic.name, qos)
            self._publishers[topic.name] = publisher
            if topic.type_name in IMAGE_TYPES:
                self._images.append(publisher)
        if not self._publishers:
            raise InputError(f'{settings.input} contains no message of an installed type')

    def has_subscriber(self) -> bool:
        """Return whether the images have a subscriber; true for a bag without images."""
        counts = [publisher.get_subscription_count() for publisher in self._images]
        return any(counts) or not counts

    def items(self) -> Generator[Item, None, None]:
        """Yield the messages in the order in which they were recorded."""
        for time_ns, name, data in self._bag.messages(self._publishers.keys()):
            yield Item(time_ns, functools.partial(self._publish, name, data))

    def _publish(self, name: str, data: bytes, stamp_ns: int) -> None:
        del stamp_ns  # the message has its own
        self._publishers[name].publish(data)


def first_seconds(
    items: Callable[[], Generator[Item, None, None]], seconds: float
) -> Generator[Item, None, None]:
    """
    Yield the first items of a recording.

    :param items: starts the recording from its beginning.
    :param seconds: duration in the time of the recording; 0: all of it.
    """
    first_ns = None
    with closing(items()) as all_items:
        for item in all_items:
            first_ns = item.time_ns if first_ns is None else first_ns
            if seconds and item.time_ns - first_ns > seconds * NANOSECONDS:
                return
            yield item


def message_class(type_name: str) -> type[Any] | None:
    """
    Return the class of a message type.

    :param type_name: for example sensor_msgs/msg/Image.
    :returns: the class, or None when it is not installed.
    """
    parts = re.fullmatch(r'([a-z]\w*)/msg/([A-Z]\w*)', type_name)
    if parts is None:
        return None
    try:
        return getattr(importlib.import_module(f'{parts[1]}.msg'), parts[2], None)
    except ImportError:
        return None


class DatasetPlayer(ReplayNode):
    """The node that plays a recording."""

    def __init__(self, **node_options: Any) -> None:
        """
        Open the recording.

        :param node_options: of rclpy's Node.
        :raises UserError: when a parameter is wrong or the recording cannot be read.
        """
        super().__init__(NAME, **node_options)
        settings = declare_fixed(self, PlayerSettings)
        if not settings.input:
            raise InputError(
                'nothing to play: set the parameter input to a video, a folder or a rosbag2'
            )
        kind = BagPlayer if is_bag(Path(settings.input)) else ImagePlayer
        player = kind(self, settings)
        items = functools.partial(first_seconds, player.items, settings.seconds)
        self.replay = Replay(self, items, settings, player.has_subscriber, player.truth_publisher)


def main(args: list[str] | None = None) -> int:
    """
    Run the node until the recording ends.

    :param args: command line arguments for ROS.
    :returns: the exit code of the process.
    """
    sentence = 'Play a video, a folder of images, a recorded sequence or a rosbag2.'
    if printed_help(args, NAME, sentence, PlayerSettings, 'demo.md'):
        return 0
    return run_replay(DatasetPlayer, NAME, args)


if __name__ == '__main__':
    sys.exit(main())
