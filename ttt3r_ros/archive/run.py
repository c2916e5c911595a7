# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
One run over an archive: what is still to do, on the nodes that are there, until all is done.

What is done is decided by the folders of results, what has failed by the manifest; both are
there at any moment, so that a run that was killed goes on where it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
import hashlib
import json
import time
from typing import Any, Protocol

from tqdm import tqdm

from ttt3r_ros.archive.folder import ArchiveFolder
from ttt3r_ros.archive.index_page import write_index
from ttt3r_ros.archive.limited import Limits
from ttt3r_ros.archive.recording import Recording
from ttt3r_ros.archive.results import Cause, INTERRUPTED, Result, State, Tally
from ttt3r_ros.archive.table import write_table
from ttt3r_ros.archive.task import Job, Lost, stored_result
from ttt3r_ros.atomic import OutputError
from ttt3r_ros.errors import UserError

# Jobs that wait at the cluster beside those that run: by them an autoscaler sees that nodes are
# missing, and no node waits for the next one.
JOBS_AHEAD = 8
# So many failures of nodes, and no success in between, are those of the whole cluster.
MOST_NODE_FAILURES = 20
LONGEST_WAIT = 0.5  # seconds, until a signal is heeded
PERIOD_OF_SLOTS = 5.0  # seconds
PERIOD_OF_PAGE = 60.0  # seconds


class Nodes(Protocol):
    """What performs jobs: `Cluster`."""

    def slots(self) -> int:
        """Return how many jobs can be performed at a time now."""

    def submit(self, job: Job) -> Any:
        """Return a reference to a job that waits for a place."""

    def ended(
        self, references: Collection[Any], seconds: float
    ) -> Iterable[tuple[Any, Result | Lost]]:
        """Wait until a job ends, at most so many seconds, and return those that have ended."""

    def cancel(self, references: Collection[Any]) -> None:
        """End jobs, also those that run."""


class SettingsDiffer(UserError):
    """An archive holds results of other settings."""


@dataclass(frozen=True)
class Orders:
    """
    How recordings are mapped.

    settings: names and values of all that results depend on. words: options of `ttt3r map`.
    attempts: how often a recording is begun that loses its node. retries_failed: whether those
    that failed by their own fault are begun again. replaces: whether results of other settings
    give way. saves_maps, scratch: as in `Job`.
    """

    settings: dict[str, Any]
    words: tuple[str, ...]
    limits: Limits
    attempts: int = 3
    retries_failed: bool = False
    replaces: bool = False
    saves_maps: bool = False
    scratch: str = ''

    def hash_of(self, recording: Recording) -> str:
        """Return the hash of all that the result of a recording depends on."""
        own = [recording.input, *recording.words()]
        text = json.dumps([self.settings, own], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def jobs_to_do(
    archive: ArchiveFolder, recordings: Sequence[Recording], orders: Orders
) -> list[Job]:
    """
    Return the jobs of the recordings that have neither a result nor a failure of their own.

    Results that are in their folder and not in the manifest are added to it.

    :raises SettingsDiffer: when there are results of other settings, which may not be replaced.
    """
    there = archive.names()
    jobs, others = [], []
    for recording in recordings:
        settings = orders.hash_of(recording)
        stored = _stored(archive, recording.name, settings) if recording.name in there else None
        if stored is not None and stored.settings == settings:
            continue
        if recording.name not in there and _stays_failed(archive, recording, settings, orders):
            continue
        if stored is not None and not orders.replaces:
            others.append(recording.name)
        jobs.append(
            Job(
                recording,
                settings,
                orders.words,
                orders.limits,
                str(archive.path),
                str(archive.work),
                orders.saves_maps,
                orders.scratch,
                replaces=stored is not None,
            )
        )
    if others:
        raise SettingsDiffer(
            f'{archive.path} holds results of other settings or inputs ({len(others)}, for '
            f'example {others[0]}): choose another --output, or --replace them'
        )
    return jobs


def _stored(archive: ArchiveFolder, name: str, settings: str) -> Result | None:
    """Return the result that is in the folder of a recording; the manifest may not have it yet."""
    known = archive.manifest.results.get(name)
    if known is not None and known.state is State.DONE and known.settings == settings:
        return known
    stored = stored_result(archive.path, name)
    if stored is not None and stored.settings == settings:
        archive.manifest.add(stored)
    return stored


def _stays_failed(
    archive: ArchiveFolder, recording: Recording, settings: str, orders: Orders
) -> bool:
    before = archive.manifest.results.get(recording.name)
    if before is None or orders.retries_failed:
        return False
    return before.state is State.FAILED and before.settings == settings


@dataclass
class ArchiveRun:
    """Performs jobs on a cluster, and writes down what becomes of them."""

    archive: ArchiveFolder
    recordings: Sequence[Recording]
    orders: Orders
    cluster: Nodes
    progress: tqdm[Any]
    _waiting: deque[Job] = field(default_factory=deque)
    _running: dict[Any, Job] = field(default_factory=dict)
    _stopped: str = ''
    _node_failures: int = 0
    _slots: int = 0
    _next_look: float = 0.0
    _next_page: float = 0.0

    def run(self, jobs: Sequence[Job], wants_end: Callable[[], bool]) -> Tally:
        """
        Perform jobs until all are done, or the run has to stop.

        :param jobs: of `jobs_to_do`.
        :param wants_end: whether the user wants the run to end now.
        :returns: what became of all recordings, in this run and before.
        """
        self._waiting = deque(jobs)
        while (self._waiting or self._running) and not self._stopped:
            self._fill()
            for reference, ended in self.cluster.ended(self._running, LONGEST_WAIT):
                self._settle(self._running.pop(reference), ended)
            if wants_end():
                self._stopped = INTERRUPTED
            if time.monotonic() > self._next_page:
                self._write_page()
        self.cluster.cancel(self._running)
        return finish(self.archive, self.recordings, self._stopped)

    def _fill(self) -> None:
        now = time.monotonic()
        if now > self._next_look:
            self._slots, self._next_look = self.cluster.slots(), now + PERIOD_OF_SLOTS
        while self._waiting and len(self._running) < 2 * self._slots + JOBS_AHEAD:
            job = self._waiting.popleft()
            self._running[self.cluster.submit(job)] = job

    def _settle(self, job: Job, ended: Result | Lost) -> None:
        """Write down what became of a job, or begin it again."""
        if isinstance(ended, Lost):
            ended = job.result(state=State.WAITING, cause=Cause.NODE, reason=ended.reason)
        failed_here = ended.cause is Cause.NODE
        self._node_failures = self._node_failures + 1 if failed_here else 0
        if self._node_failures == MOST_NODE_FAILURES:
            self._stopped = f'{MOST_NODE_FAILURES} attempts in a row failed: {ended.reason}'
        if failed_here and job.attempt < self.orders.attempts:
            self._waiting.append(replace(job, attempt=job.attempt + 1))
            return
        if ended.cause is Cause.DISK:
            self._stopped = ended.reason
        try:
            self.archive.manifest.add(ended)
        except OutputError as error:
            # The folder of a result that is done is in its place, the next run will find it.
            self._stopped = str(error)
        self.progress.update(ended.state is not State.WAITING)
        if ended.state is not State.DONE:
            self.progress.write(f'{ended.state.value}: {ended.name}: {ended.reason}')

    def _write_page(self) -> None:
        """Write the page for people, and spend at most a twentieth of the time on it."""
        began = time.monotonic()
        manifest = self.archive.manifest
        results = manifest.results
        try:
            names = (recording.name for recording in self.recordings)
            write_index(self.archive.path, results.values(), manifest.tally(names).waiting)
        except OutputError as error:
            self._stopped = str(error)
        now = time.monotonic()
        self._next_page = now + max(PERIOD_OF_PAGE, 20 * (now - began))


def finish(archive: ArchiveFolder, recordings: Sequence[Recording], stopped: str = '') -> Tally:
    """
    Write the page, the manifest without old lines, and its table.

    :param recordings: of the archive.
    :param stopped: why the run ended before all were done; empty where it did not.
    :returns: what became of all recordings, in this run and before.
    """
    manifest = archive.manifest
    names = [recording.name for recording in recordings]
    try:
        manifest.rewrite()
        write_table(archive.path, manifest.results.values())
        write_index(archive.path, manifest.results.values(), manifest.tally(names).waiting)
    except OutputError as error:
        stopped = stopped or str(error)
    return manifest.tally(names, stopped)
