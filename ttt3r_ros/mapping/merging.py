# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Several saved maps become one.

The graphs are joined; what they measured of each other moves key frames of either map. A file
does not hold which key frame saw a point, so points go with the key frames that saw something
next to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ttt3r_ros.arrays import Array
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import IDENTITY, scaled, Similarity, transform_points
from ttt3r_ros.graph.merging import LEAST_VOTES, merge_graphs, Overlap
from ttt3r_ros.graph.stored_graph import StoredGraph
from ttt3r_ros.mapping.evidence import Evidence, SURELY_FREE, SURELY_OCCUPIED
from ttt3r_ros.mapping.key_points import linear_part
from ttt3r_ros.mapping.occupancy import FREE, Occupancy, OccupancyGrid, OCCUPIED
from ttt3r_ros.mapping.storage import StoredMap
from ttt3r_ros.mapping.voxels import VoxelCloud, VoxelPoints, VoxelSums
from ttt3r_ros.settings import OccupancySettings

NEIGHBOURS = 4  # features next to a point that decide where it goes
STEP_POINTS = 200_000  # that are moved at once
LONGEST_M = 200.0  # side of a merged grid, the most that the settings allow
FLOOR_PERCENT = 2.0  # of the points lie lower than the floor


class MergeError(UserError):
    """Maps cannot become one."""


@dataclass(frozen=True, eq=False)
class Joined:
    """
    How one map came to the others.

    name: of it. numbers: of its key frames in the merged map, of which some may have gone since.
    overlaps: where it shows what the others do. map_T_before: where its frame lies, as the key
    frame has it that recognised the others first.
    """

    name: str
    numbers: tuple[int, ...]
    overlaps: tuple[Overlap, ...]
    map_T_before: Similarity


def merge_maps(
    named: Sequence[tuple[str, StoredMap]], voxel_size: float
) -> tuple[StoredMap, list[Joined]]:
    """
    Join maps of one building.

    :param named: at least two, with different names. The first one holds the frame of the
        merged map and the state of the network.
    :param voxel_size: of the merged map, metres.
    :returns: the merged map; how each but the first one came to it, in the order in which they
        could be joined.
    :raises MergeError: when they cannot be compared, or one shows no place of the others.
    """
    _check(named)
    (_, stored), *waiting = named
    joined: list[Joined] = []
    while waiting:
        found = next(
            (one for name, other in waiting if (one := _merged(stored, name, other, voxel_size))),
            None,
        )
        if found is None:
            raise MergeError(_strangers(named, waiting))
        stored = found[0]
        joined.append(found[1])
        waiting = [pair for pair in waiting if pair[0] != found[1].name]
    return stored, joined


def _check(named: Sequence[tuple[str, StoredMap]]) -> None:
    first, reference = named[0]
    for name, stored in named:
        if stored.graph is None or not len(stored.cloud.points):
            raise MergeError(
                f'{name} has no key frames by which it could be recognised: map longer, or again '
                'where it is of an older version'
            )
        if stored.network != reference.network:
            raise MergeError(
                f'{name} was made with the weights {stored.network}, {first} with '
                f'{reference.network}: map again with the same checkpoint'
            )


def _strangers(
    named: Sequence[tuple[str, StoredMap]], waiting: Sequence[tuple[str, StoredMap]]
) -> str:
    """Return what is wrong with maps that show no place of the others."""
    left = [name for name, _ in waiting]
    others = [name for name, _ in named if name not in left]
    verb = 'shows' if len(left) == 1 else 'show'
    return (
        f'{" and ".join(left)} {verb} no place of {" or ".join(others)} for certain: '
        f'at least {LEAST_VOTES} key frames have to recognise one'
    )


def _merged(
    first: StoredMap, name: str, second: StoredMap, voxel_size: float
) -> tuple[StoredMap, Joined] | None:
    assert first.graph is not None
    assert second.graph is not None
    merged = merge_graphs(first.graph, second.graph)
    if merged is None:
        return None
    movers = [
        _Mover(graph, [merged.after_T_before[number] for number in numbers])
        for graph, numbers in (
            (first.graph, merged.first),
            (second.graph, merged.second),
        )
    ]
    stored = replace(
        first,
        cloud=_cloud([first.cloud, second.cloud], movers, voxel_size),
        occupancy=_occupancy([first, second], movers),
        graph=merged.graph,
    )
    map_T_before = merged.after_T_before[merged.overlaps[0].votes[0]]
    return stored, Joined(name, merged.second, merged.overlaps, map_T_before)


class _Mover:
    """Compute where points of a map go when its key frames move."""

    def __init__(self, graph: StoredGraph, after_T_before: Sequence[Similarity]) -> None:
        poses, scales = graph.estimate.poses, np.exp(graph.estimate.log_scales)
        owners, seen = [], []
        for i, frame in enumerate(graph.frames):
            if graph.submaps[i] != graph.submaps[0]:
                continue  # in a frame of its own: no point of the map is attached to it
            points = frame.feature_points.points[np.isfinite(frame.feature_points.points[:, 2])]
            seen += [transform_points(poses[i], scales[i] * points), poses[i][None, :3, 3]]
            owners.append(np.full(len(points) + 1, i))
        self._features, self._owner = cKDTree(np.concatenate(seen)), np.concatenate(owners)
        self.after_T_before = after_T_before
        self._linear = np.stack([linear_part(one) for one in after_T_before])
        self._shift = np.stack([one.a_T_b[:3, 3] for one in after_T_before])

    def nearest(self, points: Array) -> NDArray[np.intp]:
        """Return which key frame saw something next to each point, (N,)."""
        owner: NDArray[np.intp] = self._owner[self._features.query(points)[1]]
        return owner

    def moved(self, points: NDArray[np.floating]) -> Array:
        """Return where points go, (N, 3): the mean of where their neighbours do."""
        result = np.empty((len(points), 3))
        for begin in range(0, len(points), STEP_POINTS):
            some = points[begin : begin + STEP_POINTS].astype(np.float64)
            apart, near = self._features.query(some, NEIGHBOURS)
            weight = 1.0 / (apart + 1e-2)
            weight /= weight.sum(axis=1, keepdims=True)
            total = np.zeros_like(some)
            for share, owner in zip(weight.T, self._owner[near].T):
                there = np.einsum('nij,nj->ni', self._linear[owner], some) + self._shift[owner]
                total += share[:, None] * there
            result[begin : begin + STEP_POINTS] = total
        return result


def _cloud(
    clouds: Sequence[VoxelCloud], movers: Sequence[_Mover], voxel_size: float
) -> VoxelCloud:
    sums = VoxelSums()
    for cloud, mover in zip(clouds, movers):
        moved = replace(cloud, points=mover.moved(cloud.points).astype(np.float32))
        sums.add(VoxelPoints.of(moved, voxel_size).placed(Similarity(IDENTITY)))
    sums.bound_weights()
    return sums.all().cloud(voxel_size)


def _occupancy(maps: Sequence[StoredMap], movers: Sequence[_Mover]) -> Occupancy | None:
    """Return the grid of all maps that have one."""
    grids = [
        (one.occupancy, one.cloud, mover)
        for one, mover in zip(maps, movers)
        if one.occupancy is not None
    ]
    if not grids:
        return None
    sizes = {occupancy.resolution for occupancy, _, _ in grids}
    if len(sizes) > 1:
        cells = ' and '.join(f'{size:g}' for size in sorted(sizes))
        raise MergeError(f'their occupancy grids have cells of {cells} m: map with the same ones')
    settings = OccupancySettings(resolution=sizes.pop(), max_side=LONGEST_M)
    grid = OccupancyGrid(settings)
    for number, evidence in enumerate(_pieces(grids)):
        grid.add(number, evidence)
    if grid.overflowed:
        raise MergeError(f'their occupancy grid would be longer than {LONGEST_M:g} m')
    return grid.occupancy()


def _pieces(grids: Sequence[tuple[Occupancy, VoxelCloud, _Mover]]) -> Iterator[Evidence]:
    """Yield what each key frame saw of the floor, where that lies now."""
    for occupancy, cloud, mover in grids:
        size = occupancy.resolution
        height = float(np.percentile(cloud.points[:, 2], FLOOR_PERCENT))
        origin = np.array([round(occupancy.x / size), round(occupancy.y / size)])
        rows, columns = np.nonzero((occupancy.cells == FREE) | (occupancy.cells == OCCUPIED))
        middles = size * (np.stack([columns, rows], axis=1) + origin + 0.5)
        owner = mover.nearest(np.column_stack([middles, np.full(len(rows), height)]))
        steps = np.where(occupancy.cells == OCCUPIED, SURELY_OCCUPIED, SURELY_FREE)
        for key in np.unique(owner).tolist():
            mine = np.stack([columns, rows])[:, owner == key]
            first, end = mine.min(axis=1), mine.max(axis=1) + 1
            step = np.zeros((end - first)[::-1], np.int8)
            u, v = mine - first[:, None]
            step[v, u] = steps[mine[1], mine[0]]
            after_T_before = mover.after_T_before[key]
            in_cells = Similarity(scaled(after_T_before.a_T_b, 1.0 / size), after_T_before.scale)
            yield Evidence.of(first + origin, step, height / size).moved(in_cells)
