# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Errors of trajectories and depth images against ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import IDENTITY, invert, rotation_angle, Similarity, transform
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.units import NANOSECONDS

ALIGNMENTS = ('sim3', 'se3', 'none')

# Largest difference of two stamps of the same image, by default.
MAX_DIFFERENCE_NS = NANOSECONDS // 50

# A path whose spread is below this, metres, has no scale and no direction.
NO_MOTION = 1e-6


class EvaluationError(UserError):
    """Two recordings cannot be compared."""


@dataclass(frozen=True)
class Statistics:
    """Root mean square, mean, median and maximum of errors."""

    rmse: float
    mean: float
    median: float
    max: float

    @classmethod
    def of(cls, errors: Array) -> Statistics:
        """
        Return the statistics of errors.

        :param errors: (N,), at least one, of any unit.
        """
        return cls(
            float(np.sqrt(np.mean(errors**2))),
            float(np.mean(errors)),
            float(np.median(errors)),
            float(np.max(errors)),
        )


@dataclass(frozen=True)
class TrajectoryErrors:
    """
    Errors of a trajectory after alignment.

    alignment: the similarity that was applied. aligned: (N, 4, 4) aligned poses. position_errors:
    (N,) metres. ate: of the positions, metres. rpe_translation: metres, rpe_rotation: degrees,
    over `delta` frames. path lengths: metres, that of the estimate before alignment.
    """

    alignment: Similarity
    aligned: Array
    position_errors: Array
    ate: Statistics
    rpe_translation: Statistics
    rpe_rotation: Statistics
    delta: int
    estimate_path: float
    truth_path: float


def associate(
    estimate_ns: NDArray[np.int64], truth_ns: NDArray[np.int64], max_difference_ns: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """
    Pair each stamp with the nearest one of the other recording; no stamp is used twice.

    :param estimate_ns: (N,) nanoseconds, rising.
    :param truth_ns: (M,) nanoseconds, rising.
    :param max_difference_ns: largest difference of a pair, nanoseconds.
    :returns: indices into the estimate and into the truth, (K,) each, rising.
    """
    if not (len(estimate_ns) and len(truth_ns)):
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    after = np.searchsorted(truth_ns, estimate_ns).clip(0, len(truth_ns) - 1)
    before = (after - 1).clip(0)
    nearer_before = np.abs(truth_ns[before] - estimate_ns) <= np.abs(truth_ns[after] - estimate_ns)
    nearest = np.where(nearer_before, before, after)
    difference = np.abs(truth_ns[nearest] - estimate_ns)
    # Of the estimates that claim one truth, the closest gets it: sort by truth, then closeness.
    order = np.lexsort((difference, nearest))
    first = np.concatenate([[True], np.diff(nearest[order]) > 0])
    chosen = order[first]
    chosen = np.sort(chosen[difference[chosen] <= max_difference_ns])
    return chosen, nearest[chosen]


def align(estimate: Array, truth: Array, kind: str) -> Similarity:
    """
    Compute the similarity that aligns positions with the truth (least squares).

    Source: S. Umeyama, Least-squares estimation of transformation parameters between two point
    patterns, PAMI 13(4), 1991, equations 40 to 42.

    :param estimate: (N, 3) positions, metres.
    :param truth: (N, 3) positions at the same times, metres.
    :param kind: one of ALIGNMENTS; only sim3 estimates a scale.
    :returns: takes the frame of the estimate to that of the truth.
    :raises EvaluationError: when positions do not move, or not alike, so no scale is defined.
    """
    if kind == 'none':
        return Similarity(IDENTITY)
    estimate_mean, truth_mean = estimate.mean(axis=0), truth.mean(axis=0)
    estimate_spread, truth_spread = estimate - estimate_mean, truth - truth_mean
    if kind == 'sim3':
        for name, spread in (('estimate', estimate_spread), ('ground truth', truth_spread)):
            if np.abs(spread).max() < NO_MOTION:
                raise EvaluationError(
                    f'the positions of the {name} do not move, so there is no scale to align: '
                    'use --align se3 or none'
                )
    u, singular, vt = np.linalg.svd(truth_spread.T @ estimate_spread / len(estimate))
    mirror = np.ones(3)
    if np.linalg.det(u) * np.linalg.det(vt) < 0:
        mirror[2] = -1.0
    rotation = (u * mirror) @ vt
    scale = 1.0
    if kind == 'sim3':
        scale = float(singular @ mirror / np.mean(np.sum(estimate_spread**2, axis=1)))
        if scale < NO_MOTION:
            raise EvaluationError(
                'the motion of the estimate has nothing in common with the ground truth, no '
                'scale aligns it: use --align se3 or none'
            )
    shift = truth_mean - scale * rotation @ estimate_mean
    return Similarity(transform(rotation, shift), scale)


def evaluate_trajectory(
    estimate: Array, truth: Array, alignment: str = 'sim3', delta: int = 1
) -> TrajectoryErrors:
    """
    Compute the errors of poses at the same times.

    The relative pose error (Sturm et al., IROS 2012) is taken over all pairs (i, i + delta),
    after alignment: its translation uses the aligned scale, its rotation needs no alignment.

    :param estimate: (N, 4, 4) world_T_camera, metres, in any world.
    :param truth: (N, 4, 4) world_T_camera, metres.
    :param alignment: one of ALIGNMENTS.
    :param delta: frames between the two poses of a pair, at least 1.
    :raises EvaluationError: when there are too few poses or no motion to align.
    """
    needed = max(3, delta + 1)
    if len(estimate) < needed:
        raise EvaluationError(
            f'only {len(estimate)} poses have a partner in the ground truth, at least {needed} '
            'are needed: check that both use the same clock, or raise --max-difference'
        )
    similarity = align(estimate[:, :3, 3], truth[:, :3, 3], alignment)
    aligned = similarity.pose(estimate)
    position_errors = np.linalg.norm(aligned[:, :3, 3] - truth[:, :3, 3], axis=1)
    error = invert(relative_motion(truth, delta)) @ relative_motion(aligned, delta)
    return TrajectoryErrors(
        alignment=similarity,
        aligned=aligned,
        position_errors=position_errors,
        ate=Statistics.of(position_errors),
        rpe_translation=Statistics.of(np.linalg.norm(error[:, :3, 3], axis=1)),
        rpe_rotation=Statistics.of(np.degrees(rotation_angle(error[:, :3, :3]))),
        delta=delta,
        estimate_path=path_length(estimate),
        truth_path=path_length(truth),
    )


def errors_of(
    estimate: Trajectory,
    truth: Trajectory,
    alignment: str = 'se3',
    delta: int = 1,
    max_difference_ns: int = MAX_DIFFERENCE_NS,
) -> TrajectoryErrors:
    """
    Compute the errors of a trajectory, at the times that it shares with the truth.

    :param estimate: world_T_camera, in any world.
    :param truth: world_T_camera.
    :param alignment: one of ALIGNMENTS.
    :param delta: frames between the two poses of a pair, at least 1.
    :param max_difference_ns: largest difference of matched stamps, nanoseconds.
    :raises EvaluationError: when there are too few poses or no motion to align.
    """
    mine, theirs = associate(estimate.stamps_ns, truth.stamps_ns, max_difference_ns)
    return evaluate_trajectory(estimate.poses[mine], truth.poses[theirs], alignment, delta)


def position_error(estimate: Array, truth: Array) -> float:
    """
    Return the ATE after Sim(3) alignment; an estimate without motion is put at the mean position.

    :param estimate: (N, 4, 4) world_T_camera, metres, in any world.
    :param truth: (N, 4, 4) world_T_camera, metres.
    :returns: root mean square, metres.
    """
    try:
        return evaluate_trajectory(estimate, truth, 'sim3').ate.rmse
    except EvaluationError:
        positions = truth[:, :3, 3]
        return float(np.sqrt(np.mean(np.sum((positions - positions.mean(axis=0)) ** 2, axis=1))))


def relative_motion(poses: Array, delta: int) -> Array:
    """
    Return the motion over `delta` frames in the frame of the earlier pose.

    :param poses: (N, 4, 4), metres.
    :param delta: frames, at least 1.
    :returns: (N - delta, 4, 4), metres.
    """
    return invert(poses[:-delta]) @ poses[delta:]


def path_length(poses: Array) -> float:
    """
    Return the sum of the distances between consecutive poses.

    :param poses: (N, 4, 4), metres.
    :returns: metres.
    """
    return float(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum())


@dataclass(frozen=True)
class DepthErrors:
    """
    The usual error measures of depth.

    abs_rel: mean of |estimate - truth| / truth. delta_1_25: fraction of the pixels where the
    larger of estimate / truth and truth / estimate is below 1.25. scale: factor that was
    applied to the estimate. pixels: number of compared pixels.
    """

    abs_rel: float
    delta_1_25: float
    scale: float
    pixels: int


def comparable_pixels(
    estimate: NDArray[np.floating], truth: NDArray[np.floating]
) -> tuple[Array, Array]:
    """
    Return the pixels where both depths are known: finite and above 0.

    :param estimate: (H, W) metres.
    :param truth: (H, W) metres.
    :returns: (N,) metres, of the estimate and of the truth.
    :raises EvaluationError: when the sizes differ.
    """
    if estimate.shape != truth.shape:
        raise EvaluationError(
            f'a depth image of {estimate.shape} cannot be compared with one of {truth.shape}'
        )
    known = np.isfinite(estimate) & np.isfinite(truth) & (estimate > 0) & (truth > 0)
    return estimate[known].astype(np.float64), truth[known].astype(np.float64)


def median_scale(estimate: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """
    Return the factor that aligns an estimate with the truth: the median of truth / estimate.

    :param estimate: (H, W) metres.
    :param truth: (H, W) metres.
    :returns: the factor, NaN where nothing can be compared.
    """
    estimate, truth = comparable_pixels(estimate, truth)
    return float(np.median(truth / estimate)) if len(estimate) else float('nan')


def depth_errors(
    estimate: NDArray[np.floating], truth: NDArray[np.floating], scale: float = 1.0
) -> DepthErrors:
    """
    Compare two depth images.

    :param estimate: (H, W) metres along z; 0, negative and not finite mean unknown.
    :param truth: (H, W) likewise, metres.
    :param scale: factor on the estimate.
    :returns: the errors, NaN where nothing can be compared.
    """
    estimate, truth = comparable_pixels(estimate, truth)
    if not len(estimate):
        return DepthErrors(float('nan'), float('nan'), scale, 0)
    estimate = scale * estimate
    ratio = np.maximum(estimate / truth, truth / estimate)
    return DepthErrors(
        float(np.mean(np.abs(estimate - truth) / truth)),
        float(np.mean(ratio < 1.25)),
        scale,
        len(estimate),
    )
