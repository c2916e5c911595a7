# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The depth of features, and its scale from one image to the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, transform_points
from ttt3r_ros.tracking.features import Tracks
from ttt3r_ros.tracking.followed import KeyView, Seen
from ttt3r_ros.tracking.relative_pose import depth_at, rays_at

LEAST_COMMON = 10
NEAREST = 0.05  # in the unit of the depth


def log_depth_at(seen: Seen, px: NDArray[np.float32]) -> Array:
    """
    Return the log depth at pixels, (N,), NaN where it is unknown.

    :param seen: an image with its depth.
    :param px: (N, 2).
    """
    assert seen.depth is not None
    depth = seen.depth
    if seen.confidence is not None:
        depth = np.where(seen.confidence > 1.0, depth, 0.0)
    return np.log(depth_at(depth, px))


def scale_ratio(old: KeyView, tracks: Tracks, log_depth: Array, old_T_new: Array) -> float | None:
    """
    Compare the depths that two key frames give the same features.

    :param old: a key frame.
    :param tracks: of the other one.
    :param log_depth: (N,) of those.
    :param old_T_new: (4, 4), in the unit of the old one's depth.
    :returns: log scale of the new one's depth minus that of the old one's; None where they have
        too little in common.
    """
    _, mine, theirs = np.intersect1d(
        old.tracks.number, tracks.number, assume_unique=True, return_indices=True
    )
    points = rays_at(old.tracks.px[mine], old.seen.camera) * np.exp(old.log_depth[mine])[:, None]
    depth = transform_points(invert(old_T_new), points)[:, 2]
    ratios = np.log(np.maximum(depth, NEAREST)) - log_depth[theirs]
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) >= LEAST_COMMON else None
