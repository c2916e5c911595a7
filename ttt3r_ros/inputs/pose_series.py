# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Poses over time, looked up between their stamps."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import rotation_from_quaternion, slerp, transform

# An odometry of 10 Hz may end one period before the last image; 1 m/s makes 0.1 m of it.
TOLERANCE_NS = 100_000_000

# An odometry of 1 Hz is covered; after a longer silence the robot may be anywhere.
MOST_GAP_NS = 1_500_000_000


class PoseSeries:
    """
    The poses of one frame in another over time.

    Between two stamps at most 1.5 s apart a pose is interpolated: linearly in the translation,
    by slerp in the rotation; while a robot turns, the error is at most speed * turn rate * step^2
    / 8. Before the first stamp, after the last and in longer gaps the nearest pose holds for
    0.1 s, and beyond that there is none.
    """

    def __init__(self, stamps_ns: NDArray[np.int64], translations: Array, rotations: Array):
        """
        Sort poses by time.

        :param stamps_ns: (N,), nanoseconds, in any order; of equal ones the last counts.
        :param translations: (N, 3), metres.
        :param rotations: (N, 4), unit quaternions x y z w.
        """
        order = np.argsort(stamps_ns, kind='stable')
        self._stamps_ns = stamps_ns[order]
        self._translations = translations[order]
        self._rotations = rotations[order]

    def at(self, stamp_ns: int) -> Array | None:
        """
        Return the pose at a time.

        :param stamp_ns: nanoseconds.
        :returns: (4, 4), metres, or None where no pose is near enough.
        """
        after = int(np.searchsorted(self._stamps_ns, stamp_ns, side='right'))
        around = [k for k in (after - 1, after) if 0 <= k < len(self._stamps_ns)]
        stamps = [int(self._stamps_ns[k]) for k in around]
        if len(around) == 2 and stamps[1] - stamps[0] <= MOST_GAP_NS:
            return self._between(after, (stamp_ns - stamps[0]) / (stamps[1] - stamps[0]))
        distance, nearest = min((abs(stamp_ns - t), k) for t, k in zip(stamps, around))
        if distance > TOLERANCE_NS:
            return None
        return transform(
            rotation_from_quaternion(self._rotations[nearest]), self._translations[nearest]
        )

    def _between(self, after: int, fraction: float) -> Array:
        before = after - 1
        first, second = self._translations[before], self._translations[after]
        rotation = slerp(self._rotations[before], self._rotations[after], fraction)
        return transform(rotation_from_quaternion(rotation), first + fraction * (second - first))


class PoseRecorder:
    """Collects the poses of a series, 64 bytes each."""

    def __init__(self) -> None:
        """Construct an empty series."""
        self._stamps_ns = array('q')
        self._rows = array('d')
        self._stride = 1
        self._seen = 0

    def __len__(self) -> int:
        """Return the number of stored poses."""
        return len(self._stamps_ns)

    def add(self, stamp_ns: int, pose: Sequence[float]) -> None:
        """
        Add a pose.

        :param stamp_ns: nanoseconds, in any order.
        :param pose: (7,) x y z in metres, unit quaternion x y z w.
        """
        if self._seen % self._stride == 0:
            self._stamps_ns.append(stamp_ns)
            self._rows.extend(pose)
        self._seen += 1

    def halve(self) -> None:
        """Remove every second pose, and later add only every second one."""
        rows = np.frombuffer(self._rows).reshape(-1, 7)[::2]
        self._rows = array('d', rows.tobytes())
        self._stamps_ns = self._stamps_ns[::2]
        self._stride *= 2

    def series(self) -> PoseSeries:
        """Return the poses, at least one, sorted by time."""
        rows = np.array(self._rows).reshape(-1, 7)
        return PoseSeries(np.array(self._stamps_ns, np.int64), rows[:, :3], rows[:, 3:])
