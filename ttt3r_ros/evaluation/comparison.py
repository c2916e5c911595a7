# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Estimates of one path against the truth, and when the numbers of an estimate mean nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.evaluation.errors import (
    align,
    associate,
    evaluate_trajectory,
    EvaluationError,
    MAX_DIFFERENCE_NS,
    relative_motion,
    TrajectoryErrors,
)
from ttt3r_ros.geometry import (
    invert,
    quaternion_from_rotation,
    rotation_angle,
    rotation_from_quaternion,
    transform,
)
from ttt3r_ros.trajectory import Trajectory

# A scale further from 1 than this factor makes up most of an error after SE(3).
USUAL_SCALE = 1.25
# An estimate is informative where it has so much of the error of one that
# does not move.
STATIC_SHARE = 0.9
# So many matched poses, or such a part of them, stand for all of a path.
FEW_MATCHES, FEW_MATCHES_PART = 20, 0.5
# Rotations of other frames or columns: they agree so much better once that is undone, and the
# truth turns so much over the frames that are compared, degrees.
FAR_BETTER, LEAST_TURN_DEG = 0.4, 2.0


@dataclass(frozen=True, eq=False)
class Compared:
    """
    One estimate against the truth.

    name: for tables and legends. poses: of the estimate. errors: after the alignment that was
    asked for. scaled: after Sim(3), None where no scale is defined. stamps_ns, truth: (N,) and (N,
    4, 4), of the matched poses. static: ATE of a camera that never moves, metres. doubts:
    why these numbers may mean nothing, in sentences.
    """

    name: str
    poses: int
    errors: TrajectoryErrors
    scaled: TrajectoryErrors | None
    stamps_ns: NDArray[np.int64]
    truth: Array
    static: float
    doubts: tuple[str, ...]

    def record(self, alignment: str) -> dict[str, Any]:
        """
        Return the numbers for a JSON file.

        :param alignment: that was asked for.
        """
        errors, scaled = self.errors, self.scaled
        return {
            'name': self.name,
            'poses': self.poses,
            'matched': len(self.truth),
            'align': alignment,
            'scale': errors.alignment.scale,
            'ate_m': asdict(errors.ate),
            'sim3': scaled and {'scale': scaled.alignment.scale, 'ate_m': asdict(scaled.ate)},
            'static_ate_m': self.static,
            'rpe_delta_frames': errors.delta,
            'rpe_translation_m': asdict(errors.rpe_translation),
            'rpe_rotation_deg': asdict(errors.rpe_rotation),
            'path_estimate_m': errors.estimate_path,
            'path_groundtruth_m': errors.truth_path,
            'doubts': list(self.doubts),
        }

    def legend(self) -> str:
        """Return the name with the numbers, in one line."""
        scaled = ''
        if self.scaled is not None:
            scale = self.scaled.alignment.scale
            scaled = f', Sim(3) {self.scaled.ate.rmse:.3f} m (scale {scale:.2f})'
        return f'{self.name}: ATE {self.errors.ate.rmse:.3f} m{scaled}'


def compare(
    name: str,
    estimate: Trajectory,
    truth: Trajectory,
    alignment: str = 'se3',
    delta: int = 1,
    max_difference_ns: int = MAX_DIFFERENCE_NS,
) -> Compared:
    """
    Compare an estimate with the truth, at the times that they share.

    :param name: of the estimate.
    :param estimate: world_T_camera, in any world.
    :param truth: world_T_camera.
    :param alignment: one of ALIGNMENTS.
    :param delta: frames between the two poses of a relative error, at least 1.
    :param max_difference_ns: largest difference of matched stamps, nanoseconds.
    :raises EvaluationError: when there are too few poses or no motion to align.
    """
    mine, theirs = associate(estimate.stamps_ns, truth.stamps_ns, max_difference_ns)
    poses, true = estimate.poses[mine], truth.poses[theirs]
    errors = evaluate_trajectory(poses, true, alignment, delta)
    try:
        scaled = evaluate_trajectory(poses, true, 'sim3', delta)
    except EvaluationError:
        scaled = None
    static = static_error(true)
    doubts = [
        *_doubts_of_matches(len(mine), len(estimate)),
        *_doubts_of_scale(errors, scaled, static),
        *_doubts_of_frames(poses, true),
    ]
    return Compared(
        name, len(estimate), errors, scaled, truth.stamps_ns[theirs], true, static, tuple(doubts)
    )


def grouped_doubts(compared: Sequence[Compared]) -> list[str]:
    """
    Return the doubts of several estimates, those that differ only in their numbers once.

    :param compared: in the order in which they are named.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for one in compared:
        for doubt in one.doubts:
            groups.setdefault(re.sub(r'[\d.]+', '', doubt), []).append((one.name, doubt))
    return [
        f'{group[0][0]}: {group[0][1]}'
        + (f' (alike: {", ".join(name for name, _ in group[1:])})' if len(group) > 1 else '')
        for group in groups.values()
    ]


def static_error(truth: Array) -> float:
    """
    Return the ATE of a camera that never moves, put where it errs least: the mean position.

    :param truth: (N, 4, 4) world_T_camera, metres.
    :returns: root mean square, metres.
    """
    positions = truth[:, :3, 3]
    return float(np.sqrt(np.mean(np.sum((positions - positions.mean(axis=0)) ** 2, axis=1))))


def scale_text(scale: float) -> str:
    """
    Return how much smaller or larger an estimate is than the truth; empty where it is about 1.

    :param scale: by which the estimate is multiplied to fit.
    """
    if 1 / USUAL_SCALE <= scale <= USUAL_SCALE:
        return ''
    return f'{scale:.3g} times smaller' if scale > 1 else f'{1 / scale:.3g} times larger'


def _doubts_of_matches(matched: int, poses: int) -> list[str]:
    if matched >= max(FEW_MATCHES, FEW_MATCHES_PART * poses):
        return []
    if matched == poses:
        return [f'only {poses} poses: errors of so few say little']
    return [
        f'only {matched} of {poses} poses have a partner in the ground truth: the numbers are of '
        'those alone; same clock? --max-difference allows larger differences of stamps'
    ]


def _doubts_of_scale(
    errors: TrajectoryErrors, scaled: TrajectoryErrors | None, static: float
) -> list[str]:
    doubts = []
    if scaled is None:
        doubts.append('the estimate or the ground truth does not move: there is no scale')
    elif errors.alignment.scale == 1.0 and (wrong := scale_text(scaled.alignment.scale)):
        doubts.append(
            f'the estimate is {wrong} than the ground truth: its metres mean nothing, or those '
            'of the ground truth (COLMAP has none); the error after SE(3) is mostly that of the '
            'scale, and Sim(3) compares the shape'
        )
    best = min(each.ate.rmse for each in (errors, scaled) if each is not None)
    if best > STATIC_SHARE * static:
        doubts.append(
            f'a camera that never moves has an ATE of {static:.3f} m, the estimate {best:.3f} m: '
            'it tells nothing about the path'
        )
    return doubts


def _doubts_of_frames(poses: Array, truth: Array) -> list[str]:
    """Recognise rotations and poses of another convention: they agree once it is undone."""
    typical = float(np.degrees(np.sqrt(np.mean(rotation_angle(_turns(truth, 1)) ** 2))))
    step = max(1, min(len(truth) - 1, round(LEAST_TURN_DEG / max(typical, 1e-3))))
    theirs, mine = _turns(truth, step), _turns(poses, step)
    turned = _spread(theirs, np.broadcast_to(np.eye(3), theirs.shape))
    now = _spread(mine, theirs)
    if turned < LEAST_TURN_DEG or now < FAR_BETTER * turned:
        return []
    reordered = {
        'ground truth': (mine, _turns(_other_order(truth), step)),
        'estimate': (_turns(_other_order(poses), step), theirs),
    }
    for name, pair in reordered.items():
        if _spread(*pair) < FAR_BETTER * now:
            return [
                f'the rotations agree once the quaternions of the {name} are read as qw qx qy qz '
                '(EuRoC): TUM has qx qy qz qw; name the columns in a first line # ... qw qx qy qz'
            ]
    inverted = min(_misfit(invert(poses), truth), _misfit(poses, invert(truth)))
    if inverted < FAR_BETTER * _misfit(poses, truth):
        return [
            'the poses agree once those of one file are inverted: both must be world_T_camera, '
            'as TUM has them, not camera_T_world, as COLMAP has them'
        ]
    mount = _mount(mine, theirs)
    if _spread(mount @ mine @ mount.T, theirs) < FAR_BETTER * now:
        return [
            'the rotations agree once the frame of the estimate is turned by a constant rotation: '
            'the ground truth is of another frame than the camera, for example the IMU (EuRoC) or '
            'the body of a car; RPE in degrees means nothing, ATE holds but for the lever arm'
        ]
    return []


def _turns(poses: Array, step: int) -> Array:
    """Return the rotations over so many frames, (M, 3, 3)."""
    return relative_motion(poses, step)[:, :3, :3]


def _misfit(poses: Array, truth: Array) -> float:
    """Return the rms distance of positions after SE(3), metres."""
    positions, theirs = poses[:, :3, 3], truth[:, :3, 3]
    moved = align(positions, theirs, 'se3').pose(poses)[:, :3, 3]
    return float(np.sqrt(np.mean(np.sum((moved - theirs) ** 2, axis=1))))


def _spread(mine: Array, theirs: Array) -> float:
    """Return the rms angle between rotations, degrees."""
    angles = rotation_angle(np.swapaxes(mine, 1, 2) @ theirs)
    return float(np.degrees(np.sqrt(np.mean(angles**2))))


def _other_order(poses: Array) -> Array:
    """Return poses whose quaternions were written w first and read w last."""
    read = quaternion_from_rotation(poses[:, :3, :3])
    return transform(rotation_from_quaternion(np.roll(read, -1, axis=1)), poses[:, :3, 3])


def _mount(mine: Array, theirs: Array) -> Array:
    """Return the rotation R with R @ mine @ R.T nearest to theirs: it turns axis on axis."""
    rotation: Array = align(_axes(mine), _axes(theirs), 'se3').a_T_b[:3, :3]
    return rotation


def _axes(rotations: Array) -> Array:
    """Return the axes of rotations times the sines of their angles, and their opposites."""
    skew = rotations - np.swapaxes(rotations, 1, 2)
    axes = 0.5 * np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1)
    return np.concatenate([axes, -axes])
