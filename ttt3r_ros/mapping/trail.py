# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where the camera was: poses that hang on key frames and move with them."""

from __future__ import annotations

from collections import defaultdict
import itertools

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import Similarity, transform
from ttt3r_ros.graph.back_end import Correction, LocatedFrame
from ttt3r_ros.graph.thinning import Heir
from ttt3r_ros.trajectory import Trajectory

# When a trail is full, so much of it is dropped at once.
DROPPED_PART = 8


class Trail:
    """
    The path of the camera by the newest estimate.

    Each pose is kept relative to its key frame, so a correction moves all of them.
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
        self._parts: defaultdict[int, list[tuple[int, Array]]] = defaultdict(list)

    def __len__(self) -> int:
        """Return the number of poses."""
        return self._length

    def add(self, located: LocatedFrame) -> None:
        """
        Add the pose of an image.

        :param located: its stamp is later than those of all before.
        """
        place = located.map_T_camera[:3, 3]
        if self._last is not None and np.linalg.norm(place - self._last) < self._step_m:
            return
        self._last = place
        if located.in_map:
            self._map_T_key.setdefault(located.key, located.map_T_key)
        self._parts[located.key].append((located.tracked.stamp_ns, located.key_T_camera[:3]))
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

    def trajectory(self) -> Trajectory:
        """Return the path, map_T_camera, in the order of time, as far as it is in the map."""
        stamps, poses = [np.empty(0, np.int64)], [np.empty((0, 4, 4))]
        for key, part in self._parts.items():
            if key not in self._map_T_key:
                continue
            stamps.append(np.array([stamp for stamp, _ in part], np.int64))
            rows = np.stack([pose for _, pose in part])
            poses.append(self._map_T_key[key].pose(transform(rows[..., :3], rows[..., 3])))
        all_stamps = np.concatenate(stamps)
        order = np.argsort(all_stamps)
        return Trajectory(all_stamps[order], np.concatenate(poses)[order])

    def _hand_over(self, heir: Heir) -> None:
        """Hang what hung on a key frame that went on its heir."""
        self._map_T_key.pop(heir.gone, None)
        heir_T_gone = heir.hangs_on()
        for stamp, pose in self._parts.pop(heir.gone, []):
            moved = heir_T_gone.pose(transform(pose[:, :3], pose[:, 3]))
            self._parts[heir.heir].append((stamp, moved[:3]))

    def _drop_oldest(self, count: int) -> None:
        stamps = sorted(stamp for stamp, _ in itertools.chain(*self._parts.values()))
        first = stamps[count]
        for key in list(self._parts):
            self._parts[key] = [entry for entry in self._parts[key] if entry[0] >= first]
            if not self._parts[key]:
                del self._parts[key]
        self._length = len(stamps) - count
