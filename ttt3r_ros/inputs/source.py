# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The protocol of image sources, and their frames."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.intrinsics import CameraIntrinsics

# The `calibration` of a source where it has no intrinsics of its own.
NONE_GIVEN = 'none was given'
IGNORED = 'none was read: another was given, or none is wanted'


LFS_POINTER = b'version https://git-lfs'
FETCH_LFS = 'it is a pointer of Git LFS: `git lfs pull` fetches the file itself'


class InputError(UserError):
    """An input cannot be read."""


def is_lfs_pointer(path: Path) -> bool:
    """
    Return whether a file only names one that Git LFS has elsewhere.

    :param path: an existing file.
    :raises OSError: when it cannot be read.
    """
    with path.open('rb') as file:
        return file.read(len(LFS_POINTER)) == LFS_POINTER


@dataclass(frozen=True, eq=False)
class InputFrame:
    """
    One image.

    index: position in the source, from 0. stamp_ns: nanoseconds. rgb: (H, W, 3) uint8.
    base_T_camera: (4, 4) pose of the camera on the robot, metres; None where the camera is
    alone or is the base itself. odom_T_base: (4, 4) pose that the odometry measured at stamp_ns,
    metres; None where it did not. orientation: of the image as it was stored, as EXIF counts
    them; rgb is upright. intrinsics: where they are not those of the source any more.
    """

    index: int
    stamp_ns: int
    rgb: Pixels
    base_T_camera: Array | None = None
    odom_T_base: Array | None = None
    orientation: int = 1
    intrinsics: CameraIntrinsics | None = None


@dataclass(frozen=True)
class BadFrame:
    """
    Images that could not be read.

    reason: which images and why, in one line. count: number of images.
    """

    reason: str
    count: int = 1


@dataclass(frozen=True)
class TimeJump:
    """
    The clock of a source was set back, and stays there.

    index: of the first image after it. back_ns: by how much, nanoseconds.
    """

    index: int
    back_ns: int


def missing_frames(first: int, end: int, step: int, why: str) -> Iterator[BadFrame]:
    """
    Yield one BadFrame for a gap in a source, unless no image of it was to be read.

    :param first: index of the first missing image.
    :param end: index of the next image that exists.
    :param step: every step-th image is read.
    :param why: the end of the sentence that begins with the images.
    """
    count = len(range(-(-first // step) * step, end, step))
    if count:
        which = f'image {first}' if end == first + 1 else f'images {first} to {end - 1}'
        yield BadFrame(f'{which}: {why}', count)


class ImageSource(Protocol):
    """
    A source of images, checked by its constructor, so that most errors show before long work.

    name: by which it was opened. length: number of images, or None when unknown. intrinsics: of
    all its images, or None. calibration: in one sentence, where they come from, or why there are
    none. notes: what was decided about them that a user should know, a line each. live: whether it
    has no end. odometry: one sentence about the odometry of the images, or why there is none.
    images_without_odometry: number of images read so far that it does not cover; 0 without
    odometry.
    """

    @property
    def name(self) -> str: ...
    @property
    def length(self) -> int | None: ...
    @property
    def intrinsics(self) -> CameraIntrinsics | None: ...
    @property
    def calibration(self) -> str: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def live(self) -> bool: ...
    @property
    def odometry(self) -> str: ...
    @property
    def images_without_odometry(self) -> int: ...

    def frames(self, step: int) -> Generator[InputFrame | BadFrame, None, None]:
        """
        Read the images once; the iterator may be closed early.

        :param step: read every step-th image, at least 1.
        """
        ...
