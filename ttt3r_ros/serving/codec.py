# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Images and predictions as bytes, exact or compact.

Compact: the image as JPEG of quality 95, points and confidence as float16, that is to one part in
2048. Exact: the image as PNG, float32. Numbers are compressed as differences from what their left
and upper neighbours let expect, byte by byte: high bytes are mostly zero then.
"""

from __future__ import annotations

from enum import IntEnum
import io
from typing import Any
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ttt3r_ros.arrays import Array32, Pixels
from ttt3r_ros.errors import UserError

FAST = 1  # level of zlib and PNG; higher ones take five times as long for 10 %
JPEG_QUALITY = 95
PLANES = 4  # x, y, z and confidence

Words = NDArray[np.unsignedinteger[Any]]


class BadMessage(UserError):
    """Bytes from the network are not what they should be."""


class Transfer(IntEnum):
    """How images and predictions travel."""

    COMPACT = 0
    EXACT = 1


FORMATS = {Transfer.COMPACT: 'JPEG', Transfer.EXACT: 'PNG'}
FLOATS: dict[Transfer, type[np.floating[Any]]] = {
    Transfer.COMPACT: np.float16,
    Transfer.EXACT: np.float32,
}
WORDS: dict[int, type[np.unsignedinteger[Any]]] = {2: np.uint16, 4: np.uint32}


def encode_image(rgb: Pixels, transfer: Transfer) -> bytes:
    """
    Return an image as a JPEG or PNG file.

    :param rgb: (h, w, 3) uint8.
    """
    file = io.BytesIO()
    options: dict[str, Any] = {'compress_level': FAST}
    if transfer is Transfer.COMPACT:
        options = {'quality': JPEG_QUALITY, 'subsampling': 0}
    Image.fromarray(rgb).save(file, FORMATS[transfer], **options)
    return file.getvalue()


def decode_image(content: bytes, transfer: Transfer, height: int, width: int) -> Pixels:
    """
    Return the image of a JPEG or PNG file.

    :param height: that it must have; nothing is decoded of a larger one.
    :param width: that it must have.
    :returns: (height, width, 3) uint8.
    :raises BadMessage: when it is no such file.
    """
    try:
        with Image.open(io.BytesIO(content), formats=[FORMATS[transfer]]) as image:
            if image.size != (width, height) or image.mode != 'RGB':
                raise BadMessage(
                    f'an image of {image.size} {image.mode} came for {width, height} RGB'
                )
            return np.array(image)
    except (BadMessage, MemoryError):
        raise
    except Exception as error:  # whatever: Pillow raises what it meets in a damaged file
        raise BadMessage(f'no {FORMATS[transfer]} image came: {error}') from error


def encode_numbers(planes: Array32, transfer: Transfer) -> bytes:
    """
    Compress images of numbers.

    :param planes: (n, h, w) float32.
    """
    largest = float(np.finfo(FLOATS[transfer]).max)
    # What is not finite stays so, and is refused by the robot.
    within = np.where(np.isinf(planes), planes, np.clip(planes, -largest, largest))
    rounded = np.ascontiguousarray(within, FLOATS[transfer])
    words = rounded.view(WORDS[rounded.itemsize])
    down = words.copy()
    down[:, 1:] -= words[:, :-1]
    rest = down.copy()
    rest[..., 1:] -= down[..., :-1]
    return zlib.compress(_by_bytes(_zigzag(rest)), FAST)


def decode_numbers(content: bytes, transfer: Transfer, shape: tuple[int, int, int]) -> Array32:
    """
    Return images of numbers that were compressed.

    :param shape: (n, h, w) that they must have; no more is decompressed.
    :returns: float32.
    :raises BadMessage: when they have not.
    """
    floats = FLOATS[transfer]
    itemsize = np.dtype(floats).itemsize
    size = int(np.prod(shape)) * itemsize
    try:
        decompressor = zlib.decompressobj()
        raw = decompressor.decompress(content, size)
    except zlib.error as error:
        raise BadMessage(f'numbers cannot be decompressed: {error}') from error
    if len(raw) != size:
        raise BadMessage(f'{len(raw)} bytes of numbers came, {size} were needed')
    kind = WORDS[itemsize]
    split = np.frombuffer(raw, np.uint8).reshape(itemsize, -1)
    coded = np.ascontiguousarray(split.T).view(kind).reshape(shape)
    rest = (coded >> kind(1)) ^ (kind(0) - (coded & kind(1)))
    words = np.cumsum(np.cumsum(rest, axis=2, dtype=kind), axis=1, dtype=kind)
    numbers: Array32 = words.view(floats).astype(np.float32)
    return numbers


def _zigzag(differences: Words) -> Words:
    """Return differences, whose sign wraps around, with the sign as the last bit."""
    bits = 8 * differences.itemsize
    kind = differences.dtype.type
    sign = kind(0) - (differences >> kind(bits - 1))
    coded: Words = (differences << kind(1)) ^ sign
    return coded


def _by_bytes(words: Words) -> bytes:
    """Return all low bytes, then all that are next."""
    split = words.reshape(-1).view(np.uint8).reshape(-1, words.itemsize)
    return bytes(split.T.tobytes())
