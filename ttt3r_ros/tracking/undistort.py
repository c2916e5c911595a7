# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Images without distortion, and points along the rays of a calibrated camera."""

from __future__ import annotations

from dataclasses import dataclass
import functools
import math

import cv2
import numpy as np

from ttt3r_ros.arrays import Array32, Mask, Pixels
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics, COEFFICIENTS

# Bending by less than this does not change a colour.
STRAIGHT_PX = 1e-3


@dataclass(frozen=True, eq=False)
class Lens:
    """
    The tables of one calibrated camera and one fit.

    column, row: (H, W) float32, coordinates of each pixel of the straight image in the distorted
    one. focal: of the fitted image, pixels. rays: (h, w, 3) float32 at depth 1. seen: (h, w) bool,
    whether the camera saw it. bends: whether the two differ at all.
    """

    column: Array32
    row: Array32
    focal: float
    rays: Array32
    seen: Mask
    bends: bool

    def undistort(self, rgb: Pixels) -> Pixels:
        """
        Remove the distortion of an image; its matrix K stays the same.

        What the camera did not see repeats the nearest edge: the network then meets no
        contour that is not there. Those pixels lose their confidence in `rebuild`.

        :param rgb: (H, W, 3) uint8, distorted.
        :returns: (H, W, 3) uint8.
        """
        if not self.bends:
            return rgb
        straight = cv2.remap(
            rgb, self.column, self.row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(straight, dtype=np.uint8)

    def rebuild(self, points_camera: Array32, confidence: Array32) -> tuple[Array32, Array32]:
        """
        Return the points at their predicted depth, on the true rays.

        :param points_camera: (h, w, 3) float32, only z is used.
        :param confidence: (h, w) float32, 1 means none.
        :returns: the points, (h, w, 3), and the confidence, 1 where the camera saw nothing.
        """
        return self.rays * points_camera[..., 2:], np.where(self.seen, confidence, np.float32(1))


@functools.lru_cache(maxsize=8)
def lens_of(camera: CameraIntrinsics, fit: ImageFit) -> Lens:
    """
    Compute the tables of a camera; those of the last eight are kept.

    :param camera: intrinsics of the original image.
    :param fit: resize and crop of the straight image.
    :raises CalibrationError: when the calibration is for another size, or its coefficients
        are too few or too many.
    """
    straight = camera.without_distortion()
    fitted = fit.intrinsics(straight)
    focal, rays = math.sqrt(fitted.fx * fitted.fy), fitted.rays()
    column, row = _rectify_map(camera)
    u, v = fit.to_original(*np.meshgrid(np.arange(1.0 * fit.width), np.arange(1.0 * fit.height)))
    at = u.astype(np.float32), v.astype(np.float32)
    seen_column, seen_row = (cv2.remap(t, *at, cv2.INTER_LINEAR) for t in (column, row))
    seen = (seen_column >= -0.5) & (seen_column <= camera.width - 0.5)
    seen &= (seen_row >= -0.5) & (seen_row <= camera.height - 0.5)
    moved = (column - np.arange(camera.width), row - np.arange(camera.height)[:, None])
    bends = max(float(np.abs(pixels).max()) for pixels in moved) > STRAIGHT_PX
    return Lens(column, row, focal, rays, seen, bends)


def _rectify_map(camera: CameraIntrinsics) -> tuple[Array32, Array32]:
    matrix, coefficients = camera.matrix, np.array(camera.distortion)
    size = camera.width, camera.height
    allowed = COEFFICIENTS[camera.distortion_model]
    if len(coefficients) not in allowed:
        raise CalibrationError(
            f'{camera.distortion_model} takes {" or ".join(map(str, allowed))} coefficients, '
            f'not {len(coefficients)}'
        )
    if camera.distortion_model == 'equidistant':
        maps = cv2.fisheye.initUndistortRectifyMap(
            matrix, coefficients, np.eye(3), matrix, size, cv2.CV_32FC1
        )
    else:
        maps = cv2.initUndistortRectifyMap(matrix, coefficients, None, matrix, size, cv2.CV_32FC1)
    column, row = (np.asarray(table, dtype=np.float32) for table in maps)
    return column, row
