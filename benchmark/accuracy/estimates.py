# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The methods and baselines that are compared, and their estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.accuracy.baselines import classical, constant_pose, constant_velocity
from benchmark.accuracy.sequences import ImageSequence
from ttt3r_ros.arrays import Array
from ttt3r_ros.model import Network, update_rule
from ttt3r_ros.model.checkpoint import CheckpointInfo
from ttt3r_ros.model.predictor import chosen_gain_scale, Predictor
from ttt3r_ros.model.state_update import UpdateRule
from ttt3r_ros.settings import ModelSettings, TrackingSettings

RULES: dict[str, UpdateRule] = {
    'cut3r': update_rule('cut3r'),
    'ttt3r': update_rule('ttt3r'),
    'ttt3r x 0.5': update_rule('ttt3r', 0.5),
    'brake': update_rule('brake'),
    'filt3r': update_rule('filt3r'),
}
BASELINES = ('constant pose', 'constant velocity', 'features + PnP')
GIVEN = 'constant velocity is given the true first motion, features + PnP the intrinsics'


@dataclass(frozen=True, eq=False)
class Estimate:
    """
    The estimate for one sequence of T images.

    world_T_camera: (T, 4, 4), metres, the world being about the first camera. points_camera:
    (T, H, W, 3) float16, the precision of the truth, metres, camera frame; or (T, 0). gains: (T,)
    mean gain of the state tokens, NaN where there is no state.
    """

    world_T_camera: Array
    points_camera: NDArray[np.float16]
    gains: Array

    @classmethod
    def of_path(cls, world_T_camera: Array) -> Estimate:
        """
        Return the estimate of a baseline: without points and gains.

        :param world_T_camera: (T, 4, 4), metres.
        """
        frames = len(world_T_camera)
        return cls(world_T_camera, np.empty((frames, 0), np.float16), np.full(frames, np.nan))


@dataclass(frozen=True)
class Method:
    """
    An update rule with a segment length.

    rule: one of RULES. interval: frames of a segment, 0 for one segment.
    """

    rule: str
    interval: int = 0

    @property
    def name(self) -> str:
        """Return the name of the method in tables."""
        return f'{self.rule}, segments of {self.interval}' if self.interval else self.rule


def methods(intervals: Sequence[int]) -> list[Method]:
    """Return every rule without segments, then with segments of each interval."""
    return [Method(rule, interval) for interval in (0, *intervals) for rule in RULES]


def default_method(network: Network, info: CheckpointInfo | None) -> Method:
    """Return the method that the mapper uses for these weights by default."""
    settings = ModelSettings()
    scale = chosen_gain_scale(settings, info)
    rule = settings.update_rule + (f' x {scale:g}' if scale != 1 else '')
    return Method(rule, Predictor(network, info).advise(TrackingSettings()).reset_interval)


def baselines(sequence: ImageSequence, depth: NDArray[np.floating]) -> dict[str, Estimate]:
    """
    Estimate a sequence by each baseline.

    :param sequence: images, intrinsics and the true first motion.
    :param depth: (T, H, W) metres along z, for the classical baseline.
    :returns: the estimate of each of BASELINES.
    """
    paths = (
        constant_pose(len(sequence)),
        constant_velocity(sequence.world_T_camera[1], len(sequence)),
        classical(sequence.rgb, depth, sequence.intrinsics),
    )
    return dict(zip(BASELINES, map(Estimate.of_path, paths)))
