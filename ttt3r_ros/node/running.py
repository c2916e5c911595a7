# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A process with one node: from its construction to its end, by itself or by a signal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from ttt3r_ros.errors import UserError
from ttt3r_ros.node.shutdown import shut_down

AnyNode = TypeVar('AnyNode', bound=Node)


def spin(node: Node, executor: SingleThreadedExecutor) -> int:
    """
    Spin until a signal.

    :param node: of the executor.
    """
    executor.spin()
    return 0


def run_node(
    make_node: Callable[[], AnyNode],
    name: str,
    args: list[str] | None,
    work: Callable[[AnyNode, SingleThreadedExecutor], int] = spin,
    finish: Callable[[AnyNode], object] = lambda _: None,
    release: Callable[[AnyNode], object] = lambda _: None,
) -> int:
    """
    Run a node until it has done its work, or until a signal.

    :param make_node: constructs it; may raise a UserError.
    :param name: of the node, for messages.
    :param args: command line arguments for ROS.
    :param work: spins the executor, which has the node; returns the exit code.
    :param finish: is called after the work or the signal, unless there was an error.
    :param release: is called before the node is destroyed, whatever has happened.
    :returns: the exit code of the process.
    """
    rclpy.init(args=args)
    executor, node, code = SingleThreadedExecutor(), None, 0
    try:
        with _until_signal():
            node = make_node()
            executor.add_node(node)
            code = work(node, executor)
        if node is not None:
            finish(node)
    except UserError as error:
        rclpy.logging.get_logger(name).fatal(str(error))
        return 1
    finally:
        if node is not None:
            release(node)
        shut_down(executor, node)
    return code


@contextmanager
def _until_signal() -> Iterator[None]:
    """End the block at a signal."""
    try:
        yield
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:  # of rcl, where a signal ends ROS while it is used
        if rclpy.ok():
            raise
