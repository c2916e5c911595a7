# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Files that are there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import os
from pathlib import Path
import shutil
import tempfile
from typing import IO

from ttt3r_ros.errors import UserError


class OutputError(UserError):
    """A file or folder cannot be written."""


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """
    Write a file beside its place and move it there when all went well.

    An exception in the block leaves whatever was at the place before.

    :param path: the place; its folder must exist.
    :returns: a binary file open for writing and seeking.
    :raises OutputError: when the disk or the permissions do not allow it.
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
        with os.fdopen(handle, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise OutputError(f'cannot write {path}: {error.strerror or error}') from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def _umask() -> int:
    """Read the process' mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """
    Make sure that a folder exists and takes files, before long work starts.

    When the block fails, folders that were made here and are still empty go again.

    :param path: the folder, made with its parents where missing.
    :raises OutputError: when it cannot be made or written.
    """
    missing = [p for p in (path, *path.parents) if not p.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        _remove_empty(missing)
        reason = error.strerror or error
        raise OutputError(
            f'cannot write into the folder {path}: {reason}; choose another'
        ) from error
    try:
        yield path
    except BaseException:
        _remove_empty(missing)
        raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """
    Fill a folder beside its place and move it there when all went well.

    :param path: the place: nothing, or an empty folder; its parents are made where missing.
    :returns: the folder to fill; when the block fails it goes again, with all that is in it.
    :raises OutputError: when something is at the place, or the disk does not allow it.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise OutputError(f'{path} is there already and not an empty folder; choose another')
    with output_folder(path.parent):
        temporary = Path(tempfile.mkdtemp(prefix=f'.{path.name}.', dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            os.replace(temporary, path)
        except OSError as error:
            raise OutputError(f'cannot write {path}: {error.strerror or error}') from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
