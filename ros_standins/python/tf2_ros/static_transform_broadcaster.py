# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""From a node to /tf_static."""

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage
from tf2_ros.qos import STATIC_BROADCASTER, STATIC_TOPIC


class StaticTransformBroadcaster:
    """Say where frames are for good; late listeners hear all of it."""

    def __init__(self, node: Node, qos: QoSProfile | None = None) -> None:
        """
        Advertise.

        :param node: it publishes.
        :param qos: by default reliable, transient local, depth 1.
        """
        self.pub_tf = node.create_publisher(TFMessage, STATIC_TOPIC, qos or STATIC_BROADCASTER)
        self._said: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Publish one transform or several, together with all that were said before."""
        one = isinstance(transform, TransformStamped)
        for said in [transform] if one else transform:
            self._said[said.child_frame_id] = said
        self.pub_tf.publish(TFMessage(transforms=list(self._said.values())))
