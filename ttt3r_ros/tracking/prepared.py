# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""An image as network and features take it, and what the network then shows of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.geometry import Similarity
from ttt3r_ros.image_fit import ImageFit, Resize
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.tracking.focal import SteadyFocal
from ttt3r_ros.tracking.frame import Pointmap
from ttt3r_ros.tracking.interim import InterimState
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.tracked_pose import TrackedFeatures, View
from ttt3r_ros.tracking.undistort import Lens, lens_of


class Prediction(Protocol):
    """What a network computes for one image; HostPrediction is one."""

    @property
    def points_camera(self) -> Array32: ...
    @property
    def confidence(self) -> Array32: ...
    @property
    def world_T_camera(self) -> Array: ...
    @property
    def gains(self) -> Array32: ...


@dataclass(frozen=True, eq=False)
class FittedImage:
    """
    An image without distortion, of the size that the network takes.

    observation: as it came. image: (h, w, 3) uint8. fit, lens: by which; lens is None without
    calibration.
    """

    observation: Observation
    image: Pixels
    fit: ImageFit
    lens: Lens | None

    @classmethod
    def of(cls, observation: Observation, fit: ImageFit, resize: Resize) -> FittedImage:
        """
        Undistort, resize and crop.

        :param resize: that of the network.
        :raises UserError: BadImage or CalibrationError.
        """
        rgb, camera = observation.rgb, observation.intrinsics
        if camera is None:
            return cls(observation, fit.apply(rgb, resize), fit, None)
        lens = lens_of(camera, fit)
        return cls(observation, fit.apply(lens.undistort(rgb), resize), fit, lens)

    def camera(self, focal: SteadyFocal) -> CameraIntrinsics:
        """
        Return the pinhole of the original image, without distortion.

        :param focal: of a camera without calibration.
        """
        intrinsics = self.observation.intrinsics
        return focal.camera(self.fit) if intrinsics is None else intrinsics.without_distortion()

    def pointmap(self, prediction: Prediction, depth_factor: float) -> Pointmap:
        """
        Return the points, along the rays of the camera where it is calibrated.

        :param depth_factor: by what the depth of the network is multiplied.
        """
        points, confidence = prediction.points_camera, prediction.confidence
        if self.lens is not None:
            points, confidence = self.lens.rebuild(points, confidence)
        return Pointmap(points, confidence, self.image).scaled(depth_factor)

    def unseen(self, camera: Array) -> View:
        """
        Return what is known before the network has seen the image.

        :param camera: (3, 3), of the fitted image.
        """
        observation = self.observation
        return View(
            observation.stamp_ns,
            self.image,
            camera,
            observation.intrinsics is not None,
            odom_T_camera=observation.odom_T_camera,
            base_T_camera=observation.base_T_camera,
            camera_index=observation.camera_index,
        )

    def seen(
        self,
        camera: CameraIntrinsics,
        pointmap: Pointmap,
        track_T_world: Similarity,
        world_T_camera: Array,
    ) -> View:
        """
        Return what is known when the network has seen the image.

        :param camera: of the original image.
        :param pointmap: in the unit of the network.
        :param track_T_world: of the segment.
        :param world_T_camera: (4, 4), pose by the network in its segment.
        """
        return replace(
            self.unseen(self.fit.intrinsics(camera).matrix),
            depth=track_T_world.scale * pointmap.depth,
            confidence=pointmap.confidence,
            network_T_camera=track_T_world.pose(world_T_camera),
        )


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """
    An image that has its features, before the network has seen it.

    fitted: without distortion. interim: tracking up to the image before, None for the first
    image. found: where its features are.
    """

    fitted: FittedImage
    interim: InterimState | None
    found: TrackedFeatures
