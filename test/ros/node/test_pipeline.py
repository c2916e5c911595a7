# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from ttt3r_ros.node.pipeline import Pipeline
from ttt3r_ros.settings import InputSettings, MappingSettings, TransformSettings

WIDTH, HEIGHT = 64, 48
NODE = SimpleNamespace(
    map_frame='map',
    odom_frame='',
    base_frame='',
    camera_optical_frame='',
    publish_odom_to_base_tf=False,
    publish_map_to_odom_tf=False,
    inputs=InputSettings(),
    tf=TransformSettings(timeout=0.0),
)
IMAGE = SimpleNamespace(
    decode=lambda: np.zeros((HEIGHT, WIDTH, 3), np.uint8),
    intrinsics=lambda width, height: None,
    frame_id='camera',
    stamp_ns=1,
    arrived=0.0,
)


@pytest.fixture
def pipeline(mapper):
    settings = SimpleNamespace(mapping=MappingSettings(), node=NODE)
    surroundings = [Mock() for _ in range(4)]
    pipeline = Pipeline(lambda _: mapper, lambda: settings, *surroundings)
    pipeline.load()
    return pipeline


def test_an_image_is_published_before_it_is_integrated(pipeline):
    mapper, at_publishing = pipeline.mapper, []
    pipeline._outputs.publish = lambda *_: at_publishing.append(len(mapper.map.voxels))

    pipeline.process(IMAGE)

    assert at_publishing == [0]
    assert len(mapper.map.voxels) > 0


def test_an_image_under_way_at_a_reset_is_not_published(pipeline, monkeypatch):
    observe = pipeline.mapper.observe

    def reset_meanwhile(seen):
        pipeline.begin_epoch()
        return observe(seen)

    monkeypatch.setattr(pipeline.mapper, 'observe', reset_meanwhile)

    pipeline.process(IMAGE)

    pipeline._outputs.publish.assert_not_called()
    np.testing.assert_array_equal(pipeline.map_T_odom, np.eye(4))


@pytest.mark.parametrize('moment', ['observe', 'integrate'])
def test_a_device_without_memory_is_reported_whenever_it_runs_out(pipeline, monkeypatch, moment):
    error = torch.OutOfMemoryError('full')
    monkeypatch.setattr(pipeline.mapper, moment, Mock(side_effect=error))

    pipeline.process(IMAGE)

    (cause, advice), _ = pipeline._reporter.drop.call_args
    assert cause == 'out of memory'
    assert 'model.precision to int8' in advice
