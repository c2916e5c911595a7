# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The ways to follow a film that are compared, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.accuracy.baselines import classical, constant_pose, constant_velocity
from benchmark.accuracy.films import Film
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
    What is said about one film.

    world_T_camera: (T, 4, 4), the world being about the first camera. points_camera:
    (T, H, W, 3) float16 metres, as precise as the truth, or empty. gains: (T,) mean of the state
    tokens, NaN where there is no state.
    """

    world_T_camera: Array
    points_camera: NDArray[np.float16]
    gains: Array

    @classmethod
    def of_path(cls, world_T_camera: Array) -> Estimate:
        """Say nothing but a path."""
        frames = len(world_T_camera)
        return cls(world_T_camera, np.empty((frames, 0), np.float16), np.full(frames, np.nan))


@dataclass(frozen=True)
class Method:
    """
    A way to write the state.

    rule: one of RULES. interval: frames of a segment, 0 for one segment without end.
    """

    rule: str
    interval: int = 0

    @property
    def name(self) -> str:
        """Give the method's name in tables."""
        return f'{self.rule}, segments of {self.interval}' if self.interval else self.rule


def methods(intervals: Sequence[int]) -> list[Method]:
    """List every rule without segments, then with segments of each interval."""
    return [Method(rule, interval) for interval in (0, *intervals) for rule in RULES]


def default_method(network: Network, info: CheckpointInfo | None) -> Method:
    """Say what the product does with these weights unless it is told otherwise."""
    settings = ModelSettings()
    scale = chosen_gain_scale(settings, info)
    rule = settings.update_rule + (f' x {scale:g}' if scale != 1 else '')
    return Method(rule, Predictor(network, info).advise(TrackingSettings()).reset_interval)


def baselines(film: Film, depth: NDArray[np.floating]) -> dict[str, Estimate]:
    """
    Give the baselines' paths of a film.

    :param depth: (T, H, W) metres, for the classical one.
    :returns: for each of BASELINES.
    """
    paths = (
        constant_pose(len(film)),
        constant_velocity(film.world_T_camera[1], len(film)),
        classical(film.rgb, depth, film.intrinsics),
    )
    return dict(zip(BASELINES, map(Estimate.of_path, paths)))
