# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Processes that train together stay together."""

import subprocess
import sys

import torch

from training.crew import Crew

MEMBER = """
import torch
from training.crew import Crew
crew = Crew()
tensors = [torch.full((2, 3), float(crew.rank)), torch.tensor([10.0 * crew.rank])]
crew.average(tensors)
print(crew.rank, crew.leads, tensors[0].unique().tolist(), tensors[1].tolist(),
      crew.agree(crew.rank + 0.25))
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
    assert sorted(done.stdout.splitlines()) == [
        '0 True [0.5] [5.0] 0.25',
        '1 False [0.5] [5.0] 0.25',
    ]


def test_one_process_alone_changes_nothing(monkeypatch):
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    crew, tensor = Crew(), torch.tensor([3.0])
    crew.average([tensor])

    assert crew.leads
    assert tensor.item() == 3.0
    assert crew.agree(7.5) == 7.5
