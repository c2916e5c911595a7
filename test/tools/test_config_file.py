# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import argparse
import re

import pytest

from ttt3r_ros.errors import UserError
from ttt3r_ros.settings import MappingSettings, SettingsError
from ttt3r_ros.tools import main as command_line
from ttt3r_ros.tools.config_file import config_defaults
from ttt3r_ros.tools.main import main
from ttt3r_ros.tools.options import read_settings


@pytest.fixture
def config(tmp_path):
    """Return a function that writes a file of parameters."""

    def write(text, node='/**'):
        path = tmp_path / 'config.yaml'
        lines = '\n'.join(f'    {line}' for line in text.splitlines())
        path.write_text(f'{node}:\n  ros__parameters:\n{lines}\n')
        return path

    return write


def test_the_file_of_the_package_is_accepted(repository):
    assert config_defaults(repository / 'config' / 'mapping.yaml') == {}


@pytest.mark.parametrize(
    'text', ['map.voxel_size: 0.1\nmap.max_range: 4', 'map:\n  voxel_size: 0.1\n  max_range: 4']
)
@pytest.mark.parametrize('node', ['/**', 'ttt3r', '/ttt3r'])
def test_names_with_dots_and_nested_ones_are_the_same(config, text, node):
    found = config_defaults(config(text, node))

    assert found == {'map.voxel_size': 0.1, 'map.max_range': 4.0}
    assert {type(value) for value in found.values()} == {float}


def test_frames_and_missing_odometry_of_the_node_apply(config):
    assert config_defaults(config('odom_frame: wheels\nbase_frame: base_footprint')) == {
        'odom_frame': 'wheels',
        'base_frame': 'base_footprint',
    }
    assert config_defaults(config('odom_frame: ""')) == {'odometry': 'none'}


def test_what_only_the_node_has_is_left_out(config):
    assert config_defaults(config('outputs.points_stride: 4\nuse_sim_time: true')) == {}


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('voxelsize: 0.1', 'there is no parameter voxelsize'),
        ('map.voxel_size: -1.0', 'map.voxel_size is -1.0'),
        ('map.voxel_size: wide', "map.voxel_size must be float, not 'wide'"),
        ('model.checkpoint: 512', 'model.checkpoint must be str, not 512'),
        ('map.max_voxels: true', 'map.max_voxels must be int, not True'),
    ],
)
def test_a_wrong_parameter_is_refused_by_the_name_of_file_and_parameter(config, text, said):
    path = config(text)

    with pytest.raises(SettingsError, match=f'^{re.escape(str(path))}: {re.escape(said)}'):
        config_defaults(path)


@pytest.mark.parametrize(
    'text', ['', '[1, 2]', 'other_node:\n  ros__parameters: {a: 1}', '/**: 3', '/**: {', '\0']
)
def test_a_file_that_is_no_such_list_is_one_clear_error(tmp_path, text):
    path = tmp_path / 'config.yaml'
    path.write_text(text)

    with pytest.raises(UserError, match=re.escape(str(path))):
        config_defaults(path)


def test_a_missing_file_is_one_clear_error(tmp_path, capsys):
    options = ['--output', str(tmp_path / 'out'), '--config', str(tmp_path / 'gone.yaml')]

    assert main(['map', 'video.mp4', *options]) == 1
    assert 'gone.yaml' in capsys.readouterr().err


def test_the_command_line_goes_before_the_file_also_with_a_default(config, monkeypatch):
    seen = []
    command = command_line.importlib.import_module('ttt3r_ros.tools.map')
    monkeypatch.setattr(command, 'run', lambda arguments: seen.append(arguments) or 0)
    path = config('map.voxel_size: 0.1\nmap.max_range: 4.0\ntracking.reset_interval: 7')

    default = str(MappingSettings().map.voxel_size)
    words = ['map', 'in', '--voxel-size', default, '--output', 'out', '--config', str(path)]
    assert main(words) == 0

    settings = read_settings(seen[0], MappingSettings)
    assert isinstance(seen[0], argparse.Namespace)
    assert settings.map.voxel_size == MappingSettings().map.voxel_size
    assert (settings.map.max_range, settings.tracking.reset_interval) == (4.0, 7)
