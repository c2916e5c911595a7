# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Subscriber of /tf and /tf_static."""

from threading import Thread

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage
from tf2_ros.buffer import Buffer
from tf2_ros.exceptions import InvalidArgumentException
from tf2_ros.qos import DYNAMIC, STATIC_LISTENER, STATIC_TOPIC, TOPIC


class TransformListener:
    """Stores the transforms of /tf and /tf_static in a buffer."""

    def __init__(
        self,
        buffer: Buffer,
        node: Node,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | None = None,
        static_qos: QoSProfile | None = None,
        static_only: bool = False,
    ) -> None:
        """
        Create the subscriptions.

        :param buffer: buffer of the transforms.
        :param node: node of the subscriptions.
        :param spin_thread: spin the node in a thread; nothing else may spin it.
        :param qos: of /tf; by default reliable, depth 100.
        :param static_qos: of /tf_static; by default reliable, transient local, depth 100.
        :param static_only: do not subscribe to /tf.
        """
        self.buffer = buffer
        self.node = node
        self.group = ReentrantCallbackGroup()
        self.tf_sub = None
        if not static_only:
            self.tf_sub = node.create_subscription(
                TFMessage, TOPIC, self.callback, qos or DYNAMIC, callback_group=self.group
            )
        self.tf_static_sub = node.create_subscription(
            TFMessage,
            STATIC_TOPIC,
            self.static_callback,
            static_qos or STATIC_LISTENER,
            callback_group=self.group,
        )
        self.executor = None
        if spin_thread:
            self.executor = SingleThreadedExecutor(context=node.context)
            self.executor.add_node(node)
            self.dedicated_listener_thread = Thread(target=self.executor.spin, daemon=True)
            self.dedicated_listener_thread.start()

    def unregister(self) -> None:
        """Destroy the subscriptions, and end the thread if there is one."""
        if self.executor is not None:
            self.executor.shutdown()
            self.dedicated_listener_thread.join()
            self.executor = None
        for subscription in (self.tf_sub, self.tf_static_sub):
            if subscription is not None:
                self.node.destroy_subscription(subscription)
        self.tf_sub = self.tf_static_sub = None

    def callback(self, data: TFMessage) -> None:
        """Store the transforms of /tf."""
        self._take_in(data, self.buffer.set_transform)

    def static_callback(self, data: TFMessage) -> None:
        """Store the transforms of /tf_static."""
        self._take_in(data, self.buffer.set_transform_static)

    def _take_in(self, data, set_transform) -> None:
        for transform in data.transforms:
            try:
                set_transform(transform, 'default_authority')
            except InvalidArgumentException as error:
                self.node.get_logger().error(f'{error}; ignored', throttle_duration_sec=5.0)
