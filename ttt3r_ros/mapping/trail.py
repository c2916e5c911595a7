# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where the cameras were: poses attached to key frames, with which they move."""

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
from ttt3r_ros.graph.thinning import RemovedKeyFrame
from ttt3r_ros.trajectory import Trajectory

# When a trail is full, so much of it is dropped at once.
DROPPED_PART = 8
IN_THE_CAMERA: Mapping[int, Array] = {}


@dataclass(frozen=True, eq=False)
class AttachedPose:
    """
    A pose that is stored relative to a key frame.

    key_T_camera: (3, 4), metres as estimated at first. unit: metres per unit of the key frame's
    depth then, by which the motion was measured; 0 where wheels measured it, in metres.
    camera_index: of the camera.
    """

    stamp_ns: int
    key_T_camera: Array
    unit: float
    camera_index: int = 0

    def after(self, removed: RemovedKeyFrame) -> AttachedPose:
        """Return the same pose relative to the successor of its key frame."""
        removed_T_camera = transform(self.key_T_camera[:, :3], self.key_T_camera[:, 3])
        unit = 0.0
        if self.unit:
            removed_T_camera = scaled(
                removed_T_camera, float(np.exp(removed.log_scale)) / self.unit
            )
            unit = float(np.exp(removed.successor_log_scale))
        successor_T_camera = (removed.successor_T_removed @ removed_T_camera)[:3]
        return AttachedPose(self.stamp_ns, successor_T_camera, unit, self.camera_index)


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
        self._parts: defaultdict[int, list[AttachedPose]] = defaultdict(list)

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
        view = located.tracked.view
        self.attach(
            located.key, AttachedPose(view.stamp_ns, key_T_camera, unit, view.camera_index)
        )

    def attach(self, key: int, attached: AttachedPose) -> None:
        """
        Attach a pose to a key frame.

        :param key: its number.
        :param attached: its stamp is later than those of all before.
        """
        self._parts[key].append(attached)
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
        for removed in correction.removed:
            self._hand_over(removed)
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
            stamps.append(np.array([attached.stamp_ns for attached in part], np.int64))
            poses.append(_poses(self._map_T_key[key], part) @ _ends(part, camera_T_base))
        all_stamps = np.concatenate(stamps)
        order = np.argsort(all_stamps)
        return Trajectory(all_stamps[order], np.concatenate(poses)[order])

    def _hand_over(self, removed: RemovedKeyFrame) -> None:
        """Attach the poses of a removed key frame to its successor."""
        self._map_T_key.pop(removed.number, None)
        for attached in self._parts.pop(removed.number, []):
            self._parts[removed.successor].append(attached.after(removed))

    def _drop_oldest(self, count: int) -> None:
        stamps = sorted(attached.stamp_ns for attached in itertools.chain(*self._parts.values()))
        first = stamps[count]
        for key in list(self._parts):
            self._parts[key] = [
                attached for attached in self._parts[key] if attached.stamp_ns >= first
            ]
            if not self._parts[key]:
                del self._parts[key]
        self._length = len(stamps) - count


def _ends(part: Sequence[AttachedPose], camera_T_base: Mapping[int, Array]) -> Array:
    """Return what is taken of each camera, (N, 4, 4)."""
    return np.stack([camera_T_base.get(attached.camera_index, IDENTITY) for attached in part])


def _poses(map_T_key: Similarity, part: Sequence[AttachedPose]) -> Array:
    """Return map_T_camera, (N, 4, 4), of the poses attached to a key frame."""
    rows = np.stack([attached.key_T_camera for attached in part])
    units = np.array([attached.unit for attached in part])
    stretch = np.where(units > 0, map_T_key.scale / np.where(units > 0, units, 1.0), 1.0)
    return map_T_key.a_T_b @ transform(rows[..., :3], stretch[:, None] * rows[..., 3])
