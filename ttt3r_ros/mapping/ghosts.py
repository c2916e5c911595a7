# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a new depth image sees through: points of things that are not there any more."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ttt3r_ros.arrays import Array32, Mask
from ttt3r_ros.tracking.frame import Pointmap

# A point is seen through where it lies before so large a share of the depth, and hit where it
# lies within as much of it: over a sigma of a depth of which the graph has the scale and part of
# the shape, and several images must agree.
MARGIN = 0.12
REACH_M = 4.0
NEAREST_M = 0.2

FIT_STRIDE, FEWEST_TO_FIT = 8, 30


@dataclass(frozen=True, eq=False)
class DepthView:
    """
    The depth of an image, and where points project in it.

    nearest: (h, w) least depth of the pixels around, metres; 0 where one is unknown. slope,
    offset: (2,) pixel = slope * (x, y) / z + offset.
    """

    nearest: Array32
    slope: Array32
    offset: Array32

    @classmethod
    def of(cls, pointmap: Pointmap, threshold: float, scale: float) -> DepthView | None:
        """
        Take the depth of an image, and fit a pinhole to its points.

        :param threshold: confidence that a point must exceed.
        :param scale: metres per unit of the points.
        :returns: None where too little is known.
        """
        depth = pointmap.depth
        # A comparison with NaN is false.
        known = (pointmap.confidence > threshold) & (depth > 0) & (depth < np.inf)
        some = (slice(FIT_STRIDE // 2, None, FIT_STRIDE),) * 2
        chosen = known[some]
        if chosen.sum() < FEWEST_TO_FIT:
            return None
        points = pointmap.points_camera[some][chosen].astype(np.float64)
        towards = points[:, :2] / points[:, 2:]
        pixels = np.argwhere(chosen)[:, ::-1] * FIT_STRIDE + FIT_STRIDE // 2
        mean, middle = towards.mean(axis=0), pixels.mean(axis=0)
        spread = ((towards - mean) ** 2).sum(axis=0)
        if not (np.isfinite(spread) & (spread > 0)).all():
            return None
        slope = ((towards - mean) * (pixels - middle)).sum(axis=0) / spread
        metres = np.where(known, depth * np.float32(scale), np.float32(0))
        # An edge may lie a pixel aside: only what lies before all pixels around is seen through.
        nearest = np.asarray(cv2.erode(metres, np.ones((3, 3), np.uint8)), np.float32)
        offset = middle - slope * mean
        return cls(nearest, slope.astype(np.float32), offset.astype(np.float32))

    def judge(self, points: Array32) -> tuple[Mask, Mask]:
        """
        Compare points with the depth.

        :param points: (3, N), metres, camera frame.
        :returns: (N,) bool, which are seen through; (N,) which are seen.
        """
        near = np.flatnonzero((points[2] > NEAREST_M) & (points[2] < REACH_M))
        x, y, z = points.take(near, axis=1)
        height, width = self.nearest.shape
        column = x / z * self.slope[0] + self.offset[0]
        row = y / z * self.slope[1] + self.offset[1]
        inside = np.flatnonzero(
            (column > -0.5) & (column < width - 0.5) & (row > -0.5) & (row < height - 0.5)
        )
        pixel = np.rint(row.take(inside)) * width + np.rint(column.take(inside))
        depth, z = self.nearest.reshape(-1).take(pixel.astype(np.int64)), z.take(inside)
        missed, hit = np.zeros(points.shape[1], bool), np.zeros(points.shape[1], bool)
        missed[near.take(inside)] = z < np.float32(1.0 - MARGIN) * depth
        hit[near.take(inside)] = np.abs(z - depth) <= np.float32(MARGIN) * depth
        return missed, hit
