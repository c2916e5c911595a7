# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

from ttt3r_ros.archive.limited import Limits, resident_bytes, run_limited

MB = 2**20
GENEROUS = Limits(2**31, 60.0)


def python(source):
    return [sys.executable, '-c', source]


def is_running(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().split()[2] != 'Z'
    except OSError:
        return False


def wait_until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize('code', [0, 1, 3])
def test_a_program_ends_with_its_own_code_and_its_words_are_kept(tmp_path, code):
    log = tmp_path / 'log'
    log.write_text('before\n')
    source = f'import sys; print("out"); print("err", file=sys.stderr); sys.exit({code})'

    ended = run_limited(python(source), GENEROUS, log)

    assert (ended.code, ended.exceeded) == (code, '')
    assert sorted(log.read_text().split()) == ['before', 'err', 'out']


def test_a_program_that_takes_all_memory_is_ended_soon(tmp_path):
    source = 'x = []\nwhile True: x.append(bytearray(b"1") * 2**20)'

    ended = run_limited(python(source), Limits(200 * MB, 60.0), tmp_path / 'log')

    assert (ended.code, ended.exceeded) == (-signal.SIGKILL, 'memory')
    assert 200 * MB < ended.peak_bytes < 4000 * MB


def test_the_memory_of_children_counts(tmp_path):
    child = 'x = bytearray(b"1") * (150 * 2**20); import time; time.sleep(60)'
    source = f'import subprocess, sys; subprocess.run([sys.executable, "-c", {child!r}])'

    ended = run_limited(python(source), Limits(120 * MB, 60.0), tmp_path / 'log')

    assert ended.exceeded == 'memory'


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    note = tmp_path / 'pid'
    source = (
        'import signal, subprocess, sys, time\n'
        'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
        'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])\n'
        f'open({str(note)!r}, "w").write(str(child.pid))\n'
        'time.sleep(60)'
    )
    began = time.monotonic()

    ended = run_limited(python(source), Limits(2**31, 2.0), tmp_path / 'log')

    assert ended.exceeded == 'time'
    assert 2.0 <= time.monotonic() - began < 20.0
    wait_until(lambda: not is_running(int(note.read_text())))


def test_a_program_ends_with_the_process_that_runs_it(tmp_path):
    note = tmp_path / 'pid'
    inner = f'import os, time; open({str(note)!r}, "w").write(str(os.getpid())); time.sleep(60)'
    outer = (
        'import sys\nfrom pathlib import Path\n'
        'from ttt3r_ros.archive.limited import Limits, run_limited\n'
        f'run_limited([sys.executable, "-c", {inner!r}], Limits(2**31, 60), '
        f'Path({str(tmp_path / "log")!r}))'
    )
    process = subprocess.Popen(python(outer))
    wait_until(lambda: note.exists() and note.read_text())
    pid = int(note.read_text())
    assert is_running(pid)

    process.kill()
    process.wait()

    wait_until(lambda: not is_running(pid))


def test_the_kernel_would_choose_the_program_before_its_node(tmp_path):
    log = tmp_path / 'log'

    run_limited(['cat', '/proc/self/oom_score_adj'], GENEROUS, log)

    assert log.read_text() == '1000\n'


def test_the_memory_of_a_process_is_what_the_kernel_says():
    status = Path('/proc/self/status').read_text()
    (resident,) = (line.split()[1] for line in status.splitlines() if line.startswith('VmRSS'))

    assert resident_bytes(os.getpid()) == pytest.approx(int(resident) * 1024, abs=20 * MB)
