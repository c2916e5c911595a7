# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Shows what a mapping node publishes in the browser; its buttons call the node's services."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import functools
import sys
import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.client import Client
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, TransformException, TransformListener

from ttt3r_ros.arrays import Array
from ttt3r_ros.node import interface, messages
from ttt3r_ros.node.interface import Service, Topic
from ttt3r_ros.node.parameters import declare_fixed
from ttt3r_ros.node.running import run_node
from ttt3r_ros.node.usage import printed_help
from ttt3r_ros.players.node_scenes import NodeScenes
from ttt3r_ros.players.readiness import is_of_mapping
from ttt3r_ros.players.recorder import PoseLog
from ttt3r_ros.settings import NodeSettings, ViewerSettings
from ttt3r_ros.viewer.optional import require_viser
from ttt3r_ros.viewer.showing import open_page

NAME = 'viewer'
MAPPING_NODE = 'ttt3r'
ANSWER_TIMEOUT_S = 10.0

# By the names of NodeScenes; the map comes first, for it is what a late viewer needs.
TOPICS = {
    'map_cloud': interface.MAP_CLOUD,
    'map': interface.OCCUPANCY,
    'loop_closures': interface.LOOP_CLOSURES,
    'path': interface.PATH,
    'pose': interface.POSE,
    'points': interface.POINTS,
    'depth': interface.DEPTH,
    'camera_info': interface.DEPTH_CALIBRATION,
}


def of_mapping(name: str) -> str:
    """
    Return the name of a topic or service of the mapping node, for another node beside it.

    :param name: as in the tables of the node.
    """
    return name.replace('~', MAPPING_NODE)


class ViewerNode(Node):
    """Subscribes to the outputs of a mapping node, and serves them as a page."""

    def __init__(self, **node_options: Any) -> None:
        """
        Subscribe, and begin to serve.

        :param node_options: of rclpy's Node.
        :raises UserError: when a parameter is wrong, or the extra `viewer` is not installed.
        """
        super().__init__(NAME, **node_options)
        self._settings = settings = declare_fixed(self, ViewerSettings)
        require_viser()
        # Here, not at the top: the library is an option.
        from ttt3r_ros.viewer.viewer import Viewer

        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)
        self._truth = PoseLog()
        self.scenes = NodeScenes(self._look_up, settings.voxel_size)
        self._callers: dict[str, Client[Any, Any]] = {
            each.name: self.create_client(each.kind, of_mapping(each.name))
            for each in (interface.RESET, interface.PAUSE)
        }
        self.viewer = Viewer(
            settings.port,
            {
                'reset the map': functools.partial(self._ask, interface.RESET),
                'pause': functools.partial(self._ask, interface.PAUSE, data=True),
                'go on': functools.partial(self._ask, interface.PAUSE, data=False),
            },
        )
        self._subscribe()
        self.get_logger().info(f'the view is at {self.viewer.url}')
        if settings.open_browser:
            open_page(self.viewer.url)

    def _subscribe(self) -> None:
        compressed = self._settings.image_transport == 'compressed'
        image = interface.COMPRESSED_IMAGE if compressed else interface.IMAGE
        for name, topic in (*TOPICS.items(), ('image', image)):
            self._subscribe_to(topic, functools.partial(self._on_message, name))
        self._subscribe_to(interface.DIAGNOSTICS, self._on_diagnostics)
        self.create_subscription(PoseStamped, 'ground_truth', self._on_truth, 100)

    def _subscribe_to(self, topic: Topic, callback: Callable[[Any], None]) -> None:
        qos = topic.profile(NodeSettings())
        self.create_subscription(topic.kind, of_mapping(topic.name), callback, qos)

    def _on_message(self, name: str, message: Any) -> None:
        if name == 'path':  # once a second; with it, for another thread reads it
            self.scenes.put('ground_truth', self._truth.trajectory())
        self.scenes.put(name, message)
        self.viewer.take(self.scenes.scene)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in filter(is_of_mapping, message.status):
            self._on_message('diagnostics', status)

    def _on_truth(self, message: PoseStamped) -> None:
        with suppress(ValueError):
            self._truth.add(messages.nanoseconds(message.header.stamp), message.pose)

    def _look_up(self, target: str, source: str, stamp_ns: int) -> Array | None:
        """Return target_T_source at a stamp, else the newest one; None where there is none."""
        for moment in (stamp_ns, 0):
            at = Time(nanoseconds=moment, clock_type=ClockType.ROS_TIME)
            with suppress(TransformException, ValueError):
                found = self._buffer.lookup_transform(target, source, at)
                return messages.matrix_from_transform(found.transform)
        return None

    def _ask(self, service: Service, **fields: Any) -> str:
        """Call a service of the mapping node, in another thread than its executor's."""
        client = self._callers[service.name]
        if not client.service_is_ready():
            return 'no mapping node answers'
        answered = threading.Event()
        future = client.call_async(service.kind.Request(**fields))
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(ANSWER_TIMEOUT_S):
            return 'the mapping node does not answer'
        answer = future.result()
        return '' if answer is None else str(answer.message)

    def close(self) -> None:
        """End the page."""
        self.viewer.close()


def main(args: list[str] | None = None) -> int:
    """
    Show until a signal.

    :param args: command line arguments for ROS.
    :returns: the exit code of the process.
    """
    sentence = 'Show the outputs of the mapping node in the browser.'
    if printed_help(args, NAME, sentence, ViewerSettings, 'viewer.md'):
        return 0
    return run_node(ViewerNode, NAME, args, finish=ViewerNode.close)


if __name__ == '__main__':
    sys.exit(main())
