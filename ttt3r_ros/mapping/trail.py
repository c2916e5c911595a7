# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where the cameras were: poses that hang on key frames and move with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import itertools

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import IDENTITY, scaled, Similarity, transform
from ttt3r_ros.graph.additions import Correction
from ttt3r_ros.graph.located import LocatedFrame
from ttt3r_ros.graph.thinning import Heir
from ttt3r_ros.trajectory import Trajectory

# When a trail is full, so much of it is dropped at once.
DROPPED_PART = 8
IN_THE_CAMERA: Mapping[int, Array] = {}


@dataclass(frozen=True, eq=False)
class Hung:
    """
    A pose that hangs on a key frame.

    key_T_camera: (3, 4), metres as estimated at first. unit: metres per unit of the key frame's
    depth then, by which the motion was measured; 0 where wheels measured it, in metres.
    camera_index: of the camera.
    """

    stamp_ns: int
    key_T_camera: Array
    unit: float
    camera_index: int = 0

    def after(self, heir: Heir) -> Hung:
        """Return the same pose on the heir of its key frame."""
        gone_T_camera = transform(self.key_T_camera[:, :3], self.key_T_camera[:, 3])
        unit = 0.0
        if self.unit:
            gone_T_camera = scaled(gone_T_camera, float(np.exp(heir.log_scale)) / self.unit)
            unit = float(np.exp(heir.heir_log_scale))
        heir_T_camera = (heir.heir_T_gone @ gone_T_camera)[:3]
        return Hung(self.stamp_ns, heir_T_camera, unit, self.camera_index)


class Trail:
    """
    The path of the camera by the newest estimate.

    Each pose is kept relative to its key frame, so a correction moves all of them. What the wheels
    measured is in metres already: a new scale of the key frame's depth does not stretch it.
    """

    def __init__(self, most: int | None = None, step_m: float = 0.0) -> None:
        """
        Begin with nothing.

        :param most: poses that are kept, the newest ones; None: all.
        :param step_m: nearer than this to the one before a pose is left out, metres.
        """
        self.limit(most, step_m)
        self.reset()

    def limit(self, most: int | None, step_m: float) -> None:
        """
        Set how many poses are kept; those that are there wait for the next one.

        :param most: see `__init__`.
        :param step_m: see `__init__`.
        """
        self._most, self._step_m = most, step_m

    def reset(self) -> None:
        """Delete all poses."""
        self._length = 0
        self._last: Array | None = None  # (3,) metres
        self._map_T_key: dict[int, Similarity] = {}
        self._parts: defaultdict[int, list[Hung]] = defaultdict(list)

    def __len__(self) -> int:
        """Return the number of poses."""
        return self._length

    def add(self, located: LocatedFrame) -> None:
        """
        Add the pose of an image.

        :param located: its stamp is later than those of all before.
        """
        place = located.map_T_base[:3, 3]  # the same for all cameras
        if self._last is not None and np.linalg.norm(place - self._last) < self._step_m:
            return
        self._last = place
        if located.in_map:
            self._map_T_key.setdefault(located.key, located.map_T_key)
        unit = located.map_T_key.scale
        key_T_camera = scaled(located.key_T_camera, unit)[:3]
        unit = 0.0 if located.by_wheels else unit
        seen = located.tracked.seen
        self.hang(located.key, Hung(seen.stamp_ns, key_T_camera, unit, seen.camera_index))

    def hang(self, key: int, hung: Hung) -> None:
        """
        Hang a pose on a key frame.

        :param key: its number.
        :param hung: its stamp is later than those of all before.
        """
        self._parts[key].append(hung)
        self._length += 1
        if self._most is not None and self._length > self._most:
            self._drop_oldest(self._length - self._most + self._most // DROPPED_PART)

    def move(self, correction: Correction) -> None:
        """
        Apply a correction by key frames.

        :param correction: newer than all before.
        """
        self._map_T_key.update(correction.map_T_key)
        for number in correction.dropped:
            self._map_T_key.pop(number, None)
            self._length -= len(self._parts.pop(number, []))
        for heir in correction.gone:
            self._hand_over(heir)
        for number in correction.parted:
            self._map_T_key.pop(number, None)

    def trajectory(self, camera_T_base: Mapping[int, Array] = IN_THE_CAMERA) -> Trajectory:
        """
        Return the path in the order of time, as far as it is in the map.

        :param camera_T_base: (4, 4), whose poses are returned, by the index of a camera; those of
            the camera itself where it is missing.
        """
        stamps, poses = [np.empty(0, np.int64)], [np.empty((0, 4, 4))]
        for key, part in self._parts.items():
            if key not in self._map_T_key:
                continue
            stamps.append(np.array([hung.stamp_ns for hung in part], np.int64))
            poses.append(_poses(self._map_T_key[key], part) @ _ends(part, camera_T_base))
        all_stamps = np.concatenate(stamps)
        order = np.argsort(all_stamps)
        return Trajectory(all_stamps[order], np.concatenate(poses)[order])

    def _hand_over(self, heir: Heir) -> None:
        """Hang what hung on a key frame that went on its heir."""
        self._map_T_key.pop(heir.gone, None)
        for hung in self._parts.pop(heir.gone, []):
            self._parts[heir.heir].append(hung.after(heir))

    def _drop_oldest(self, count: int) -> None:
        stamps = sorted(hung.stamp_ns for hung in itertools.chain(*self._parts.values()))
        first = stamps[count]
        for key in list(self._parts):
            self._parts[key] = [hung for hung in self._parts[key] if hung.stamp_ns >= first]
            if not self._parts[key]:
                del self._parts[key]
        self._length = len(stamps) - count


def _ends(part: Sequence[Hung], camera_T_base: Mapping[int, Array]) -> Array:
    """Return what is taken of each camera, (N, 4, 4)."""
    return np.stack([camera_T_base.get(hung.camera_index, IDENTITY) for hung in part])


def _poses(map_T_key: Similarity, part: Sequence[Hung]) -> Array:
    """Return map_T_camera, (N, 4, 4), of what hangs on a key frame."""
    rows = np.stack([hung.key_T_camera for hung in part])
    units = np.array([hung.unit for hung in part])
    stretch = np.where(units > 0, map_T_key.scale / np.where(units > 0, units, 1.0), 1.0)
    return map_T_key.a_T_b @ transform(rows[..., :3], stretch[:, None] * rows[..., 3])
