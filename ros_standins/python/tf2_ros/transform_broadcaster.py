# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Publisher of /tf."""

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage
from tf2_ros.qos import DYNAMIC, TOPIC


class TransformBroadcaster:
    """Publishes transforms."""

    def __init__(self, node: Node, qos: QoSProfile | None = None) -> None:
        """
        Create the publisher.

        :param node: node of the publisher.
        :param qos: by default reliable, depth 100.
        """
        self.pub_tf = node.create_publisher(TFMessage, TOPIC, qos or DYNAMIC)

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Publish one transform or several."""
        one = isinstance(transform, TransformStamped)
        self.pub_tf.publish(TFMessage(transforms=[transform] if one else list(transform)))
