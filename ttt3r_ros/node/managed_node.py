# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A lifecycle node that releases what it holds, logs failures and ends cleanly."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
import functools
import os
import sys
import threading
import traceback
from typing import Any, TypeVar

from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from ttt3r_ros.errors import UserError
from ttt3r_ros.node.running import run_node, spin
from ttt3r_ros.node.worker import WORKER_NAME

Callback = Callable[[Any, LifecycleState], TransitionCallbackReturn]


def logged(callback: Callback) -> Callback:
    """
    Log what a lifecycle callback raises, which rclpy would swallow.

    After an error of the user the transition did not happen; anything else is an error of the
    node. In both cases what was made so far is released.

    :param callback: a method of a ManagedNode.
    """

    @functools.wraps(callback)
    def wrapper(node: ManagedNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return callback(node, state)
        except UserError as error:
            node.get_logger().error(f'{callback.__name__}: {error}')
            node.release()
            return TransitionCallbackReturn.FAILURE
        except Exception:
            node.get_logger().error(f'{callback.__name__} failed\n{traceback.format_exc()}')
            raise

    return wrapper


class ManagedNode(LifecycleNode):
    """
    Release everything on cleanup, shutdown and errors.

    held: callbacks that undo what `on_configure` made, the newest first.
    """

    def __init__(self, name: str, **node_options: Any) -> None:
        """
        Begin with nothing held.

        :param node_options: of rclpy's Node.
        """
        super().__init__(name, **node_options)
        self.held = ExitStack()
        change_state = self._service_change_state.callback
        self._service_change_state.callback = functools.partial(self._refuse_illegal, change_state)

    def _refuse_illegal(
        self,
        change_state: Callable[[ChangeState.Request, ChangeState.Response], ChangeState.Response],
        request: ChangeState.Request,
        response: ChangeState.Response,
    ) -> ChangeState.Response:
        """Respond where an illegal transition would end the executor on Humble and Jazzy."""
        try:
            return change_state(request, response)
        except RuntimeError as error:  # RCLError, which rclpy does not make public, is one
            self.get_logger().error(f'transition refused: {error}')
            response.success = False
            return response

    def start(self) -> bool:
        """
        Configure and activate.

        :returns: whether the node is active now.
        """
        steps = self.trigger_configure, self.trigger_activate
        return all(step() == TransitionCallbackReturn.SUCCESS for step in steps)

    def release(self) -> None:
        """Undo what configuring did, however far it came."""
        self.held.close()

    @logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        self.release()
        return TransitionCallbackReturn.SUCCESS

    @logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything, for good."""
        self.release()
        return TransitionCallbackReturn.SUCCESS

    @logged
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything after a failed transition; it may be tried again."""
        self.release()
        return TransitionCallbackReturn.SUCCESS


AnyNode = TypeVar('AnyNode', bound=ManagedNode)


def run(
    make_node: Callable[[], AnyNode],
    autostart: Callable[[AnyNode], bool],
    args: list[str] | None = None,
) -> int:
    """
    Run a node until it is shut down.

    :param make_node: makes it; may raise a UserError.
    :param autostart: returns whether it starts by itself.
    :param args: of the command line, for ROS.
    :returns: the exit code of the process.
    """
    threads_before = set(threading.enumerate())
    code = run_node(
        make_node,
        'ttt3r',
        args,
        lambda node, executor: _started(node, executor, autostart(node)),
        release=ManagedNode.release,
    )
    threads_left = set(threading.enumerate()) - threads_before
    if any(thread.name == WORKER_NAME for thread in threads_left):
        # A network that still computes must not keep the process, nor crash its end.
        sys.stdout.flush()
        os._exit(code)
    return code


def _started(node: ManagedNode, executor: SingleThreadedExecutor, autostart: bool) -> int:
    """Spin, unless the node should start and cannot."""
    if autostart and not node.start():
        return 1
    return spin(node, executor)
