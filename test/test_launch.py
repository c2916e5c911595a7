# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The launch files name what there is; they are read here, not run."""

import ast
import importlib.util
import re
import subprocess
import sys
from unittest import mock

import pytest
import yaml

from ttt3r_ros.players.processes import NODES
from ttt3r_ros.settings import knobs, PlayerSettings, RecorderSettings, RobotSettings

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
        known = knobs(SETTINGS[executable]).keys()
        assert names
        assert set(names) <= known
        assert (
            f"'{executable} = {NODES[executable]}:main'" in (repository / 'setup.py').read_text()
        )


@pytest.fixture
def load(monkeypatch):
    """Load a launch file from where it lies, as `ros2 launch` does; no node is started."""
    for name in ('actions', 'launch_description_sources', 'substitutions'):
        monkeypatch.setitem(sys.modules, f'launch.{name}', mock.MagicMock())
    for name in ('launch', 'launch_ros', 'launch_ros.actions'):
        monkeypatch.setitem(sys.modules, name, mock.MagicMock())

    def load(path):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.mark.parametrize('place', ['checkout', 'installed', 'linked'])
def test_the_files_are_found_wherever_the_launch_files_lie(repository, tmp_path, load, place):
    folder = repository
    if place == 'installed':
        setup = [sys.executable, 'setup.py', '-q', 'install_data', '--install-dir', str(tmp_path)]
        subprocess.run(setup, cwd=repository, check=True)
        folder = tmp_path / 'share' / 'ttt3r_ros'
    if place == 'linked':
        (tmp_path / 'launch').mkdir()
        for path in (repository / 'launch').iterdir():
            (tmp_path / 'launch' / path.name).symlink_to(path)
    start = tmp_path if place == 'linked' else folder

    mapping = load(start / 'launch' / 'mapping.launch.py')
    defaults = {name: default for name, default, _ in mapping.ARGUMENTS}

    assert str(folder / 'config' / 'fastdds_large_messages.xml') == mapping.PROFILE
    assert defaults['params_file'] == str(folder / 'config' / 'mapping.yaml')
    for name in ('fastdds_large_messages.xml', 'mapping.yaml', 'mapping.rviz'):
        assert (mapping.SHARE / 'config' / name).is_file()
    for name in ('demo', 'replay'):
        other = load(start / 'launch' / f'{name}.launch.py')
        assert folder / 'launch' / 'mapping.launch.py' == other.MAPPING
        assert other.MAPPING.is_file()


@pytest.mark.parametrize('chosen', ['', 'profile.xml'])
def test_large_messages_travel_by_our_profile_unless_another_is_set(
    repository, load, monkeypatch, chosen
):
    mapping = load(repository / 'launch' / 'mapping.launch.py')
    monkeypatch.setattr(mapping, 'profile_variable', lambda: 'PROFILE_OF_FAST_DDS')
    if chosen:
        monkeypatch.setenv('PROFILE_OF_FAST_DDS', chosen)

    mapping.generate_launch_description()

    expected = [] if chosen else [mock.call('PROFILE_OF_FAST_DDS', mapping.PROFILE)]
    assert mapping.SetEnvironmentVariable.call_args_list == expected


@pytest.mark.parametrize('name', ['mapping.rviz', 'foxglove_layout.json'])
def test_the_views_show_topics_that_the_node_publishes(repository, name):
    text = (repository / 'config' / name).read_text()
    yaml.safe_load(text)  # JSON is YAML
    shown = set(re.findall(r'/ttt3r/(\w+)', text))
    outputs = (repository / 'ttt3r_ros' / 'node' / 'outputs.py').read_text()

    assert {'map_cloud', 'points', 'path', 'pose'} <= shown
    assert shown <= set(re.findall(r"'~/(\w+)'", outputs))
