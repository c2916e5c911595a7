# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The intrinsics of one camera. Pixel centres are at integers, as in ROS and OpenCV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import re
from typing import Any

import numpy as np

from ttt3r_ros.arrays import Array, Array32
from ttt3r_ros.errors import UserError


class CalibrationError(UserError):
    """A camera calibration cannot be used."""


class NotCalibrated(CalibrationError):
    """A calibration is well formed and states that the camera is not calibrated."""


DISTORTION_MODELS = ('none', 'plumb_bob', 'rational_polynomial', 'equidistant')

# Names that other programs have for these models.
MODEL_ALIASES = {
    'radtan': 'plumb_bob',
    'radial_k1': 'plumb_bob',
    'radial-tangential': 'plumb_bob',
    'brown-conrady': 'plumb_bob',
    'brown_conrady': 'plumb_bob',
    'fisheye': 'equidistant',
    'equi': 'equidistant',
    'kannala_brandt': 'equidistant',
}

# How many coefficients a model may have, in OpenCV's order.
COEFFICIENTS = {
    'none': (0,),
    'plumb_bob': (0, 4, 5),
    'rational_polynomial': (8, 12, 14),
    'equidistant': (4,),
}

# What an EXIF orientation does to the directions (right, down) of an image to make it upright.
ORIENTATIONS = {
    1: ((1, 0), (0, 1)),
    2: ((-1, 0), (0, 1)),
    3: ((-1, 0), (0, -1)),
    4: ((1, 0), (0, -1)),
    5: ((0, 1), (1, 0)),
    6: ((0, -1), (1, 0)),
    7: ((0, -1), (-1, 0)),
    8: ((0, 1), (-1, 0)),
}

# Names that other programs have for what is `distortion` here.
OTHER_DISTORTION = re.compile(
    r'[kp][1-6]|k_?c|d|(.*_)?coeff?s?|(.*_)?coefficients|dist.*|.*_dist.*', re.IGNORECASE
)
OWN_DISTORTION = 'distortion', 'distortion_model'

# A record with no other fields than these, and no focal lengths, is of an uncalibrated camera.
OTHER_FIELDS = frozenset(('width', 'height', 'fps', 'frames', 'base_T_camera', 'timestamps'))

# Of numbers that are pixels: a focal length in millimetres or widths of the image, or a matrix of
# another order, gives a camera that no lens has: a fisheye of 280 degrees has 0.2 widths. The
# centre may lie outside of a crop, but not so far. Pixels may be oblong, of anamorphic lenses.
LEAST_FOCAL_SIDES, FARTHEST_CENTRE_SIDES, LARGEST_SIDE = 0.08, 2.0, 1_000_000
MOST_OBLONG = 3.0
MOST_SKEW = 1e-3

# A calibration may be for another size of the same picture, with sides this much alike.
ASPECT_TOLERANCE = 0.01


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
        if max(self.width, self.height) > LARGEST_SIDE:
            raise CalibrationError('the image size has a side of over a million pixels')
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

    def plausible(self) -> CameraIntrinsics:
        """
        Return the same, of a whole image, unless no lens is like that.

        :raises CalibrationError: naming what is not in pixels, or in another order.
        """
        for axis, focal, centre, side in (
            ('x', self.fx, self.cx, self.width),
            ('y', self.fy, self.cy, self.height),
        ):
            if focal < LEAST_FOCAL_SIDES * side:
                raise CalibrationError(
                    f'f{axis} {focal:g} is no focal length of an image with {side} pixels: needed '
                    'are pixels, not millimetres or parts of the image'
                )
            if abs(centre - side / 2) > FARTHEST_CENTRE_SIDES * side:
                raise CalibrationError(
                    f'c{axis} {centre:g} is far outside of an image with {side} pixels'
                )
        if max(self.fx, self.fy) > MOST_OBLONG * min(self.fx, self.fy):
            raise CalibrationError(
                f'fx {self.fx:g} and fy {self.fy:g} are of no lens, so far apart are they'
            )
        return self

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

    def turned(self, orientation: int) -> CameraIntrinsics:
        """
        Follow an image that is made upright.

        :param orientation: of the image as it was stored, as EXIF counts them, 1 to 8.
        :raises CalibrationError: when a tilted sensor would have to be turned.
        """
        if orientation == 1:
            return self
        turn = np.array(ORIENTATIONS[orientation])
        if any(self.distortion[12:]):
            raise CalibrationError('a distortion with a tilted sensor cannot be turned')
        last = turn @ (self.width - 1, self.height - 1)
        cx, cy = (turn @ (self.cx, self.cy) - np.minimum(last, 0)).tolist()
        fx, fy = (abs(turn) @ (self.fx, self.fy)).tolist()
        width, height = (abs(turn) @ (self.width, self.height)).tolist()
        d = list(self.distortion)
        if self.distortion_model != 'equidistant':
            # The tangential terms are 2 (t x) x + r^2 t with t = (p2, p1): t turns as x does. So
            # do the two vectors of the thin prism.
            for right, down in ((3, 2), (8, 10), (9, 11))[: 1 if len(d) < 12 else 3]:
                if len(d) > right:
                    d[right], d[down] = (turn @ (d[right], d[down])).tolist()
        return replace(
            self, width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy, distortion=tuple(d)
        )

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
        if self.distortion_model != 'none':
            record['distortion'] = list(self.distortion)
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> CameraIntrinsics:
        """
        Read the fields of a `camera.json`.

        :param record: a model text that starts with "none" means no distortion.
        :raises NotCalibrated: when the record states that they are unknown.
        :raises CalibrationError: when fields are missing or of a wrong type.
        """
        if record.get('intrinsics') == 'unknown' or record.keys() <= OTHER_FIELDS:
            raise NotCalibrated('the intrinsics are unknown')
        _refuse_other_distortion(record)
        model = str(record.get('distortion_model', 'none'))
        coefficients = record.get('distortion', [])
        if model.startswith('none'):
            model, coefficients = 'none', []
        try:
            size = int(record['width']), int(record['height'])
            fx, fy, cx, cy = (float(record[name]) for name in ('fx', 'fy', 'cx', 'cy'))
            model, distortion = known_distortion(model, [float(c) for c in coefficients])
        except KeyError as error:
            found = ', '.join(str(key) for key in list(record)[:8])
            raise CalibrationError(
                'the calibration is incomplete or malformed, or its format is not read: '
                f'no {error} among {found}'
            ) from error
        except (TypeError, ValueError, ArithmeticError) as error:
            if isinstance(error, CalibrationError):
                raise
            raise CalibrationError(
                f'the calibration is incomplete or malformed: {error!r}'
            ) from error
        return cls(*size, fx, fy, cx, cy, model, distortion).plausible()


def _refuse_other_distortion(record: Mapping[str, Any]) -> None:
    """Refuse a distortion that would be dropped without a word."""
    if 'distortion' in record and 'distortion_model' not in record:
        raise CalibrationError('the calibration has a distortion, but no distortion_model')
    if 'distortion' in record:
        return
    model = str(record.get('distortion_model', 'none'))
    other = [
        key for key in record if OTHER_DISTORTION.fullmatch(str(key)) and key not in OWN_DISTORTION
    ] or ([] if model.startswith('none') or not model else ['distortion_model'])
    if other:
        raise CalibrationError(
            f'the distortion {", ".join(map(str, other))} is not understood: needed are '
            'distortion_model and distortion'
        )


def row_by_row(matrix: Sequence[float]) -> Sequence[float]:
    """
    Return a camera matrix row by row, which may be given column by column.

    :param matrix: 9 values.
    :raises CalibrationError: when it is neither, or has a skew.
    """
    if len(matrix) != 9:
        raise CalibrationError(f'a camera matrix has 9 values, not {len(matrix)}')
    if not np.isfinite(matrix).all():
        raise CalibrationError('a calibration number is not finite')
    fx, skew, _, below, _, _, left, right, last = matrix
    if (left or right) and not (matrix[2] or matrix[5]):
        return row_by_row([matrix[i] for i in (0, 3, 6, 1, 4, 7, 2, 5, 8)])
    if below or left or right:
        raise CalibrationError('the camera matrix has numbers below its diagonal')
    if last not in (0, 1):
        raise CalibrationError(f'the camera matrix ends in {last:g}, not in 1')
    if abs(skew) > MOST_SKEW * abs(fx):
        raise CalibrationError(f'the camera matrix has a skew, {skew:g}: undistort first')
    return matrix


def is_same_shape(width: int, height: int, other_width: int, other_height: int) -> bool:
    """
    Return whether two images, > 0 pixels each, may be of the same picture in two resolutions.

    :param width: of the one.
    :param height: of the one.
    :param other_width: of the other.
    :param other_height: of the other.
    """
    return abs(width * other_height / (height * other_width) - 1) <= ASPECT_TOLERANCE


def intrinsics_for(
    calibration: CameraIntrinsics | None, width: int, height: int, orientation: int = 1
) -> CameraIntrinsics | None:
    """
    Fit a calibration to an image; binned and scaled images keep their edges.

    It is of the image as the camera stored it, or, where only that fits, of the upright one.

    :param calibration: of another image size, or None.
    :param width: of the upright image, pixels.
    :param height: of the upright image, pixels.
    :param orientation: of the image as it was stored, as EXIF counts them.
    :raises CalibrationError: when the aspect ratio differs: the image was cropped or rotated.
    """
    if calibration is None:
        return None
    for camera in (calibration.turned(orientation), calibration):
        if (camera.width, camera.height) == (width, height):
            return camera
        if is_same_shape(width, height, camera.width, camera.height):
            return camera.resized(width, height)
    raise CalibrationError(
        f'the calibration is for {calibration.width}x{calibration.height}, the image is '
        f'{width}x{height}: set a matching one with --intrinsics, or use --no-intrinsics'
    )


def known_distortion(model: str, coefficients: Sequence[float]) -> tuple[str, tuple[float, ...]]:
    """
    Return a distortion as one of DISTORTION_MODELS with a number of coefficients it may have.

    :param model: as drivers and programs name it.
    :param coefficients: in OpenCV's order; zeros at the end may be too many or missing.
    :raises CalibrationError: when there are more coefficients than the model has.
    """
    name = MODEL_ALIASES.get(model.lower(), model.lower())
    if not len(coefficients) or (name != 'equidistant' and not any(coefficients)):
        return 'none', ()
    used = max((i + 1 for i, value in enumerate(coefficients) if value), default=0)
    if name == 'plumb_bob' and used > 5:
        name = 'rational_polynomial'  # the same formula with its denominator
    if name not in DISTORTION_MODELS:
        raise CalibrationError(
            f'distortion model {model!r} is not one of {", ".join(DISTORTION_MODELS)}'
        )
    fitting = [count for count in COEFFICIENTS[name] if count >= max(used, 1)]
    if not fitting:
        raise CalibrationError(
            f'{model} has {used} distortion coefficients, at most {COEFFICIENTS[name][-1]} fit'
        )
    # As many as were given where that is a number the model may have.
    count = next((c for c in fitting if c >= len(coefficients)), fitting[-1])
    if name == 'rational_polynomial':
        count = fitting[0]
    padded = [*coefficients, *[0.0] * count][:count]
    return name, tuple(float(value) for value in padded)


@dataclass(frozen=True)
class CameraInfo:
    """
    The content of a sensor_msgs/CameraInfo, wherever it was written.

    width, height: pixels of the full image; 0 where unknown. model, d: distortion. k: 9 values,
    row by row. p: 12 values, or none. binning: (x, y), 0 means 1. roi: (x offset, y offset,
    width, height) pixels of the full image, all 0 where it is whole. rectified: whether its
    images are without distortion, so that p holds.
    """

    width: int
    height: int
    model: str
    d: Sequence[float]
    k: Sequence[float]
    p: Sequence[float] = ()
    binning: tuple[int, int] = (0, 0)
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)
    rectified: bool = False

    @classmethod
    def of_message(cls, message: Any, rectified: bool) -> CameraInfo:
        """
        Return the content of a message, of rclpy or of a bag.

        :param message: sensor_msgs/CameraInfo.
        :param rectified: whether its images are without distortion, so that P counts.
        """
        region = message.roi
        return cls(
            message.width,
            message.height,
            message.distortion_model,
            message.d.tolist(),
            message.k.tolist(),
            message.p.tolist(),
            (message.binning_x, message.binning_y),
            (region.x_offset, region.y_offset, region.width, region.height),
            rectified,
        )

    def sized(self, width: int, height: int) -> CameraInfo:
        """
        Fill in the size where a driver left it out, 0x0.

        :param width: of an image, pixels.
        :param height: of an image, pixels.
        """
        if self.width or self.height or any(self.roi):
            return self
        x, y = (max(1, factor) for factor in self.binning)
        return replace(self, width=width * x, height=height * y)

    def intrinsics(self) -> CameraIntrinsics:
        """
        Return the calibration of the images; P counts where K is zero or they are rectified.

        :raises NotCalibrated: when K, and with it P, is zero.
        :raises CalibrationError: when the numbers make no camera.
        """
        k = row_by_row(self.k)
        if len(self.p) not in (0, 12):
            raise CalibrationError(f'a projection matrix has 12 values, not {len(self.p)}')
        with_p = any(self.p) and (self.rectified or not any(self.k))
        matrix = [self.p[i] for i in (0, 1, 2, 4, 5, 6, 8, 9, 10)] if with_p else k
        if not any(matrix):
            raise NotCalibrated('all zero: the camera is not calibrated (empty matrix K)')
        straight = with_p or self.rectified
        model, distortion = ('none', ()) if straight else known_distortion(self.model, self.d)
        camera = CameraIntrinsics(
            self.width, self.height, matrix[0], matrix[4], matrix[2], matrix[5], model, distortion
        ).plausible()
        left, top, width, height = self.roi
        if width and height:
            if left + width > camera.width or top + height > camera.height:
                raise CalibrationError(
                    f'the region of interest, {width}x{height} at {left}, {top}, is not within '
                    f'the {camera.width}x{camera.height} pixels of the calibration'
                )
            camera = camera.cropped(left, top, width, height)
        x, y = (max(1, factor) for factor in self.binning)
        return (
            camera if (x, y) == (1, 1) else camera.resized(camera.width // x, camera.height // y)
        )
