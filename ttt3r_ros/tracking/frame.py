# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The result of the front end for one image: a pose in `track`, and points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array, Array32, Mask, Pixels
from ttt3r_ros.geometry import transform_points
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.tracking.tracked_pose import TrackedPose, View


@dataclass(frozen=True, eq=False)
class Pointmap:
    """
    A point for each pixel, seen from the camera.

    points_camera: (h, w, 3) float32. confidence: (h, w) float32, 1 means none. colors: (h, w, 3)
    uint8, the image that the network saw.
    """

    points_camera: Array32
    confidence: Array32
    colors: Pixels

    @property
    def depth(self) -> Array32:
        """Return the depth along the optical axis, (h, w) float32."""
        return self.points_camera[..., 2]

    def scaled(self, factor: float) -> Pointmap:
        """
        Return the same points in another unit of length.

        :param factor: new units per old unit.
        """
        if factor == 1.0:
            return self
        points = self.points_camera * np.float32(factor)
        return Pointmap(points, self.confidence, self.colors)

    def subsampled(self, stride: int) -> Pointmap:
        """
        Return part of the pixels.

        :param stride: use each stride-th row and column, beginning at stride // 2.
        """
        some = (slice(stride // 2, None, stride),) * 2
        return Pointmap(self.points_camera[some], self.confidence[some], self.colors[some])

    def reliable(self, threshold: float, max_range: float) -> Mask:
        """
        Return which points are good enough for a map.

        :param threshold: confidence that a point must exceed.
        :param max_range: largest distance from the camera, in the unit of the points.
        :returns: (h, w) bool.
        """
        points = self.points_camera
        # A comparison with NaN is false, so points that are not finite fall out.
        near = np.einsum('hwc,hwc->hw', points, points) <= max_range**2
        good: Mask = near & (self.depth > 0) & (self.confidence > threshold)
        return good

    def points_in(self, a_T_camera: Array) -> Array32:
        """
        Return the points in another frame.

        :param a_T_camera: (4, 4), in the unit of the points.
        :returns: (h, w, 3) float32.
        """
        return transform_points(a_T_camera, self.points_camera).astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """
    One image in `track`: the frame of the first camera, continuous, drifting, never corrected.

    index: images mapped before this one since the last reset. segment: number of its segment.
    view: what is known of it. pose: relative to its key frame. scale: units of `track`
    per unit of the network's depth of this image. pointmap: in units of `track`. fit: from the
    original image to the one that the network saw. camera: of the original image, without
    distortion; its focal length is an estimate where the camera is not calibrated. gains: (S,)
    how much of each state token this image rewrote, 0 to 1. doubt: why its scale is not to be
    relied on, in one sentence; empty while it is.
    """

    index: int
    segment: int
    view: View
    pose: TrackedPose
    scale: float
    pointmap: Pointmap
    fit: ImageFit
    camera: CameraIntrinsics
    gains: Array32
    doubt: str = ''

    @property
    def gain_mean(self) -> float:
        """Return how much of the state this image rewrote, 0 to 1."""
        return float(np.mean(self.gains))

    @property
    def stamp_ns(self) -> int:
        """Return the stamp of the image, nanoseconds."""
        return self.view.stamp_ns

    @property
    def track_T_camera(self) -> Array:
        """Return the pose, (4, 4)."""
        return self.pose.track_T_camera

    @property
    def network_T_camera(self) -> Array:
        """Return the pose by the network alone, (4, 4), its segments chained."""
        pose = self.view.network_T_camera
        assert pose is not None
        return pose
