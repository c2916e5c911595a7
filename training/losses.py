# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The training losses: points, poses, flow and match."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.batch import Batch

SOFT_FLOW = 0.5  # patches


@dataclass(frozen=True)
class LossWeights:
    """
    Weights of the parts of the loss.

    confidence: alpha of the confidence term; CUT3R's 0.2 is too small for the errors of a small
    network, whose confidence then falls to its minimum. pose: larger than published, where the
    point loss dominates the pose loss. flow: of the auxiliary task; without it the predicted pose
    stays at no motion. match: of the square of the mean match. Softmax cancels that mean, so no
    other term constrains it, and TTT3R's gate, the logistic function of it, would drift to 0 or 1.
    """

    confidence: float = 0.6
    camera_points: float = 1.0
    world_points: float = 0.5
    translation: float = 15.0
    rotation: float = 15.0
    flow: float = 8.0
    match: float = 0.02


@dataclass(frozen=True)
class SequencePrediction:
    """
    The prediction for B sequences of T frames.

    dense: indices of K frames. points: (B, K, H, W, 3), metres, camera frame, and confidence:
    (B, K, H, W), both of the frames `dense`. translation: (B, T, 3), metres, and quaternion_xyzw:
    (B, T, 4) of first_T_camera. flow: (B, T, 2, h, w, 2), patches. match: () mean attention logit
    between state tokens and image tokens.
    """

    dense: list[int]
    points: Tensor
    confidence: Tensor
    translation: Tensor
    quaternion_xyzw: Tensor
    flow: Tensor
    match: Tensor


def quaternion_to_matrix(quaternion_xyzw: Tensor) -> Tensor:
    """
    Convert quaternions to rotation matrices.

    :param quaternion_xyzw: (..., 4), of unit length.
    :returns: (..., 3, 3).
    """
    x, y, z, w = quaternion_xyzw.unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], -1),
        torch.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], -1),
        torch.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)


def matrix_to_quaternion(rotation: Tensor) -> Tensor:
    """
    Convert rotation matrices to quaternions.

    :param rotation: (..., 3, 3), of less than pi radians.
    :returns: (..., 4) unit quaternions x y z w, w > 0.
    """
    w = 0.5 * (1 + rotation.diagonal(dim1=-2, dim2=-1).sum(-1)).clamp_min(1e-6).sqrt()
    axis = torch.stack(
        [
            rotation[..., 2, 1] - rotation[..., 1, 2],
            rotation[..., 0, 2] - rotation[..., 2, 0],
            rotation[..., 1, 0] - rotation[..., 0, 1],
        ],
        dim=-1,
    )
    return torch.cat([axis / (4 * w[..., None]), w[..., None]], dim=-1)


def sequence_loss(
    prediction: SequencePrediction,
    batch: Batch,
    flow_target: tuple[Tensor, Tensor],
    weights: LossWeights,
) -> tuple[Tensor, dict[str, Tensor]]:
    """
    Compute the weighted loss of a batch.

    Points as in CUT3R (arXiv 2501.12387, equations 5 and 6): confidence-weighted distances in the
    camera frame and, through the predicted pose, in the frame of the first camera. Lengths are
    divided by the mean depth of the sequence.

    :param flow_target: (B, T, 2, h, w, 2) flow in patches and (B, T, 2, h, w) bool where it is
        defined, see `flow_targets`.
    :returns: () loss; its unweighted parts by name, for the log.
    """
    scale = batch.depth.mean(dim=(1, 2, 3))  # (B,)
    truth = batch.points[:, prediction.dense]
    pose = batch.first_T_camera
    unit = scale[:, None, None, None]

    camera_error = (prediction.points - truth).norm(dim=-1) / unit
    confidence = prediction.confidence
    camera_points = (confidence * camera_error - weights.confidence * confidence.log()).mean()

    rotation = quaternion_to_matrix(prediction.quaternion_xyzw)[:, prediction.dense]
    moved = _move(rotation, prediction.translation[:, prediction.dense], prediction.points)
    true_pose = pose[:, prediction.dense]
    truth_in_first = _move(true_pose[..., :3, :3], true_pose[..., :3, 3], truth)
    world_error = (moved - truth_in_first).norm(dim=-1) / unit
    world_points = (confidence.detach() * world_error).mean()

    translation_error = (prediction.translation - pose[..., :3, 3]).norm(dim=-1) / scale[:, None]
    q_true = matrix_to_quaternion(pose[..., :3, :3])
    q = prediction.quaternion_xyzw
    sign = torch.where((q * q_true).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    rotation_error = (q - sign * q_true).norm(dim=-1)

    target, defined = flow_target
    flow_error = _soft_length(prediction.flow - target)
    flow = (flow_error * defined).sum() / defined.sum().clamp_min(1)

    parts = {
        'camera_points': camera_points,
        'world_points': world_points,
        'translation': translation_error.mean(),
        'rotation': rotation_error.mean(),
        'flow': flow,
        'match': prediction.match.square(),
    }
    total = sum(getattr(weights, name) * part for name, part in parts.items())
    with torch.no_grad():
        parts['depth_error'] = camera_error.mean()
        parts['confidence'] = confidence.mean()
    return total, {name: part.detach() for name, part in parts.items()}


def _soft_length(flow: Tensor) -> Tensor:
    # Quadratic up to half a patch: where nothing is known yet, large motions, which are easy to
    # see, pull harder than small ones.
    return (flow.square().sum(dim=-1) + SOFT_FLOW**2).sqrt() - SOFT_FLOW


def _move(rotation: Tensor, translation: Tensor, points: Tensor) -> Tensor:
    turned = torch.einsum('btij,bthwj->bthwi', rotation, points)
    return turned + translation[:, :, None, None]
