# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The bond by which Nav2's lifecycle manager notices that a node has died."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from rclpy.node import Node

# Those of Nav2's own nodes.
TOPIC, HEARTBEAT_PERIOD_S, HEARTBEAT_TIMEOUT_S = 'bond', 0.1, 4.0


def form_bond(node: Node) -> Callable[[], None]:
    """
    Send heartbeats, where the package bondpy is installed.

    :param node: is named in them.
    :returns: ends them.
    """
    try:
        from bondpy.bondpy import Bond
    except ImportError:  # the manager needs bond_timeout: 0.0, then
        return lambda: None
    bond = Bond(node, TOPIC, node.get_name())
    bond.heartbeat_period = HEARTBEAT_PERIOD_S
    bond.heartbeat_timeout = HEARTBEAT_TIMEOUT_S
    bond.start()

    def end() -> None:
        # RCLError, which rclpy does not make public, is a RuntimeError: a signal has ended ROS
        # before, so that nothing can be sent.
        with suppress(RuntimeError):
            bond.shutdown()
        # The node goes on listing what it destroyed, at which an executor would raise.
        node.destroy_subscription(bond.sub)
        node.destroy_publisher(bond.pub)

    return end
