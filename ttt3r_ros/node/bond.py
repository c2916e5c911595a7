# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The bond by which Nav2's lifecycle manager notices that a node has died."""

from __future__ import annotations

from collections.abc import Callable

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
    bond = Bond(TOPIC, node.get_name(), node)
    bond.heartbeat_period = HEARTBEAT_PERIOD_S
    bond.heartbeat_timeout = HEARTBEAT_TIMEOUT_S
    bond.start()
    shutdown: Callable[[], None] = bond.shutdown
    return shutdown
