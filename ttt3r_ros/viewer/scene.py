# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the viewer shows, as one value without threads, ROS or the library of the browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
import math

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Array32, Mask, Pixels
from ttt3r_ros.geometry import invert
from ttt3r_ros.mapping.occupancy import Occupancy
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.units import NANOSECONDS

# Heights and limits leave out so many percent of the points at either end.
OUTLIERS = 1.0
# About so many points are looked at for it, which takes a millisecond.
BOX_POINTS = 20_000

# There is a ceiling where over so large a part of the path, in upright columns so wide, points are
# so much higher than the camera, or than a robot without images.
COVERED_PART = 0.5
COLUMN_M = 0.5
HEADROOM_M = 0.3
ROBOT_M = 1.0

# Poses of the estimate and the reference are of the same image.
SAME_MOMENT_NS = 20_000_000

# Room around a path, for scenes without points.
LEAST_REACH_M = 1.0


@dataclass(frozen=True, eq=False)
class Cloud:
    """
    Points with what colours can be made from.

    points: (V, 3) float32, metres, map frame. colors: (V, 3) uint8. confidence: (V,) float32.
    seen_s: (V,) float32, seconds from the first image to the one that saw a point first, or
    None where that is not known.
    """

    points: Array32
    colors: Pixels
    confidence: Array32
    seen_s: Array32 | None = None

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.points)

    @cached_property
    def box(self) -> Array:
        """Return two corners of a box around nearly all points, of at least one, (2, 3) metres."""
        some = self.points[:: len(self) // BOX_POINTS + 1]
        box: Array = np.percentile(some, [OUTLIERS, 100 - OUTLIERS], axis=0)
        return box

    def chosen(self, which: Mask | NDArray[np.int64]) -> Cloud:
        """
        Return part of the points.

        :param which: (V,) bool, or their numbers.
        """
        ages = None if self.seen_s is None else self.seen_s[which]
        return Cloud(self.points[which], self.colors[which], self.confidence[which], ages)


@dataclass(frozen=True, eq=False)
class View:
    """
    An image of the camera and where it was taken.

    stamp_ns: nanoseconds. map_T_camera: (4, 4), metres. rgb: (h, w, 3) uint8. depth: (h, w)
    float32, metres along z, not positive where unknown; None where there is none. fov: vertical
    field of view, radians.
    """

    stamp_ns: int
    map_T_camera: Array
    rgb: Pixels
    depth: Array32 | None
    fov: float


@dataclass(frozen=True, eq=False)
class KeyPlaces:
    """
    Where the key frames are.

    places: (K, 3) float32, metres, map frame. loops: (L, 2, 3) float32, ends of each loop.
    """

    places: Array32
    loops: Array32


def _no_cloud() -> Cloud:
    none = np.empty((0, 3), np.float32)
    return Cloud(none, none.astype(np.uint8), np.empty(0, np.float32), np.empty(0, np.float32))


def _no_path() -> Trajectory:
    return Trajectory(np.empty(0, np.int64), np.empty((0, 4, 4)))


@dataclass(frozen=True, eq=False)
class Scene:
    """
    Everything that is shown; a part that has not changed is the same object as before.

    cloud: the map. voxel_size: metres. path: poses in the map, of the robot or the camera. truth:
    the same by a reference, or None. keys: key frames and loops. views: some images over time.
    newest: the newest image, or None. fresh: points of that image, or None. floor: the occupancy
    grid, or None. status: values by their names, for the user. finished: whether nothing more
    comes.
    """

    cloud: Cloud = field(default_factory=_no_cloud)
    voxel_size: float = 0.05
    path: Trajectory = field(default_factory=_no_path)
    truth: Trajectory | None = None
    keys: KeyPlaces | None = None
    views: tuple[View, ...] = ()
    newest: View | None = None
    fresh: Cloud | None = None
    floor: Occupancy | None = None
    status: Mapping[str, str] = field(default_factory=dict)
    finished: bool = False

    def until(self, seconds: float) -> Scene:
        """
        Return the scene as it was; the points of the map are all there, the graph was another one.

        :param seconds: since the first pose of the path.
        """
        stamps = self.path.stamps_ns
        if not len(stamps) or seconds >= self.duration_s():
            return self
        end = int(stamps[0]) + round(seconds * NANOSECONDS)
        taken = [view for view in self.views if view.stamp_ns <= end]
        return replace(
            self,
            path=_before(self.path, end),
            truth=None if self.truth is None else _before(self.truth, end),
            newest=taken[-1] if taken else None,
            fresh=None,
            keys=None,
        )

    def limits(self) -> tuple[Array, Array]:
        """Return the corners of a box around the path and nearly all points, (3,) metres each."""
        places = self.path.poses[:, :3, 3]
        ends = [places] if len(places) else []
        if len(self.cloud):
            ends.append(self.cloud.box)
        if not ends:
            return np.full(3, -LEAST_REACH_M), np.full(3, LEAST_REACH_M)
        every = np.concatenate(ends)
        middle, reach = every.mean(axis=0), np.ptp(every, axis=0)
        if reach.max() < LEAST_REACH_M:
            return middle - LEAST_REACH_M, middle + LEAST_REACH_M
        return every.min(axis=0), every.max(axis=0)

    def duration_s(self) -> float:
        """Return the seconds from the first pose of the path to the last one."""
        stamps = self.path.stamps_ns
        return float(stamps[-1] - stamps[0]) / NANOSECONDS if len(stamps) else 0.0

    def ceiling(self) -> float:
        """
        Return a height below the ceiling, metres, map frame; where there is none, infinity.

        It is a little above the camera: bent ceilings are cut, too, and rooms are looked into.
        There is a ceiling where, over most of the path, something is higher than that.
        """
        places, points = self.path.poses[:, :3, 3], self.cloud.points
        if not len(places) or not len(points):
            return math.inf
        height = self._highest()
        along = np.unique(_columns(places))
        over = np.unique(_columns(points[points[:, 2] > height]))
        covered = np.isin(along, over).mean() >= COVERED_PART
        return height if covered else math.inf

    def _highest(self) -> float:
        """Return a height above the camera, metres; without images the path may be a robot's."""
        heights = [float(view.map_T_camera[2, 3]) for view in self.views]
        if not heights:
            return float(self.path.poses[:, 2, 3].max()) + ROBOT_M
        return max(heights) + HEADROOM_M


def _columns(points: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return a number for the upright column in which each point lies."""
    x, y = np.floor(points[:, :2] / COLUMN_M).astype(np.int64).T
    numbers: NDArray[np.int64] = (x << 32) + y
    return numbers


def _before(path: Trajectory, end_ns: int) -> Trajectory:
    count = int(np.searchsorted(path.stamps_ns, end_ns, side='right'))
    return Trajectory(path.stamps_ns[:count], path.poses[:count])


def truth_in_map(path: Trajectory, truth: Trajectory) -> Trajectory | None:
    """
    Return a reference in the frame of the map, which it shares the first pose with.

    Nothing is fitted: what is apart later has drifted.

    :param path: map_T_body, by the estimate.
    :param truth: world_T_body, of the same body.
    :returns: map_T_body of the reference, or None where the two have no time in common.
    """
    if not len(path.stamps_ns) or not len(truth.stamps_ns):
        return None
    after = np.searchsorted(truth.stamps_ns, path.stamps_ns - SAME_MOMENT_NS)
    nearest = np.minimum(after, len(truth.stamps_ns) - 1)
    together = np.abs(truth.stamps_ns[nearest] - path.stamps_ns) <= SAME_MOMENT_NS
    if not together.any():
        return None
    first = int(np.flatnonzero(together)[0])
    map_T_world = path.poses[first] @ invert(truth.poses[nearest[first]])
    during = (truth.stamps_ns >= path.stamps_ns[0] - SAME_MOMENT_NS) & (
        truth.stamps_ns <= path.stamps_ns[-1] + SAME_MOMENT_NS
    )
    return Trajectory(truth.stamps_ns[during], map_T_world @ truth.poses[during])
