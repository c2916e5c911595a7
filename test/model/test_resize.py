# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
from PIL import Image
import pytest
import torch

from ttt3r_ros.model.resize import DeviceResize, resize_on_host, resize_with_pillow

SIZES = [
    ((640, 480), (512, 384)),
    ((640, 480), (128, 96)),
    ((100, 75), (128, 96)),
    ((127, 61), (64, 31)),
    ((60, 240), (32, 128)),
    ((480, 640), (96, 128)),
]


def pictures(width, height):
    rng = np.random.default_rng(width)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    checks = np.indices((height, width)).sum(0) % 2 * 255
    return noise, np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize(('before', 'after'), SIZES)
def test_a_device_resizes_as_pillow_does(before, after):
    smooth = Image.Resampling.LANCZOS if max(before) > max(after) else Image.Resampling.BICUBIC
    resize = DeviceResize(torch.device('cpu'))

    for rgb in pictures(*before):
        expected = np.asarray(Image.fromarray(rgb).resize(after, smooth)).astype(int)
        resized = resize(rgb, after)

        assert resized.shape == expected.shape
        assert resized.dtype == np.uint8
        apart = np.abs(resized - expected)
        assert apart.max() <= 1
        assert (apart > 0).mean() < 1e-3


@pytest.mark.parametrize(('before', 'after'), SIZES)
def test_the_host_resizes_as_pillow_does(before, after):
    for rgb in pictures(*before):
        apart = np.abs(resize_on_host(rgb, after).astype(int) - resize_with_pillow(rgb, after))
        assert apart.max() <= 2
        assert (apart > 1).mean() < 1e-4
    # A grey that lies between two levels is rounded either way in the squares, not in noise.
    noise, _ = pictures(*before)
    assert (resize_on_host(noise, after) != resize_with_pillow(noise, after)).mean() < 0.01


@pytest.mark.filterwarnings('error')
def test_pixels_that_are_read_only_or_backwards_are_resized_too():
    rgb, _ = pictures(640, 480)
    expected = resize_on_host(rgb, (128, 96))
    frozen = rgb.copy()
    frozen.setflags(write=False)
    backwards = np.ascontiguousarray(rgb[:, ::-1, ::-1])[:, ::-1, ::-1]

    for same in (frozen, backwards):
        np.testing.assert_array_equal(resize_on_host(same, (128, 96)), expected)


@pytest.mark.filterwarnings('error')
def test_a_device_takes_pixels_that_are_read_only_or_backwards():
    rgb, _ = pictures(640, 480)
    resize = DeviceResize(torch.device('cpu'))
    expected = resize(rgb, (128, 96))
    frozen = rgb.copy()
    frozen.setflags(write=False)
    backwards = np.ascontiguousarray(rgb[:, ::-1, ::-1])[:, ::-1, ::-1]

    for same in (frozen, backwards):
        np.testing.assert_array_equal(resize(same, (128, 96)), expected)


@pytest.mark.gpu
@pytest.mark.parametrize(('before', 'after'), SIZES)
def test_cuda_resizes_as_the_host_does(before, after):
    for rgb in pictures(*before):
        apart = np.abs(
            DeviceResize(torch.device('cuda'))(rgb, after).astype(int) - resize_on_host(rgb, after)
        )
        assert apart.max() <= 1
        assert (apart > 0).mean() < 1e-3
