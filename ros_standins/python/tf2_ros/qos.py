# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Names and quality of service of the topics of transforms."""

from rclpy.qos import DurabilityPolicy, QoSProfile

TOPIC = '/tf'
STATIC_TOPIC = '/tf_static'
DYNAMIC = QoSProfile(depth=100)
STATIC_LISTENER = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
STATIC_BROADCASTER = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
