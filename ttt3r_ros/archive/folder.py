# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The folder of an archive: results, the manifest, and the work of the one run that may write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import fcntl
import os
from pathlib import Path
import shutil
import socket
from tempfile import mkdtemp
from typing import IO

from ttt3r_ros.archive.results import MANIFEST, Manifest, RECORDINGS
from ttt3r_ros.atomic import output_folder, OutputError

LOCK = '.lock'
WORK = '.work'


@dataclass(frozen=True, eq=False)
class ArchiveFolder:
    """
    An archive that is open for one run.

    work: folder of this run in it, where results grow until they are whole.
    """

    path: Path
    work: Path
    manifest: Manifest

    def names(self) -> set[str]:
        """Return the names of the recordings that have a result."""
        return set(os.listdir(self.path / RECORDINGS))


@contextmanager
def open_archive(path: Path) -> Iterator[ArchiveFolder]:
    """
    Open an archive for one run, and remove what a run that was killed left unfinished.

    :param path: created if missing; absolute, as other nodes see it.
    :raises OutputError: when it cannot be written, or another run writes there.
    """
    with output_folder(path), _locked(path / LOCK):
        try:
            (path / RECORDINGS).mkdir(exist_ok=True)
            shutil.rmtree(path / WORK, ignore_errors=True)
            (path / WORK).mkdir(exist_ok=True)
            work = Path(mkdtemp(dir=path / WORK))
            work.chmod(0o755)
        except OSError as error:
            raise OutputError(f'cannot write {path}: {error.strerror or error}') from error
        manifest = Manifest(path / MANIFEST)
        try:
            yield ArchiveFolder(path, work, manifest)
        finally:
            manifest.close()
            shutil.rmtree(path / WORK, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock, which the system releases whatever ends this process."""
    try:
        file: IO[str] = path.open('a+')
    except OSError as error:
        raise OutputError(f'cannot write {path}: {error.strerror or error}') from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise OutputError(
                f'another run writes into {path.parent} ({file.read().strip()}): wait for its '
                'end, or choose another --output'
            ) from error
        except OSError as error:
            raise OutputError(
                f'cannot lock {path}: {error.strerror or error}: --output must be on a file '
                'system with locks'
            ) from error
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
        file.flush()
        yield
