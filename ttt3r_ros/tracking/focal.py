# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The focal length that a map of points implies, and what it says of their depth."""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

import numpy as np

from ttt3r_ros.arrays import Array32
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CameraIntrinsics

ROUNDS = 10
SMALLEST_RESIDUAL = 1e-8  # pixels; keeps the weights of exact pixels finite

# The median of so many images, and by how much it must leave the value that is used.
STEADY_IMAGES = 601
STEADY_SHARE = 0.03
# Per pixel of the longest side it must be within these.
SHORTEST, LONGEST = 0.2, 10.0

# A network that misjudges a focal length by more has understood nothing of the image.
MOST_MISJUDGED = math.log(1.5)

# One number needs no more pixels: of a larger map every second, third, ... row and column.
MOST_PIXELS = 12_500


def estimate_focal(points_camera: Array32) -> float:
    """
    Fit one focal length to the pixels by Weiszfeld's robust mean, as the published demo does.

    Minimises the sum of |pixel - focal * (x/z, y/z)| with the principal point in the middle.

    :param points_camera: (h, w, 3) float32, camera frame; points at z = 0 count as (0, 0).
    :returns: focal length in pixels of this map, >= 0; 0 when every ray is the optical axis.
    """
    height, width = points_camera.shape[:2]
    step = math.ceil(math.sqrt(height * width / MOST_PIXELS))
    some = slice(step // 2, None, step)
    u = np.arange(width, dtype=np.float32)[some] - width // 2  # (w,)
    v = (np.arange(height, dtype=np.float32)[some] - height // 2)[:, None]  # (h, 1)
    points = points_camera[some, some]
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        slopes = points[..., :2] / points[..., 2:]
    x, y = np.moveaxis(np.nan_to_num(slopes, nan=0.0, posinf=0.0, neginf=0.0), -1, 0).copy()
    along, square = x * u + y * v, x * x + y * y  # (h, w) each
    if not square.any():
        return 0.0
    focal = along.mean() / square.mean()
    for _ in range(ROUNDS):
        residual = np.sqrt((u - focal * x) ** 2 + (v - focal * y) ** 2)
        weight = 1.0 / np.maximum(residual, SMALLEST_RESIDUAL)
        focal = (weight * along).mean() / (weight * square).mean()
    return max(float(focal), 0.0)


@dataclass(frozen=True)
class SteadyFocal:
    """
    The focal length of one camera by all of its images, per pixel of their longest side.

    It changes only when the median of the estimates has left it by `STEADY_SHARE`: key frames of
    one focal length agree with each other, even where it is wrong by some percent, and those of
    a wandering one do not. estimates: of the last images, oldest first. value: 0 before the first.
    """

    estimates: tuple[float, ...] = ()
    value: float = 0.0

    def after(self, estimate: float) -> SteadyFocal:
        """
        Return the focal length after one more image.

        :param estimate: by `estimate_focal`, per pixel of the longest side before it was cropped.
        """
        within = min(max(estimate, SHORTEST), LONGEST)
        estimates = (*self.estimates, within)[-STEADY_IMAGES:]
        median = float(np.median(estimates))
        held = self.value > 0 and abs(math.log(median / self.value)) <= STEADY_SHARE
        return SteadyFocal(estimates, self.value if held else median)

    def camera(self, fit: ImageFit) -> CameraIntrinsics:
        """
        Return the pinhole of the original image, its principal point in the middle.

        :param fit: of the image.
        """
        width, height = fit.original
        focal = self.value * max(width, height)
        center = 0.5 * (width - 1), 0.5 * (height - 1)
        return CameraIntrinsics(width, height, focal, focal, *center)


UNKNOWN_FOCAL = SteadyFocal()


@dataclass(frozen=True)
class BelievedFocal:
    """
    By what the network misjudges the focal length of a calibrated camera, by all of its images.

    It knows sizes better than distances: what it believes to be w metres wide on w * f pixels lies
    at f' / f of the depth that it states, where f' is the true focal length. log_ratio: mean of
    log(f' / f). images: their number, at most `STEADY_IMAGES`: those before count less and less.
    """

    log_ratio: float = 0.0
    images: int = 0

    def after(self, focal: float, implied: float) -> BelievedFocal:
        """
        Return it after one more image.

        :param focal: the true one, pixels. implied: by `estimate_focal`, pixels of the same image.
        """
        if not 0.0 < implied < math.inf:
            return self
        log_ratio = min(max(math.log(focal / implied), -MOST_MISJUDGED), MOST_MISJUDGED)
        images = min(self.images + 1, STEADY_IMAGES)
        return BelievedFocal(self.log_ratio + (log_ratio - self.log_ratio) / images, images)

    @property
    def depth_factor(self) -> float:
        """Return by what the depth of the network is multiplied."""
        return math.exp(self.log_ratio)


NO_BELIEF = BelievedFocal()


@dataclass(frozen=True)
class ImpliedFocal:
    """
    What the points of all images of one camera say of its focal length.

    steady: of a camera without calibration. believed: of a calibrated one.
    """

    steady: SteadyFocal = UNKNOWN_FOCAL
    believed: BelievedFocal = NO_BELIEF

    def after(self, points_camera: Array32, side: int, true_focal: float | None) -> ImpliedFocal:
        """
        Return it after one more image.

        :param points_camera: (h, w, 3) float32, by the network, camera frame.
        :param side: the longest of the resized image before it was cropped, pixels.
        :param true_focal: of the same image, pixels; None without calibration.
        """
        implied = estimate_focal(points_camera)
        if true_focal is None:
            return replace(self, steady=self.steady.after(implied / side))
        return replace(self, believed=self.believed.after(true_focal, implied))


NOTHING_IMPLIED = ImpliedFocal()
