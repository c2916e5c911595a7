# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The network alone as the front end: what the published demo does."""

import numpy as np
import pytest
import torch

from ttt3r_ros.geometry import invert
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model.predictor import Predictor, random_network
from ttt3r_ros.settings import AS_PUBLISHED, changed, MappingSettings
from ttt3r_ros.tracking.guard import RefusedImage
from ttt3r_ros.tracking.observation import Observation

MOUNT = np.array([[0.0, 0, 1, 0.1], [-1, 0, 0, 0], [0, -1, 0, 0.8], [0, 0, 0, 1]])


@pytest.fixture(scope='module')
def predictor():
    return Predictor(random_network(torch.device('cpu'), 'strict'))


@pytest.fixture(scope='module')
def images():
    rng = np.random.default_rng(5)
    return [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(5)]


def mapped(predictor, images, settings, **more):
    mapper = Mapper(predictor, settings)
    found = []
    for number, rgb in enumerate(images):
        found.append(mapper.observe(Observation(rgb, number * 10**8, **more)))
        mapper.integrate()
    return mapper, found


def test_the_poses_are_those_of_the_network_step_after_step(predictor, images):
    state, poses = predictor.initial_state(), []
    for rgb in images:
        prediction, state = predictor.step(rgb, state)
        poses.append(prediction.world_T_camera)

    mapper, found = mapped(predictor, images, changed(MappingSettings(), AS_PUBLISHED))

    start = found[0].map_T_camera
    for frame, pose in zip(found, poses):
        expected = start @ invert(poses[0]) @ pose
        np.testing.assert_allclose(frame.map_T_camera, expected, atol=1e-9)
        assert frame.tracked.pose.by == 'network'
        assert frame.scale == pytest.approx(1.0, abs=1e-9)
    assert len(mapper.key_frames().map_T_camera) == 1
    last = mapper.trail.trajectory().poses[-1]
    np.testing.assert_allclose(last, found[-1].map_T_camera, atol=1e-9)


def test_mount_and_wheels_do_not_change_the_motion(predictor, images):
    settings = changed(MappingSettings(), AS_PUBLISHED)
    _, alone = mapped(predictor, images, settings)
    _, mounted = mapped(predictor, images, settings, base_T_camera=MOUNT)

    for one, other in zip(alone, mounted):
        np.testing.assert_allclose(
            invert(alone[0].map_T_camera) @ one.map_T_camera,
            invert(mounted[0].map_T_camera) @ other.map_T_camera,
            atol=1e-9,
        )


def test_the_guard_is_a_setting(predictor):
    black = np.zeros((48, 64, 3), np.uint8)

    Mapper(predictor, changed(MappingSettings(), {'tracking.guard': False})).observe(
        Observation(black, 0)
    )
    with pytest.raises(RefusedImage):
        Mapper(predictor, MappingSettings()).observe(Observation(black, 0))
