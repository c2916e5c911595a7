# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The scene of a mapper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ttt3r_ros.arrays import Array32
from ttt3r_ros.graph.additions import KeyFrames
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.mapping.parts import Parts
from ttt3r_ros.mapping.voxels import Integers
from ttt3r_ros.units import NANOSECONDS
from ttt3r_ros.viewer.album import Album
from ttt3r_ros.viewer.scene import Cloud, KeyPlaces, Scene


@dataclass(frozen=True, eq=False)
class MapState:
    """
    A map at one time, which another thread may turn into points; it never changes.

    parts: the voxels. cells: of each key frame, see `WorldMap.cells`. seconds: from the first
    image to the first one of each key frame.
    """

    parts: Parts
    cells: tuple[tuple[int, Integers], ...]
    seconds: Mapping[int, float]

    def cloud(self) -> Cloud:
        """Return the points, and when each was seen first."""
        cloud = self.parts.points()
        return Cloud(cloud.points, cloud.colors, cloud.confidence, self._first_seen())

    def _first_seen(self) -> Array32:
        """Return for each voxel the time of the first key frame that has points in it."""
        none = [np.empty(0, np.int64)]
        cells = np.concatenate(none + [p.voxels.cells for p in self.parts.parts.values()])
        first = np.full(len(cells), np.inf, np.float32)
        order = np.argsort(cells)
        in_order = cells[order]
        for number, placed in self.cells:
            at = np.minimum(np.searchsorted(in_order, placed), len(cells) - 1)
            found = order[at[in_order[at] == placed]] if len(cells) else at
            first[found] = np.minimum(first[found], self.seconds.get(number, 0.0))
        first[np.isinf(first)] = np.nan
        return first


def map_state(mapper: Mapper, parts: Parts, album: Album) -> MapState:
    """
    Return the map of a mapper; used by the thread that maps.

    :param parts: of its map, just taken.
    :param album: of the run.
    """
    zero = album.first_ns or 0
    seconds = {key: (ns - zero) / NANOSECONDS for key, ns in album.key_stamps_ns.items()}
    return MapState(parts, tuple(mapper.map.cells()), seconds)


def key_places(key_frames: KeyFrames) -> KeyPlaces:
    """Return the places of key frames, and the ends of loops."""
    at = {number: pose[:3, 3] for number, pose in key_frames.map_T_camera.items()}
    loops = [(at[one], at[other]) for one, other in key_frames.loops]
    return KeyPlaces(
        np.array(list(at.values()), np.float32).reshape(-1, 3),
        np.array(loops, np.float32).reshape(-1, 2, 3),
    )


def slow_parts(mapper: Mapper, album: Album) -> Scene:
    """
    Return what is shown of a mapper besides the points and the newest image.

    :param album: with the images of the run.
    """
    path, plan = mapper.trail.trajectory(), mapper.map.grid.occupancy()
    return Scene(
        voxel_size=mapper.settings.map.voxel_size,
        path=path,
        keys=key_places(mapper.key_frames()),
        views=album.views(path),
        floor=plan if plan.cells.size else None,
    )


def finished_scene(mapper: Mapper, album: Album, status: Mapping[str, str]) -> Scene:
    """
    Return the scene of a run that has ended.

    :param mapper: with the whole map.
    :param album: of the run.
    :param status: for the user.
    """
    scene = slow_parts(mapper, album)
    cloud = map_state(mapper, mapper.map.voxels, album).cloud()
    newest = scene.views[-1] if scene.views else None
    return replace(scene, cloud=cloud, newest=newest, status=status, finished=True)
