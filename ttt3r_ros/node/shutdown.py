# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The end of a process with a node, after a signal or without one."""

from __future__ import annotations

import rclpy
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.signals import uninstall_signal_handlers


def shut_down(executor: Executor, node: Node | None) -> None:
    """
    Destroy an executor and a node, and shut ROS down.

    After a signal a thread of rclpy wakes all executors, and takes no lock. It is ended first: it
    would read the freed memory of an executor destroyed in the meantime (SIGSEGV).

    :param executor: which spins no longer.
    :param node: of the executor, or None where it was not made.
    """
    uninstall_signal_handlers()
    executor.shutdown(timeout_sec=0)
    if node is not None:
        node.destroy_node()
    rclpy.try_shutdown()
