# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Whether two key frames saw the same place, and from where."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, invert, scaled, transform, transform_points
from ttt3r_ros.graph.window import adjust, relative_covariance, WindowFrame
from ttt3r_ros.tracking.local_features import LocalFeatures, match
from ttt3r_ros.tracking.relative_pose import RelativePose, solve_pose

RANSAC_PX = 4.0
LEAST_INLIERS = 20
LEAST_SHARE = 0.25  # of the matches
MOST_CHI2 = 30.0  # by which the two directions may differ
NEAREST = 0.05
ROUNDS = 10  # of the adjustment
# What it errs beyond its covariance.
INFLATION = 3.0
LEAST_TURN, LEAST_SHIFT = 0.005, 0.02


@dataclass(frozen=True, eq=False)
class FeaturePoints:
    """
    The local features of a key frame and their points, by which it is compared with others.

    features: local features. points: (N, 3) of them, in the axes of the camera and the unit of
    its depth; NaN where the depth is unknown. camera: (3, 3).
    """

    features: LocalFeatures
    points: Array
    camera: Array


@dataclass(frozen=True, eq=False)
class Closure:
    """
    Two key frames that saw the same place, measured in both directions.

    here_T_there: in the unit of here's depth. there_T_here: in that of there's. Both are of one
    adjustment, their covariances such that together they count once. log_ratio: log scale of
    there's depth minus that of here's. inliers: the smaller number of both directions. points:
    (K, 3) that agree in both, of here's view.
    """

    here_T_there: RelativePose
    there_T_here: RelativePose
    log_ratio: float
    inliers: int
    points: Array


def verify(
    here: FeaturePoints, there: FeaturePoints, least_inliers: int = LEAST_INLIERS
) -> Closure | None:
    """
    Compare two key frames by their features and depths.

    :param least_inliers: features that must agree, in both directions.
    :returns: None where they did not see the same, or the two directions disagree.
    """
    mine, theirs = match(here.features.descriptors, there.features.descriptors)
    if len(mine) < least_inliers:
        return None
    forth = _pose(here.points[mine], there.features.px[theirs], there.camera, least_inliers)
    if forth is None:
        return None
    back = _pose(there.points[theirs], here.features.px[mine], here.camera, least_inliers)
    if back is None:
        return None
    log_ratio = _log_ratio(forth, here.points[mine], there.points[theirs])
    if log_ratio is None or _disagreement(forth, back, log_ratio) > MOST_CHI2:
        return None
    inliers = int(min(forth.inliers.sum(), back.inliers.sum()))
    both = here.points[mine[forth.inliers & back.inliers]]
    found = Closure(forth, back, log_ratio, inliers, both)
    return _adjusted(here, there, mine, theirs, found)


def _pose(
    points: Array, px: NDArray[np.float32], camera: Array, least_inliers: int
) -> RelativePose | None:
    """Solve for the camera that has the pixels; inliers are of all points."""
    known = np.isfinite(points[:, 2])
    pose = solve_pose(points[known], px[known], camera, RANSAC_PX, least_inliers, LEAST_SHARE)
    if pose is None:
        return None
    inliers = np.zeros(len(points), np.bool_)
    inliers[np.flatnonzero(known)[pose.inliers]] = True
    return RelativePose(pose.key_T_camera, pose.covariance, inliers, pose.rms_px)


def _log_ratio(forth: RelativePose, here: Array, there: Array) -> float | None:
    """Compare the depths of the same points, in there's camera."""
    common = forth.inliers & np.isfinite(there[:, 2])
    if not common.any():
        return None
    seen = transform_points(invert(forth.key_T_camera), here[common])
    return float(np.median(np.log(np.maximum(seen[:, 2], NEAREST)) - np.log(there[common, 2])))


def _adjusted(
    here: FeaturePoints,
    there: FeaturePoints,
    mine: NDArray[np.intp],
    theirs: NDArray[np.intp],
    found: Closure,
) -> Closure:
    """
    Measure again from the pixels of both at once, where the tilts of their depths are unknowns.

    Either direction alone takes the shape of one depth as it is, and with it its tilt.

    :param mine: (K,) indices of the matches in here, theirs: in there.
    :param found: of those matches.
    """
    good = found.here_T_there.inliers | found.there_T_here.inliers
    seen = [
        _window_frame(here, mine[good], np.eye(4), 0.0),
        _window_frame(there, theirs[good], found.here_T_there.key_T_camera, found.log_ratio),
    ]
    adjusted = adjust(seen, ROUNDS, held=1)
    pose, log_ratio = adjusted.frames[1].map_T_camera, adjusted.frames[1].log_scale
    covariance = relative_covariance(adjusted.information, 0, 1)[:6, :6]
    covariance = INFLATION * covariance + np.diag([LEAST_TURN**2] * 3 + [LEAST_SHIFT**2] * 3)
    unit = float(np.exp(-log_ratio))
    turned = np.diag([1.0] * 3 + [unit] * 3) @ adjoint(pose)
    # It is one measurement, and each direction counts half of it.
    forth = replace(found.here_T_there, key_T_camera=pose, covariance=2 * covariance)
    back = replace(
        found.there_T_here,
        key_T_camera=scaled(invert(pose), unit),
        covariance=2 * turned @ covariance @ turned.T,
    )
    return replace(found, here_T_there=forth, there_T_here=back, log_ratio=log_ratio)


def _window_frame(
    view: FeaturePoints, chosen: NDArray[np.intp], pose: Array, log_scale: float
) -> WindowFrame:
    return WindowFrame(
        pose,
        log_scale,
        np.zeros(2),
        view.camera,
        np.arange(len(chosen)),
        view.features.px[chosen],
        np.log(view.points[chosen, 2]),
    )


def _disagreement(forth: RelativePose, back: RelativePose, log_ratio: float) -> float:
    """Return the chi2 between one direction and the inverse of the other, in here's unit."""
    scaled = transform(back.key_T_camera[:3, :3], back.key_T_camera[:3, 3] * np.exp(log_ratio))
    rest = forth.key_T_camera @ scaled  # the identity where they agree; seen in here's axes
    turn = 0.5 * np.array(
        [rest[2, 1] - rest[1, 2], rest[0, 2] - rest[2, 0], rest[1, 0] - rest[0, 1]]
    )
    error = np.concatenate([turn, rest[:3, 3]])
    # forth's covariance is in there's axes: bring it to here's, where back's is.
    moved = adjoint(forth.key_T_camera)
    covariance = moved @ forth.covariance @ moved.T + back.covariance
    return float(error @ np.linalg.solve(covariance, error))
