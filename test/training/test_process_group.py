# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Processes that train together stay together."""

import json
import subprocess
import sys
import time

import pytest
import torch

from training.parts import load_parts
from training.process_group import own_device, ProcessGroup
from ttt3r_ros.errors import UserError

MEMBER = """
from pathlib import Path
import torch
from training.process_group import ProcessGroup
group = ProcessGroup()
tensors = [torch.full((2, 3), float(group.rank)), torch.tensor([10.0 * group.rank])]
group.average(tensors)
means = [tensor.unique().tolist() for tensor in tensors]
found = [group.is_leader, *means, group.broadcast(group.rank + 0.25)]
Path(__file__).with_name(str(group.rank)).write_text(repr(found))
"""


def test_two_processes_share_the_mean_and_the_leader_decides(tmp_path):
    member = tmp_path / 'member.py'
    member.write_text(MEMBER)
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
    done = subprocess.run(
        [*command, '--nproc-per-node', '2', str(member)],
        capture_output=True,
        text=True,
        timeout=120,
        env={'PYTHONPATH': '.', 'OMP_NUM_THREADS': '1', 'PATH': '/usr/bin:/bin'},
        check=False,
    )

    assert done.returncode == 0, done.stderr
    # The mean of 0 and 1, of 0 and 10; the leader's number.
    assert (tmp_path / '0').read_text() == '[True, [0.5], [5.0], 0.25]'
    assert (tmp_path / '1').read_text() == '[False, [0.5], [5.0], 0.25]'


def test_processes_that_are_terminated_save_what_they_have_learnt(tmp_path):
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
    command += ['--nproc-per-node', '2', '-m', 'training.train', '--preset', 'tiny']
    command += ['--family', 'S', '--device', 'cpu', '--minutes', '30', '--check-every', '9999']
    run = subprocess.Popen([*command, '--out', str(tmp_path)], stderr=subprocess.DEVNULL)
    log = tmp_path / 'log.jsonl'
    try:
        deadline = time.monotonic() + 120
        while not log.exists():
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        run.terminate()
        run.wait(60)

    last = json.loads(log.read_text().splitlines()[-1])
    assert last['kind'] == 'validation'
    assert last['frames'] >= 20 * 2 * 14  # 20 steps of two processes, 14 frames or more each
    saved = load_parts(tmp_path, torch.device('cpu'))
    assert sum(saved['counters']['frames_of'].values()) == last['frames']


def test_one_process_alone_changes_nothing(monkeypatch):
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    group, tensor = ProcessGroup(), torch.tensor([3.0])
    group.average([tensor])

    assert group.is_leader
    assert tensor.item() == 3.0
    assert group.broadcast(7.5) == 7.5


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(torch.cuda, 'set_device', chosen.append)
    cpu, cuda = torch.device('cpu'), torch.device('cuda')
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    assert own_device(cuda) == cuda

    monkeypatch.setenv('LOCAL_RANK', '1')
    assert own_device(cuda) == torch.device('cuda', 1)
    assert own_device(cpu) == cpu
    assert chosen == [1]

    monkeypatch.setenv('LOCAL_RANK', '2')
    with pytest.raises(UserError, match='process 2 has no GPU, there are 2'):
        own_device(cuda)


def test_gpus_are_averaged_by_nccl(monkeypatch):
    backends = []
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: False)
    monkeypatch.setattr(torch.distributed, 'init_process_group', backends.append)
    monkeypatch.setattr('atexit.register', lambda function: None)

    for device in ('cpu', 'cuda'):
        ProcessGroup(torch.device(device))

    assert backends == ['gloo', 'cpu:gloo,cuda:nccl']
