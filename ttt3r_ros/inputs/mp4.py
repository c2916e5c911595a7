# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How long an MP4 is shown: its edit list may leave out images that the file still holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import struct

PARENTS = (b'moov', b'trak', b'edts', b'mdia')
SUFFIXES = ('.mp4', '.m4v', '.mov')

# The index of hours of video has a few megabytes.
MOST_INDEX_BYTES = 64 * 2**20


def shown_seconds(path: Path) -> float | None:
    """
    Return the duration of the longest edit list.

    :param path: any file.
    :returns: seconds, or None where it is no MP4, or has no edit list.
    """
    if path.suffix.lower() not in SUFFIXES:
        return None
    try:
        boxes = list(_boxes(_index(path)))
        timescale = next((_timescale(body) for name, body in boxes if name == b'mvhd'), 0)
        shown = [_edited(body) for name, body in boxes if name == b'elst']
    except (OSError, IndexError, OverflowError, struct.error):  # damaged
        return None
    return max(shown) / timescale if shown and timescale and max(shown) else None


def _index(path: Path) -> bytes:
    """Read the box moov, which is nearly all but the images."""
    with path.open('rb') as file:
        while len(head := file.read(8)) == 8:
            size, name = struct.unpack('>I4s', head)
            header = 8
            if size == 1:
                size, header = struct.unpack('>Q', file.read(8))[0], 16
            if name == b'moov' and size <= MOST_INDEX_BYTES:
                return file.read(size - header)
            if size < header:
                break
            file.seek(size - header, 1)
    return b''


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from('>I4s', data, at)
        if size < 8:
            return
        body = data[at + 8 : at + size]
        yield name, body
        if name in PARENTS:
            yield from _boxes(body)
        at += size


def _timescale(mvhd: bytes) -> int:
    return int(struct.unpack_from('>I', mvhd, 20 if mvhd[0] == 1 else 12)[0])


def _edited(elst: bytes) -> int:
    """Return the sum of the durations of the edits that show something, in the movie's ticks."""
    version, count = elst[0], struct.unpack_from('>I', elst, 4)[0]
    entry = '>QqI' if version == 1 else '>IiI'
    size = struct.calcsize(entry)
    entries = (struct.unpack_from(entry, elst, 8 + i * size) for i in range(count))
    return sum(duration for duration, start, _ in entries if start >= 0)
