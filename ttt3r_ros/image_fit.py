# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Resize and crop of images for the network, and the map back to original pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics

# Resizes (H, W, 3) uint8 to a width and height.
Resize = Callable[[Pixels, tuple[int, int]], Pixels]


class BadImage(UserError):
    """An array is not a usable image."""


def check_image(rgb: Pixels) -> None:
    """
    Check that an array is an 8 bit colour image.

    :param rgb: (H, W, 3) uint8, not empty.
    :raises BadImage: naming the shape and type of other arrays.
    """
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        kind = rgb.dtype if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise BadImage(f'an image must be a numpy array of uint8, not {kind}: convert it first')
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise BadImage(f'an image must have the shape (height, width, 3), not {rgb.shape}')


@dataclass(frozen=True)
class ImageFit:
    """
    One resize and one centred crop, the same for every image of a size.

    original, resized: (width, height) before and after the resize. left, top: first column
    and row of the crop of the resized image. width, height: of the crop, the fitted image. All
    in pixels.
    """

    original: tuple[int, int]
    resized: tuple[int, int]
    left: int
    top: int
    width: int
    height: int

    @classmethod
    def for_image(
        cls, width: int, height: int, size: int, patch: int, square_crop: bool = False
    ) -> ImageFit:
        """
        Choose the resize and the crop as for the published models.

        Usually the longest side becomes `size` and both sides are cropped to multiples of the
        patch; a square image is cropped to 4:3. For models of square images (the published
        224) the short side is resized to `size` and the centre is cropped.

        :param width: of the original image, pixels.
        :param height: of the original image, pixels.
        :param size: side of the images that the model was trained with, pixels.
        :param patch: side of a patch, pixels.
        :param square_crop: whether the model takes square images only.
        :raises BadImage: when the crop would contain no patch, or a side has one pixel.
        """
        if width < 1 or height < 1:
            raise BadImage(f'image size {width}x{height} is empty')
        longest, shortest = max(width, height), min(width, height)
        target = round(size * longest / shortest) if square_crop else size
        # Python's round, half to even, on both sides: the published models need just that.
        resized = round(width * target / longest), round(height * target / longest)
        columns, rows = (patch * (side // 2 * 2 // patch) for side in resized)
        if square_crop:
            columns = rows = min(columns, rows)
        elif resized[0] == resized[1]:
            rows = patch * round(3 * columns / 4 / patch)
        if min(columns, rows) < 1 or target * patch > size * size:
            raise BadImage(
                f'an image of {width}x{height} is too narrow: at {size} pixels its sides may '
                f'differ by a factor of {size / patch:g} at most; crop it first'
            )
        left, top = resized[0] // 2 - columns // 2, resized[1] // 2 - rows // 2
        return cls((width, height), resized, left, top, columns, rows)

    @property
    def scale(self) -> float:
        """Return original pixels per fitted pixel, along the longest side."""
        return max(self.original) / max(self.resized)

    def apply(self, rgb: Pixels, resize: Resize) -> Pixels:
        """
        Resize and crop an image.

        :param rgb: (H, W, 3) uint8 of the original size.
        :param resize: that of a predictor runs on its device.
        :returns: (h, w, 3) uint8 of the fitted size, a copy in C order.
        :raises BadImage: when the image has another size or type.
        """
        check_image(rgb)
        if rgb.shape[1::-1] != self.original:
            raise BadImage(
                f'an image of {rgb.shape[1]}x{rgb.shape[0]} came where '
                f'{self.original[0]}x{self.original[1]} was announced'
            )
        if self.resized != self.original:
            rgb = resize(rgb, self.resized)
        bottom, right = self.top + self.height, self.left + self.width
        return np.array(rgb[self.top : bottom, self.left : right], order='C')

    def to_original(
        self, u: NDArray[np.floating], v: NDArray[np.floating]
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """
        Map pixels of the fitted image to the original image; pixel centres are at integers.

        :param u: columns, pixels of the fitted image, any shape.
        :param v: rows, of the same shape.
        :returns: columns and rows, pixels of the original image.
        """
        sx, sy = (a / b for a, b in zip(self.original, self.resized))
        return (u + self.left + 0.5) * sx - 0.5, (v + self.top + 0.5) * sy - 0.5

    def intrinsics(self, camera: CameraIntrinsics) -> CameraIntrinsics:
        """
        Return the intrinsics of the fitted image.

        :param camera: intrinsics of the original image.
        :raises CalibrationError: when they are for another image size.
        """
        if (camera.width, camera.height) != self.original:
            raise CalibrationError(
                f'the calibration is for {camera.width}x{camera.height}, the image is '
                f'{self.original[0]}x{self.original[1]}: calibrate at the size that is used'
            )
        return camera.resized(*self.resized).cropped(self.left, self.top, self.width, self.height)
