# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import importlib

import pytest
import rclpy

from ttt3r_ros.node.parameters import Settings
from ttt3r_ros.players.processes import NODES
from ttt3r_ros.settings import (
    DrivenRobotSettings,
    knobs,
    PlayerSettings,
    RecorderSettings,
    RobotSettings,
    ViewerSettings,
)

SETTINGS = {
    'mapping_node': Settings,
    'simulated_robot': RobotSettings,
    'driven_robot': DrivenRobotSettings,
    'dataset_player': PlayerSettings,
    'recorder': RecorderSettings,
    'viewer': ViewerSettings,
}


@pytest.fixture
def no_ros(monkeypatch):
    """Fail a test that starts ROS."""

    def refuse(*args, **options):
        raise AssertionError('a node was started')

    monkeypatch.setattr(rclpy, 'init', refuse)


@pytest.mark.parametrize('word', ['--help', '-h'])
@pytest.mark.parametrize('name', NODES)
def test_help_is_printed_and_no_node_is_started(name, word, no_ros, capsys):
    main = importlib.import_module(NODES[name]).main

    assert main([word]) == 0

    text = capsys.readouterr().out
    assert f'usage: ros2 run ttt3r_ros {name} ' in text
    for parameter in knobs(SETTINGS[name]):
        assert f'\n  {parameter}: ' in text


def test_a_word_for_ros_is_no_call_for_help(no_ros):
    main = importlib.import_module(NODES['recorder']).main

    with pytest.raises(AssertionError, match='a node was started'):
        main(['--ros-args', '-p', 'output:=-h', '--', '--ros-args', '-h'])
