# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from ttt3r_ros.node.interface import Cause
from ttt3r_ros.node.pipeline import Arrival, Pipeline
from ttt3r_ros.settings import MappingSettings, NodeSettings
from ttt3r_ros.tracking.observation import Observation

WIDTH, HEIGHT = 64, 48
IMAGE = SimpleNamespace(
    stamp_ns=1, arrived=0.0, base_frame='camera', camera_frame='camera', camera_index=0
)
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
OBSERVATION = Observation(RGB, 1)


@pytest.fixture
def pipeline(mapper):
    settings = SimpleNamespace(mapping=MappingSettings(), node=NodeSettings())
    observer = Mock(observe=Mock(return_value=OBSERVATION))
    outputs, health, reporter = (Mock() for _ in range(3))
    pipeline = Pipeline(
        lambda _: mapper,
        lambda: settings,
        observer,
        outputs,
        health,
        reporter,
        lambda arrival: pipeline.process(arrival),
    )
    pipeline.load()
    return pipeline


def show(pipeline):
    pipeline.follow(Arrival(IMAGE, pipeline.epoch))


def test_an_image_is_published_before_it_is_integrated(pipeline):
    mapper, at_publishing = pipeline.mapper, []
    pipeline._outputs.publish_points = lambda *_: at_publishing.append(len(mapper.map.voxels))

    show(pipeline)

    assert at_publishing == [0]
    assert len(mapper.map.voxels) > 0


@pytest.mark.parametrize('step', ['follow', 'complete'])
def test_an_image_under_way_at_a_reset_is_not_published(pipeline, monkeypatch, step):
    work = getattr(pipeline.mapper, step)

    def reset_meanwhile(image):
        pipeline.begin_epoch()
        return work(image)

    monkeypatch.setattr(pipeline.mapper, step, reset_meanwhile)

    show(pipeline)

    pipeline._outputs.publish_pose.assert_not_called()
    pipeline._outputs.publish_points.assert_not_called()
    np.testing.assert_array_equal(pipeline.map_T_odom, np.eye(4))


@pytest.mark.parametrize('moment', ['follow', 'complete', 'integrate'])
def test_a_device_without_memory_is_reported_whenever_it_runs_out(pipeline, monkeypatch, moment):
    error = torch.OutOfMemoryError('full')
    monkeypatch.setattr(pipeline.mapper, moment, Mock(side_effect=error))

    show(pipeline)

    (cause, advice), _ = pipeline._reporter.drop.call_args
    assert cause is Cause.OUT_OF_MEMORY
    assert 'model.precision to int8' in advice
