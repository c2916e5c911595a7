# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import os
import threading

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

from ttt3r_ros.node import managed_node
from ttt3r_ros.node.managed_node import ManagedNode, run
from ttt3r_ros.node.worker import WORKER_NAME


@pytest.fixture
def run_until(monkeypatch, domain):
    """Run a node whose executor does something in place of waiting."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    # A worker that another test left behind would end this whole process without a word.
    monkeypatch.setattr(managed_node, 'WORKER_NAME', 'of no thread')
    # It would end the tests silently, and well.
    monkeypatch.setattr(os, '_exit', lambda code: pytest.fail(f'the process ends with {code}'))

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


def test_only_a_worker_of_its_own_may_cut_the_process_short(run_until):
    held = threading.Event()
    threading.Thread(target=held.wait, name=WORKER_NAME, daemon=True).start()

    try:
        assert run_until(rclpy.shutdown) == 0
    finally:
        held.set()
