# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The qualities of service of every topic that this package publishes or subscribes to."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(
    depth: int, reliability: str = 'RELIABLE', durability: str = 'VOLATILE'
) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy[reliability],
        durability=DurabilityPolicy[durability],
    )


# Both kinds of subscribers receive from reliable publishers.
RELIABLE = _profile(10)
# A whole map or a state, for subscribers that come later.
LATCHED = _profile(1, durability='TRANSIENT_LOCAL')
# What is of no use once the next one is there.
NEWEST = _profile(1, 'BEST_EFFORT')
NEWEST_RELIABLE = _profile(1)
# Best effort receives from publishers of both kinds.
FROM_ANY = _profile(20, 'BEST_EFFORT')
# Many small messages: /tf, /tf_static and the topics of a bag.
MANY = _profile(100)
MANY_LATCHED = _profile(100, durability='TRANSIENT_LOCAL')

CLOCK = _profile(1)


def image_qos(name: str) -> QoSProfile:
    """
    Return the quality of service of the subscription to images.

    :param name: sensor_data or reliable.
    """
    return _profile(5, 'BEST_EFFORT' if name == 'sensor_data' else 'RELIABLE')
