# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Files and folders that appear completely written or not at all."""

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
    Write a temporary file in the same folder, and rename it to the path at the end.

    After an exception in the block the path is unchanged.

    :param path: path of the file; its folder must exist.
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
    """Return the file mode mask of the process, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """
    Create a folder and check that it is writable, before long work starts.

    When the block fails, folders that were created here and are still empty are removed.

    :param path: the folder; missing parents are created.
    :raises OutputError: when it cannot be created or written.
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
    Create a temporary folder beside the path, and rename it to the path at the end.

    :param path: does not exist or is an empty folder; missing parents are created.
    :returns: the temporary folder; when the block fails it is removed with its content.
    :raises OutputError: when the path exists and is not empty, or cannot be written.
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
