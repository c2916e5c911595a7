# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""An estimated path against the true one, joined where the robot started."""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.errors import UserError
from ttt3r_ros.evaluation.comparison import scale_text
from ttt3r_ros.evaluation.errors import align, associate, EvaluationError
from ttt3r_ros.geometry import invert
from ttt3r_ros.tools.captions import length_text
from ttt3r_ros.trajectory import read_trajectory, Trajectory

if TYPE_CHECKING:
    from ttt3r_ros.simulation.world import World

# Poses of the estimate and of the truth of the same image have the same stamp.
SAME_MOMENT_NS = 1_000_000


@dataclass(frozen=True, eq=False)
class Drive:
    """
    A drive whose true path is known.

    world_T_body: the true poses, of the same body as the estimate. world: the building.
    """

    world_T_body: Trajectory
    world: World


@dataclass(frozen=True, eq=False)
class Joined:
    """
    Both paths in the world, the same at the start: the path of a robot that knows its start.

    world_T_map: (4, 4), metres. stamps_ns: (N,) nanoseconds. truth, estimate: (N, 3) positions at
    these times, metres, world frame.
    """

    world_T_map: Array
    stamps_ns: NDArray[np.int64]
    truth: Array
    estimate: Array

    def errors(self) -> Array:
        """Return the distances between both, (N,) metres."""
        return np.asarray(np.linalg.norm(self.estimate - self.truth, axis=1), np.float64)

    def travelled(self) -> Array:
        """Return how far the robot had come, (N,) metres along the true path."""
        steps = np.linalg.norm(np.diff(self.truth, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    def sentence(self) -> str:
        """Return how far off the estimate is at the end and at most, and a scale far from 1."""
        errors, way = self.errors(), self.travelled()[-1]
        end, most = length_text(errors[-1]), length_text(errors.max())
        largest = '' if most == end else f', at most {most} on the way'
        wrong = self._wrong_scale()
        scale = wrong and f'; the path is {wrong} than the true one'
        return f'{end} off after {length_text(way)}{largest}{scale}.'

    def _wrong_scale(self) -> str:
        try:
            return scale_text(align(self.estimate, self.truth, 'sim3').scale)
        except EvaluationError:  # one of both does not move
            return ''


def joined_at_start(
    estimate: Trajectory, truth: Trajectory, within_ns: int = SAME_MOMENT_NS
) -> Joined | None:
    """
    Put an estimate into the world where both begin; nothing is fitted.

    :param estimate: map_T_body.
    :param truth: world_T_body.
    :param within_ns: poses that are not further apart are of the same moment.
    :returns: both, or None where fewer than two poses have the same stamp.
    """
    mine, theirs = associate(estimate.stamps_ns, truth.stamps_ns, within_ns)
    if len(mine) < 2:
        return None
    world_T_map = truth.poses[theirs[0]] @ invert(estimate.poses[mine[0]])
    return Joined(
        world_T_map,
        truth.stamps_ns[theirs],
        truth.poses[theirs, :3, 3],
        (world_T_map @ estimate.poses[mine])[:, :3, 3],
    )


def simulated_drive(path: Path) -> Drive | None:
    """
    Return the truth that `ttt3r simulate` wrote beside a recording, or None.

    :param path: of the recording: a folder with its groundtruth.txt and camera.json, or something
        in one.
    """
    for folder in (path, path.parent):
        building = _building(folder / 'camera.json')
        if building is None or not (folder / 'groundtruth.txt').is_file():
            continue
        # Here, not at the top: it loads numba.
        from ttt3r_ros.simulation.building import build_world

        try:
            return Drive(read_trajectory(folder / 'groundtruth.txt'), build_world(*building))
        except UserError:  # edited by hand
            return None
    return None


def _building(path: Path) -> tuple[str, int] | None:
    """Return family and seed of a building from the record of a simulated camera, or None."""
    try:
        record: Any = json.loads(path.read_text(encoding='utf-8'))
        simulated = record['simulation']
        return str(simulated['family']), int(simulated['seed'])
    except (OSError, ValueError, KeyError, TypeError):
        return None
