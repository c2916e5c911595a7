# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What a node does with one recording: fetch it, map it, measure the map, put it in its place.

A result is a whole folder that appears by one rename. Whatever ends a node or a driver leaves
either that folder or nothing but a work folder, which the next run removes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
import errno
import os
from pathlib import Path
import shutil
import signal
import socket
import sys
from tempfile import mkdtemp, TemporaryDirectory
import time

from ttt3r_ros.archive.fetching import TRY_AGAIN
from ttt3r_ros.archive.figures import figures_of, write_thumbnail
from ttt3r_ros.archive.limited import Ended, Limits, run_limited
from ttt3r_ros.archive.recording import is_url, Recording
from ttt3r_ros.archive.results import (
    Cause,
    FAILED_LOGS,
    LOG,
    read_result,
    RECORDINGS,
    RESULT,
    Result,
    State,
)
from ttt3r_ros.atomic import atomic_file, OutputError

MAP_COMMAND = (sys.executable, '-m', 'ttt3r_ros.tools.main', 'map')
FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))
# By these a program ends because others want it to end, not because of what it reads.
ENDED_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LINES_OF_A_LOG = 200
MAP = 'map.ttt3r'


@dataclass(frozen=True)
class Job:
    """
    All that a node needs to know of one recording.

    settings: hash of all that the result depends on. words: options of `ttt3r map`. output: folder
    of the archive. work: folder of this run in it, which exists. saves_maps: whether the result
    holds a map file too, for `--load-map` and the node. scratch: folder on the node, for what is
    fetched; empty: that of the system. attempt: 1 for the first one. replaces: whether an older
    result gives way.
    """

    recording: Recording
    settings: str
    words: tuple[str, ...]
    limits: Limits
    output: str
    work: str
    saves_maps: bool = False
    scratch: str = ''
    attempt: int = 1
    replaces: bool = False

    def result(self, **changes: object) -> Result:
        """
        Return the result of this attempt.

        :param changes: fields of it.
        """
        return Result.of(self.recording, self.settings, attempts=self.attempt, **changes)


@dataclass(frozen=True)
class Lost:
    """A job that ended without a result: with its worker or its node. reason: one sentence."""

    reason: str


class Failure(Exception):
    """A recording has no map."""

    def __init__(self, cause: Cause, reason: str) -> None:
        """
        Construct the failure.

        :param reason: in one sentence.
        """
        super().__init__(reason)
        self.cause = cause


def perform(job: Job) -> Result:
    """
    Map a recording on this node.

    :returns: the result, whatever happened.
    """
    began, node = time.monotonic(), socket.gethostname()
    try:
        result = _mapped(job)
    except Failure as failure:
        result = _failed(job, failure)
    except OutputError as error:
        result = _failed(job, Failure(_cause_of(error.__cause__), str(error)))
    except OSError as error:
        result = _failed(job, Failure(_cause_of(error), str(error)))
    return replace(result, seconds=round(time.monotonic() - began, 3), node=node)


def _failed(job: Job, failure: Failure) -> Result:
    state = State.WAITING if failure.cause.passes else State.FAILED
    return job.result(state=state, cause=failure.cause, reason=str(failure))


def _cause_of(error: BaseException | None) -> Cause:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Cause.DISK if full else Cause.NODE


def _mapped(job: Job) -> Result:
    if not Path(job.work).is_dir():
        raise Failure(
            Cause.NODE,
            f'there is no {job.work} on this node: --output must be a folder that all nodes share',
        )
    folder = Path(mkdtemp(prefix=f'{job.recording.name}.', dir=job.work))
    try:
        with TemporaryDirectory(prefix='ttt3r_', dir=job.scratch or None) as scratch:
            truth = _run(job, folder, Path(scratch))
            figures = figures_of(folder, truth)
        write_thumbnail(folder)
        result = job.result(state=State.DONE, figures=figures)
        with atomic_file(folder / RESULT) as file:
            file.write(f'{result.line()}\n'.encode())
        return _placed(job, folder, result)
    except Failure:
        _keep_log(job, folder)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---- fetch and map


def _run(job: Job, folder: Path, scratch: Path) -> Path | None:
    """Fetch what has a URL, and map; return the ground truth, where there is one."""
    deadline = time.monotonic() + job.limits.seconds
    log = folder / LOG
    recording = job.recording

    def local(place: str, name: str) -> str:
        if not is_url(place):
            return place
        path = scratch / name / place.rstrip('/').rpartition('/')[2]
        path.parent.mkdir()
        fetching = (sys.executable, '-m', 'ttt3r_ros.archive.fetching', place, str(path))
        try:
            _step(fetching, job.limits, deadline, log)
        except Failure as failure:
            # A full disk of the node stops no other node.
            failure.cause = Cause.NODE if failure.cause is Cause.DISK else failure.cause
            raise
        return str(path)

    source = local(recording.input, 'input')
    intrinsics = local(recording.intrinsics, 'intrinsics')
    own = replace(recording, intrinsics=intrinsics).words()
    saved = ('--save-map', str(folder / MAP)) if job.saves_maps else ()
    command = (*MAP_COMMAND, source, '--output', str(folder), *saved, *job.words, *own)
    _step(command, job.limits, deadline, log)
    if recording.groundtruth:
        return Path(local(recording.groundtruth, 'groundtruth'))
    beside = Path(source) / 'groundtruth.txt'
    return beside if beside.is_file() else None


def _step(command: Sequence[str], limits: Limits, deadline: float, log: Path) -> None:
    """
    Run a program in what is left of the time.

    :raises Failure: when it fails.
    """
    left = Limits(limits.memory_bytes, max(0.0, deadline - time.monotonic()))
    ended = run_limited(command, left, log)
    if ended.exceeded == 'memory':
        raise Failure(
            Cause.MEMORY,
            f'took {ended.peak_bytes / 1e9:.1f} GB of memory, '
            f'--memory-per-bag allows {limits.memory_bytes / 1e9:.1f} GB',
        )
    if ended.exceeded == 'time':
        raise Failure(
            Cause.TIME, f'took longer than the {limits.seconds / 60:g} minutes of --time-per-bag'
        )
    if ended.code:
        raise _failure(ended, log)


def _failure(ended: Ended, log: Path) -> Failure:
    """Return why a program failed, by how it ended and what it printed."""
    lines = _last_lines(log)
    errors = [line.partition('error: ')[2] for line in lines if 'error: ' in line]
    reason = errors[-1] if errors else (lines[-1] if lines else 'it printed nothing')
    if any(full in line for line in lines for full in FULL):
        return Failure(Cause.DISK, reason)
    if ended.code < 0:
        name = signal.Signals(-ended.code).name
        if -ended.code in ENDED_FROM_OUTSIDE:
            return Failure(Cause.NODE, f'was ended by {name}: was the node out of memory?')
        return Failure(Cause.INPUT, f'crashed with {name}')
    if ended.code - 128 in ENDED_FROM_OUTSIDE:
        return Failure(Cause.NODE, f'was ended by {signal.Signals(ended.code - 128).name}')
    if ended.code == TRY_AGAIN:
        return Failure(Cause.NODE, reason)
    return Failure(Cause.MEMORY if 'has not enough memory' in reason else Cause.INPUT, reason)


def _last_lines(log: Path) -> list[str]:
    with suppress(OSError), log.open(encoding='utf-8', errors='replace') as file:
        # A progress bar overwrites its line.
        text = ''.join(deque(file, LINES_OF_A_LOG)).replace('\r', '\n')
        return [line for line in text.splitlines() if line.strip()]
    return []


def _keep_log(job: Job, folder: Path) -> None:
    """Keep the end of what was printed, of a recording that failed; a full disk costs it."""
    with suppress(OSError, OutputError):
        logs = Path(job.output) / FAILED_LOGS
        logs.mkdir(exist_ok=True)
        with atomic_file(logs / f'{job.recording.name}.txt') as file:
            file.write('\n'.join(_last_lines(folder / LOG)).encode())


# ---- the place of a result


def result_folder(output: Path, name: str) -> Path:
    """
    Return where the result of a recording is.

    :param output: folder of the archive.
    :param name: of the recording.
    """
    return output / RECORDINGS / name


def stored_result(output: Path, name: str) -> Result | None:
    """
    Read the result of a recording from its folder; None where there is none.

    :param output: folder of the archive.
    :param name: of the recording.
    """
    try:
        return read_result((result_folder(output, name) / RESULT).read_bytes())
    except (OSError, ValueError):
        return None


def _placed(job: Job, folder: Path, result: Result) -> Result:
    """
    Rename the work folder to that of the result; what another run has put there stays.

    :returns: the result that is there now.
    """
    target = result_folder(Path(job.output), job.recording.name)
    folder.chmod(0o755)
    there = stored_result(Path(job.output), job.recording.name)
    if there is not None and there.settings == job.settings and not job.replaces:
        return there
    if target.exists():
        aside = Path(mkdtemp(prefix='old.', dir=job.work))
        os.replace(target, aside)
        shutil.rmtree(aside, ignore_errors=True)
    os.replace(folder, target)
    with suppress(OSError):
        (Path(job.output) / FAILED_LOGS / f'{job.recording.name}.txt').unlink()
    return result
