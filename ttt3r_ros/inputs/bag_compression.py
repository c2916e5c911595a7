# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Bags that were compressed: each message alone, or each file as a whole, with Zstandard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from typing import IO

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Of rosbag2, and of the program zstd.
SUFFIXES = '.zstd', '.zst'
MAGIC = b'\x28\xb5\x2f\xfd'

# An image of the largest size that is read has a quarter of it.
MOST_MESSAGE_BYTES = 2**30
BLOCK_BYTES = 2**20

# What damaged data raises.
DAMAGE = (zstd.ZstdError, EOFError)


def plain_name(path: Path) -> Path:
    """Return the name of a file before it was compressed."""
    return path.with_suffix('') if path.suffix in SUFFIXES else path


def plain_message(data: bytes) -> bytes:
    """
    Return a message, decompressed where it was compressed.

    :param data: its serialised form, which never begins as a compressed one does.
    :returns: the data itself where it is damaged; no type of message can be read of it.
    """
    if bytes(data[: len(MAGIC)]) != MAGIC:
        return data
    decompressor = zstd.ZstdDecompressor()
    with suppress(*DAMAGE):
        plain: bytes = decompressor.decompress(data, MOST_MESSAGE_BYTES)
        if decompressor.eof:
            return plain
    return data


def plain_file(path: Path) -> Path:
    """
    Decompress a file into a temporary folder, once a process; of a cut one what is whole.

    :param path: ends in one of SUFFIXES.
    :returns: the decompressed file.
    :raises OSError: when there is no room for it.
    :raises ZstdError: when it is damaged.
    """
    status = path.stat()
    folder = _decompressed(path.absolute(), status.st_size, status.st_mtime_ns)
    return Path(folder.name) / plain_name(path).name


@cache
def _decompressed(path: Path, size: int, changed_ns: int) -> TemporaryDirectory[str]:
    """Return a folder that is removed when the process ends."""
    del size, changed_ns  # a file that was written anew is another one
    folder = TemporaryDirectory(prefix='ttt3r_bag_')
    target = Path(folder.name) / plain_name(path).name
    with path.open('rb') as source, target.open('wb') as file:
        for block in _blocks(source):
            file.write(block)
    return folder


def _blocks(source: IO[bytes]) -> Iterator[bytes]:
    """Decompress a file; where it is cut, all that came before (zstd.open would lose a block)."""
    decompressor = zstd.ZstdDecompressor()
    data = source.read(BLOCK_BYTES)
    while data or not decompressor.needs_input:
        yield decompressor.decompress(data, BLOCK_BYTES)
        data = b''
        if decompressor.eof:
            data, decompressor = decompressor.unused_data, zstd.ZstdDecompressor()
        if decompressor.needs_input and not data:
            data = source.read(BLOCK_BYTES)
