# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Images and numbers as bytes: what comes back, and what is refused."""

import io
import struct
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.model.predictor import HostPrediction
from ttt3r_ros.serving import messages
from ttt3r_ros.serving.codec import (
    BadMessage,
    decode_image,
    decode_numbers,
    encode_image,
    encode_numbers,
    Transfer,
)
from ttt3r_ros.serving.messages import StepOrder

COMPACT, EXACT = Transfer.COMPACT, Transfer.EXACT
FEW = settings(max_examples=60, deadline=None)


def smooth(height=32, width=48):
    """Return what a pointmap is like: planes with a step and little noise."""
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    z = 2 + 0.01 * u + (v > height // 2) + np.random.default_rng(0).normal(0, 1e-3, u.shape)
    return np.stack([z * (u - 24) / 40, z * (v - 16) / 40, z, 1 + 3 / z]).astype(np.float32)


def test_exact_numbers_keep_every_bit():
    planes = smooth()
    planes[0, :3, 0] = np.nan, np.inf, -0.0
    content = encode_numbers(planes, EXACT)
    found = decode_numbers(content, EXACT, planes.shape)
    np.testing.assert_array_equal(found.view(np.uint32), planes.view(np.uint32))


def test_compact_numbers_are_those_of_float16_in_an_eighth_of_the_bytes():
    planes = smooth(160, 224)
    content = encode_numbers(planes, COMPACT)
    np.testing.assert_array_equal(
        decode_numbers(content, COMPACT, planes.shape),
        planes.astype(np.float16).astype(np.float32),
    )
    assert len(content) < planes.nbytes / 8


def test_what_is_not_finite_does_not_become_finite_and_the_other_way_round():
    planes = np.array([[[np.nan, np.inf, -np.inf, 1e6, -1e6]]], np.float32)
    found = decode_numbers(encode_numbers(planes, COMPACT), COMPACT, planes.shape)
    np.testing.assert_array_equal(found, [[[np.nan, np.inf, -np.inf, 65504, -65504]]])


def test_an_image_is_exact_or_off_by_little():
    u, v = np.meshgrid(np.arange(64), np.arange(48))
    rgb = np.stack([2 * u, 3 * v, u + v], axis=-1).astype(np.uint8)
    exact = decode_image(encode_image(rgb, EXACT), EXACT, 48, 64)
    np.testing.assert_array_equal(exact, rgb)
    off = decode_image(encode_image(rgb, COMPACT), COMPACT, 48, 64).astype(int) - rgb
    assert np.abs(off).mean() < 1.5


def test_numbers_that_unpack_to_gigabytes_are_refused_unpacked():
    bomb = zlib.compress(bytes(50_000_000))
    with pytest.raises(BadMessage, match='bytes of numbers'):
        decode_numbers(zlib.compress(b'short'), EXACT, (4, 16, 16))
    assert decode_numbers(bomb, EXACT, (4, 16, 16)).sum() == 0  # and no more was unpacked


@pytest.mark.parametrize(
    ('height', 'width', 'form', 'mode'),
    [
        (2048, 2048, 'PNG', 'RGB'),
        (48, 65, 'PNG', 'RGB'),
        (48, 64, 'PNG', 'RGBA'),
        (48, 64, 'GIF', 'P'),
    ],
)
def test_an_image_of_another_size_or_kind_is_not_decoded(height, width, form, mode):
    file = io.BytesIO()
    Image.new(mode, (width, height)).save(file, form)
    with pytest.raises(BadMessage):
        decode_image(file.getvalue(), EXACT, 48, 64)


def order(**changes):
    rgb = np.zeros((48, 64, 3), np.uint8)
    return StepOrder(
        **{
            'state': 4,
            'becomes': 5,
            'write': True,
            'transfer': EXACT,
            'released': (2, 3),
            'rgb': rgb,
            **changes,
        }
    )


def test_a_step_comes_as_it_was_sent():
    found = messages.read_step(order().packed(), 16, 64)
    np.testing.assert_array_equal(found.rgb, order().rgb)
    assert (found.state, found.becomes, found.write, found.released) == (4, 5, True, (2, 3))


@pytest.mark.parametrize(
    'changes',
    [
        {'becomes': 0},
        {'rgb': np.zeros((48, 72, 3), np.uint8)},
        {'rgb': np.zeros((48, 80, 3), np.uint8)},
    ],
)
def test_a_step_of_a_wrong_number_or_size_is_refused(changes):
    with pytest.raises(BadMessage):
        messages.read_step(order(**changes).packed(), 16, 64)


def prediction():
    points = np.moveaxis(smooth(48, 64)[:3], 0, -1)
    return HostPrediction(points, points[..., 2], np.eye(4), np.ones(20, np.float32))


GENUINE = {
    'step': order().packed(),
    'result': messages.pack_result(prediction(), COMPACT),
    'number': messages.pack_number(7),
}
READERS = {
    'step': lambda message: messages.read_step(message, 16, 64),
    'result': lambda message: messages.read_result(message, 48, 64),
    'number': messages.read_number,
    'offer': messages.read_offer,
    'state': messages.read_state,
}


@FEW
@given(name=st.sampled_from(sorted(READERS)), message=st.binary(max_size=300))
def test_random_bytes_are_refused_in_one_way(name, message):
    if name == 'number' and len(message) == messages.NUMBER_BYTES:
        return
    with pytest.raises(BadMessage):
        READERS[name](message)


@FEW
@given(
    name=st.sampled_from(sorted(GENUINE)),
    place=st.integers(0, 2**16),
    value=st.integers(0, 255),
    cut=st.integers(0, 2**16),
)
def test_a_message_with_a_changed_byte_or_end_is_read_or_refused(name, place, value, cut):
    message = bytearray(GENUINE[name])
    message[place % min(len(message), 200)] = value
    for changed in (bytes(message), bytes(message[: cut % len(message)])):
        try:
            READERS[name](changed)
        except BadMessage:
            continue


def test_lengths_without_end_are_refused_before_memory_is_taken():
    huge = struct.pack('<Q', 2**62)
    with pytest.raises(BadMessage):
        messages.read_state(huge + b'{}')
    head = b'{"tokens":{"dtype":"F32","shape":[4000000000,4000000000],"data_offsets":[0,64]}}'
    with pytest.raises(BadMessage):
        messages.read_state(struct.pack('<Q', len(head)) + head + bytes(64))
    with pytest.raises(BadMessage):
        messages.read_offer(b'[' * 100_000)
