# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The scale of a depth map from the floor, where it is known how high the camera is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.tracking.relative_pose import rays_at

STRIDE = 2
STEEPEST = 0.12  # least slope of a ray downwards; flatter ones meet the floor too far away
FLAT = 0.03  # by which the log scale may change from row to row on a plane
LARGEST_LOG_SCALE = 1.0
BIN = 0.05
LOW_PEAK = 0.6  # nothing is below the floor: the lowest peak so high is it
NEAR_PEAK = 0.1
LEAST_SHARE = 0.2  # of the rays downwards
LEAST_PIXELS = 60
SIGMA = 0.05


# What the depth of a feature on the floor errs by: a share of the height, and a base that nods.
HEIGHT_SIGMA, NOD_SIGMA = 0.02, 0.01


@dataclass(frozen=True)
class FloorScale:
    """
    The scale of the depth of an image by the floor.

    log_scale: to be added to log depth where the floor is. across, down: mean tangents of the
    pixels that show it. sigma: of log_scale.
    """

    log_scale: float
    across: float
    down: float
    sigma: float


def find_floor(
    depth: NDArray[np.floating], camera: Array, base_T_camera: Array
) -> FloorScale | None:
    """
    Look for the plane z = 0 of the base.

    Each pixel that looks down has one scale with which it would lie on the floor. Those of the
    floor agree; whatever stands on it gives a larger one, and nothing is below.

    :param depth: (h, w) metres along z, 0 or less is unknown.
    :param camera: (3, 3) pinhole matrix, pixels.
    :param base_T_camera: (4, 4), its z is the height above the floor.
    :returns: None where no floor is seen.
    """
    z = np.asarray(depth[::STRIDE, ::STRIDE], dtype=np.float64)
    v, u = np.mgrid[: depth.shape[0] : STRIDE, : depth.shape[1] : STRIDE]
    across, down = (u - camera[0, 2]) / camera[0, 0], (v - camera[1, 2]) / camera[1, 1]
    row = base_T_camera[2, :3]
    slope = -(row[0] * across + row[1] * down + row[2])
    looks_down = slope > STEEPEST
    good = looks_down & (z > 0)
    height = float(base_T_camera[2, 3])
    if height <= 0 or good.sum() < LEAST_PIXELS:
        return None
    scale = np.full(z.shape, np.nan)
    scale[good] = np.log(height / (slope[good] * z[good]))
    with np.errstate(invalid='ignore'):
        plane = good & (np.abs(np.gradient(scale, axis=0)) < FLAT)
        plane &= np.abs(scale) < LARGEST_LOG_SCALE
    values = scale[plane]
    if len(values) < LEAST_PIXELS:
        return None
    middle = _lowest_peak(values)
    floor = plane & (np.abs(scale - middle) < NEAR_PEAK)
    if floor.sum() < max(LEAST_SHARE * looks_down.sum(), LEAST_PIXELS):
        return None
    return FloorScale(
        float(np.median(scale[floor])),
        float(across[floor].mean()),
        float(down[floor].mean()),
        SIGMA,
    )


def depth_on_floor(
    floor: FloorScale,
    px: NDArray[np.floating],
    log_depth: Array,
    camera: Array,
    base_T_camera: Array,
) -> Array:
    """
    Return how far features are that lie on the floor.

    :param floor: of their image.
    :param px: (N, 2) pixels of the features.
    :param log_depth: (N,) of the network, logarithms of metres.
    :param camera: (3, 3) intrinsics, pixels.
    :param base_T_camera: (4, 4), metres.
    :returns: (N, 2) log depth in metres and its sigma, NaN where it is not the floor.
    """
    slope = -rays_at(px, camera) @ base_T_camera[2, :3]
    down = np.where(slope > STEEPEST, slope, np.nan)
    metric = np.log(float(base_T_camera[2, 3]) / down)
    there = np.abs(metric - log_depth - floor.log_scale) < NEAR_PEAK
    found = np.stack([metric, np.hypot(HEIGHT_SIGMA, NOD_SIGMA / down)], axis=1)
    found[~there] = np.nan
    return found


def _lowest_peak(values: Array) -> float:
    edges = np.arange(-LARGEST_LOG_SCALE - BIN, LARGEST_LOG_SCALE + 2 * BIN, BIN)
    counts = np.convolve(np.histogram(values, edges)[0], [1, 1, 1], 'same')
    peak = int(np.flatnonzero(counts >= LOW_PEAK * counts.max())[0])
    middle = 0.5 * float(edges[peak] + edges[peak + 1])
    for _ in range(3):
        near = values[np.abs(values - middle) < NEAR_PEAK]
        middle = float(np.median(near)) if len(near) else middle
    return middle
