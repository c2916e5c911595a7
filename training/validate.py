# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Errors on a fixed set of films of worlds that training never sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from training.batch import collate
from training.clips import Clip, ClipSettings, FIRST_VALIDATION_SEED, plan_shot, take
from ttt3r_ros.evaluation.errors import (
    median_scale,
    path_length,
    position_error,
    relative_motion,
)
from ttt3r_ros.geometry import invert, rotation_angle, rotation_from_quaternion, transform
from ttt3r_ros.model import Network, Outputs, update_rule

FRAMES = 8


@dataclass(frozen=True)
class ValidationErrors:
    """
    Means over the films of one family.

    depth_metric, depth_scaled: mean absolute relative depth error, as it is and after one scale
    a film. rotation_deg: of the motion between neighbouring frames; still_deg: the same for a
    camera said not to move. ate_fraction: trajectory error after Sim(3) over the path's length.
    gain, gain_spread: mean and deviation, over state tokens, of what TTT3R's rule would have
    written of the last frame; training does not look at it.
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
        """Give one number to choose the best weights by; lower is better."""
        return self.depth_scaled + self.rotation_deg / self.still_deg + self.ate_fraction


def validation_films(settings: ClipSettings, count: int) -> dict[str, list[Clip]]:
    """
    Film the fixed set.

    :param settings: of training; sizes are taken over, the length is FRAMES.
    :param count: films of each family.
    """
    short = ClipSettings(
        width=settings.width, height=settings.height, length=FRAMES, rates_hz=(7.5, 7.5)
    )
    return {
        family: [take(plan_shot(family, FIRST_VALIDATION_SEED + i, short)) for i in range(count)]
        for family in 'SML'
    }


@torch.inference_mode()
def validate(
    network: Network, films: list[Clip], device: torch.device, rule_name: str = 'cut3r'
) -> ValidationErrors:
    """
    Measure a network on films.

    :param films: of one size.
    :param rule_name: how frames are written into the state.
    """
    batch = collate(films, device)
    state, rule = network.initial_state(len(films)), update_rule(rule_name)
    depths, poses = [], []
    for t in range(batch.images.shape[1]):
        before = state
        told, state = network.step(batch.images[:, t], state, rule=rule, outputs=Outputs())
        depths.append(told.points()[0][..., 2].cpu().numpy())
        translation, quaternion = (tensor.cpu().numpy() for tensor in told.pose())
        poses.append(transform(rotation_from_quaternion(quaternion), translation))
    rows = [
        _film_errors(np.stack(depth), np.stack(pose), clip)
        for depth, pose, clip in zip(np.stack(depths, 1), np.stack(poses, 1), films)
    ]
    gain = network.step(batch.images[:, -1], before, rule=update_rule('ttt3r'))[0].gain
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return ValidationErrors(**means, gain=float(gain.mean()), gain_spread=float(gain.std()))


def _film_errors(depth: np.ndarray, poses: np.ndarray, clip: Clip) -> dict[str, float]:
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
