# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The way back from an image to the last ones that were located, where the features went lost.

The features of a key frame leave the view when the camera turns, and the images of a slow network
are far apart. The newest image has features of its own, and depth: they are followed back through
the images since the key frame, until one of those was located by the key frame's features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.geometry import adjoint, invert
from ttt3r_ros.tracking.features import follow, Tracks
from ttt3r_ros.tracking.relative_pose import rays_at, RelativePose, solve_pose

MOST_PASSED = 15  # images since the key frame
ROUGH_PX = 8.0
# Of the log scale of a depth against that of another image, of which nothing was compared.
UNIT_SIGMA = 0.12


@dataclass(frozen=True, eq=False)
class Passed:
    """
    An image since the key frame.

    gray: (h, w). key_T_camera, covariance: of RelativePose; inliers: features that agree, 0 where
    they do not show where it was taken.
    """

    gray: Pixels
    key_T_camera: Array
    covariance: Array
    inliers: int


def look_back(
    fresh: Tracks, log_depth: Array, camera: Array, passed: tuple[Passed, ...]
) -> RelativePose | None:
    """
    Find the pose of an image in the axes of the key frame by an image between the two.

    :param fresh: features of the image, numbered from 0.
    :param log_depth: (N,) of them, NaN is unknown.
    :param camera: (3, 3) of all images.
    :param passed: the images since the key frame, oldest first.
    :returns: of the image between that both ends know best; None where there is none.
    """
    points = rays_at(fresh.px, camera) * np.exp(log_depth)[:, None]
    known = np.isfinite(log_depth)
    tracks, best = fresh, None
    for one in reversed(passed):
        if one.gray.shape != tracks.gray.shape:
            break
        tracks = follow(tracks, one.gray)
        chosen = known[tracks.number]
        seen = points[tracks.number[chosen]], tracks.px[chosen], camera
        pose = solve_pose(*seen) or solve_pose(*seen, ROUGH_PX)
        if pose is None:
            break
        if one.inliers and (best is None or _weaker(*best) < _weaker(pose, one)):
            best = pose, one
    return None if best is None else _joined(*best)


def _weaker(pose: RelativePose, passed: Passed) -> int:
    """Return how many features agree on the weaker half of a way."""
    return min(int(pose.inliers.sum()), passed.inliers)


def _joined(pose: RelativePose, passed: Passed) -> RelativePose:
    """Return where an image is, from which another one is seen at a pose and where that one is."""
    here_T_passed = pose.key_T_camera
    way = here_T_passed[:3, 3]
    turned = adjoint(here_T_passed)
    covariance = turned @ (passed.covariance + pose.covariance) @ turned.T
    covariance[3:, 3:] += UNIT_SIGMA**2 * np.outer(way, way)
    return replace(
        pose, key_T_camera=passed.key_T_camera @ invert(here_T_passed), covariance=covariance
    )
