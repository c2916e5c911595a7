# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Readers of the files of a rosbag2; topics that were not asked for cannot make them fail."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from io import BytesIO
import os
from pathlib import Path
import sqlite3
import struct
from typing import Any, BinaryIO
from urllib.parse import quote

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.metadata import parse_qos
from rosbags.rosbag2.storage_mcap import decompress, DECOMPRESSORS, get_qos, McapReader

Message = tuple[Connection, int, bytes]

NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, '')

MCAP_MAGIC = b'\x89MCAP0\r\n'
CHUNK, DATA_END, LAST_RECORD = 0x06, 0x0F, 0x0F
RECORD_HEAD = struct.Struct('<BQ')
CHUNK_HEAD = struct.Struct('<QQQI')
MALFORMED = (ValueError, LookupError, OSError, TypeError, struct.error)


CUT = 'was not closed'


class NothingRecorded(ReaderError):
    """A file was opened by a recorder, but has no message."""


class SqliteFile:
    """
    A .db3 file. What a killed recorder left in its write-ahead log is read too.

    connections: its topics. note: what its user should know, or empty.
    """

    def __init__(self, path: Path) -> None:
        """
        Open the file.

        :param path: may hold any bytes.
        :raises sqlite3.Error: when it is damaged.
        """
        log = path.with_name(f'{path.name}-wal')
        in_use = log.is_file() and log.stat().st_size
        # Without a log nothing is written beside the file, so that read-only disks can be read.
        options = 'mode=ro' if in_use else 'mode=ro&immutable=1'
        name = quote(os.fsencode(path.absolute()))
        self._database = sqlite3.connect(
            f'file:{name}?{options}', uri=True, check_same_thread=False
        )
        self._database.text_factory = lambda data: data.decode(errors='replace')
        self.note = f'{path}: with the write-ahead log of its recorder' if in_use else ''
        try:
            self.connections = list(self._read_topics())
        except BaseException:
            self.close()
            raise

    def _read_topics(self) -> Iterator[Connection]:
        columns = [row[1] for row in self._database.execute('PRAGMA table_info(topics)')]
        if not columns:
            raise NothingRecorded('it has no table of topics')
        quality = 'offered_qos_profiles' if 'offered_qos_profiles' in columns else "''"
        counts = dict(
            self._database.execute('SELECT topic_id, count(*) FROM messages GROUP BY topic_id')
        )
        rows = self._database.execute(
            f'SELECT id, name, type, serialization_format, {quality} FROM topics ORDER BY id'
        )
        for number, name, kind, form, profiles in rows:
            ext = ConnectionExtRosbag2(form, _qualities(profiles))
            count = counts.get(number, 0)
            yield Connection(number, name, kind, NO_DEFINITION, '', count, ext, self)

    def messages(self, connections: Collection[Connection]) -> Iterator[Message]:
        """
        Read messages in the order of their recording.

        :param connections: of this file; those that are wanted.
        """
        wanted = {connection.id: connection for connection in connections}
        marks = ','.join('?' * len(wanted))
        rows = self._database.execute(
            f'SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN ({marks}) '
            'ORDER BY timestamp, id',
            tuple(wanted),
        )
        for number, recorded_ns, data in rows:
            yield wanted[number], recorded_ns, data

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class _Schemas(dict[int, Any]):
    """The schemas of an MCAP file; one in an unknown language is like none."""

    def __setitem__(self, key: int, schema: Any) -> None:
        # Some writers leave out the middle of a name of ROS 2; those of ROS 1 have none.
        package, _, name = schema.name.partition('/')
        if schema.encoding.startswith('ros2') and name and '/' not in name:
            schema = schema._replace(name=f'{package}/msg/{name}')
        super().__setitem__(key, schema._replace(encoding='', data=''))


class _Channels(dict[int, Any]):
    """The channels of an MCAP file; a quality of service that makes no sense is like none."""

    def __setitem__(self, key: int, channel: Any) -> None:
        try:
            get_qos(channel.metadata)
        except Exception:  # noqa: BLE001 - anything can stand in there
            channel = channel._replace(metadata=b'')
        super().__setitem__(key, channel)


class McapFile(McapReader):
    """
    An .mcap file. Of one without an index, or an end, all whole chunks are read.

    connections: its topics. note: what its user should know, or empty.
    """

    def __init__(self, path: Path) -> None:
        """
        Open the file.

        :param path: may hold any bytes.
        :raises ReaderError: when it is damaged from its beginning.
        """
        super().__init__(path)
        self.schemas = _Schemas()
        self.channels = _Channels()
        self.note = ''
        self.open()
        for chunk in self.chunks:
            _check_compression(chunk.compression)

    def _open(self) -> None:
        assert self.bio
        try:
            super()._open()
        except (ReaderError, RuntimeError, *MALFORMED):
            for found in (self.schemas, self.channels, self.chunks, self.connections):
                found.clear()
            self._open_without_index(self.bio)

    def _open_without_index(self, file: BinaryIO) -> None:
        if not self.path.stat().st_size:
            raise NothingRecorded('it is empty')
        file.seek(0)
        if file.read(len(MCAP_MAGIC)) != MCAP_MAGIC:
            raise ReaderError('it does not begin as MCAP does')
        self.data_start = file.tell()
        self.data_end, trouble = _end_of_whole_records(file, self.path.stat().st_size)
        self.meta_scan()
        assert self.statistics
        counts = self.statistics.channel_message_counts
        self.connections = [c._replace(msgcount=counts.get(c.id, 0)) for c in self.connections]
        if not self.statistics.message_count:
            if trouble in ('', CUT):
                raise NothingRecorded('it ends before its first message')
            raise ReaderError(f'it {trouble}')
        if trouble:
            lost = self.path.stat().st_size - self.data_end
            self.note = (
                f'{self.path} {trouble}: {self.statistics.message_count} messages are whole, '
                f'its last {lost} bytes are not'
            )

    def messages(
        self,
        connections: Collection[Connection],
        start: int | None = None,
        stop: int | None = None,
    ) -> Generator[Message, None, None]:
        """
        Read messages in the order of their recording.

        :param connections: of this file; those that are wanted.
        :param start: of the recording, nanoseconds.
        :param stop: of the recording, nanoseconds.
        """
        # Without an index the order is that of the file; the base class would refuse another, and
        # miss the messages of chunks that have none.
        indexed = self.chunks and all(chunk.message_index_offsets for chunk in self.chunks)
        read = super().messages if indexed else self.messages_scan
        try:
            yield from read(connections, start, stop)
        except RuntimeError as error:  # of lz4
            raise ReaderError(f'a chunk cannot be decompressed: {error}') from error


def _end_of_whole_records(file: BinaryIO, size: int) -> tuple[int, str]:
    """Return where the whole records of an MCAP end, and why its data does not; empty: it does."""
    at = file.tell()
    while at + RECORD_HEAD.size <= size:
        file.seek(at)
        kind, length = RECORD_HEAD.unpack(file.read(RECORD_HEAD.size))
        if not 0 < kind <= LAST_RECORD or at + RECORD_HEAD.size + length > size:
            break
        if kind == DATA_END:
            return at, ''
        if kind == CHUNK and (trouble := _trouble_of_chunk(file.read(length))):
            return at, trouble
        at += RECORD_HEAD.size + length
    return at, CUT


def _trouble_of_chunk(record: bytes) -> str:
    """Return what is wrong with a chunk; empty: it can be read."""
    try:
        _, _, size, checksum = CHUNK_HEAD.unpack_from(record)
        rest = BytesIO(record[CHUNK_HEAD.size :])
        compression = rest.read(*struct.unpack('<I', rest.read(4))).decode()
        _check_compression(compression)
        decompress(rest.read(*struct.unpack('<Q', rest.read(8))), compression, size, checksum)
    except ReaderError as error:
        return f'has a chunk that is not read: {error}'
    except Exception:  # noqa: BLE001 - each compression has errors of its own
        return 'has a damaged chunk'
    return ''


def _check_compression(name: str) -> None:
    if name not in DECOMPRESSORS:
        raise ReaderError(
            f'compression {name!r} is not one of zstd and lz4: `mcap compress FILE -o NEW` writes '
            'the file with zstd'
        )


def _qualities(profiles: str) -> list[Any]:
    try:
        return parse_qos(profiles)
    except Exception:  # noqa: BLE001 - hand-written, and only a hint
        return []
