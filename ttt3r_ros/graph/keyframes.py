# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is kept of a key frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array, Array32
from ttt3r_ros.graph.closure import FeaturePoints
from ttt3r_ros.graph.floor import find_floor, FloorScale
from ttt3r_ros.tracking.feature_depth import depth_at
from ttt3r_ros.tracking.features import gray_of
from ttt3r_ros.tracking.local_features import detect
from ttt3r_ros.tracking.relative_pose import rays_at
from ttt3r_ros.tracking.tracked_pose import KeyView


@dataclass(frozen=True, eq=False)
class KeyFrame:
    """
    A key frame without its image.

    number: rising. stamp_ns: as given. track_T_camera: (4, 4). log_scale: of its depth in track.
    base_T_camera, odom_T_camera: (4, 4) or None. feature_points: what is compared. place:
    what is searched for, empty before there is a vocabulary. floor: scale by the floor.
    focal_known: calibrated. track: number of the first key frame of the same track. slipped: see
    KeyView. camera_index: of the camera on the robot.
    """

    number: int
    stamp_ns: int
    track_T_camera: Array
    log_scale: float
    base_T_camera: Array | None
    odom_T_camera: Array | None
    feature_points: FeaturePoints
    place: Array32
    floor: FloorScale | None
    focal_known: bool
    track: int = 0
    slipped: bool = False
    camera_index: int = 0

    @classmethod
    def of(cls, key: KeyView) -> KeyFrame:
        """
        Take from the tracker's key frame what is kept.

        :param key: with its image and depth.
        """
        view = key.view
        assert view.depth is not None
        features = detect(gray_of(view.image))
        depth = depth_at(view.depth, features.px)
        points = rays_at(features.px, view.camera) * depth[:, None]
        floor = None
        if view.base_T_camera is not None:
            floor = find_floor(view.depth, view.camera, view.base_T_camera)
        return cls(
            key.number,
            view.stamp_ns,
            key.track_T_camera,
            key.log_scale,
            view.base_T_camera,
            view.odom_T_camera,
            FeaturePoints(features, points, view.camera),
            np.empty(0, np.float32),
            floor,
            view.focal_known,
            key.track,
            key.slipped,
            view.camera_index,
        )
