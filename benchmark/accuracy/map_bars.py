# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The map of a robot against the true surfaces of its world: points, cells, ghosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.accuracy.drives import Drive, drive_of
from benchmark.accuracy.replayed import fuse, locate, Located, rays_of, SURE
from benchmark.accuracy.sequences import FIRST_SEED
from benchmark.accuracy.setup import Experiment, Report
from benchmark.accuracy.slam import CACHE, EACH, front_of
from benchmark.accuracy.surfaces import cells_right, from_surface, still_there
from benchmark.accuracy.vanishing import BEFORE, RADIUS, Vanishing, vanishing
from ttt3r_ros.arrays import Array, Mask
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.evaluation.errors import align
from ttt3r_ros.geometry import invert, transform_points
from ttt3r_ros.mapping.occupancy import FREE, OCCUPIED
from ttt3r_ros.mapping.world_map import WorldMap
from ttt3r_ros.settings import MappingSettings
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.world import World
from ttt3r_ros.tracking.frame import Pointmap

WHEELS = 'usual'
LOW, HIGH = 0.3, 1.8  # metres: the points that count
WRONG = 0.5  # metres from any surface
POINTS, EACH_CELL = 10_000, 5  # so many points are examined, and each so-many-th cell
# Drives with a straight part where there is room before the robot.
GHOSTS = {
    'S': [('S', 0), ('S', 1), ('S', 2)],
    'M': [('M', 0), ('M', 2), ('M', 3)],
}
SAME = 0.1  # metres: what has a point so near is still in the map
SEEN_STRIDE, SEEN_UP_TO, SEEN_CELL = 4, 4.0, 0.1  # pixels, metres, metres
# A ghost is where the thing was, as wide as its depth may be wrong.
GHOST_REACH = 0.3

HEAD = [
    'drives',
    'points',
    'within [%]',
    'over 0.5 m [%]',
    'surfaces seen [%]',
    'free cells right [%]',
    'occupied [%]',
    'both [%]',
    'good points carved [%]',
    'bar',
]

GHOST_HEAD = [
    'depth',
    'drives',
    'ghost points',
    'left in their place [%]',
    'there by later images alone [%]',
    'gone [%]',
    'good points lost [%]',
    'bar',
]


@dataclass(frozen=True)
class Kind:
    """
    A depth and what is asked of its map.

    within: what is near a surface, metres.
    """

    label: str
    within: float
    bar: str
    ghost_bar: str = '95, 5'


EXACT = Kind('exact depth', 0.1, '98, -, -, -, -, 98, 5')
SHIPPED = Kind('shipped weights', 0.2, '80, 5, -, -, -, 90, 5')


@dataclass(frozen=True)
class Ghosts:
    """
    Points where a thing was that are on no other surface.

    before: just before it vanishes. left: at the end. later: at the end, of a map of only the
    images after it vanished: errors of their depth. lost: share of the good points.
    """

    before: int
    left: int
    later: int
    lost: float

    @property
    def gone(self) -> float:
        """Return the share of the ghost that is gone."""
        return 1 - max(self.left - self.later, 0) / self.before


@dataclass(frozen=True)
class MapScore:
    """Shares of a map, see HEAD; points: their number."""

    points: float
    near: float
    wrong: float
    complete: float
    free: float
    occupied: float
    cells: float
    carved: float


class AllKept(WorldMap):
    """A map that keeps what is seen through."""

    def _see_through(self, pointmap: Pointmap, scale: float) -> None:
        """Count nothing."""


def measure(experiment: Experiment) -> Report:
    """Map all drives; what is not cached is filmed first."""
    front, count = front_of(experiment), experiment.sequences or EACH
    names = [f'{family}_robot_{i}' for family in 'SM' for i in range(count)]
    ghosts = [*GHOSTS['S'][:count], *GHOSTS['M'][:count]]
    rows, details, gone, details_of_ghosts = [], [], [], []
    for kind in (EXACT, SHIPPED):
        scores = []
        for name in names:
            drive = _with_depth(drive_of(front, CACHE, name), kind)
            world = build_world(name[0], FIRST_SEED + _number(name))
            scores.append(score(locate(drive, WHEELS, _number(name)), world, kind.within))
            details.append(_row(f'{name}, {kind.label}', scores[-1:], kind.bar))
            print(details[-1], flush=True)
        rows.append(_row(f'{kind.label}, within {kind.within} m', scores, kind.bar))
        found = [_ghosts(vanishing(front, *which), which[1], kind) for which in ghosts]
        gone.append(_ghost_row(kind, found))
        details_of_ghosts += [
            _ghost_row(replace(kind, label=f'{family} {number}, {kind.label}'), [one])
            for (family, number), one in zip(ghosts, found)
        ]
        print(gone[-1], found, flush=True)
    return Report(
        [
            Table(
                'Maps of robots with usual wheels against the true surfaces, mean of the drives',
                HEAD,
                rows,
            ),
            Table(
                'Something of the size of a person that vanishes 2 m before the robot, after 20 '
                'images',
                GHOST_HEAD,
                gone,
            ),
        ],
        details=[
            Table('Each drive', HEAD, details),
            Table('Each drive with a ghost', GHOST_HEAD, details_of_ghosts),
        ],
    )


def _number(name: str) -> int:
    return int(name.split('_')[2])


def _with_depth(drive: Drive, kind: Kind) -> Drive:
    """Return a drive as a perfect network sees it, or as ours does."""
    if kind is SHIPPED:
        return drive
    world_T_camera = drive.world_T_camera
    return replace(
        drive,
        depth=drive.truth_depth,
        focal_px=np.zeros(len(drive)),
        confidence=np.full(drive.truth_depth.shape, SURE, np.float16),
        track_T_camera=invert(world_T_camera[0]) @ world_T_camera,
    )


def score(located: Located, world: World, within: float) -> MapScore:
    """
    Compare the map of a drive with its world.

    :param within: of a surface, metres: what is right.
    """
    world_T_map = _world_T_map(located)
    world_map, all_kept = (kind(MappingSettings()) for kind in (WorldMap, AllKept))
    for one in (world_map, all_kept):
        fuse(located, one)
    points, kept = (_points(one, world_T_map) for one in (world_map, all_kept))
    distance = np.abs(from_surface(world, _some(points[_counts(points)])))
    kept = _some(kept[_counts(kept)])
    good = kept[np.abs(from_surface(world, kept)) <= within]
    occupancy = world_map.grid.occupancy()
    right = cells_right(world, occupancy, world_T_map, within, EACH_CELL)
    numbers = {value: int((occupancy.cells == value).sum()) for value in right}
    shares = {value: float(ones.mean()) for value, ones in right.items()}
    return MapScore(
        len(points),
        float((distance <= within).mean()),
        float((distance > WRONG).mean()),
        float(still_there(_seen(located.drive), points, within).mean()),
        shares[FREE],
        shares[OCCUPIED],
        sum(shares[v] * numbers[v] for v in shares) / sum(numbers.values()),
        1 - float(still_there(good, points, SAME).mean()),
    )


def _world_T_map(located: Located) -> Array:
    """Return where the map lies in the world, by the path."""
    truth = located.drive.world_T_camera[located.images, :3, 3]
    return align(located.map_T_camera[:, :3, 3], truth, 'se3').a_T_b


def _points(world_map: WorldMap, world_T_map: Array) -> Array:
    points = transform_points(world_T_map, world_map.voxels.points().points)
    return np.asarray(points, np.float64)


def _counts(points: Array) -> Mask:
    counts: Mask = (points[:, 2] > LOW) & (points[:, 2] < HIGH)
    return counts


def _some(points: Array) -> Array:
    """Return part of the points, drawn by chance."""
    if len(points) <= POINTS:
        return points
    chosen: Array = points[np.random.default_rng(0).choice(len(points), POINTS, replace=False)]
    return chosen


def _seen(drive: Drive) -> Array:
    """Return points on the true surfaces that the camera came near enough to, one a cell."""
    some, parts = (slice(None, None, SEEN_STRIDE),) * 2, []
    rays = rays_of(drive)[some]
    for depth, world_T_camera in zip(drive.truth_depth[::5], drive.world_T_camera[::5]):
        points = (rays * np.asarray(depth, np.float32)[some][..., None]).reshape(-1, 3)
        points = points[np.linalg.norm(points, axis=1) < SEEN_UP_TO]
        in_world = np.asarray(transform_points(world_T_camera, points), np.float64)
        parts.append(in_world[_counts(in_world)])
    seen = np.concatenate(parts)
    _, first = np.unique(np.floor(seen / SEEN_CELL), axis=0, return_index=True)
    chosen: Array = seen[first]
    return chosen


def _row(label: str, scores: Sequence[MapScore], bar: str) -> list[str]:
    names = ('near', 'wrong', 'complete', 'free', 'occupied', 'cells', 'carved')
    means = [100 * float(np.mean([getattr(one, name) for one in scores])) for name in names]
    points = f'{np.mean([one.points for one in scores]):.0f}'
    return [label, points, *(f'{mean:.1f}' for mean in means), bar]


def _ghosts(seen: Vanishing, seed: int, kind: Kind) -> Ghosts:
    """Return what is left of a ghost, and the share of good points that were lost."""
    located = locate(_with_depth(seen.drive, kind), WHEELS, seed)
    before, points = _twice(located, WorldMap(MappingSettings()))
    later = WorldMap(MappingSettings())
    fuse(located, later, first=BEFORE)
    _, kept = _twice(located, AllKept(MappingSettings()))
    kept = kept[_counts(kept)]
    good = kept[np.abs(from_surface(seen.world, kept)) <= kind.within]
    lost = 1 - float(still_there(good, points, SAME).mean())
    maps = before, points, _points(later, _world_T_map(located))
    number, left, by_later = (_count_ghosts(seen, one, kind) for one in maps)
    return Ghosts(number, left, by_later, lost)


def _twice(located: Located, world_map: WorldMap) -> tuple[Array, Array]:
    """Return the points of a map just before the thing vanishes, and at the end."""
    world_T_map = _world_T_map(located)
    before: list[Array] = []

    def after(image: int) -> None:
        if image == BEFORE - 1:
            before.append(_points(world_map, world_T_map))

    fuse(located, world_map, after)
    return before[0], _points(world_map, world_T_map)


def _count_ghosts(seen: Vanishing, points: Array, kind: Kind) -> int:
    """Count the points where the thing was that are not on another surface."""
    around = np.linalg.norm(points[:, :2] - seen.thing[:2], axis=1) < RADIUS + GHOST_REACH
    points = points[around & _counts(points)]
    return int((np.abs(from_surface(seen.world, points)) > kind.within).sum())


def _ghost_row(kind: Kind, found: Sequence[Ghosts]) -> list[str]:
    shares = [(one.left / one.before, one.later / one.before, one.gone, one.lost) for one in found]
    return [
        kind.label,
        str(len(found)),
        f'{np.mean([one.before for one in found]):.0f}',
        *(f'{100 * share:.1f}' for share in np.mean(shares, axis=0)),
        kind.ghost_bar,
    ]
