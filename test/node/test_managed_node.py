# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

from ttt3r_ros.node.managed_node import ManagedNode, run


@pytest.fixture
def run_until(monkeypatch, domain):
    """Run a node whose executor does something in place of waiting."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))

    def run_until(do):
        monkeypatch.setattr(SingleThreadedExecutor, 'spin_once', lambda *_: do())
        return run(lambda: ManagedNode('managed'), lambda node: True)

    yield run_until
    rclpy.try_shutdown()


def rcl_fails():
    raise RuntimeError('failed to initialize wait set: the given context is not valid')


def test_a_signal_between_two_looks_of_the_executor_is_an_ordinary_end(run_until):
    def end():
        rclpy.shutdown()  # as the handler of the signal does, in a thread of its own
        rcl_fails()

    assert run_until(end) == 0


def test_another_failure_of_the_executor_is_not_swallowed(run_until):
    with pytest.raises(RuntimeError, match='wait set'):
        run_until(rcl_fails)
