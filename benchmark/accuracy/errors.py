# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Errors of one sequence, and means over many sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.accuracy.sequences import ImageSequence
from ttt3r_ros.arrays import Array
from ttt3r_ros.evaluation.errors import (
    depth_errors,
    evaluate_trajectory,
    median_scale,
    position_error,
)
from ttt3r_ros.geometry import transform_points


@dataclass(frozen=True)
class PathErrors:
    """
    Errors of a path, root mean squares but for `path`.

    path: length of the true path, metres. ate: of the positions after Sim(3) alignment, metres.
    drift: of the positions with the first cameras aligned, without scale, metres. step, turn: of
    the motion between consecutive images, metres and degrees, without scale.
    """

    path: float
    ate: float
    drift: float
    step: float
    turn: float

    @classmethod
    def of(cls, estimate: Array, truth: Array) -> PathErrors:
        """
        Compare two paths.

        :param estimate: (T, 4, 4) world_T_camera, metres, T >= 3.
        :param truth: (T, 4, 4) world_T_camera of the same images, in the same world.
        """
        plain = evaluate_trajectory(estimate, truth, 'none')
        return cls(
            plain.truth_path,
            position_error(estimate, truth),
            plain.ate.rmse,
            plain.rpe_translation.rmse,
            plain.rpe_rotation.rmse,
        )


@dataclass(frozen=True)
class SceneErrors:
    """
    Errors of points, NaN where the truth is unknown.

    metric, scaled: mean absolute relative error of the depth, without alignment and after one
    scale per sequence. world: mean distance between predicted and true points in the world of the
    first camera, divided by the mean depth.
    """

    metric: float
    scaled: float
    world: float

    @classmethod
    def of(
        cls, points_camera: NDArray[np.floating], poses: Array, sequence: ImageSequence
    ) -> SceneErrors:
        """
        Compare points with the truth.

        :param points_camera: (T, H, W, 3) metres, camera frame, of any precision.
        :param poses: (T, 4, 4) world_T_camera, predicted.
        :param sequence: the ground truth.
        """
        truth = sequence.depth.astype(np.float32)
        seen = truth.any(axis=(1, 2))
        points_camera = points_camera[seen].astype(np.float32)
        truth, poses = truth[seen], poses[seen]
        depth = points_camera[..., 2]
        rays = sequence.intrinsics.without_distortion().rays()
        distances = [
            np.linalg.norm(
                transform_points(pose, points) - transform_points(true_pose, rays * z[..., None]),
                axis=-1,
            )[z > 0]
            for points, pose, z, true_pose in zip(
                points_camera, poses, truth, sequence.world_T_camera[seen]
            )
        ]
        known = truth[truth > 0]
        far = np.concatenate(distances).mean() / known.mean() if len(known) else np.nan
        return cls(
            depth_errors(depth, truth).abs_rel,
            depth_errors(depth, truth, median_scale(depth, truth)).abs_rel,
            float(far),
        )


@dataclass(frozen=True)
class Record:
    """
    One sequence, one method, one setting.

    setting: the variable of the part: frames of a long sequence, or its rate in Hz. gain: mean
    gain of the update rule, NaN where there is none or it was not recorded.
    """

    sequence: str
    group: str
    kind: str
    method: str
    setting: float
    path: PathErrors
    scene: SceneErrors | None = None
    gain: float = math.nan

    @classmethod
    def about(
        cls,
        sequence: ImageSequence,
        method: str,
        setting: float,
        path: PathErrors,
        scene: SceneErrors | None = None,
        gain: float = math.nan,
    ) -> Record:
        """Return the record of a sequence, a method and a setting."""
        return cls(
            sequence.name, sequence.group, sequence.kind, method, setting, path, scene, gain
        )

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values, null for NaN and None."""
        record = asdict(self)
        if self.scene is not None and not np.isfinite(self.scene.scaled):
            record['scene'] = None
        if math.isnan(self.gain):
            del record['gain']
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Record:
        """Return the record that to_json wrote."""
        scene = record['scene'] and SceneErrors(**record['scene'])
        return cls(**{**record, 'path': PathErrors(**record['path']), 'scene': scene})


class Mean(NamedTuple):
    """A mean over sequences and its standard error, which is NaN for one sequence."""

    value: float
    error: float


def mean(values: Sequence[float]) -> Mean:
    """Return the mean over sequences."""
    return ratio(values, [1.0] * len(values))


def over_path(records: Sequence[Record]) -> Mean:
    """Return the ATE as a fraction of the path."""
    return ratio([r.path.ate for r in records], [r.path.path for r in records])


def ratio(parts: Sequence[float], wholes: Sequence[float]) -> Mean:
    """
    Return the ratio of the sums over sequences, so that short paths do not dominate it.

    The standard error is that of the ratio estimator: W. G. Cochran, Sampling Techniques, 1977,
    equation 2.46.
    """
    a, b = np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)
    value = a.sum() / b.sum()
    count = len(a)
    if count < 2:
        return Mean(float(value), float('nan'))
    spread = np.sqrt(np.sum((a - value * b) ** 2) / (count - 1) / count)
    return Mean(float(value), float(spread / b.mean()))
