# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace
import io

import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.geometry import IDENTITY
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.mapping.world_map import MapImage, WorldMap
from ttt3r_ros.settings import MappingSettings
from ttt3r_ros.tools.preview import draw_preview, seen_from_above
from ttt3r_ros.tools.run_record import RunRecord, SAMPLES
from ttt3r_ros.trajectory import Trajectory


def test_the_numbers_are_those_of_the_frames(located_frame):
    record = RunRecord()
    for i in range(5):
        located = located_frame(i, segment=i // 3, focal_px=500.0 + i)
        record.add(located, latency_s=0.010 * (i + 1))

    assert len(record) == 5
    assert record.segments == 2
    assert record.lost == 0
    assert record.focal_px() == 502.0
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
        'a title',
        world_map.voxels.points(),
        Trajectory(np.array([0]), IDENTITY[None]),
        record.samples,
        0.05,
    )

    file.seek(0)
    assert Image.open(file).width > 1000


def test_the_preview_shows_the_highest_point_in_its_true_colour_and_place():
    # A blue floor with a green box on it, seen at 5 cm a pixel; the red ceiling is left out.
    x, y = np.meshgrid(np.arange(0, 2, 0.05), np.arange(0, 1, 0.05))
    floor = np.stack([x, y, np.full_like(x, -1)], axis=-1).reshape(-1, 3)
    box = floor[(floor[:, 0] < 0.5)] + [0, 0, 0.7]
    ceiling = floor + [0, 0, 3]
    cloud = VoxelCloud(
        np.concatenate([ceiling, box, floor]).astype(np.float32),
        np.repeat([[255, 0, 0], [0, 255, 0], [0, 0, 255]], [len(floor), len(box), len(floor)], 0),
        np.ones(2 * len(floor) + len(box), np.float32),
    )

    picture = seen_from_above(cloud, np.array([-0.025, -0.025]), np.array([2, 1]), 0.05, 0.3)

    assert picture.shape == (21, 41, 4)
    seen = picture[:20, :40, :3]
    assert (seen[:, :10] == [0, 255, 0]).all()
    assert (seen[:, 10:] == [0, 0, 255]).all()
    assert not picture[20:, :, 3].any()
