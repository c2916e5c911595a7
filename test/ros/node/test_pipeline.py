# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from ttt3r_ros.node.pipeline import Pipeline
from ttt3r_ros.settings import MappingSettings

WIDTH, HEIGHT = 64, 48
NODE = SimpleNamespace(
    map_frame='map',
    odom_frame='',
    base_frame='',
    camera_optical_frame='',
    publish_odom_to_base_tf=False,
    publish_map_to_odom_tf=False,
    odometry_scale='report',
    require_camera_info=False,
    tf_timeout=0.0,
)
IMAGE = SimpleNamespace(
    decode=lambda: np.zeros((HEIGHT, WIDTH, 3), np.uint8),
    intrinsics=lambda width, height: None,
    frame_id='camera',
    stamp_ns=1,
    arrived=0.0,
)


@pytest.fixture
def pipeline(session):
    settings = SimpleNamespace(mapping=MappingSettings(), node=NODE)
    surroundings = [Mock() for _ in range(4)]
    pipeline = Pipeline(lambda _: session.mapper, lambda: settings, *surroundings)
    pipeline.load()
    return pipeline


def test_a_due_segment_begins_when_the_cloud_is_out(pipeline):
    mapper, at_publishing = pipeline.session.mapper, []

    def publish(*_):
        mapper.start_segment()
        at_publishing.append(mapper.snapshot().segment.number)

    pipeline._outputs.publish = publish

    pipeline.process(IMAGE)

    assert at_publishing == [0]
    assert mapper.snapshot().segment.number == 1


@pytest.mark.parametrize('moment', ['add_frame', 'begin_due_segment'])
def test_a_device_without_memory_is_reported_whenever_it_runs_out(pipeline, monkeypatch, moment):
    monkeypatch.setattr(
        pipeline.session.mapper, moment, Mock(side_effect=torch.OutOfMemoryError('full'))
    )

    pipeline.process(IMAGE)

    (cause, advice), _ = pipeline._reporter.drop.call_args
    assert cause == 'out of memory'
    assert 'precision:=int8' in advice
