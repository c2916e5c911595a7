# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The command; what it judges is tested in diagnosis/."""

import json
from pathlib import Path
import sys

import pytest

from ttt3r_ros.doctor import machine
from ttt3r_ros.doctor.machine import CheckpointFile, Disk
from ttt3r_ros.tools.main import main


@pytest.fixture
def without_ros(monkeypatch):
    """Simulate a machine without ROS and with the checkpoint."""
    monkeypatch.setitem(sys.modules, 'ttt3r_ros.doctor.probe', None)
    good = CheckpointFile('f.safetensors', 'a' * 64, 'Apache-2.0', 'small', 1)
    monkeypatch.setattr(machine, 'look_at_checkpoint', lambda model: good)
    enough = Disk(Path('maps'), 2**40, True)
    monkeypatch.setattr(machine, 'look_at_disk', lambda settings: enough)


def test_without_ros_this_machine_is_examined(without_ros, capsys):
    assert main(['doctor']) == 0

    said = capsys.readouterr().out
    assert said.startswith('WARN  ROS 2')
    assert (
        'OK    checkpoint       f.safetensors, architecture small, sha256 aaaaaaaaaaaaaaaa,'
        in (said)
    )
    assert said.splitlines()[-2].startswith('0 failed')


def test_the_exit_code_is_one_when_something_failed(without_ros, monkeypatch):
    full = Disk(Path('maps'), 0, True)
    monkeypatch.setattr(machine, 'look_at_disk', lambda settings: full)

    assert main(['doctor']) == 1


def test_json_holds_every_line(without_ros, capsys):
    assert main(['doctor', '--json']) == 0

    report = json.loads(capsys.readouterr().out)
    assert report['ok'] is True
    assert [row['subject'] for row in report['findings']] == [
        'ROS 2',
        'device',
        'checkpoint',
        'disk',
    ]
    assert set(report['findings'][0]) == {'level', 'subject', 'seen', 'advice'}


@pytest.mark.parametrize('name', ['/', '/a b', '/1st', '/a//b', '/é', 'a\nb'])
@pytest.mark.parametrize('option', ['--namespace', '--image-topic'])
def test_what_is_no_name_in_ros_is_told_in_one_line(without_ros, capsys, option, name):
    assert main(['doctor', option, name]) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert 'is no name of a node or topic' in line
