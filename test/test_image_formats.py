# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import io
import struct
import zlib

import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.image_formats import (
    fitted_range,
    GrowingRange,
    images_in,
    RAW_ENCODINGS,
    rgb_from_encoded,
    rgb_from_raw,
    UnsupportedImage,
    upright_rgb,
    ValueRange,
)

RED, GREEN, BLUE = 200, 90, 30
COLOR = (RED, GREEN, BLUE)
GREY = 120


def bayer(pattern):
    """Return a flat image of COLOR as a sensor with this pattern sees it."""
    values = {'r': RED, 'g': GREEN, 'b': BLUE}
    return np.tile([[values[c] for c in row] for row in (pattern[:2], pattern[2:])], (3, 4))


def flat(*values):
    return np.tile(np.array(values), (6, 8, 1))


def yuv():
    """Return Y, U and V of COLOR by BT.601 in the range of video."""
    r, g, b = (value / 255 for value in COLOR)
    y = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    u = 128 - 37.797 * r - 74.203 * g + 112 * b
    v = 128 + 112 * r - 93.786 * g - 18.214 * b
    return tuple(round(value) for value in (y, u, v))


Y, U, V = yuv()
FLAT_IMAGES = {
    'rgb8': (flat(RED, GREEN, BLUE), COLOR),
    'bgr8': (flat(BLUE, GREEN, RED), COLOR),
    '8UC3': (flat(BLUE, GREEN, RED), COLOR),
    'rgba8': (flat(RED, GREEN, BLUE, 7), COLOR),
    'bgra8': (flat(BLUE, GREEN, RED, 7), COLOR),
    '8UC4': (flat(BLUE, GREEN, RED, 7), COLOR),
    'mono8': (flat(GREY), (GREY,) * 3),
    '8UC1': (flat(GREY), (GREY,) * 3),
    'rgb16': (256 * flat(RED, GREEN, BLUE) + 99, COLOR),
    'bgr16': (256 * flat(BLUE, GREEN, RED) + 99, COLOR),
    'rgba16': (256 * flat(RED, GREEN, BLUE, 7) + 99, COLOR),
    'bgra16': (256 * flat(BLUE, GREEN, RED, 7) + 99, COLOR),
    'mono16': (256 * flat(GREY) + 99, (GREY,) * 3),
    'yuv422': (np.tile([U, Y, V, Y], (6, 4)), COLOR),
    'uyvy': (np.tile([U, Y, V, Y], (6, 4)), COLOR),
    'yuv422_yuy2': (np.tile([Y, U, Y, V], (6, 4)), COLOR),
    'yuyv': (np.tile([Y, U, Y, V], (6, 4)), COLOR),
    **{f'bayer_{p}8': (bayer(p), COLOR) for p in ('rggb', 'bggr', 'gbrg', 'grbg')},
    **{f'bayer_{p}16': (256 * bayer(p) + 99, COLOR) for p in ('rggb', 'bggr', 'gbrg', 'grbg')},
}


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('is_bigendian', [False, True])
@pytest.mark.parametrize('encoding', RAW_ENCODINGS)
def test_every_encoding_gives_the_true_colour_whatever_its_padding_and_byte_order(
    encoding, is_bigendian, padding
):
    values, expected = FLAT_IMAGES[encoding]
    kind = ('>u2' if is_bigendian else '<u2') if encoding.endswith('16') else 'u1'
    rows = np.ascontiguousarray(values.reshape(6, -1).astype(kind)).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)

    rgb = rgb_from_raw(rows.tobytes(), 8, 6, rows.shape[1], encoding, is_bigendian)

    assert rgb.shape == (6, 8, 3)
    tolerance = 2 if encoding.startswith(('yu', 'uy')) else 0
    assert np.abs(rgb.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize(
    ('width', 'height', 'step', 'count', 'encoding'),
    [
        (8, 6, 24, 6 * 24 - 1, 'rgb8'),
        (8, 6, 24, 6 * 24 + 1, 'rgb8'),
        (8, 6, 23, 6 * 23, 'rgb8'),
        (8, 6, 24, 0, 'rgb8'),
        (0, 0, 0, 0, 'rgb8'),
        (2**31, 2**31, 24, 144, 'rgb8'),
        (7, 6, 14, 84, 'yuv422'),
        (1, 6, 1, 6, 'bayer_rggb8'),
        (8, 6, 32, 192, '32FC1'),
        (8, 6, 24, 144, ''),
    ],
)
def test_a_malformed_image_is_refused(width, height, step, count, encoding):
    with pytest.raises(UnsupportedImage):
        rgb_from_raw(bytes(count), width, height, step, encoding, False)


def encoded(image, kind='PNG', **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def test_grey_transparent_palette_and_16_bit_files_become_rgb():
    color = Image.new('RGB', (4, 3), COLOR)
    grey16 = Image.fromarray(np.full((3, 4), 256 * GREY + 99, np.uint16))
    cases = [
        (encoded(color), COLOR),
        (encoded(color.convert('RGBA')), COLOR),
        (encoded(color.quantize(4)), COLOR),
        (encoded(Image.new('L', (4, 3), GREY)), (GREY,) * 3),
        (encoded(grey16), (GREY,) * 3),
    ]
    for file, expected in cases:
        rgb = rgb_from_encoded(file)
        assert rgb.shape == (3, 4, 3)
        assert rgb.dtype == np.uint8
        assert (rgb == expected).all()


def test_exif_orientation_turns_the_image_upright():
    # Orientation 6: the camera was held so that the first row is the right side.
    image = Image.new('RGB', (4, 2), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 4, 1))
    exif = Image.Exif()
    exif[0x0112] = 6

    rgb, orientation = upright_rgb(encoded(image, exif=exif))

    assert rgb.shape == (4, 2, 3)
    assert (rgb[:, 1] == 0).all()
    assert (rgb[:, 0] == 255).all()
    assert orientation == 6
    # An image of a message stays as the sensor has it, like its calibration.
    assert rgb_from_encoded(encoded(image, exif=exif)).shape == (2, 4, 3)


def test_truncated_and_foreign_files_are_refused():
    good = encoded(Image.new('RGB', (64, 64), COLOR), 'JPEG').getvalue()
    for content in (b'', b'hello', good[: len(good) // 2]):
        with pytest.raises(UnsupportedImage, match='not a readable image'):
            rgb_from_encoded(io.BytesIO(content))


def test_a_small_file_that_claims_a_huge_image_is_refused_before_it_is_decoded():
    def chunk(name, content):
        crc = zlib.crc32(name + content)
        return struct.pack('>I', len(content)) + name + content + struct.pack('>I', crc)

    header = struct.pack('>IIBBBBB', 9_200, 9_200, 8, 2, 0, 0, 0)
    bomb = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(b''))

    with pytest.raises(UnsupportedImage, match='too large'):
        rgb_from_encoded(io.BytesIO(bomb))


@pytest.mark.parametrize(
    ('values', 'low', 'high'),
    [
        (np.arange(0, 65536), 0, 65535),
        (np.arange(0, 4096), 0, 4095),  # a camera of 12 bits
        (np.arange(0, 16384), 0, 16383),
        (np.arange(7000, 7401), 6900, 7500),  # thermal: a quarter more on each side
        (np.zeros(100), 0, 65535),
    ],
)
def test_the_range_of_16_bit_images_is_that_of_their_camera(values, low, high):
    fitted = fitted_range([values.astype(np.uint16)])

    assert abs(fitted.low - low) <= 1
    assert abs(fitted.high - high) <= 1


def test_a_range_scales_linearly_and_clips():
    values = np.array([90, 100, 150, 200, 300], np.uint16)

    assert ValueRange(100, 200).to_8_bit(values).tolist() == [0, 0, 128, 255, 255]


def test_the_range_of_a_live_camera_widens_and_settles():
    growing = GrowingRange()
    black = np.zeros((8, 8), np.uint16)
    dim, bright = (np.linspace(0, top, 64).astype(np.uint16) for top in (500, 4000))

    assert growing.of(black) == ValueRange()
    found = [growing.of(values) for values in (dim, bright, dim, black)]

    assert found == [ValueRange(0, 511), *[ValueRange(0, 4095)] * 3]
    warm, warmer = (np.linspace(low, low + 400, 64).astype(np.uint16) for low in (7000, 7300))
    thermal = GrowingRange()
    first = thermal.of(warm)
    both = thermal.of(warmer)
    assert (first.low, both.low) == (thermal.of(warm).low, first.low)
    assert both.high > first.high


def test_a_damaged_file_is_one_image_whatever_the_decoder_raises():
    written = io.BytesIO()
    Image.fromarray(np.full((6, 8), 7, np.uint8)).save(written, 'TIFF')
    data = bytearray(written.getvalue())
    (first,) = struct.unpack_from('<I', data, 4)
    (entries,) = struct.unpack_from('<H', data, first)
    # A second image without any entry: Pillow misses its size, a TypeError.
    struct.pack_into('<I', data, first + 2 + 12 * entries, len(data))
    damaged = bytes(data) + bytes(6)

    with pytest.raises(TypeError), Image.open(io.BytesIO(damaged)) as image:
        image.n_frames  # noqa: B018
    assert images_in(io.BytesIO(damaged)) == 1
    assert (rgb_from_encoded(io.BytesIO(damaged)) == 7).all()
