# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The options of `ttt3r archive`; test/archive has the runs."""

import argparse
import hashlib
import socket
import sys

import pytest

import ttt3r_ros.archive as package
from ttt3r_ros.settings import MappingSettings, ModelSettings
from ttt3r_ros.tools import archive
from ttt3r_ros.tools import map as map_command
from ttt3r_ros.tools.main import main
from ttt3r_ros.tools.map_words import map_options
from ttt3r_ros.tools.options import read_settings


def parsed(command, *words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(['source', '--output', 'out', *words])


@pytest.mark.parametrize(
    'words',
    [
        [],
        ['--voxel-size', '0.1', '--no-occupancy-enabled', '--max-speed', '3'],
        ['--topic', '/a', '--fps', '2.5', '--frame-step', '3', '--max-frames', '9'],
        ['--odometry', 'none', '--base-frame', 'foot', '--no-intrinsics'],
        ['--as-published', '--frame-step', '2'],
        ['--gain-scale', '-1', '--checkpoint', '512', '--precision', 'fast'],
    ],
)
def test_the_words_for_map_mean_what_was_given(words):
    options = map_options(parsed(archive, *words))

    given = parsed(map_command, *words)
    passed = parsed(map_command, *options.words)
    assert vars(passed) == vars(given)
    for kind in (ModelSettings, MappingSettings):
        assert read_settings(passed, kind) == read_settings(given, kind)


def test_files_are_passed_by_their_whole_path_and_told_apart_by_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.safetensors').write_bytes(b'weights')
    (tmp_path / 'camera.json').write_bytes(b'{}')
    given = ['--checkpoint', 'mine.safetensors', '--intrinsics', 'camera.json']

    options = map_options(parsed(archive, *given))
    (tmp_path / 'mine.safetensors').write_bytes(b'others')
    other = map_options(parsed(archive, *given))

    assert f'--checkpoint={tmp_path}/mine.safetensors' in options.words
    assert f'--intrinsics={tmp_path}/camera.json' in options.words
    assert options.settings['checkpoint_sha256'] == hashlib.sha256(b'weights').hexdigest()
    assert options.words == other.words
    assert options.settings != other.settings


@pytest.fixture
def folder(tmp_path):
    """Create a folder with one video that is never read."""
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in' / 'a.mp4').write_bytes(b'')
    return tmp_path


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['nothing', '--output', 'out'], 'is no folder and no list'),
        (['in', '--output', 'in/out'], 'is inside of in'),
        (['in', '--output', 'in/a.mp4'], 'is inside of in'),
        (['in', '--output', 'out', '--voxel-size', '99'], '--voxel-size is 99.0'),
        (['in', '--output', 'out', '--intrinsics', 'no.json'], 'no.json'),
    ],
)
def test_what_cannot_be_is_told_in_one_line_before_ray_starts(
    folder, monkeypatch, capsys, words, said
):
    monkeypatch.chdir(folder)

    assert main(['archive', *words]) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_without_ray_the_extra_is_named(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'ray', None)
    monkeypatch.delitem(sys.modules, 'ttt3r_ros.archive.cluster', raising=False)
    monkeypatch.delattr(package, 'cluster', raising=False)

    assert main(['archive', str(folder / 'in'), '--output', str(folder / 'out')]) == 1

    assert 'pip install "ray[client]"' in capsys.readouterr().err


@pytest.mark.parametrize('address', ['127.0.0.1:{}', 'ray://127.0.0.1:{}'])
def test_a_cluster_that_does_not_answer_is_told_at_once(folder, capsys, address):
    pytest.importorskip('ray', reason='needs the extra archive: pip install "ray[client]"')
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]  # free from here on
    cluster = address.format(port)

    words = ['archive', str(folder / 'in'), '--output', str(folder / 'out')]
    assert main([*words, '--cluster', cluster]) == 1

    assert f'cannot connect to the cluster {cluster}' in capsys.readouterr().err
