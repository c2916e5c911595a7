# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Run a program within a limit of memory and of time, in a process group of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

# How often the memory is looked at, seconds; a fast program takes some 100 MB in between.
PERIOD = 0.1


@dataclass(frozen=True)
class Limits:
    """
    Of one recording.

    memory_bytes: resident, of all its processes together. seconds: from begin to end.
    """

    memory_bytes: int
    seconds: float


@dataclass(frozen=True)
class Ended:
    """
    How a program ended.

    code: its exit code, negative the number of a signal. exceeded: '', 'memory' or 'time', where
    a limit ended it. peak_bytes: most resident memory that was seen.
    """

    code: int
    exceeded: str
    peak_bytes: int


def run_limited(command: Sequence[str], limits: Limits, log: Path) -> Ended:
    """
    Run a program until it ends or exceeds a limit; nothing of it is left afterwards.

    It ends with this process too, whatever ends that. Only Linux shows how much memory others
    take; elsewhere just the time is limited.

    :param command: program and arguments.
    :param log: gets what it prints, after what is there.
    :raises OSError: when it cannot be started.
    """
    deadline = time.monotonic() + limits.seconds
    child = (sys.executable, '-m', 'ttt3r_ros.archive.child', str(os.getpid()))
    with log.open('ab') as output:
        process = subprocess.Popen(
            [*child, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    exceeded, peak = '', 0
    try:
        while not _has_ended(process):
            peak = max(peak, resident_bytes(process.pid))
            if peak > limits.memory_bytes:
                exceeded = 'memory'
            elif time.monotonic() > deadline:
                exceeded = 'time'
            if exceeded:
                break
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    return Ended(code, exceeded, peak)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(PERIOD)
    except subprocess.TimeoutExpired:
        return False
    return True


def resident_bytes(pid: int) -> int:
    """
    Return the memory of a process and of those that it started; of ended ones it is 0.

    :param pid: of the first process.
    """
    return sum(_resident_of(process) for process in _family(pid))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f'/proc/{pid}/task').glob('*/children'):
        with suppress(OSError):
            for child in task.read_text().split():
                yield from _family(int(child))


def _resident_of(pid: int) -> int:
    try:
        pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf('SC_PAGE_SIZE')
