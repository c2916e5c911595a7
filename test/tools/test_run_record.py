# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace
import io

import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.geometry import IDENTITY, transform
from ttt3r_ros.mapping.world_map import MapImage, WorldMap
from ttt3r_ros.settings import MappingSettings
from ttt3r_ros.tools.captions import Caption
from ttt3r_ros.tools.preview import (
    chosen_samples,
    draw_preview,
    MARGIN,
    Sheet,
    STRIP,
    strip_height,
    truth_text,
    with_truth,
)
from ttt3r_ros.tools.run_record import RunRecord, Sample, SAMPLES
from ttt3r_ros.trajectory import Trajectory


def test_the_numbers_are_those_of_the_frames(located_frame):
    record = RunRecord()
    for i in range(5):
        located = located_frame(i, segment=i // 3, focal_px=500.0 + i)
        record.add(located, latency_s=0.010 * (i + 1))

    assert len(record) == 5
    assert record.segments == 2
    assert record.lost == 0
    assert record.focal_px() == pytest.approx(502.0, abs=1e-9)
    assert record.latency_ms()['p50'] == pytest.approx(30.0, abs=1e-9)
    assert record.latency_ms()['max'] == pytest.approx(50.0, abs=1e-9)


def test_the_frames_without_a_place_in_the_map_are_counted(located_frame):
    record = RunRecord()
    for in_map in (True, False, False, True, False):
        record.add(replace(located_frame(), in_map=in_map), 0.0)

    assert record.lost == 3


@pytest.mark.parametrize('count', [1, 7, 100, 1000])
def test_the_samples_stay_few_and_cover_the_whole_run(located_frame, count):
    record = RunRecord()
    for i in range(count):
        record.add(located_frame(i), 0.0)

    indices = [sample.index for sample in record.samples]

    assert min(count, SAMPLES) <= len(indices) < 2 * SAMPLES
    assert indices[0] == 0
    assert len(set(np.diff(indices))) <= 1
    assert count - indices[-1] <= max(1, count / SAMPLES)


def test_a_long_headline_is_written_smaller_instead_of_cut_off():
    width = 600
    sheet = Sheet(width, 100)

    sheet.write(Caption('of many words ' * 8, 'of few'))

    headline, details = sheet.figure.texts
    assert headline.get_window_extent().x1 <= width - MARGIN + 2
    assert details.get_fontsize() == 9


@pytest.mark.parametrize('empty', [False, True])
def test_the_preview_draws_a_map_and_also_an_empty_one(located_frame, empty):
    record, world_map = RunRecord(), WorldMap(MappingSettings())
    points = np.random.default_rng(0).uniform([-2, -1, 1], [2, 1, 4], (30, 40, 3))
    located = located_frame(0, points=points, confidence=1.0 if empty else 5.0)
    record.add(located, 0.0)
    world_map.add(MapImage.of(located))
    file = io.BytesIO()

    draw_preview(
        file,
        Caption('a $headline', 'details', 'a warning'),
        world_map.voxels.points(),
        Trajectory(np.array([0]), IDENTITY[None]),
        record.samples,
        0.05,
        truth=None if empty else Trajectory(np.array([0]), IDENTITY[None]),
    )

    file.seek(0)
    assert Image.open(file).width > 1000


@pytest.mark.parametrize('shape', [(192, 640), (480, 640), (640, 428), (100, 100)])
def test_a_strip_of_images_of_any_shape_is_full_and_about_equally_high(shape):
    depth = np.ones(shape, np.float32)
    samples = [Sample(n, n, np.zeros((*shape, 3), np.uint8), depth, 0.5) for n in range(15)]

    shown = chosen_samples(samples)

    assert 0.6 * STRIP < strip_height(shown) < 1.4 * STRIP
    assert (shown[0], shown[-1]) == (samples[0], samples[-1])
    width = len(shown) * strip_height(shown) * shape[1] / shape[0]
    assert 1000 < width < 1260


def test_the_view_of_a_sample_has_the_shape_of_its_image():
    sample = Sample(0, 0, np.zeros((30, 60, 3), np.uint8), np.zeros((30, 60), np.float32), 0.8)

    assert sample.tangents() == pytest.approx((0.8, 0.4), abs=1e-12)


def test_a_true_path_is_drawn_and_one_of_another_unit_leaves_the_map_readable():
    low, high = np.zeros(2), np.full(2, 2.0)
    near, far = (
        Trajectory(np.arange(2), np.stack([np.eye(4), transform(np.eye(3), [x, 0.0, 0.0])]))
        for x in (3.0, 1000.0)
    )

    assert [side.tolist() for side in with_truth(low, high, None)] == [[0, 0], [2, 2]]
    assert [side.tolist() for side in with_truth(low, high, near)] == [[-0.12, -0.12], [3.12, 2]]
    assert [side.tolist() for side in with_truth(low, high, far)] == [[-0.12, -0.12], [5, 2]]
    limits = [with_truth(low, high, each) for each in (None, near, far)]
    assert [truth_text(*each, truth) for each, truth in zip(limits, (None, near, far))] == [
        '',
        '; black: truth',
        '; black: truth, cut off',
    ]
