# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The intrinsics of one camera. Pixel centres are at integers, as in ROS and OpenCV."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ttt3r_ros.arrays import Array, Array32
from ttt3r_ros.errors import UserError


class CalibrationError(UserError):
    """A camera calibration cannot be used."""


DISTORTION_MODELS = ('none', 'plumb_bob', 'rational_polynomial', 'equidistant')


@dataclass(frozen=True)
class CameraIntrinsics:
    """
    A pinhole camera with distortion: u = fx x/z + cx, v = fy y/z + cy after distortion.

    width, height: pixels. fx, fy, cx, cy: pixels. distortion_model: one of DISTORTION_MODELS;
    distortion: its coefficients in OpenCV's (and ROS') order.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = 'none'
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """
        Check the calibration.

        :raises CalibrationError: naming the wrong value.
        """
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if self.width < 1 or self.height < 1:
            raise CalibrationError(f'image size {self.width}x{self.height} is empty')
        if not np.isfinite(numbers).all():
            raise CalibrationError('a calibration number is not finite')
        if self.fx <= 0 or self.fy <= 0:
            raise CalibrationError(f'focal lengths {self.fx}, {self.fy} must be positive')
        if self.distortion_model not in DISTORTION_MODELS:
            raise CalibrationError(
                f'distortion model {self.distortion_model!r} is not one of '
                + ', '.join(DISTORTION_MODELS)
            )

    @classmethod
    def from_field_of_view(cls, width: int, height: int, degrees: float) -> CameraIntrinsics:
        """
        Return a pinhole camera with a horizontal field of view.

        :param width: pixels.
        :param height: pixels.
        :param degrees: angle between the left and the right edge of the image.
        """
        focal = 0.5 * width / np.tan(np.radians(0.5 * degrees))
        return cls(width, height, focal, focal, 0.5 * (width - 1), 0.5 * (height - 1))

    @property
    def matrix(self) -> Array:
        """Return the (3, 3) camera matrix, pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    def without_distortion(self) -> CameraIntrinsics:
        """Return the same pinhole without distortion."""
        return replace(self, distortion_model='none', distortion=())

    def resized(self, width: int, height: int) -> CameraIntrinsics:
        """
        Return the intrinsics of the resized image; the image edges stay the image edges.

        :param width: new width, pixels.
        :param height: new height, pixels.
        """
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
        )

    def cropped(self, left: int, top: int, width: int, height: int) -> CameraIntrinsics:
        """
        Return the intrinsics of a crop of the image.

        :param left: first column of the crop.
        :param top: first row of the crop.
        :param width: columns of the crop.
        :param height: rows of the crop.
        """
        return replace(self, width=width, height=height, cx=self.cx - left, cy=self.cy - top)

    def rays(self) -> Array32:
        """
        Return the ray of every pixel of an undistorted image, scaled to z = 1.

        :returns: (height, width, 3) float32, camera frame: points = rays * depth[..., None].
        :raises CalibrationError: when the camera has distortion: undistort the image first.
        """
        if self.distortion_model != 'none':
            raise CalibrationError('rays need an undistorted image')
        u, v = np.meshgrid(np.arange(self.width), np.arange(self.height))
        x, y = (u - self.cx) / self.fx, (v - self.cy) / self.fy
        return np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32)

    def to_record(self) -> dict[str, Any]:
        """Return the fields of a `camera.json`."""
        record: dict[str, Any] = {
            'width': self.width,
            'height': self.height,
            'fx': self.fx,
            'fy': self.fy,
            'cx': self.cx,
            'cy': self.cy,
            'distortion_model': self.distortion_model,
        }
        if self.distortion:
            record['distortion'] = list(self.distortion)
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> CameraIntrinsics | None:
        """
        Read the fields of a `camera.json`.

        A model text that starts with "none" means no distortion; `radial_k1` is plumb_bob
        with one coefficient.

        :returns: the intrinsics, or None when the record marks them as unknown.
        :raises CalibrationError: when fields are missing or of a wrong type.
        """
        if 'fx' not in record:
            return None
        model = str(record.get('distortion_model', 'none'))
        coefficients = record.get('distortion', [])
        try:
            if model.startswith('none'):
                model, coefficients = 'none', []
            if model == 'radial_k1':
                model, coefficients = 'plumb_bob', [*coefficients, 0.0, 0.0, 0.0]
            return cls(
                int(record['width']),
                int(record['height']),
                float(record['fx']),
                float(record['fy']),
                float(record['cx']),
                float(record['cy']),
                model,
                tuple(float(c) for c in coefficients),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, CalibrationError):
                raise
            raise CalibrationError(
                f'the calibration is incomplete or malformed: {error!r}'
            ) from error
