# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What every source of images offers."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.intrinsics import CameraIntrinsics


class InputError(UserError):
    """What was given as input cannot be read."""


@dataclass(frozen=True, eq=False)
class InputFrame:
    """
    One image.

    index: its place in the source, from 0. stamp_ns: nanoseconds. rgb: (H, W, 3) uint8.
    base_T_camera: (4, 4) where the camera is on the robot, metres; None where the camera is
    alone or is the base itself. odom_T_base: (4, 4) what the odometry measured at stamp_ns,
    metres; None where it did not.
    """

    index: int
    stamp_ns: int
    rgb: Pixels
    base_T_camera: Array | None = None
    odom_T_base: Array | None = None


@dataclass(frozen=True)
class BadFrame:
    """
    Images that could not be read.

    reason: which and why, in one line. count: how many.
    """

    reason: str
    count: int = 1


def missing_frames(first: int, end: int, step: int, why: str) -> Iterator[BadFrame]:
    """
    Report a gap in a source as one, unless no image of it was wanted.

    :param first: index of the first image that is missing.
    :param end: index of the next that is there.
    :param step: every step-th image is wanted.
    :param why: the end of the sentence that begins with the images.
    """
    count = len(range(-(-first // step) * step, end, step))
    if count:
        which = f'image {first}' if end == first + 1 else f'images {first} to {end - 1}'
        yield BadFrame(f'{which}: {why}', count)


class ImageSource(Protocol):
    """
    A source, checked when it is made, so that most mistakes show before long work begins.

    name: for people. length: images in it, or None when nobody knows. intrinsics: of all its
    images, or None. live: whether it never ends by itself. odometry: in one sentence, which one
    comes with the images, or why none does. images_without_odometry: of those read so far, how
    many it does not cover; 0 where there is none at all.
    """

    @property
    def name(self) -> str: ...
    @property
    def length(self) -> int | None: ...
    @property
    def intrinsics(self) -> CameraIntrinsics | None: ...
    @property
    def live(self) -> bool: ...
    @property
    def odometry(self) -> str: ...
    @property
    def images_without_odometry(self) -> int: ...

    def frames(self, step: int) -> Generator[InputFrame | BadFrame, None, None]:
        """
        Read the images once; closing the iterator early is fine.

        :param step: take every step-th image, at least 1.
        """
        ...
