# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the training asks the network to get right."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
import torch

from training.batch import Batch
from training.losses import (
    LossWeights,
    matrix_to_quaternion,
    quaternion_to_matrix,
    sequence_loss,
    SequencePrediction,
)
from ttt3r_ros.intrinsics import CameraIntrinsics


@pytest.fixture
def batch():
    rng = np.random.default_rng(1)
    poses = np.tile(np.eye(4), (2, 3, 1, 1))
    poses[..., :3, :3] = (
        Rotation.from_rotvec(rng.normal(0, 0.3, (6, 3))).as_matrix().reshape(2, 3, 3, 3)
    )
    poses[..., :3, 3] = rng.normal(0, 0.5, (2, 3, 3))
    rays = np.stack([CameraIntrinsics.from_field_of_view(32, 16, 70).rays()] * 2)
    return Batch(
        images=torch.zeros(2, 3, 3, 16, 32),
        depth=torch.from_numpy(rng.uniform(1, 3, (2, 3, 16, 32)).astype(np.float32)),
        rays=torch.from_numpy(rays),
        first_T_camera=torch.from_numpy(poses.astype(np.float32)),
        intrinsics=torch.ones(2, 4),
    )


@pytest.fixture
def truth(batch):
    """Return the prediction that is exactly right."""
    rotation = batch.first_T_camera[..., :3, :3].numpy().reshape(-1, 3, 3)
    quaternion = Rotation.from_matrix(rotation).as_quat().reshape(2, 3, 4).astype(np.float32)
    return SequencePrediction(
        dense=[0, 2],
        points=batch.points[:, [0, 2]],
        confidence=torch.full((2, 2, 16, 32), 2.0),
        translation=batch.first_T_camera[..., :3, 3],
        quaternion_xyzw=torch.from_numpy(quaternion),
        flow=torch.zeros(2, 3, 2, 4, 8, 2),
        match=torch.tensor(0.0),
    )


FLOW = (torch.zeros(2, 3, 2, 4, 8, 2), torch.ones(2, 3, 2, 4, 8, dtype=torch.bool))


def test_the_truth_costs_nothing_but_the_reward_of_its_confidence(batch, truth):
    total, parts = sequence_loss(truth, batch, FLOW, LossWeights())

    for name in ('world_points', 'translation', 'rotation', 'flow', 'depth_error'):
        assert parts[name] < 1e-5, name
    assert total.item() == pytest.approx(-0.6 * np.log(2.0), abs=1e-3)


@pytest.mark.parametrize('match', [-3.0, 3.0])
def test_a_gate_that_drifts_open_or_shut_costs(batch, truth, match):
    weights = LossWeights(match=0.5)
    level, _ = sequence_loss(truth, batch, FLOW, weights)

    drifted, parts = sequence_loss(replace(truth, match=torch.tensor(match)), batch, FLOW, weights)

    assert parts['match'] == pytest.approx(9.0, abs=1e-5)
    assert (drifted - level).item() == pytest.approx(4.5, abs=1e-4)


def test_a_quaternion_and_its_negative_cost_the_same(batch, truth):
    turned = replace(truth, quaternion_xyzw=-truth.quaternion_xyzw)

    assert sequence_loss(turned, batch, FLOW, LossWeights())[1]['rotation'] < 1e-5


def test_a_translation_off_by_a_tenth_of_the_mean_depth_costs_a_tenth(batch, truth):
    step = 0.1 * batch.depth.mean(dim=(1, 2, 3))[:, None]
    shifted = truth.translation.clone()
    shifted[..., 1] += step

    _, parts = sequence_loss(replace(truth, translation=shifted), batch, FLOW, LossWeights())

    assert parts['translation'].item() == pytest.approx(0.1, abs=1e-5)
    # The points in the first camera are off by the same, weighed by a confidence of 2.
    assert parts['world_points'].item() == pytest.approx(0.2, abs=1e-4)


def test_a_masked_flow_costs_nothing(batch, truth):
    wrong = replace(truth, flow=torch.full_like(truth.flow, 5.0))
    nowhere = torch.zeros_like(FLOW[1])

    assert sequence_loss(wrong, batch, (FLOW[0], nowhere), LossWeights())[1]['flow'] == 0
    everywhere = sequence_loss(wrong, batch, FLOW, LossWeights())[1]['flow']
    assert everywhere.item() == pytest.approx(np.sqrt(50.0 + 0.25) - 0.5, abs=1e-5)


def test_quaternions_agree_with_scipy():
    turns = Rotation.from_rotvec(np.random.default_rng(0).normal(0, 0.8, (50, 3)))
    quaternions = torch.from_numpy(turns.as_quat())
    matrices = torch.from_numpy(turns.as_matrix())

    np.testing.assert_allclose(quaternion_to_matrix(quaternions), matrices, atol=1e-12)
    signs = np.sign(turns.as_quat()[:, 3:])
    np.testing.assert_allclose(matrix_to_quaternion(matrices), signs * turns.as_quat(), atol=1e-9)
