# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A rosbag2 as one stream of messages: its files count, its metadata.yaml is only a hint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path, PurePath
import re
import sqlite3
import struct
from typing import Any

import apsw
from rosbags.interfaces import Connection
from rosbags.rosbag2 import ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import get_typestore, Stores
from rosbags.typesys.store import Typestore

from ttt3r_ros.inputs import bag_compression
from ttt3r_ros.inputs.bag_compression import plain_file, plain_message, plain_name, SUFFIXES
from ttt3r_ros.inputs.bag_storages import McapFile, Message, NothingRecorded, SqliteFile
from ttt3r_ros.inputs.source import FETCH_LFS, is_lfs_pointer
from ttt3r_ros.inputs.yaml_text import read_yaml

FILES: dict[str, type[SqliteFile] | type[McapFile]] = {'.db3': SqliteFile, '.mcap': McapFile}
METADATA = 'metadata.yaml'

# A damaged bag shows in its index, its SQL, its chunks, its sizes or its fields.
DAMAGE = (
    *bag_compression.DAMAGE,
    ReaderError,
    SerdeError,
    apsw.Error,
    sqlite3.Error,
    OSError,
    ValueError,
    LookupError,
    ArithmeticError,
    MemoryError,
    struct.error,
)


@cache
def message_types() -> Typestore:
    """Return the types of messages; their decoders are compiled once."""
    return get_typestore(Stores.LATEST)


class BagReader:
    """
    An open bag.

    connections: its topics, one each. notes: what its user should know, a line each.
    """

    def __init__(self, path: Path) -> None:
        """
        Open all files of a bag.

        :param path: a bag's folder, or one of its files.
        :raises ReaderError: or another of DAMAGE, when it cannot be read.
        """
        self._stack = ExitStack()
        self.notes: list[str] = []
        try:
            self._storages: list[Any] = self._open(path)
            self.connections = _merged(self._storages)
        except BaseException:
            self._stack.close()
            raise
        self.notes += [note for s in self._storages if (note := getattr(s, 'note', ''))]

    def _open(self, path: Path) -> list[Any]:
        information = _information(path / METADATA) if path.is_dir() else {}
        storages: list[Any] = []
        files = self._files(path, information)
        for file in files:
            try:
                storages.append(self._opened(path, file))
            except NothingRecorded as error:
                # A recorder opens its next file before it has a message for it.
                if len(files) == 1:
                    raise
                self.notes.append(f'{file} is left out: {error}')
            except DAMAGE as error:
                if len(files) == 1:
                    raise
                raise ReaderError(f'{file.name}: {one_line(error)}') from error
        if not storages:
            raise ReaderError('none of its files has a message')
        return storages

    def _opened(self, path: Path, file: Path) -> SqliteFile | McapFile:
        kind = FILES.get(plain_name(file).suffix)
        if kind is None:
            raise ReaderError(f'{file} is neither .db3 nor .mcap')
        if is_lfs_pointer(file):
            raise ReaderError(FETCH_LFS)
        if file != plain_name(file):
            file = plain_file(file)
            self.notes.append(f'{path} is compressed: it is read from {file.parent}')
        storage = kind(file)
        self._stack.callback(storage.close)
        return storage

    def _files(self, path: Path, information: dict[str, Any]) -> list[Path]:
        if not path.is_dir():
            return [path]
        found = sorted((f for f in path.iterdir() if plain_name(f).suffix in FILES), key=_number)
        listed = information.get('relative_file_paths')
        if isinstance(listed, list) and listed:
            names = dict.fromkeys(PurePath(str(name)).name for name in listed)
            files = [_as_it_lies(path / name) for name in names]
            missing = [file.name for file in files if not file.is_file()]
            if not missing:
                return files
            if len(missing) < len(files) or not found:
                raise ReaderError(f'files of it are missing: {", ".join(missing)}')
        files = found
        if len({re.sub(r'_[0-9]+$', '', plain_name(file).stem) for file in files}) > 1:
            raise ReaderError(
                f'it has no {METADATA} and files of several bags: use one of '
                + ', '.join(file.name for file in files)
            )
        self.notes.append(
            f'{path} has no {METADATA} that lists its files: all are read (`ros2 bag reindex` '
            'writes one)' + _gaps(files)
        )
        return files

    def messages(self, connections: Collection[Connection]) -> Iterator[Message]:
        """
        Read messages, file after file.

        :param connections: of this bag; those that are wanted.
        :returns: of each message its connection, the time of its recording in nanoseconds and its
            serialised form.
        """
        wanted = {(c.topic, c.msgtype): c for c in connections}
        for storage in self._storages:
            own = [c for c in storage.connections if (c.topic, c.msgtype) in wanted]
            if own:
                for connection, recorded_ns, data in storage.messages(own):
                    found = wanted[connection.topic, connection.msgtype]
                    yield found, recorded_ns, plain_message(data)

    def __enter__(self) -> BagReader:
        """Return the bag, which is open."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the files."""
        self._stack.close()


def _merged(storages: list[Any]) -> list[Connection]:
    """Return one connection for each topic and type."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    first: dict[tuple[str, str], Connection] = {}
    for storage in storages:
        for connection in storage.connections:
            key = connection.topic, connection.msgtype
            counts[key] += connection.msgcount
            first.setdefault(key, connection)
    return [connection._replace(msgcount=counts[key]) for key, connection in first.items()]


def _information(path: Path) -> dict[str, Any]:
    """Read metadata.yaml; one that cannot be read is like none."""
    try:
        record = read_yaml(path.read_text(encoding='utf-8', errors='replace'))
        information = record['rosbag2_bagfile_information']
    except (OSError, ValueError, TypeError, LookupError):
        return {}
    return information if isinstance(information, dict) else {}


def one_line(error: Exception) -> str:
    """Return the text of an error without line breaks, or its type where it has no text."""
    return ' '.join(str(error).split()) or type(error).__name__


def _as_it_lies(file: Path) -> Path:
    """Return a file that may have been compressed, or decompressed, after it was listed."""
    others = (*(file.with_name(file.name + suffix) for suffix in SUFFIXES), plain_name(file))
    return file if file.is_file() else next((f for f in others if f.is_file()), file)


def _gaps(files: list[Path]) -> str:
    """Return the numbers that are missing between the first file of a bag and the last."""
    numbers = {_number(file)[0] for file in files}
    missing = sorted(set(range(max(numbers))) - numbers)[:5] if numbers else []
    return f'; number {", ".join(map(str, missing))} is missing' if missing else ''


def _number(path: Path) -> tuple[int, str]:
    number = re.search(r'_([0-9]+)$', plain_name(path).stem)
    return (int(number[1]) if number else -1, path.name)
