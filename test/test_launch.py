# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The launch files name what there is; they are read here, not run."""

import ast
import dataclasses
import re

import pytest
import yaml

from ttt3r_ros.settings import PlayerSettings, RecorderSettings, RobotSettings

SETTINGS = {
    'simulated_robot': RobotSettings,
    'dataset_player': PlayerSettings,
    'recorder': RecorderSettings,
}


def started_nodes(source):
    """Yield the executable of every Node(...) and the names of its parameters."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and getattr(call.func, 'id', '') == 'Node':
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            keys = [key.value for value in given['parameters'].elts for key in value.keys]
            yield given['executable'].value, keys


@pytest.mark.parametrize(
    ('name', 'nodes'),
    [('demo', {'simulated_robot', 'recorder'}), ('replay', {'dataset_player'})],
)
def test_the_nodes_are_installed_and_have_the_parameters_that_are_set(repository, name, nodes):
    started = dict(started_nodes((repository / 'launch' / f'{name}.launch.py').read_text()))

    assert started.keys() == nodes
    for executable, names in started.items():
        known = {field.name for field in dataclasses.fields(SETTINGS[executable])}
        assert names
        assert set(names) <= known
        assert (
            f"'{executable} = ttt3r_ros.node.{executable}:main'"
            in (repository / 'setup.py').read_text()
        )


@pytest.mark.parametrize('name', ['mapping.rviz', 'foxglove_layout.json'])
def test_the_views_show_topics_that_the_node_publishes(repository, name):
    text = (repository / 'config' / name).read_text()
    yaml.safe_load(text)  # JSON is YAML
    shown = set(re.findall(r'/ttt3r/(\w+)', text))
    outputs = (repository / 'ttt3r_ros' / 'node' / 'outputs.py').read_text()

    assert {'map_cloud', 'points', 'path', 'pose'} <= shown
    assert shown <= set(re.findall(r"'~/(\w+)'", outputs))
