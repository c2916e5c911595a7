# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Video files."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from ttt3r_ros.inputs.mp4 import shown_seconds
from ttt3r_ros.inputs.source import (
    BadFrame,
    FETCH_LFS,
    InputError,
    InputFrame,
    is_lfs_pointer,
    missing_frames,
    NONE_GIVEN,
)
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.units import NANOSECONDS

# What containers announce may be a frame or two off; more means that the end is missing.
ANNOUNCED_TOLERANCE = 2

# The decoder fails a few times in a row where a video is damaged; at its end, for ever.
MOST_FAILURES = 100

# OpenCV shows videos upright; clockwise by so many degrees, as EXIF counts it.
ORIENTATIONS = {0: 1, 90: 6, 180: 3, 270: 8}

LOST = 'missing or cannot be decoded'


class VideoSource:
    """
    The images of a video file.

    Their stamps are those of the table where there is one, else index / fps where a rate was
    given, else the clock of the video, else its rate. Where the video is damaged, the gap is found
    by that clock and reported; the images of a whole video are counted for the table.
    """

    live = False
    odometry = 'no odometry: a video has none'
    images_without_odometry = 0
    notes: Sequence[str] = ()

    def __init__(
        self,
        path: Path,
        fps: float | None = None,
        stamps_ns: Mapping[int, int] | None = None,
        intrinsics: CameraIntrinsics | None = None,
        calibration: str = NONE_GIVEN,
        name: str = '',
    ) -> None:
        """
        Open a video.

        :param path: the file.
        :param fps: images per second, in place of the clock of the video.
        :param stamps_ns: nanoseconds by image index.
        :param intrinsics: of all images.
        :param calibration: where they come from, or why there are none.
        :param name: of the folder that it is opened by; empty: of the file.
        :raises InputError: when it holds no image that can be decoded.
        """
        self._path = path
        self._fps = fps
        self._stamps_ns = stamps_ns
        self.name = name or str(path)
        self.intrinsics = intrinsics
        self.calibration = calibration
        capture = _open(path)
        self._own_fps = capture.get(cv2.CAP_PROP_FPS)
        announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        shown = shown_seconds(path)
        if shown is not None and self._own_fps > 0:
            announced = min(announced, round(shown * self._own_fps))
        self.length = announced if announced > 0 else None
        turned = round(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        self._orientation = ORIENTATIONS.get(turned, 1)
        decodable = capture.read()[0]
        stands_still = _stands_still(capture)
        capture.release()
        if not decodable:
            raise InputError(f'no image of {path} can be decoded: the video is damaged or empty')
        if stands_still and fps is None and stamps_ns is None:
            self._fps = self._rate_of_a_stream()

    def frames(self, step: int) -> Generator[InputFrame | BadFrame, None, None]:
        """
        Decode the video from its beginning.

        :param step: read every step-th image.
        """
        capture = _open(self._path)
        try:
            expected = failures = 0
            while failures < MOST_FAILURES:
                if not capture.grab():
                    failures += 1
                    continue
                clock_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
                index = expected
                at_clock = round(clock_s * self._own_fps)
                if at_clock > expected and (failures or self._is_incomplete):
                    index = at_clock
                failures = 0
                yield from missing_frames(expected, index, step, LOST)
                expected = index + 1
                if index % step == 0:
                    yield self._frame(capture, index, clock_s)
            end = self.length or 0
            if end > expected + ANNOUNCED_TOLERANCE:
                yield from missing_frames(expected, end, step, LOST)
        finally:
            capture.release()

    def _rate_of_a_stream(self) -> float:
        """Return the rate of a video whose clock stands still, such as raw H.264."""
        if not 1 <= self._own_fps <= 1000:
            raise InputError(f'{self._path} has neither times nor a rate: set it with --fps')
        self.notes = (
            f'{self._path} has no times: {self._own_fps:g} images a second are assumed, --fps '
            'gives another rate',
        )
        return self._own_fps

    @cached_property
    def _is_incomplete(self) -> bool:
        """
        Whether a video with a table lost images without a word.

        Its clock then shows which. Where none is lost it may have a variable rate: the table
        counts its images.
        """
        if self._stamps_ns is None:
            return False
        capture, count, failures = _open(self._path), 0, 0
        while failures < MOST_FAILURES:
            grabbed = capture.grab()
            count, failures = (count + 1, 0) if grabbed else (count, failures + 1)
        capture.release()
        return count < min(len(self._stamps_ns), self.length or count)

    def _frame(
        self, capture: cv2.VideoCapture, index: int, clock_s: float
    ) -> InputFrame | BadFrame:
        decoded, bgr = capture.retrieve()
        if not decoded:
            return BadFrame(f'image {index}: cannot be decoded')
        if self._stamps_ns is not None:
            if index not in self._stamps_ns:
                return BadFrame(f'image {index}: has no time in timestamps.txt')
            stamp_ns = self._stamps_ns[index]
        elif self._fps is not None:
            stamp_ns = round(index * NANOSECONDS / self._fps)
        else:
            stamp_ns = round(clock_s * NANOSECONDS)
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        return InputFrame(index, stamp_ns, rgb, orientation=self._orientation)


def _stands_still(capture: cv2.VideoCapture) -> bool:
    """Return whether the image after the first has the same time."""
    before = capture.get(cv2.CAP_PROP_POS_MSEC)
    return bool(capture.grab() and capture.get(cv2.CAP_PROP_POS_MSEC) == before)


def _open(path: Path) -> cv2.VideoCapture:
    with _name_as_text(path) as name:
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        if path.is_file() and is_lfs_pointer(path):
            raise InputError(f'cannot read {path}: {FETCH_LFS}')
        raise InputError(
            f'{path} is no video that can be opened: it is damaged or of an unknown format'
        )
    return capture


@contextmanager
def _name_as_text(path: Path) -> Iterator[str]:
    """Return a name that OpenCV takes: it crashes at bytes that are no text."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with TemporaryDirectory() as folder:
            link = Path(folder) / 'video'
            link.symlink_to(path.absolute())
            yield str(link)
    else:
        yield str(path)
