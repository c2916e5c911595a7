# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from pathlib import Path

import pytest

from ttt3r_ros.doctor import machine
from ttt3r_ros.doctor.finding import Level
from ttt3r_ros.doctor.machine import CheckpointFile, Device, Disk
from ttt3r_ros.settings import ModelSettings, NodeSettings


@pytest.mark.parametrize(
    ('device', 'level'),
    [
        (Device('2.13'), Level.OK),
        (Device('2.13', has_nvidia_driver=True), Level.WARN),
        (Device('2.13', cores=2, load=2.0), Level.OK),  # the network itself
        (Device('2.13', cores=2, load=4.0), Level.WARN),
        (Device('2.13', error='device cuda:7 was asked for'), Level.FAIL),
        (Device('2.13', 'cuda:0: H', free=8 * 2**30, total=2**35), Level.OK),
        (Device('2.13', 'cuda:0: H', free=1 * 2**30, total=2**35), Level.FAIL),
    ],
)
def test_a_device_has_to_hold_the_network(device, level):
    assert machine.judge_device(device, CheckpointFile(size=3 * 2**30)).level is level


@pytest.mark.parametrize(
    ('disk', 'level'),
    [
        (Disk(Path('maps'), 2**40, True), Level.OK),
        (Disk(Path('maps'), 2**30, True), Level.WARN),
        (Disk(Path('maps'), 2**20, True), Level.FAIL),
        (Disk(Path('maps'), 2**40, False), Level.FAIL),
    ],
)
def test_a_place_for_maps_is_needed(disk, level):
    assert machine.judge_disk(disk).level is level


def test_a_folder_that_is_still_to_be_made_lies_on_the_disk_above(tmp_path):
    disk = machine.look_at_disk(NodeSettings(map_directory=str(tmp_path / 'a' / 'b')))

    assert disk.writable
    assert disk.free > 0


def test_a_file_in_the_place_of_the_folder_cannot_be_written(tmp_path):
    (tmp_path / 'maps').write_text('')

    assert not machine.look_at_disk(NodeSettings(map_directory=str(tmp_path / 'maps'))).writable


def test_a_folder_in_the_home_of_a_user_who_has_none_cannot_be_written(monkeypatch):
    monkeypatch.delenv('HOME')
    monkeypatch.setattr('pwd.getpwuid', lambda number: {}[number])

    found = machine.judge_disk(machine.look_at_disk(NodeSettings(map_directory='~/maps')))

    assert found.level is Level.FAIL
    assert '~/maps' in found.seen


def test_a_checkpoint_that_is_not_there_is_told_with_the_way_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path))

    found = machine.judge_checkpoint(machine.look_at_checkpoint(ModelSettings(checkpoint='512')))

    assert found.level is Level.FAIL
    assert 'ttt3r weights fetch 512' in found.seen


def test_a_checkpoint_with_limits_is_a_warning_that_tells_them():
    found = machine.judge_checkpoint(CheckpointFile('f', 'a' * 64, note='only for cellars'))

    assert (found.level, found.advice) == (Level.WARN, 'only for cellars')


def test_the_checkpoint_that_ships_sends_real_cameras_elsewhere():
    found = machine.judge_checkpoint(machine.look_at_checkpoint(ModelSettings()))

    assert found.level is Level.WARN
    assert 'small.safetensors' in found.seen
    assert 'ttt3r weights fetch' in found.advice


def test_a_network_on_a_server_is_not_looked_for_on_this_machine():
    model = ModelSettings(device='grpc://server', checkpoint='512')
    device, checkpoint = machine.look_at_device(model), machine.look_at_checkpoint(model)
    findings = [machine.judge_device(device, checkpoint), machine.judge_checkpoint(checkpoint)]
    assert all('grpc://server' in finding.seen for finding in findings)
    assert {finding.level for finding in findings} == {Level.OK}
