# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Errors on a fixed set of clips of worlds that training does not use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from training.batch import collate
from training.clips import Clip, ClipSettings, draw_clip_spec, FIRST_VALIDATION_SEED, render_on_cpu
from ttt3r_ros.evaluation.errors import (
    median_scale,
    path_length,
    position_error,
    relative_motion,
)
from ttt3r_ros.geometry import invert, rotation_angle, rotation_from_quaternion, transform
from ttt3r_ros.model import HeadSelection, Network, update_rule

FRAMES = 8


@dataclass(frozen=True)
class ValidationErrors:
    """
    Means over the clips of one family.

    depth_metric, depth_scaled: mean absolute relative depth error, without alignment and after
    one scale per clip. rotation_deg: error of the rotation between consecutive frames, degrees;
    still_deg: the same for the prediction that the camera does not move. ate_fraction: trajectory
    error after Sim(3) alignment, divided by the path length. gain, gain_spread: mean and standard
    deviation over the state tokens of TTT3R's gain for the last frame; not part of the loss.
    """

    depth_metric: float
    depth_scaled: float
    rotation_deg: float
    still_deg: float
    ate_fraction: float
    gain: float
    gain_spread: float

    @property
    def score(self) -> float:
        """Return the score by which the best weights are chosen; lower is better."""
        return self.depth_scaled + self.rotation_deg / self.still_deg + self.ate_fraction


def validation_clips(settings: ClipSettings, count: int) -> dict[str, list[Clip]]:
    """
    Render the fixed set of clips.

    :param settings: of training; only the image size is used, the length is FRAMES.
    :param count: clips of each family.
    :returns: the clips of each family.
    """
    short = ClipSettings(
        width=settings.width, height=settings.height, length=FRAMES, rates_hz=(7.5, 7.5)
    )
    return {
        family: [
            render_on_cpu(draw_clip_spec(family, FIRST_VALIDATION_SEED + i, short))
            for i in range(count)
        ]
        for family in 'SML'
    }


@torch.inference_mode()
def validate(
    network: Network, clips: list[Clip], device: torch.device, rule_name: str = 'cut3r'
) -> ValidationErrors:
    """
    Compute the errors of a network on clips.

    :param clips: of one image size and length.
    :param rule_name: update rule of the state.
    """
    batch = collate(clips, device)
    state, rule = network.initial_state(len(clips)), update_rule(rule_name)
    depths, poses = [], []
    for t in range(batch.images.shape[1]):
        before = state
        predicted, state = network.step(
            batch.images[:, t], state, rule=rule, outputs=HeadSelection()
        )
        depths.append(predicted.points()[0][..., 2].cpu().numpy())
        translation, quaternion = (tensor.cpu().numpy() for tensor in predicted.pose())
        poses.append(transform(rotation_from_quaternion(quaternion), translation))
    rows = [
        _clip_errors(np.stack(depth), np.stack(pose), clip)
        for depth, pose, clip in zip(np.stack(depths, 1), np.stack(poses, 1), clips)
    ]
    gain = network.step(batch.images[:, -1], before, rule=update_rule('ttt3r'))[0].gain
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return ValidationErrors(**means, gain=float(gain.mean()), gain_spread=float(gain.std()))


def _clip_errors(depth: np.ndarray, poses: np.ndarray, clip: Clip) -> dict[str, float]:
    truth, true_poses = clip.depth.float().numpy(), clip.world_T_camera
    scale = median_scale(depth, truth)
    still = relative_motion(true_poses, 1)
    wrong = invert(still) @ relative_motion(poses, 1)
    return {
        'depth_metric': float(np.mean(np.abs(depth - truth) / truth)),
        'depth_scaled': float(np.mean(np.abs(scale * depth - truth) / truth)),
        'rotation_deg': _root_mean_square(np.degrees(rotation_angle(wrong[:, :3, :3]))),
        'still_deg': _root_mean_square(np.degrees(rotation_angle(still[:, :3, :3]))),
        'ate_fraction': position_error(poses, true_poses) / max(path_length(true_poses), 1e-6),
    }


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
