# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is known of an image, before and after the network has seen it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import Similarity
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.tracking.focal import ImpliedFocal
from ttt3r_ros.tracking.frame import Pointmap
from ttt3r_ros.tracking.prepared import FittedImage
from ttt3r_ros.tracking.segmented_network import Prediction
from ttt3r_ros.tracking.tracked_pose import View


@dataclass(frozen=True, eq=False)
class SeenImage:
    """
    An image with what the network computed for it.

    view: in units of the network's chained segments. pointmap: in units of its segment. camera:
    pinhole of the original image, without distortion.
    """

    view: View
    pointmap: Pointmap
    camera: CameraIntrinsics

    @classmethod
    def of(
        cls,
        fitted: FittedImage,
        prediction: Prediction,
        track_T_world: Similarity,
        focal: ImpliedFocal,
    ) -> SeenImage:
        """
        Put the points on the rays of the camera, where it is calibrated, and in `track`.

        :param track_T_world: of the segment.
        :param focal: by all images up to this one.
        """
        points, confidence = prediction.points_camera, prediction.confidence
        if fitted.lens is not None:
            points, confidence = fitted.lens.rebuild(points, confidence)
        factor = focal.believed.depth_factor
        pointmap = Pointmap(points, confidence, fitted.image).scaled(factor)
        calibration = fitted.observation.intrinsics
        if calibration is None:
            camera = focal.steady.camera(fitted.fit)
        else:
            camera = calibration.without_distortion()
        view = replace(
            unseen(fitted, fitted.fit.intrinsics(camera).matrix),
            depth=track_T_world.scale * pointmap.depth,
            confidence=pointmap.confidence,
            network_T_camera=track_T_world.pose(prediction.world_T_camera),
        )
        return cls(view, pointmap, camera)


def unseen(fitted: FittedImage, camera: Array) -> View:
    """
    Return what is known before the network has seen the image.

    :param camera: (3, 3), of the fitted image.
    """
    observation = fitted.observation
    return View(
        observation.stamp_ns,
        fitted.image,
        camera,
        observation.intrinsics is not None,
        odom_T_camera=observation.odom_T_camera,
        base_T_camera=observation.base_T_camera,
        camera_index=observation.camera_index,
    )
