# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The transforms of one frame to its parent over time."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np
from tf2_ros.exceptions import ExtrapolationException
from tf_transformations import quaternion_matrix, quaternion_slerp


@dataclass(frozen=True)
class Sample:
    """The pose of a frame in its parent at one time."""

    stamp_ns: int
    parent: str
    translation: np.ndarray  # (3,) metres
    quaternion: np.ndarray  # (4,) x y z w

    def matrix(self) -> np.ndarray:
        """Return parent_T_frame, (4, 4), metres."""
        matrix = quaternion_matrix(self.quaternion)
        matrix[:3, 3] = self.translation
        return matrix


class MovingFrame:
    """The samples of a moving frame, of the last seconds in order of time."""

    def __init__(self, cache_ns: int) -> None:
        """
        Construct a frame without samples.

        :param cache_ns: largest age of a sample relative to the newest, nanoseconds.
        """
        self._cache_ns = cache_ns
        self._samples: list[Sample] = []

    @property
    def parent(self) -> str:
        """Return the name of the parent frame."""
        return self._samples[-1].parent

    def add(self, sample: Sample) -> None:
        """
        Add a sample, unless it is too old; one with another parent removes all others.

        :param sample: of any time, in any order.
        """
        if self._samples and sample.parent != self.parent:
            self._samples.clear()
        if self._samples and sample.stamp_ns < self.latest_ns() - self._cache_ns:
            return
        place = bisect_left(self._samples, sample.stamp_ns, key=_stamp)
        known = place < len(self._samples) and _stamp(self._samples[place]) == sample.stamp_ns
        self._samples[place : place + known] = [sample]
        oldest = self.latest_ns() - self._cache_ns
        del self._samples[: bisect_left(self._samples, oldest, key=_stamp)]

    def latest_ns(self) -> int:
        """Return the stamp of the newest sample, nanoseconds."""
        return self._samples[-1].stamp_ns

    def at(self, stamp_ns: int) -> Sample:
        """
        Return the sample at a time, interpolated between its neighbours.

        :param stamp_ns: nanoseconds; 0 is the newest.
        :raises ExtrapolationException: when it is before the first sample or after the last.
        """
        first, last = self._samples[0], self._samples[-1]
        if stamp_ns in (0, last.stamp_ns):
            return last
        if not first.stamp_ns <= stamp_ns <= last.stamp_ns:
            raise ExtrapolationException(_explain(stamp_ns, first, last))
        place = bisect_right(self._samples, stamp_ns, key=_stamp)
        before, after = self._samples[place - 1], self._samples[place]
        part = (stamp_ns - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)
        return Sample(
            stamp_ns,
            before.parent,
            (1 - part) * before.translation + part * after.translation,
            quaternion_slerp(before.quaternion, after.quaternion, part),
        )


class StaticFrame:
    """A static frame, whose sample is valid at all times."""

    def __init__(self, sample: Sample) -> None:
        """Construct the frame."""
        self._sample = sample

    @property
    def parent(self) -> str:
        """Return the name of the parent frame."""
        return self._sample.parent

    def add(self, sample: Sample) -> None:
        """Replace the sample."""
        self._sample = sample

    def latest_ns(self) -> int:
        """Return 0: no time."""
        return 0

    def at(self, stamp_ns: int) -> Sample:
        """Return the sample, for any time."""
        del stamp_ns
        return self._sample


def _stamp(sample: Sample) -> int:
    return sample.stamp_ns


def _explain(stamp_ns: int, first: Sample, last: Sample) -> str:
    requested = f'Requested time {stamp_ns / 1e9:.6f}'
    if first is last:
        return (
            'Lookup would require extrapolation at time '
            f'{stamp_ns / 1e9:.6f}, but only time {last.stamp_ns / 1e9:.6f} is in the buffer'
        )
    if stamp_ns < first.stamp_ns:
        return (
            f'Lookup would require extrapolation into the past.  {requested} '
            f'but the earliest data is at time {first.stamp_ns / 1e9:.6f}'
        )
    return (
        f'Lookup would require extrapolation into the future.  {requested} '
        f'but the latest data is at time {last.stamp_ns / 1e9:.6f}'
    )
