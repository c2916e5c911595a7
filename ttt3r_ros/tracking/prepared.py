# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""An image as network and features take it, and what the network then shows of it."""

from __future__ import annotations

from dataclasses import dataclass

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.image_fit import ImageFit, Resize
from ttt3r_ros.tracking.interim import InterimState
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.tracked_pose import TrackedFeatures
from ttt3r_ros.tracking.undistort import Lens, lens_of


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
