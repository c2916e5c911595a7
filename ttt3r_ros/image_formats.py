# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Decoding of image files, streams and ROS messages to 8 bit RGB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import struct
from typing import Any, IO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.errors import UserError

# Larger images are refused before they are decoded: a small file may claim any size.
MAX_PIXELS = 80_000_000

ORIENTATION_TAG = 0x0112  # of EXIF
TIFF_BITS = 0x0102  # of each value of a pixel

SERIES = frozenset(('GIF', 'PNG', 'TIFF', 'WEBP'))  # formats of animations and stacks

# A PNG begins with its signature, width and height; then bits a value and type of colour.
PNG_HEAD = struct.Struct('>24xBB')
PNG_WIDE_COLOURS = (16, 2), (16, 4), (16, 6)  # RGB, grey with alpha, RGBA

# Of the values of the first images, so much may lie outside their range: hot and dead pixels.
STRAY_PERCENT = 0.1


class UnsupportedImage(UserError):
    """An image is damaged, or its format cannot be converted to RGB."""


@dataclass(frozen=True)
class ValueRange:
    """
    Which 16 bit values become 0 to 255. low, high: the darkest and the brightest.

    One range holds for all images of a run: a range for each would flicker.
    """

    low: int = 0
    high: int = 65535

    def to_8_bit(self, values: NDArray[np.unsignedinteger[Any]]) -> Pixels:
        """
        Scale values; what lies outside becomes black or white.

        :param values: any shape, 16 bit.
        """
        if (self.low, self.high) == (0, 65535):
            return (values >> 8).astype(np.uint8)
        scaled = (values.astype(np.float32) - self.low) * (255 / (self.high - self.low))
        return np.asarray(scaled.round().clip(0, 255), dtype=np.uint8)


FULL_RANGE = ValueRange()


def fitted_range(images: Sequence[NDArray[np.unsignedinteger[Any]]]) -> ValueRange:
    """
    Return the range of a camera that uses only a part of 16 bits.

    A camera of 12 or 14 bits that begins near black has the range of its bits; a thermal one,
    whose values lie in a narrow band, has that band with a margin of a quarter on each side.

    :param images: (H, W) or (H, W, channels) each, the first of the run, 16 bit values.
    :returns: the full range where the images use much of it, or are all black.
    """
    values = np.concatenate([image.ravel()[:: max(1, image.size // 100_000)] for image in images])
    low, high = np.percentile(values, [STRAY_PERCENT, 100 - STRAY_PERCENT])
    if high == 0 or (high >= 32768 and low <= 0.5 * high):
        return FULL_RANGE
    if low < 0.25 * high:
        return ValueRange(0, 2 ** max(8, int(high).bit_length()) - 1)
    margin = max(0.25 * (high - low), 8)
    return ValueRange(max(0, int(low - margin)), min(65535, int(high + margin)))


class GrowingRange:
    """The range of a run whose images come one by one; it only widens, so that it settles."""

    def __init__(self) -> None:
        """Begin without a range."""
        self._range: ValueRange | None = None

    def of(self, values: NDArray[np.unsignedinteger[Any]]) -> ValueRange:
        """
        Return the range for an image, with what the images before needed.

        :param values: (H, W) or (H, W, channels), 16 bit values of the image.
        """
        known = self._range
        some = values.ravel()[:: max(1, values.size // 10_000)]
        if known is not None:
            low, high = np.percentile(some, [STRAY_PERCENT, 100 - STRAY_PERCENT])
            if known.low <= low and high <= known.high:
                return known
        fitted = fitted_range([values])
        if known is not None:
            fitted = ValueRange(min(known.low, fitted.low), max(known.high, fitted.high))
        if some.any():  # of a black image nothing is known
            self._range = fitted
        return fitted


# Name in sensor_msgs -> (type of a value, values a pixel, OpenCV's conversion to RGB).
# OpenCV names a Bayer pattern after its second row, second and third column.
RAW_ENCODINGS: dict[str, tuple[type[np.unsignedinteger[Any]], int, int | None]] = {
    'rgb8': (np.uint8, 3, None),
    'bgr8': (np.uint8, 3, cv2.COLOR_BGR2RGB),
    '8UC3': (np.uint8, 3, cv2.COLOR_BGR2RGB),
    'rgba8': (np.uint8, 4, cv2.COLOR_RGBA2RGB),
    'bgra8': (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    '8UC4': (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    'mono8': (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    '8UC1': (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    'rgb16': (np.uint16, 3, None),
    'bgr16': (np.uint16, 3, cv2.COLOR_BGR2RGB),
    'rgba16': (np.uint16, 4, cv2.COLOR_RGBA2RGB),
    'bgra16': (np.uint16, 4, cv2.COLOR_BGRA2RGB),
    'mono16': (np.uint16, 1, cv2.COLOR_GRAY2RGB),
    'yuv422': (np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    'uyvy': (np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    'yuv422_yuy2': (np.uint8, 2, cv2.COLOR_YUV2RGB_YUY2),
    'yuyv': (np.uint8, 2, cv2.COLOR_YUV2RGB_YUY2),
    'bayer_rggb8': (np.uint8, 1, cv2.COLOR_BayerBG2RGB),
    'bayer_bggr8': (np.uint8, 1, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg8': (np.uint8, 1, cv2.COLOR_BayerGR2RGB),
    'bayer_grbg8': (np.uint8, 1, cv2.COLOR_BayerGB2RGB),
    'bayer_rggb16': (np.uint16, 1, cv2.COLOR_BayerBG2RGB),
    'bayer_bggr16': (np.uint16, 1, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg16': (np.uint16, 1, cv2.COLOR_BayerGR2RGB),
    'bayer_grbg16': (np.uint16, 1, cv2.COLOR_BayerGB2RGB),
}


def check_raw(size: int, width: int, height: int, step: int, encoding: str) -> None:
    """
    Check that the fields of a sensor_msgs/Image are consistent.

    :param size: bytes of its data.
    :param width: pixels.
    :param height: pixels.
    :param step: bytes of a row, padding included.
    :param encoding: supported are RAW_ENCODINGS.
    :raises UnsupportedImage: when the encoding is none of these or the sizes disagree.
    """
    if encoding not in RAW_ENCODINGS:
        raise UnsupportedImage(
            f'encoding {encoding!r} is not one of {", ".join(RAW_ENCODINGS)}: convert it first'
        )
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise UnsupportedImage(f'an image of {width}x{height} pixels cannot be used')
    kind, channels, _ = RAW_ENCODINGS[encoding]
    if step < width * channels * np.dtype(kind).itemsize or size != step * height:
        raise UnsupportedImage(
            f'{size} bytes in rows of {step} are no {encoding} image of {width}x{height}'
        )
    if (encoding.startswith('bayer') and min(width, height) < 2) or (channels == 2 and width % 2):
        raise UnsupportedImage(f'an {encoding} image cannot have {width}x{height} pixels')


def tight_rows(
    data: bytes | bytearray | memoryview | Pixels,
    width: int,
    height: int,
    step: int,
    encoding: str,
    is_bigendian: bool,
) -> NDArray[np.unsignedinteger[Any]]:
    """
    Return the values of an image without padding, in the byte order of this machine.

    The parameters are those of rgb_from_raw, already checked.

    :param data: (height * step,) bytes.

    :returns: (height, width, channels) uint8 or uint16.
    """
    kind, channels, _ = RAW_ENCODINGS[encoding]
    row_bytes = width * channels * np.dtype(kind).itemsize
    rows = np.frombuffer(data, dtype=np.uint8).reshape(height, step)[:, :row_bytes]
    values = np.ascontiguousarray(rows).view(
        np.dtype(kind).newbyteorder('>' if is_bigendian else '<')
    )
    native: NDArray[np.unsignedinteger[Any]] = values.astype(kind, copy=False)
    return native.reshape(height, width, channels)


def rgb_from_values(
    values: NDArray[np.unsignedinteger[Any]],
    encoding: str,
    value_range: ValueRange = FULL_RANGE,
) -> Pixels:
    """
    Turn the values of an image into colours.

    :param values: (H, W) or (H, W, channels), in the type of the encoding.
    :param encoding: one of RAW_ENCODINGS.
    :param value_range: of 16 bit values.
    :returns: (H, W, 3) uint8.
    """
    kind, channels, conversion = RAW_ENCODINGS[encoding]
    if kind is np.uint16:
        values = value_range.to_8_bit(values)
    pixels = np.asarray(values, dtype=np.uint8).reshape(*values.shape[:2], channels)
    if conversion is None:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, conversion), dtype=np.uint8)


def rgb_from_raw(
    data: bytes | bytearray | memoryview | Pixels,
    width: int,
    height: int,
    step: int,
    encoding: str,
    is_bigendian: bool,
    value_range: ValueRange = FULL_RANGE,
) -> Pixels:
    """
    Decode the fields of a sensor_msgs/Image.

    :param data: (height * step,) bytes: rows of step bytes.
    :param width: pixels.
    :param height: pixels.
    :param step: bytes of a row, padding included.
    :param encoding: one of RAW_ENCODINGS.
    :param is_bigendian: whether the upper byte of a 16 bit value comes first.
    :param value_range: of 16 bit values.
    :returns: (height, width, 3) uint8.
    :raises UnsupportedImage: when the encoding is none of these or the sizes disagree.
    """
    check_raw(np.frombuffer(data, dtype=np.uint8).size, width, height, step, encoding)
    values = tight_rows(data, width, height, step, encoding, is_bigendian)
    return rgb_from_values(values, encoding, value_range)


def rgb_from_encoded(file: IO[bytes], value_range: ValueRange = FULL_RANGE) -> Pixels:
    """
    Decode a JPEG, PNG or other image file as it is stored, whatever its EXIF says.

    So are the images of messages: their calibration and frame are those of the sensor.

    :param file: open for binary reading.
    :param value_range: of 16 bit values.
    :returns: (H, W, 3) uint8.
    :raises UnsupportedImage: when it is damaged, too large or no image.
    """
    with _opened(file) as image:
        return np.array(_decoded(file, image, value_range).convert('RGB'), dtype=np.uint8)


def upright_rgb(file: IO[bytes], value_range: ValueRange = FULL_RANGE) -> tuple[Pixels, int]:
    """
    Decode a JPEG, PNG or other image file, upright by its EXIF orientation.

    Grey, palette and transparent images become RGB.

    :param file: open for binary reading.
    :param value_range: of 16 bit values.
    :returns: (H, W, 3) uint8, and the orientation it was stored in, 1 to 8.
    :raises UnsupportedImage: when it is damaged, too large or no image.
    """
    with _opened(file) as image:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
        if orientation not in range(1, 9):
            orientation = 1
        decoded = _decoded(file, image, value_range)
        if decoded is not image:
            decoded.getexif()[ORIENTATION_TAG] = orientation
        upright = ImageOps.exif_transpose(decoded)
        return np.array(upright.convert('RGB'), dtype=np.uint8), orientation


def _decoded(file: IO[bytes], image: Image.Image, value_range: ValueRange) -> Image.Image:
    """Return an image of 8 bits; it may be the one that is given, not loaded yet."""
    if image.mode == 'F':
        raise UnsupportedImage('an image of floating point numbers has no colours')
    wide = _wide(file, image)
    return image if wide is None else Image.fromarray(value_range.to_8_bit(wide))


def wide_values(file: IO[bytes]) -> NDArray[np.uint16] | None:
    """
    Return the values of an image file of 16 bits, to fit a range to them.

    :param file: open for binary reading.
    :returns: (H, W) or (H, W, 3) uint16, or None for any other file.
    """
    try:
        with _opened(file) as image:
            return _wide(file, image)
    except UnsupportedImage:
        return None


def images_in(file: IO[bytes]) -> int:
    """
    Return how many images a file holds: an animation or a stack has several, of equal rank.

    A photo of a telephone may have smaller ones beside it, which do not count.

    :param file: open for binary reading.
    :returns: at least 1; 1 where it cannot be read.
    """
    try:
        with _opened(file) as image:
            return int(getattr(image, 'n_frames', 1)) if image.format in SERIES else 1
    except UnsupportedImage:
        return 1


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[Image.Image]:
    """Open an image file that is not too large, and turn whatever is wrong into one error."""
    try:
        with Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnsupportedImage(
                    f'an image of {image.width}x{image.height} pixels is too large'
                )
            yield image
    except (UnsupportedImage, MemoryError):
        raise
    except UnidentifiedImageError:
        file.seek(0)
        raise UnsupportedImage(
            f'not a readable image: it begins with {file.read(4)!r} as none that is known does'
        ) from None
    except Exception as error:  # whatever: Pillow raises what it meets in a damaged file
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise UnsupportedImage(f'not a readable image: {reason}') from error


def _wide(file: IO[bytes], image: Image.Image) -> NDArray[np.uint16] | None:
    """Return values of 16 bits as they are stored, which Pillow would clip, or cut to 8 bits."""
    if image.mode.startswith('I'):
        return np.asarray(image).clip(0, 65535).astype(np.uint16)
    if not _has_wide_colours(file, image):
        return None
    file.seek(0)
    data = np.frombuffer(file.read(), np.uint8)
    values = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        raise UnsupportedImage(f'not a readable image: damaged {image.format} of 16 bits')
    return np.ascontiguousarray(values[..., 2::-1])


def _has_wide_colours(file: IO[bytes], image: Image.Image) -> bool:
    """Return whether a file holds colours of 16 bits; the place where Pillow goes on is kept."""
    if image.format == 'TIFF':
        bits = image.getexif().get(TIFF_BITS, 8)
        return set(bits if isinstance(bits, tuple) else (bits,)) == {16}
    if image.format != 'PNG':
        return False
    place = file.tell()
    file.seek(0)
    head = file.read(PNG_HEAD.size)
    file.seek(place)
    return PNG_HEAD.unpack(head) in PNG_WIDE_COLOURS
