# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Errors of one film, and what many of them come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.accuracy.films import Film
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
    What is wrong with a path.

    path: length of the true one, metres. ate: of the positions after Sim(3). drift: of the
    positions as they are, first camera on first camera, no scale. step, turn: of the motion
    from image to image, metres and degrees, no scale. All but `path` are root mean squares.
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

        :param estimate: (T, 4, 4) world_T_camera, at least three.
        :param truth: (T, 4, 4), of the same images and in the same world.
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
    What is wrong with points.

    metric, scaled: mean absolute relative error of the depth, as it is and after one scale a
    film. world: mean distance of the points from where they should be, in the world of the
    first camera, over the mean depth. NaN where the truth is unknown.
    """

    metric: float
    scaled: float
    world: float

    @classmethod
    def of(cls, points_camera: NDArray[np.floating], poses: Array, film: Film) -> SceneErrors:
        """
        Compare points with the truth.

        :param points_camera: (T, H, W, 3) metres, of any precision.
        :param poses: (T, 4, 4) world_T_camera that take them to the world.
        :param film: with the truth.
        """
        truth = film.depth.astype(np.float32)
        seen = truth.any(axis=(1, 2))
        points_camera = points_camera[seen].astype(np.float32)
        truth, poses = truth[seen], poses[seen]
        depth = points_camera[..., 2]
        rays = film.intrinsics.without_distortion().rays()
        distances = [
            np.linalg.norm(
                transform_points(pose, points) - transform_points(true_pose, rays * z[..., None]),
                axis=-1,
            )[z > 0]
            for points, pose, z, true_pose in zip(
                points_camera, poses, truth, film.world_T_camera[seen]
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
    One film, one method, one setting.

    setting: what varies within a part: frames of a long film, or its rate in Hz. gain: mean of
    what was written of the state, NaN where there is none or nobody asked.
    """

    film: str
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
        film: Film,
        method: str,
        setting: float,
        path: PathErrors,
        scene: SceneErrors | None = None,
        gain: float = math.nan,
    ) -> Record:
        """Label errors."""
        return cls(film.name, film.group, film.kind, method, setting, path, scene, gain)

    def to_json(self) -> dict[str, Any]:
        """Give plain values; what is not known is null."""
        record = asdict(self)
        if self.scene is not None and not np.isfinite(self.scene.scaled):
            record['scene'] = None
        if math.isnan(self.gain):
            del record['gain']
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Record:
        """Read what to_json gave."""
        scene = record['scene'] and SceneErrors(**record['scene'])
        return cls(**{**record, 'path': PathErrors(**record['path']), 'scene': scene})


class Mean(NamedTuple):
    """A mean over films and its standard error, NaN where there is one film only."""

    value: float
    error: float


def mean(values: Sequence[float]) -> Mean:
    """Average over films."""
    return ratio(values, [1.0] * len(values))


def over_path(records: Sequence[Record]) -> Mean:
    """Give the ATE as a fraction of the path."""
    return ratio([r.path.ate for r in records], [r.path.path for r in records])


def ratio(parts: Sequence[float], wholes: Sequence[float]) -> Mean:
    """
    Divide sums over films, so that a film in which little happens does not count for more.

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
