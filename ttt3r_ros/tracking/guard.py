# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Which images and predictions are refused, before they can harm the state or the map."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import invert, rotation_angle
from ttt3r_ros.image_fit import check_image
from ttt3r_ros.settings import TrackingSettings
from ttt3r_ros.tracking.frame import TrackedFrame
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.tracked_pose import TrackedPose
from ttt3r_ros.units import NANOSECONDS

GreyImage = NDArray[np.integer[Any] | np.floating[Any]]

# Detail is measured in an image of this longest side, so that it depends little on the camera.
SIDE = 160

# Variance of the second derivative along rows plus that along columns there, grey levels squared.
# Six real recordings and 240 simulated views had 31 at least and over 300 mostly; noise of two
# grey levels alone has 4 to 8.
LEAST_DETAIL = 15.0

# Variance of the second derivative over the same at a quarter of the size, of both directions and
# of one alone. Sharp images have 0.1 at least, those of a hand that turns fast 0.045; a blur of
# 1 % of the width leaves 0.05 of both, motion by 5 % of the width 0.03 along it.
LEAST_SHARPNESS, LEAST_SHARPNESS_ALONG = 0.06, 0.035

DARK, BRIGHT = 12, 243  # grey levels; beyond them a sensor shows nothing
NARROWEST = 4  # pixels, of the small image: a coarse version has a quarter of them
MOST_EXTREME_PART = 0.97

# Odometry that moved less than this, metres and radians, leaves an image as it was.
STILL_M, STILL_RAD = 0.005, 0.003

# What a pose may jump by its own error, whatever the time between two images.
NOISE_M, NOISE_DEG = 0.5, 20.0

# So many images in a row must show another place, before it counts as one.
CUTS_NEEDED = 3

# A network that is sure of fewer pixels than this has seen nothing.
LEAST_CONFIDENT_PART = 0.01
NO_CONFIDENCE = 1.0


class RefusedImage(UserError):
    """An image that would harm the map: too dark or bright, without detail, blurred, frozen."""


class RefusedPrediction(UserError):
    """The prediction of the network for an image is impossible."""


class Guard:
    """
    Compare images and predictions with the last accepted ones; refused ones are not kept.

    One thread may use `before` and another one `after`.
    """

    def __init__(self, settings: TrackingSettings) -> None:
        """Begin with nothing accepted."""
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Delete the last accepted image."""
        self._observation: Observation | None = None
        self._tracked: TrackedFrame | None = None
        self._cuts = 0

    def before(self, observation: Observation) -> None:
        """
        Refuse an image that has no use for mapping.

        :raises BadImage: when it is no colour image of 8 bit.
        :raises RefusedImage: with the reason.
        """
        check_image(observation.rgb)
        self._check_new(observation)
        height, width = observation.rgb.shape[:2]
        factor = min(1.0, SIDE / max(height, width))
        size = max(1, round(width * factor)), max(1, round(height * factor))
        if min(size) < NARROWEST:
            raise RefusedImage(f'an image of {width}x{height} is too narrow: crop it first')
        small = cv2.resize(observation.rgb, size, interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        if (grey < DARK).mean() > MOST_EXTREME_PART:
            raise RefusedImage('the image is black: is the lens covered, the light off?')
        if (grey > BRIGHT).mean() > MOST_EXTREME_PART:
            raise RefusedImage('the image is white: the camera is dazzled or overexposed')
        _check_detail(grey)
        self._observation = observation

    def _check_new(self, observation: Observation) -> None:
        """Refuse an image like the one before, unless the odometry stands still, too."""
        last = self._observation
        if last is None or not np.array_equal(observation.rgb, last.rgb):
            return
        before, now = last.odom_T_base, observation.odom_T_base
        if before is None or now is None or not _is_still(invert(before) @ now):
            raise RefusedImage('the image is the one before, to the last bit: the camera froze')

    def after(self, tracked: TrackedFrame, observation: Observation) -> None:
        """
        Refuse an impossible prediction; accept the image otherwise.

        :raises RefusedPrediction: with the reason.
        """
        confident = tracked.pointmap.confidence > NO_CONFIDENCE
        in_front = confident & (tracked.pointmap.depth > 0)
        if in_front.mean() < LEAST_CONFIDENT_PART:
            raise RefusedPrediction('the network has no confidence in any part of the image')
        if tracked.pose.cut:
            self._check_cut()
        elif self._tracked is not None and (
            fault := self.motion_fault(self._tracked.pose, tracked.pose)
        ):
            raise RefusedPrediction(fault)
        self._tracked, self._cuts = tracked, 0

    def _check_cut(self) -> None:
        """Refuse the first images that have nothing to do with the last accepted one."""
        self._cuts += 1
        if self._cuts < CUTS_NEEDED:
            raise RefusedPrediction(
                'the image has nothing in common with the one before: was the camera carried away?'
            )

    def motion_fault(self, before: TrackedPose, now: TrackedPose) -> str:
        """
        Return why a camera cannot have moved so, in one sentence; empty where it can.

        :param before: of an earlier image.
        :param now: of a later one.
        """
        seconds = (now.stamp_ns - before.stamp_ns) / NANOSECONDS
        step = invert(before.track_T_camera) @ now.track_T_camera
        moved = float(np.linalg.norm(step[:3, 3]))
        turned = float(np.degrees(rotation_angle(step[:3, :3])))
        if moved > NOISE_M + self._settings.max_speed * seconds:
            return f'impossible motion: {moved:.1f} m in {seconds:.2f} s'
        if turned > NOISE_DEG + self._settings.max_turn_rate * seconds:
            return f'impossible motion: {turned:.0f} degrees in {seconds:.2f} s'
        return ''


class OpenGuard(Guard):
    """Accept everything, for measurements of networks that need not have seen a scene."""

    def before(self, observation: Observation) -> None:
        """Accept any image."""

    def after(self, tracked: TrackedFrame, observation: Observation) -> None:
        """Accept any prediction."""


def _check_detail(grey: GreyImage) -> None:
    """Refuse an image that shows no more than its own coarse version."""
    coarse = cv2.resize(grey, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    fine, rough = _detail(grey), _detail(np.asarray(coarse, np.uint8))
    if fine.sum() < LEAST_DETAIL:
        raise RefusedImage(
            'the image has no detail: a covered or misted lens, or a plain wall up close'
        )
    blurred = fine.sum() < LEAST_SHARPNESS * rough.sum()
    if blurred or (fine < LEAST_SHARPNESS_ALONG * rough).any():
        raise RefusedImage('the image is blurred: the camera is out of focus or turns fast')


def _detail(grey: GreyImage) -> Array:
    """Return the variance of the second derivative along rows and along columns, (2,)."""
    second = np.array([[1, -2, 1]], np.float32)
    return np.array(
        [cv2.filter2D(grey, cv2.CV_32F, kernel).var() for kernel in (second, second.T)],
        np.float64,
    )


def _is_still(step: Array) -> bool:
    moved = float(np.linalg.norm(step[:3, 3]))
    return moved < STILL_M and float(rotation_angle(step[:3, :3])) < STILL_RAD
