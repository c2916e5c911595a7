# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The odometry of the robot, added to the images of a source."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol

from ttt3r_ros.arrays import Array
from ttt3r_ros.inputs.source import BadFrame, ImageSource, InputFrame
from ttt3r_ros.inputs.transform_tree import TransformMissing

AUTO, NONE = 'auto', 'none'


@dataclass(frozen=True)
class OdometryChoice:
    """
    Which odometry is read with the images.

    wanted: `auto` for that of the input, `none`, or the name of a topic of a bag: of TF or of
    Odometry. odom_frame: the frame that the odometry is measured in. base_frame: the frame that
    moves in it; empty: the camera itself.
    """

    wanted: str = AUTO
    odom_frame: str = 'odom'
    base_frame: str = 'base_link'


WITHOUT_ODOMETRY = OdometryChoice(NONE)


class Odometry(Protocol):
    """
    The pose of the robot and the pose of the camera on it.

    summary: one sentence about the source of the odometry, or why there is none.
    """

    @property
    def summary(self) -> str: ...

    def base_T_camera(self, stamp_ns: int) -> Array | None:
        """
        Return the mount of the camera.

        :param stamp_ns: nanoseconds.
        :returns: (4, 4) base_T_camera, metres; None where the camera is the base, or alone.
        :raises TransformMissing: when it is not known at this time.
        """
        ...

    def odom_T_base(self, stamp_ns: int) -> Array | None:
        """
        Return what the odometry measured.

        :param stamp_ns: nanoseconds.
        :returns: (4, 4) odom_T_base, metres; None without odometry.
        :raises TransformMissing: when it is not known at this time.
        """
        ...


@dataclass(frozen=True)
class NoOdometry:
    """
    A source without odometry.

    summary: one sentence about the reason.
    """

    summary: str

    def base_T_camera(self, stamp_ns: int) -> None:
        """
        Return None: the camera is alone.

        :param stamp_ns: has no influence.
        """

    def odom_T_base(self, stamp_ns: int) -> None:
        """
        Return None.

        :param stamp_ns: has no influence.
        """


class SourceWithOdometry:
    """
    The images of a source, each with the odometry and the mount at its stamp.

    An image without odometry at its stamp is passed on without it. An image without the mount at
    its stamp becomes a BadFrame, as its pose on the robot is unknown.
    """

    def __init__(self, source: ImageSource, odometry: Odometry) -> None:
        """
        Construct the source.

        :param source: images without odometry.
        :param odometry: with stamps of the same clock.
        """
        self.name = source.name
        self.length = source.length
        self.intrinsics = source.intrinsics
        self.calibration = source.calibration
        self.notes = source.notes
        self.live = source.live
        self.odometry = odometry.summary
        self.images_without_odometry = 0
        self._source = source
        self._odometry = odometry

    def frames(self, step: int) -> Generator[InputFrame | BadFrame, None, None]:
        """
        Read the images of the source.

        :param step: read every step-th image.
        """
        self.images_without_odometry = 0
        with closing(self._source.frames(step)) as frames:
            for frame in frames:
                yield frame if isinstance(frame, BadFrame) else self._locate(frame)

    def _locate(self, frame: InputFrame) -> InputFrame | BadFrame:
        try:
            base_T_camera = self._odometry.base_T_camera(frame.stamp_ns)
        except TransformMissing as error:
            return BadFrame(f'image {frame.index}: {error}')
        try:
            odom_T_base = self._odometry.odom_T_base(frame.stamp_ns)
        except TransformMissing:
            self.images_without_odometry += 1
            odom_T_base = None
        return replace(frame, base_T_camera=base_T_camera, odom_T_base=odom_T_base)
