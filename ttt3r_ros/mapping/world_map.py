# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The map itself: voxels and an occupancy grid, attached to key frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ttt3r_ros.arrays import Array, Mask
from ttt3r_ros.geometry import IDENTITY, Similarity, transform
from ttt3r_ros.graph.bends import NO_BEND, stretch
from ttt3r_ros.graph.located import LocatedFrame
from ttt3r_ros.mapping.ghosts import DepthView, REACH_M
from ttt3r_ros.mapping.key_frame_support import ENOUGH
from ttt3r_ros.mapping.key_points import in_voxels, KeyPoints, linear_part, needed
from ttt3r_ros.mapping.occupancy import Occupancy, OccupancyGrid
from ttt3r_ros.mapping.parts import PART_MASK, PartedVoxels, Parts
from ttt3r_ros.mapping.voxels import (
    FixedPoints,
    Integers,
    VoxelCloud,
    VoxelPoints,
    VoxelSums,
)
from ttt3r_ros.settings import MappingSettings
from ttt3r_ros.tracking.frame import Pointmap

# So many points are fused anew at most before the next image, about 10 ms.
STEP_POINTS = 100_000
# And among so many at most ghosts are looked for and removed, 1 to 2 ms.
GHOST_STEP_POINTS = 40_000

# Key frames overlap: together they may have so many points per voxel of the full map.
POINTS_PER_VOXEL = 4

# About so many columns of an image are used; at 5 m two are 3 cm apart then.
COLUMNS = 224

NO_BENDS: Mapping[int, Array] = MappingProxyType({})

# A loaded map is attached to no key frame; pieces of it, of about so many points, have negative
# numbers.
PIECE_POINTS = 10_000


@dataclass(frozen=True, eq=False)
class MapImage:
    """
    What the map takes from an image.

    pointmap: in the unit of `track`. key: number of the key frame to which it is attached.
    key_T_camera: from the image, in that unit, to the key frame, in its unit. map_T_key: from
    there to metres of the map, by the newest estimate. base_T_camera: (4, 4), where the camera is
    mounted, or None for a camera alone. focal_px: of the pixels of `pointmap`. floor_z: height of
    the floor in the map, metres, where a camera alone has found it.
    """

    pointmap: Pointmap
    key: int
    key_T_camera: Similarity
    map_T_key: Similarity
    base_T_camera: Array | None
    focal_px: float
    floor_z: float | None = None

    @classmethod
    def of(cls, located: LocatedFrame) -> MapImage:
        """
        Return what the map takes of a located image.

        :param located: by the back end.
        """
        tracked = located.tracked
        return cls(
            tracked.pointmap,
            located.key,
            Similarity(located.key_T_camera, float(np.exp(-tracked.pose.key.log_scale))),
            located.map_T_key,
            located.base_T_camera,
            float(tracked.view.camera[0, 0]),
            located.floor_z,
        )

    def stretched(self, bend: Array) -> Pointmap:
        """
        Return the points without the bend of the key frame's depth.

        :param bend: (NODES,), see `bends`.
        """
        if not bend.any():
            return self.pointmap
        points = self.pointmap.points_camera
        at_key = self.pointmap.scaled(self.key_T_camera.scale).points_in(self.key_T_camera.a_T_b)
        factor = stretch(tuple(np.moveaxis(at_key, -1, 0)), bend)
        return replace(self.pointmap, points_camera=points * factor[..., None])

    def floor_T_camera(self, map_T_camera: Array) -> Array | None:
        """
        Return the pose of the camera above the floor, (4, 4), z up; None: it is unknown.

        :param map_T_camera: (4, 4), metres.
        """
        if self.base_T_camera is not None or self.floor_z is None:
            return self.base_T_camera
        return transform(np.eye(3), [0.0, 0.0, -self.floor_z]) @ map_T_camera


class WorldMap:
    """
    Merge the points of all images, in bounded memory, and move them with their key frames.

    The map is the sum of what the key frames add. Where one has moved, or points of it have come
    or gone, its old share is subtracted and the new one added, a bounded number of points at a
    time; `follow` does the next of them.

    One thread uses a map. What `snapshot` and `voxels` return never changes and is for any.

    grid: what is free, occupied and unknown on the floor.
    """

    def __init__(self, settings: MappingSettings) -> None:
        """Begin with an empty map."""
        self._settings = settings
        self._voxel_size = settings.map.voxel_size
        self._voxels = PartedVoxels(self._voxel_size)
        self.grid = OccupancyGrid(settings.occupancy, settings.camera.height)
        self._keys: dict[int, KeyPoints] = {}
        self._bends: Mapping[int, Array] = {}  # of all key frames, the newest
        self._stale: set[int] = set()  # key frames whose share of the map is an old one
        # Key frames that may have ghosts among their points, those that have waited longest first.
        self._with_ghosts: dict[int, None] = {}
        self._open: tuple[int, VoxelSums] | None = None  # sums of the newest key frame
        self._images = 0
        self._camera = IDENTITY  # of the newest image

    def __len__(self) -> int:
        """Return the number of key frames that have points or evidence."""
        return len(self._keys)

    def change(self, settings: MappingSettings) -> None:
        """
        Apply the settings that may change while mapping.

        :param settings: all of them; size and number of voxels and cells stay as they are.
        """
        self._settings = settings

    # ---- what comes in

    def add(self, image: MapImage) -> None:
        """
        Add the points of one image, and fuse a bounded number of others that have moved.

        :param image: located.
        """
        self._images += 1
        stride = image.pointmap.depth.shape[1] // COLUMNS or 1
        smaller = image.pointmap.subsampled(stride)
        image = replace(image, pointmap=smaller, focal_px=image.focal_px / stride)
        map_T_image = image.map_T_key.after(image.key_T_camera)
        self._camera = map_T_image.a_T_b
        bounds, scale = self._settings.map, map_T_image.scale
        farthest = min(bounds.fused_range, bounds.max_range)
        good = image.pointmap.reliable(bounds.confidence_threshold, farthest / scale)
        key = self._begun(image)
        self.follow()
        upright = replace(image, pointmap=image.stretched(key.bend))
        self._see_through(upright.pointmap, scale)
        self._sum_up(upright, key, good)
        floor_T_camera = None
        if image.base_T_camera is not None or not self._settings.camera.height:
            floor_T_camera = image.floor_T_camera(map_T_image.a_T_b)
        seen = self.grid.look(
            image.pointmap.scaled(scale), good, map_T_image.a_T_b, floor_T_camera
        )
        if seen is not None:
            self.grid.add(image.key, seen, key.map_T_birth())

    def move(
        self, map_T_key: Mapping[int, Similarity], bends: Mapping[int, Array] = NO_BENDS
    ) -> None:
        """
        Move points and grid with their key frames; a bounded number of points, the nearest first.

        :param map_T_key: newest estimates of all key frames; unknown ones are left out.
        :param bends: of their depths; points are stretched by them. The grid is not: it
            sums what was known at each image.
        """
        self._set_poses({n: pose for n, pose in map_T_key.items() if n in self._keys})
        self._bends = bends
        for number in sorted(bends.keys() & self._keys.keys()):
            if self._keys[number].is_bent(bends[number]):
                self._straighten(number, bends[number])
        self.follow()

    def hand_over(self, removed: int, successor: int, successor_T_removed: Similarity) -> None:
        """
        Attach the points of a key frame that was removed to another one.

        :param removed: number of the one that was removed.
        :param successor: number of the one that stays.
        :param successor_T_removed: from the one, in its unit, to the other, in its unit.
        """
        if removed not in self._keys:
            return
        self._close()
        self._drop_ghosts(removed)
        old = self._keys[removed]
        if successor not in self._keys:
            map_T_successor = old.map_T_key.after(successor_T_removed.inverse())
            none = old.points.chosen(np.zeros(len(old.points), bool))
            bend = self._bends.get(successor, NO_BEND)
            self._keys[successor] = KeyPoints(
                map_T_successor, map_T_successor, old.last_seen, none, bend=bend
            )
        new = self._keys[successor]
        successor_T_birth = new.birth.after(successor_T_removed).after(old.birth.inverse())
        self._remove(removed)
        self._absorb(successor, old, successor_T_birth)
        self.grid.hand_over(removed, successor, successor_T_birth)

    def _absorb(self, number: int, old: KeyPoints, birth_T_birth: Similarity) -> None:
        """Add the points of a key frame that is no more to those of another one."""
        self._keys[number].take_over(old, birth_T_birth, self._voxel_size)
        self._fuse(number)

    def adopt(self, apart: WorldMap, map_T_key: Mapping[int, Similarity]) -> None:
        """
        Take over points and evidence of key frames that have come to this map.

        :param apart: another map, in a frame of its own; it loses those key frames.
        :param map_T_key: where key frames are; those of `apart` among them are taken over.
        """
        apart._close()
        self._close()
        numbers = sorted(apart._keys.keys() & map_T_key.keys())
        evidence = apart.grid.take(numbers)
        for number in numbers:
            apart._drop_ghosts(number)
            old = apart._keys[number]
            apart._remove(number)
            if number in self._keys:
                self._absorb(number, old, self._keys[number].birth.after(old.birth.inverse()))
            else:
                self._keys[number] = KeyPoints(
                    old.birth, map_T_key[number], self._images, old.points, bend=old.bend
                )
                self._stale.add(number)
            if number in evidence:
                map_T_birth = map_T_key[number].after(old.birth.inverse())
                self.grid.adopt(number, evidence[number], map_T_birth)

    def forget(self, numbers: Iterable[int]) -> None:
        """
        Delete the points and evidence of key frames.

        :param numbers: of them; unknown ones are left out.
        """
        for number in self._keys.keys() & set(numbers):
            self._remove(number)
            self.grid.forget(number)

    def resume(self, cloud: VoxelCloud, occupancy: Occupancy | None) -> None:
        """
        Continue with a saved map; this one must be empty.

        :param occupancy: None: the saved map has no grid.
        :raises OccupancyError: when the cells of the grid have another size.
        """
        if occupancy is not None and self._settings.occupancy.enabled:
            self.grid.resume(occupancy)
        points, here = VoxelPoints.of(cloud, self._voxel_size), Similarity(IDENTITY)
        # Neighbours together, so that few pieces are touched where something has changed.
        order = np.argsort(points.placed(here).cells & PART_MASK, kind='stable')
        for piece in np.array_split(order, len(points) // PIECE_POINTS + 1):
            number = -1 - len(self._keys)
            self._keys[number] = KeyPoints(
                here, here, self._images, points.chosen(piece), stands_for=ENOUGH
            )
            self._stale.add(number)

    # ---- what goes out

    @property
    def follows(self) -> bool:
        """Return whether all points but those of the newest key frame are where they belong."""
        return not (self._moved() or self._closed_with_ghosts())

    @property
    def generation(self) -> int:
        """Return the number of the newest snapshot that differs from the one before."""
        return self._voxels.generation

    @property
    def voxels(self) -> Parts:
        """Return the whole map as it is now, whatever that takes."""
        while not self.follows:
            self.follow()
        self._fuse_newest()
        return self._voxels.whole()

    def snapshot(self) -> Parts:
        """Return the map in bounded time: what changed last may be missing until the next."""
        self.follow()
        self._fuse_newest()
        return self._voxels.snapshot()

    def cells(self) -> Iterator[tuple[int, Integers]]:
        """Return the voxels in which each key frame has points: its number and packed cells."""
        for number, key in self._keys.items():
            if key.fused is not None:
                yield number, key.cells

    def shares(self) -> Iterator[tuple[int, VoxelPoints, Similarity]]:
        """Return what each key frame adds: its number, points, and where they lie, in voxels."""
        for number, key in self._keys.items():
            if key.fused is not None:
                yield number, key.fused, in_voxels(key.in_map, self._voxel_size)

    # ---- the newest key frame

    def _begun(self, image: MapImage) -> KeyPoints:
        """Return the key frame of an image, at its newest estimate."""
        key = self._keys.get(image.key)
        if key is None:
            none = VoxelSums().all().points()
            bend = self._bends.get(image.key, NO_BEND)
            key = KeyPoints(image.map_T_key, image.map_T_key, self._images, none, bend=bend)
            self._keys[image.key] = key
        key.last_seen = self._images
        self._set_poses({image.key: image.map_T_key})
        return key

    def _set_poses(self, map_T_key: Mapping[int, Similarity]) -> None:
        """Set the poses of key frames, and mark those that have to be fused anew."""
        for number, pose in map_T_key.items():
            key = self._keys[number]
            key.map_T_key = pose
            if key.is_displaced(self._voxel_size):
                if self._is_newest(number):
                    self._close()
                self._stale.add(number)
        self.grid.move({number: self._keys[number].map_T_birth() for number in map_T_key})

    def _straighten(self, number: int, bend: Array) -> None:
        """Stretch the points of a key frame."""
        key = self._keys[number]
        if self._open is not None and self._is_newest(number):
            points, sums = (
                key.straightened(self._open[1].all().points(), bend, self._voxel_size),
                VoxelSums(),
            )
            sums.add(points.placed(Similarity(IDENTITY)))
            self._open = number, sums
        else:
            self._drop_ghosts(number)  # while they are in the cells in which they were seen
            key.points = key.straightened(key.points, bend, self._voxel_size)
        key.bend = bend
        self._stale.add(number)

    def _sum_up(self, image: MapImage, key: KeyPoints, good: Mask) -> None:
        """Add the good points of an image to those of its key frame."""
        if self._open is not None and self._is_newest(image.key):
            sums = self._open[1]
        else:
            self._close()
            sums = VoxelSums()
            sums.add(key.points.placed(Similarity(IDENTITY)))
            self._open = image.key, sums
        sums.add(self._in_birth(image, key.birth.after(image.key_T_camera), good))
        key.images += 1
        key.needs += needed(image.pointmap.confidence[good], image.focal_px, self._voxel_size)
        sums.bound_weights()
        self._stale.add(image.key)
        if sums.used > self._settings.map.max_voxels:
            self._fuse_newest()

    def _in_birth(self, image: MapImage, birth_T_image: Similarity, good: Mask) -> FixedPoints:
        pointmap, chosen = image.pointmap, np.flatnonzero(good)
        x, y, z = (axis.take(chosen) for axis in pointmap.points_camera.reshape(-1, 3).T)
        to_voxels = 1.0 / self._voxel_size
        linear = (to_voxels * linear_part(birth_T_image)).astype(np.float32)
        shift = (to_voxels * birth_T_image.a_T_b[:3, 3]).astype(np.float32)
        columns = np.stack([m[0] * x + m[1] * y + m[2] * z + t for m, t in zip(linear, shift)])
        color = np.stack([axis.take(chosen) for axis in pointmap.colors.reshape(-1, 3).T])
        return FixedPoints.of(columns, color, pointmap.confidence.reshape(-1).take(chosen))

    def _is_newest(self, number: int) -> bool:
        return self._open is not None and self._open[0] == number

    def _close(self) -> None:
        """Keep the points of the newest key frame like those of all others."""
        if self._open is not None:
            newest, sums = self._open
            key = self._keys[newest]
            if newest in self._stale:  # more have come since they were fused
                key.points = sums.all().points()
            supported = key.supported(key.points)
            if len(supported) < len(key.points):
                key.points = supported
                self._stale.add(newest)
            self._open = None

    def _fuse_newest(self) -> None:
        if self._open is not None and self._open[0] in self._stale | self._with_ghosts.keys():
            self._fuse(self._open[0])
            self._drop_oldest()

    # ---- fusing anew

    def _moved(self) -> set[int]:
        """Return the key frames whose share is an old one, but the newest, which still grows."""
        return self._stale - (set() if self._open is None else {self._open[0]})

    def _closed_with_ghosts(self) -> list[int]:
        """Return the key frames with ghosts, but the newest, which still grows."""
        return [number for number in self._with_ghosts if not self._is_newest(number)]

    def follow(self) -> None:
        """Fuse a bounded number of points that have moved, the nearest first; drop ghosts."""
        if not self.follows:
            nearest = sorted(self._moved(), key=self._distance)
            _bounded(self._fuse, nearest, STEP_POINTS)
            _bounded(self._drop_ghosts, self._closed_with_ghosts(), GHOST_STEP_POINTS)
            self._drop_oldest()

    def _distance(self, number: int) -> tuple[float, int]:
        """Return how far a key frame is from the camera; the newer ones go first."""
        apart = self._keys[number].map_T_key.a_T_b[:3, 3] - self._camera[:3, 3]
        return round(float(np.linalg.norm(apart))), -number

    def _fuse(self, number: int) -> int:
        """Fuse a key frame at its newest estimate; return the number of points touched."""
        key = self._keys[number]
        if self._open is not None and self._is_newest(number):
            key.points = self._open[1].all().points()
        self._stale.discard(number)
        self._drop_ghosts(number)
        stays = key.fused is not None and not key.is_displaced(self._voxel_size)
        pose = key.in_map if stays else key.map_T_birth()
        if key.fused is not None:
            self._subtract(key)
        share = key.points.placed(in_voxels(pose, self._voxel_size))
        key.cells, key.corners = share.cells, self._voxels.add(share)
        self._voxels.support.add(key.cells, key.stands_for)
        key.fused, key.in_map = key.points, pose
        return 2 * len(key.points)

    def _subtract(self, key: KeyPoints) -> None:
        """Take back what a key frame has added."""
        assert key.fused is not None
        self._voxels.support.add(key.cells, -key.stands_for)
        self._voxels.add(key.fused.placed(in_voxels(key.in_map, self._voxel_size)), -1)

    # ---- what is removed

    def _see_through(self, pointmap: Pointmap, scale: float) -> None:
        """Count which voxels the new depth sees through; those often seen through are ghosts."""
        if self._moved():
            return  # part of the map is not where the newest estimate has it
        view = DepthView.of(pointmap, self._settings.map.confidence_threshold, scale)
        if view is None:
            return
        place, ahead = self._camera[:3, 3], self._camera[:3, 2]
        camera_R_map = self._camera[:3, :3].T.astype(np.float32)
        rows, middles = self._voxels.near(place, REACH_M, ahead)
        missed, hit = view.judge(camera_R_map @ middles)
        # Of a voxel at an edge the middle may be seen past, and the point not.
        doubtful = np.flatnonzero(missed)
        points = self._voxels.means(rows[doubtful], place)
        missed[doubtful] = view.judge(camera_R_map @ points)[0]
        self._mark_ghosts(self._voxels.count(rows, missed, hit))

    def _mark_ghosts(self, ghosts: Integers) -> None:
        """Mark the key frames that have points in ghost cells."""
        corners = set((ghosts & PART_MASK).tolist())
        for number, key in self._keys.items():
            if not corners.isdisjoint(key.corners):
                key.ghosts.append(ghosts)
                self._with_ghosts.setdefault(number)

    def _drop_ghosts(self, number: int) -> int:
        """Remove the ghosts among the points of a key frame; return how many were examined."""
        key = self._keys[number]
        if number not in self._with_ghosts or key.fused is None:
            return 0
        self._with_ghosts.pop(number)
        ghosts, examined = key.take_ghosts(), len(key.fused)
        if key.fused_in(ghosts).any():
            if self._is_newest(number):
                self._close()
            self._voxels.support.add(key.cells, -key.stands_for)
            self._voxels.add(key.drop(ghosts, self._voxel_size), -1)
            self._voxels.support.add(key.cells, key.stands_for)
        return examined

    def _drop_oldest(self) -> None:
        """Remove the key frames seen longest ago until the bounds are kept."""
        most = self._settings.map.max_voxels
        while len(self._voxels) > most or self._points() > POINTS_PER_VOXEL * most:
            oldest = min(self._keys, key=lambda number: self._keys[number].last_seen)
            if len(self._keys) > 1:
                self._remove(oldest)
                self.grid.forget(oldest)
            else:
                self._close()
                key = self._keys[oldest]
                key.points = key.points.chosen(
                    np.arange(len(key.points)) >= len(key.points) - most
                )
                self._fuse(oldest)

    def _points(self) -> int:
        return sum(len(key.points) for key in self._keys.values())

    def _remove(self, number: int) -> None:
        if self._is_newest(number):
            self._open = None
        key = self._keys.pop(number)
        if key.fused is not None:
            self._subtract(key)
        self._stale.discard(number)
        self._with_ghosts.pop(number, None)


def _bounded(work: Callable[[int], int], waiting: list[int], most: int) -> None:
    """Work on key frames until so many points were touched."""
    touched = 0
    for number in waiting:
        touched += work(number)
        if touched >= most:
            break
