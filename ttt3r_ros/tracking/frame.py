# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What one image gave."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.geometry import Array, transform_points


@dataclass(frozen=True, eq=False)
class MappedFrame:
    """
    One image in the map.

    index: images mapped before this one since the last reset. stamp_ns: as given. segment:
    number of its segment. scale: metres per unit of the network in this segment, applied to
    all lengths here. map_T_camera: (4, 4). points_camera: (h, w, 3) float32, metres.
    confidence: (h, w) float32, 1 means none. colors: (h, w, 3) uint8, the image that the
    network saw. focal_px: pixels of the original image, the calibrated fx or the estimate.
    gain_mean, gain_min, gain_max: how much of the state this image rewrote, 0 to 1.
    """

    index: int
    stamp_ns: int
    segment: int
    scale: float
    map_T_camera: Array
    points_camera: NDArray[np.float32]
    confidence: NDArray[np.float32]
    colors: NDArray[np.uint8]
    focal_px: float
    gain_mean: float
    gain_min: float
    gain_max: float

    def points_map(self) -> NDArray[np.float32]:
        """Give the points in the map frame, (h, w, 3) float32, metres."""
        return transform_points(self.map_T_camera, self.points_camera).astype(
            np.float32, copy=False
        )

    def thinned(self, stride: int) -> MappedFrame:
        """
        Keep part of the pixels.

        :param stride: every so many rows and columns stay, the first ones half as far inside.
        """
        some = (slice(stride // 2, None, stride),) * 2
        return replace(
            self,
            points_camera=self.points_camera[some],
            confidence=self.confidence[some],
            colors=self.colors[some],
        )

    def kept(self, threshold: float, max_range: float) -> NDArray[np.bool_]:
        """
        Choose the points that are good enough for a map.

        :param threshold: confidence that a point must exceed.
        :param max_range: largest distance from the camera, metres.
        :returns: (h, w) bool.
        """
        points = self.points_camera
        # A comparison with NaN is false, so points that are not finite fall out.
        near = np.einsum('hwc,hwc->hw', points, points) <= max_range**2
        kept: NDArray[np.bool_] = near & (points[..., 2] > 0) & (self.confidence > threshold)
        return kept
