# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest
import rclpy
from rclpy.node import Node

from ttt3r_ros.errors import UserError
from ttt3r_ros.node.running import run_node


@pytest.fixture
def run(monkeypatch, domain):
    """Run a node that does some work, and note what is called after it."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    called = []

    def run(work, make_node=lambda: Node('worker')):
        code = run_node(
            make_node,
            'worker',
            None,
            lambda node, executor: work(),
            finish=lambda node: called.append('finish'),
            release=lambda node: called.append('release'),
        )
        assert not rclpy.ok()
        return code, called

    yield run
    rclpy.try_shutdown()


def interrupted():
    raise KeyboardInterrupt


def refused():
    raise UserError('no')


def test_a_node_that_has_done_its_work_is_finished_and_released(run):
    assert run(lambda: 3) == (3, ['finish', 'release'])


def test_a_signal_ends_the_work_and_nothing_else(run):
    assert run(interrupted) == (0, ['finish', 'release'])


def test_after_an_error_of_the_user_nothing_is_finished(run):
    assert run(refused) == (1, ['release'])


@pytest.mark.parametrize(('make_node', 'code'), [(interrupted, 0), (refused, 1)])
def test_a_node_that_was_not_made_is_not_released(run, make_node, code):
    assert run(lambda: 0, make_node) == (code, [])


def test_another_error_is_raised_after_the_release(run):
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0)
    assert not rclpy.ok()
