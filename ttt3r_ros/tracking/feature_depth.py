# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The depth of features, and its scale from one image to the next."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, transform_points
from ttt3r_ros.tracking.features import Tracks
from ttt3r_ros.tracking.relative_pose import rays_at
from ttt3r_ros.tracking.tracked_pose import KeyView, View

LEAST_COMMON = 10
NEAREST = 0.05  # in the unit of the depth

# A depth is refused where its neighbourhood spans more than this share of it: at an edge.
DEPTH_SPAN = 0.25
HOLE_PX = 2  # holes are filled so far from what is known


def depth_at(depth: NDArray[np.floating], px: NDArray[np.floating]) -> NDArray[np.float64]:
    """
    Read a depth map between its pixels.

    :param depth: (h, w) metres along z, 0 or less is unknown.
    :param px: (N, 2) columns and rows, inside the image.
    :returns: (N,) metres, NaN where the depth is unknown or not smooth.
    """
    depth = _without_small_holes(np.ascontiguousarray(depth, dtype=np.float32))
    height, width = depth.shape
    u, v = np.asarray(px, dtype=np.float64).T
    columns = np.clip(np.rint(u).astype(int)[:, None] + _ACROSS, 0, width - 1)
    rows = np.clip(np.rint(v).astype(int)[:, None] + _DOWN, 0, height - 1)
    near = depth[rows, columns]  # (N, 9)
    low, high = near.min(axis=1), near.max(axis=1)
    left = np.clip(np.floor(u).astype(int), 0, width - 2)
    top = np.clip(np.floor(v).astype(int), 0, height - 2)
    x, y = u - left, v - top
    above = depth[top, left] * (1 - x) + depth[top, left + 1] * x
    below = depth[top + 1, left] * (1 - x) + depth[top + 1, left + 1] * x
    value = above * (1 - y) + below * y
    good = (low > 0) & (high - low < DEPTH_SPAN * value)
    return np.where(good, value, np.nan)


def _without_small_holes(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    Fill what is next to known pixels by their mean.

    A depth camera leaves holes where features are, at edges and on what is dark or shines; those
    where the depth is not smooth are refused afterwards.
    """
    for _ in range(HOLE_PX):
        known = depth > 0
        if known.all():
            break
        count, total = (
            cv2.boxFilter(one, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
            for one in (known.astype(np.float32), np.where(known, depth, np.float32(0)))
        )
        depth = np.where(known, depth, total / np.maximum(count, 1))
    return depth


_ACROSS, _DOWN = (grid.ravel() for grid in np.meshgrid([-1, 0, 1], [-1, 0, 1]))


def log_depth_at(view: View, px: NDArray[np.float32]) -> Array:
    """
    Return the log depth at pixels, (N,), NaN where it is unknown.

    :param view: an image with its depth.
    :param px: (N, 2) pixels.
    """
    assert view.depth is not None
    depth = view.depth
    if view.confidence is not None:
        depth = np.where(view.confidence > 1.0, depth, 0.0)
    return np.log(depth_at(depth, px))


def depth_ratios(old: KeyView, tracks: Tracks, log_depth: Array, old_T_new: Array) -> Array | None:
    """
    Compare the depths of the same features in two key frames.

    :param old: a key frame.
    :param tracks: of the other one.
    :param log_depth: (N,) of those, logarithms of metres.
    :param old_T_new: (4, 4), in the unit of the old one's depth.
    :returns: (K,) log of what the new one's depth is to be multiplied by, of each feature; None
        where they have too little in common.
    """
    _, mine, theirs = np.intersect1d(
        old.tracks.number, tracks.number, assume_unique=True, return_indices=True
    )
    points = rays_at(old.tracks.px[mine], old.view.camera) * np.exp(old.log_depth[mine])[:, None]
    depth = transform_points(invert(old_T_new), points)[:, 2]
    ratios: Array = np.log(np.maximum(depth, NEAREST)) - log_depth[theirs]
    ratios = ratios[np.isfinite(ratios)]
    return ratios if len(ratios) >= LEAST_COMMON else None


def scale_ratio(old: KeyView, tracks: Tracks, log_depth: Array, old_T_new: Array) -> float | None:
    """
    Return the log scale of one key frame's depth minus that of another's.

    :param old: the other one.
    :param tracks: of the one.
    :param log_depth: (N,) of those, logarithms of metres.
    :param old_T_new: (4, 4), in the unit of the old one's depth.
    :returns: None where they have too little in common.
    """
    ratios = depth_ratios(old, tracks, log_depth, old_T_new)
    return None if ratios is None else float(np.median(ratios))
