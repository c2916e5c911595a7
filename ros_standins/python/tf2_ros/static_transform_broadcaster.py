# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Publisher of /tf_static."""

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage
from tf2_ros.qos import STATIC_BROADCASTER, STATIC_TOPIC


class StaticTransformBroadcaster:
    """Publishes static transforms; late subscribers receive all of them."""

    def __init__(self, node: Node, qos: QoSProfile | None = None) -> None:
        """
        Create the publisher.

        :param node: node of the publisher.
        :param qos: by default reliable, transient local, depth 1.
        """
        self.pub_tf = node.create_publisher(TFMessage, STATIC_TOPIC, qos or STATIC_BROADCASTER)
        self._sent: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Publish one transform or several, together with all earlier ones."""
        one = isinstance(transform, TransformStamped)
        for each in [transform] if one else transform:
            self._sent[each.child_frame_id] = each
        self.pub_tf.publish(TFMessage(transforms=list(self._sent.values())))
