# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Runs a node that ends with a signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from ttt3r_ros.errors import UserError
from ttt3r_ros.node.shutdown import shut_down

AnyNode = TypeVar('AnyNode', bound=Node)


def run_until_signal(
    make_node: Callable[[], AnyNode],
    name: str,
    args: list[str] | None,
    finish: Callable[[AnyNode], object] = lambda _: None,
) -> int:
    """
    Run a node until a signal.

    :param make_node: constructs it; may raise a UserError.
    :param name: of the node, for messages.
    :param args: command line arguments for ROS.
    :param finish: is called after the signal.
    :returns: the exit code of the process.
    """
    rclpy.init(args=args)
    executor = SingleThreadedExecutor()
    node = None
    try:
        node = make_node()
        executor.add_node(node)
        _spin(executor)
        finish(node)
    except UserError as error:
        rclpy.logging.get_logger(name).fatal(str(error))
        return 1
    finally:
        shut_down(executor, node)
    return 0


def _spin(executor: SingleThreadedExecutor) -> None:
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:  # of rcl, where a signal ends ROS while a callback runs
        if rclpy.ok():
            raise
