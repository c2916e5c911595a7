# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The precision is that which is fastest on this processor, measured once."""

from dataclasses import replace

import pytest
import torch

from ttt3r_ros.model import Architecture, precision
from ttt3r_ros.model.precision import choose_precision, step_times

CPU = torch.device('cpu')
WIDE = Architecture.published_512()


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Cache into a folder of this test, and measure what `measured.times` says."""

    class Measured:
        def __init__(self):
            self.times = {'strict': 100.0, 'fast': 50.0}
            self.count = 0
            self.folder = tmp_path / 'cache'

        def __call__(self, architecture):
            self.count += 1
            return self.times

    fake = Measured()
    monkeypatch.setenv('XDG_CACHE_HOME', str(fake.folder))
    monkeypatch.setattr(precision, 'step_times', fake)
    return fake


@pytest.mark.parametrize(
    ('strict', 'fast', 'auto', 'int8'),
    [
        (100.0, 50.0, 'fast', 'int8'),
        (100.0, 180.0, 'strict', 'int8_float32'),
        (100.0, 95.0, 'strict', 'int8_float32'),  # float32 is the more exact
    ],
)
def test_bfloat16_is_used_where_it_is_the_faster(measured, strict, fast, auto, int8):
    measured.times = {'strict': strict, 'fast': fast}

    assert choose_precision('auto', CPU, WIDE) == auto
    assert choose_precision('int8', CPU, WIDE) == int8
    assert choose_precision('fast', CPU, WIDE) == 'fast'
    assert choose_precision('strict', CPU, WIDE) == 'strict'


def test_openvino_computes_in_float32_what_is_not_int8(measured):
    assert choose_precision('int8', CPU, WIDE, 'openvino') == 'int8_float32'
    assert choose_precision('int8', CPU, WIDE, 'torch') == 'int8'
    assert measured.count == 1


def test_it_is_measured_once_for_each_processor_network_and_number_of_threads(
    measured, monkeypatch
):
    for _ in range(2):
        choose_precision('auto', CPU, WIDE)
    assert measured.count == 1

    choose_precision('auto', CPU, Architecture.published_224())
    assert measured.count == 2

    monkeypatch.setattr(torch, 'get_num_threads', lambda: 77)
    choose_precision('auto', CPU, WIDE)
    assert measured.count == 3

    monkeypatch.setattr(precision, 'processor', lambda: 'another')
    choose_precision('auto', CPU, WIDE)
    assert measured.count == 4


@pytest.mark.parametrize('content', ['', '[]', '{"a": 1}', '{"a": {"strict": "x"}}'])
def test_a_damaged_cache_is_measured_anew(measured, content):
    path = measured.folder / 'ttt3r_ros' / 'precision.json'
    path.parent.mkdir(parents=True)
    path.write_text(content)

    assert choose_precision('auto', CPU, WIDE) == 'fast'
    assert choose_precision('auto', CPU, WIDE) == 'fast'
    assert measured.count == 1


def test_a_cache_that_cannot_be_written_is_no_error(measured):
    measured.folder.write_text('a file where the folder would be')

    assert choose_precision('auto', CPU, WIDE) == 'fast'


def test_narrow_networks_are_not_measured(measured):
    assert choose_precision('auto', CPU, Architecture.small()) == 'strict'
    assert choose_precision('int8', CPU, Architecture.small()) == 'int8_float32'
    assert measured.count == 0


@pytest.mark.parametrize(
    ('capability', 'auto', 'fast', 'int8'),
    [
        ((9, 0), 'fast', 'fast', 'int8'),  # H100
        ((8, 7), 'fast', 'fast', 'int8'),  # Jetson Orin
        ((7, 5), 'fast_float16', 'fast_float16', 'int8_float16'),  # Turing
        ((7, 2), 'fast_float16', 'fast_float16', 'int8_float16'),  # Jetson Xavier
        ((6, 1), 'strict', 'fast', 'int8_float32'),  # Pascal multiplies float16 slowest of all
    ],
)
def test_a_gpu_computes_in_what_its_hardware_multiplies(monkeypatch, capability, auto, fast, int8):
    """Where bfloat16 is not in the hardware torch emulates it, which it calls supported."""
    asked = []
    monkeypatch.setattr(
        torch.cuda, 'get_device_capability', lambda device: asked.append(device) or capability
    )

    second = torch.device('cuda', 1)
    assert choose_precision('auto', second, WIDE) == auto
    assert choose_precision('fast', second, WIDE) == fast
    assert choose_precision('int8', second, WIDE) == int8
    assert choose_precision('strict', second, WIDE) == 'strict'
    assert set(asked) == {second}


def test_a_step_is_timed_in_both_precisions():
    times = step_times(replace(Architecture.tiny(), encoder_depth=24))

    assert set(times) == {'strict', 'fast'}
    assert all(milliseconds > 0 for milliseconds in times.values())
