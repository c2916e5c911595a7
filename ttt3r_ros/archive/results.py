# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What became of a recording, and the manifest that holds it for every recording of an archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from io import FileIO
import json
import os
from pathlib import Path
from typing import Any

from ttt3r_ros.archive.recording import Recording
from ttt3r_ros.atomic import atomic_file, OutputError

MANIFEST = 'manifest.jsonl'
RECORDINGS = 'recordings'
RESULT = 'result.json'
LOG = 'log.txt'
FAILED_LOGS = 'failed'
THUMBNAIL = 'thumbnail.jpg'


class State(str, Enum):
    """Of a recording: `waiting` is not begun, or was ended by what is no fault of its own."""

    WAITING = 'waiting'
    DONE = 'done'
    FAILED = 'failed'


class Cause(str, Enum):
    """Why a recording has no map; the last two are no fault of the recording."""

    NONE = ''
    INPUT = 'input'
    MEMORY = 'memory'
    TIME = 'time'
    DISK = 'disk'
    NODE = 'node'

    @property
    def passes(self) -> bool:
        """Whether the same recording may succeed when it is tried again."""
        return self in (Cause.DISK, Cause.NODE)


@dataclass(frozen=True)
class Result(Recording):
    """
    A recording and what became of it.

    cause, reason: why it has no map, by kind and
    in one sentence. attempts: how often it was begun in its last run. settings: hash of all that
    its result depends on. seconds: of its last attempt. node: where that was. figures: of the map,
    see `task.figures_of`.
    """

    state: State = State.WAITING
    cause: Cause = Cause.NONE
    reason: str = ''
    attempts: int = 0
    settings: str = ''
    seconds: float = 0.0
    node: str = ''
    figures: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, recording: Recording, settings: str, **changes: Any) -> Result:
        """
        Return the result of a recording.

        :param settings: hash of the settings.
        :param changes: other fields.
        """
        return cls(**asdict(recording), settings=settings, **changes)

    def line(self) -> str:
        """Return the result as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)


def read_result(text: str | bytes) -> Result:
    """
    Read a result from a line of JSON.

    :raises ValueError: when it is none.
    """
    try:
        given = json.loads(text)
        known = {item.name for item in fields(Result)}
        given = {name: value for name, value in given.items() if name in known}
        given['state'], given['cause'] = State(given['state']), Cause(given['cause'])
        return Result(**given)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f'no result of a recording: {text!r:.100}') from error


# Why a run stopped that the user ended.
INTERRUPTED = 'interrupted'


@dataclass(frozen=True)
class Tally:
    """
    What became of the recordings of a run.

    stopped: why it ended before all were done, in one sentence; empty where it did not.
    """

    done: int = 0
    failed: int = 0
    waiting: int = 0
    stopped: str = ''


class Manifest:
    """
    The results of all recordings, in a file that a crash at any moment leaves readable.

    A new result is appended as a line; of two lines of one recording the later one holds. A line
    that was cut off, by a crash or a full disk, is left out.
    """

    def __init__(self, path: Path) -> None:
        """
        Read the file, if it is there, and write it anew, sorted and without old lines.

        :raises OutputError: when it cannot be read or written.
        """
        self._path = path
        self._file: FileIO | None = None
        self.results: dict[str, Result] = {}
        try:
            lines = path.read_bytes().splitlines() if path.exists() else []
        except OSError as error:
            raise OutputError(f'cannot read {path}: {error.strerror or error}') from error
        for line in lines:
            try:
                result = read_result(line)
            except ValueError:
                continue
            self.results[result.name] = result
        self.rewrite()

    def rewrite(self) -> None:
        """
        Write one line for each recording, sorted by name.

        :raises OutputError: when it cannot be written; the old file is there then.
        """
        self.close()
        with atomic_file(self._path) as file:
            for _, result in sorted(self.results.items()):
                file.write(f'{result.line()}\n'.encode())

    def add(self, result: Result) -> None:
        """
        Append a result; it is on the disk when this returns.

        :raises OutputError: when it cannot be written.
        """
        self.results[result.name] = result
        # The end of a line that was cut off is not the beginning of this one.
        data = f'\n{result.line()}\n'.encode()
        try:
            if self._file is None:
                # Without a buffer: what could not be written must not be tried again later.
                self._file = self._path.open('ab', buffering=0)
            while data:
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise OutputError(f'cannot write {self._path}: {error.strerror or error}') from error

    def tally(self, names: Iterable[str], stopped: str = '') -> Tally:
        """
        Count what became of recordings; those without a result wait.

        :param names: of the recordings.
        :param stopped: as in `Tally`.
        """
        states = Counter(
            self.results[name].state if name in self.results else State.WAITING for name in names
        )
        return Tally(states[State.DONE], states[State.FAILED], states[State.WAITING], stopped)

    def close(self) -> None:
        """Close the file; adding opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
