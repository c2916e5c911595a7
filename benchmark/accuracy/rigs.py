# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Three cameras of one robot in one map, against the front camera alone, on cached drives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, IO
import zlib

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np
from numpy.typing import NDArray

from benchmark.accuracy.coverage import Coverage, coverage, FLOOR_M, points_of, true_grids
from benchmark.accuracy.drives import Drive, drive_of, IMAGE_RATE
from benchmark.accuracy.sequences import FIRST_SEED
from benchmark.accuracy.setup import Experiment, Report
from benchmark.accuracy.slam import CACHE, front_of
from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.evaluation.errors import align
from ttt3r_ros.geometry import IDENTITY, invert, transform_points
from ttt3r_ros.graph.located import LocatedFrame
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.mapping.occupancy import FREE, Occupancy, OCCUPIED
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.settings import MappingSettings, MapSettings, TrackingSettings
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.world import FloorPlan, PLAN_RESOLUTION
from ttt3r_ros.tracking.observation import Observation

CAMERAS = ('robot', 'left', 'back')  # kinds of drives; the first one looks ahead
# Family, number, and how good the wheels are.
DRIVES = (('S', 0, None), ('M', 0, None), ('S', 1, None), ('S', 0, 'usual'))
# The camera that is unplugged, and for which part of the drive.
UNPLUGGED, GONE = 0, (0.4, 0.6)
AROUND_S = 1.0  # after it was unplugged or plugged in again: when a pose could jump
EVERY = round(10 * IMAGE_RATE)  # images between two looks at how much of the plan is shown
BARS = '0.7 / 0.05'
NO_POINTS = MapSettings(confidence_threshold=1000.0)
SETTINGS = MappingSettings(TrackingSettings(reset_interval=0))


@dataclass(frozen=True, eq=False)
class Run:
    """
    A drive as mapped.

    mapper: that mapped it. grids: occupancy each EVERY images, and at the end. numbers: (N,) of
    the stamps with a published pose. live: (N, 4, 4) map_T_base as published. truth: (T, 4, 4)
    world_T_base at all stamps. stamps_ns: (T,).
    """

    mapper: Mapper
    grids: list[Occupancy]
    numbers: NDArray[np.int64]
    live: Array
    truth: Array
    stamps_ns: NDArray[np.int64]

    def final_ate(self) -> float:
        """Return the rms error of the path after SE(3), metres."""
        poses, truth = self._path()
        return _ate(poses, truth)

    def live_ate(self) -> float:
        """Return the same of the published poses."""
        return _ate(self.live, self.truth[self.numbers])

    def jump(self, first: float, last: float) -> float:
        """
        Return the most that a pose moved beyond the true motion in some part of the drive, metres.

        :param first: share of the drive where that begins, last: where it ends.
        """
        steps, true = (invert(p[:-1]) @ p[1:] for p in (self.live, self.truth[self.numbers]))
        share = self.numbers[1:] / len(self.truth)
        chosen = (share >= first) & (share <= last)
        return float(np.linalg.norm((steps - true)[chosen, :3, 3], axis=1).max())

    def jump_around(self, shares: Iterable[float]) -> float:
        """
        Return the same of the second after each of some times.

        :param shares: of the drive that are over then.
        """
        after = AROUND_S * IMAGE_RATE / len(self.truth)
        return max(self.jump(share, share + after) for share in shares)

    def world_T_map(self) -> Array:
        """Return where the map lies, by the path, (4, 4)."""
        poses, truth = self._path()
        found = align(poses[:, :3, 3], truth[:, :3, 3], 'se3')
        world_T_map: Array = found.pose(np.eye(4))
        return world_T_map

    def _path(self) -> tuple[Array, Array]:
        """Return the path, and the truth at its stamps."""
        path = self.mapper.path_of_base()
        return path.poses, self.truth[np.searchsorted(self.stamps_ns, path.stamps_ns)]


@dataclass(frozen=True)
class Prediction:
    """What the network made of an image, as it was cached."""

    points_camera: Array32
    confidence: Array32
    world_T_camera: Array
    gains: Array32


class Replayed:
    """A network that returns what is cached of drives, by the images; its state is a count."""

    patch = 16
    checkpoint_name, checkpoint_sha256, checkpoint_note = 'replayed', '', ''
    resize = staticmethod(resize_on_host)

    def __init__(self, drives: Sequence[Drive]) -> None:
        """
        Learn the images.

        :param drives: of all cameras.
        """
        self._known = {
            zlib.crc32(image.tobytes()): (drive, k)
            for drive in drives
            for k, image in enumerate(drive.images)
        }

    def advise(self, settings: TrackingSettings) -> TrackingSettings:
        """Return the settings as they are."""
        return settings

    def fit(self, width: int, height: int) -> ImageFit:
        """Return that images stay as they are; theirs is the size of the network."""
        return ImageFit((width, height), (width, height), 0, 0, width, height)

    def initial_state(self) -> int:
        """Return that no image was seen."""
        return 0

    def step(self, rgb_fitted: Pixels, state: Any, write: bool = True) -> tuple[Prediction, Any]:
        """Return what is cached for an image."""
        drive, k = self._known[zlib.crc32(rgb_fitted.tobytes())]
        points = drive.points_camera(k)
        confidence = np.asarray(drive.confidence[k], np.float32)
        gains = np.full(1, 0.5, np.float32)
        return Prediction(points, confidence, drive.track_T_camera[k], gains), state + write


def _intrinsics(drive: Drive) -> CameraIntrinsics:
    height, width = drive.images.shape[1:3]
    (fx, _, cx), (_, fy, cy) = drive.camera[:2]
    return CameraIntrinsics(width, height, fx, fy, cx, cy)


def measure(experiment: Experiment) -> Report:
    """Map all drives with one and with three cameras; what is not cached is filmed first."""
    front = front_of(experiment)
    rows, shown = [], []
    for i, (family, number, wheels) in enumerate(DRIVES[: experiment.sequences]):
        drives = [drive_of(front, CACHE, f'{family}_{kind}_{number}') for kind in CAMERAS]
        odometry = drives[0].by_wheels(wheels, number)
        plan = build_world(family, FIRST_SEED + number).plan()
        alone, rig = (mapped(some, SETTINGS, odometry) for some in (drives[:1], drives))
        no_map = replace(SETTINGS, map=NO_POINTS)
        unplugged = mapped(drives, no_map, odometry, {UNPLUGGED: GONE})
        name = f'{family} {number}'
        rows.append([name, wheels or 'none', *_cells(alone, rig, unplugged), BARS])
        print(' | '.join(rows[-1]), flush=True)
        if wheels is None:
            shown += [[name, *cells] for cells in _shown_rows(alone, rig, drives, plan)]
            print('\n'.join(' | '.join(row) for row in shown[-4:]), flush=True)
        if not i:
            with atomic_file(experiment.out / 'rig.png') as file:
                draw(file, alone, rig, plan)
    picture = 'Free floor (grey) and walls (black) by one camera and by three, and the plan'
    return Report([_path_table(rows), _shown_table(shown)], pictures={'rig.png': picture})


def _path_table(rows: Sequence[Sequence[str]]) -> Table:
    head = [
        'drive',
        'wheels',
        'front, final [m]',
        'rig, final [m]',
        'ratio',
        'front, live [m]',
        'rig, live [m]',
        'front unplugged, final [m]',
        'jump [m]',
        'the same with all plugged in [m]',
        'of the front camera alone [m]',
        'located [%]',
        'bars: ATE / jump',
    ]
    title = 'Three cameras of one robot against the front one alone: ATE, and jumps'
    return Table(title, head, rows)


def _shown_table(rows: Sequence[Sequence[str]]) -> Table:
    head = [
        'drive',
        'of the plan',
        'front [%]',
        'rig [%]',
        'ratio',
        'front, by true depth [%]',
        'rig, by true depth [%]',
        'ratio',
    ]
    return Table('What of the plan is in the map, without wheels; ratio at least 1.5', head, rows)


def _cells(alone: Run, rig: Run, unplugged: Run) -> list[str]:
    return [
        f'{alone.final_ate():.3f}',
        f'{rig.final_ate():.3f}',
        f'{rig.final_ate() / alone.final_ate():.2f}',
        f'{alone.live_ate():.3f}',
        f'{rig.live_ate():.3f}',
        f'{unplugged.final_ate():.3f}',
        *(f'{one.jump_around(GONE):.3f}' for one in (unplugged, rig, alone)),
        f'{100 * len(unplugged.numbers) / len(unplugged.truth):.1f}',
    ]


def _shown_rows(
    alone: Run, rig: Run, drives: Sequence[Drive], plan: FloorPlan
) -> Iterator[list[str]]:
    """Yield how much of a plan is shown at the end and in the mean over a drive."""
    runs = [
        [coverage(grid, run.world_T_map(), plan) for grid in run.grids] for run in (alone, rig)
    ]
    true = [
        [coverage(grid, IDENTITY, plan) for grid in true_grids(some, EVERY)]
        for some in (drives[:1], drives)
    ]
    for part in ('floor', 'walls'):
        for when, chosen in (
            ('at the end', slice(-1, None)),
            ('mean over the drive', slice(None)),
        ):
            cells = [f'{part}, {when}']
            for both in (runs, true):
                front, all_cameras = (_mean(part, grids[chosen]) for grids in both)
                cells += [f'{100 * front:.0f}', f'{100 * all_cameras:.0f}']
                cells.append(f'{all_cameras / front:.2f}')
            yield cells


def _mean(part: str, seen: Sequence[Coverage]) -> float:
    return float(np.mean([getattr(one, part) for one in seen]))


def mapped(
    drives: Sequence[Drive],
    settings: MappingSettings,
    odom_T_base: Array | None = None,
    gone: Mapping[int, tuple[float, float]] | None = None,
) -> Run:
    """
    Map a drive with some cameras.

    :param drives: of each camera, at the same stamps.
    :param odom_T_base: (T, 4, 4) by the wheels, or None.
    :param gone: cameras that are unplugged, and for which part of the drive.
    """
    mapper = Mapper(Replayed(drives), settings)
    live: dict[int, Array] = {}
    grids = []
    for k in range(len(drives[0])):
        for i, drive in enumerate(drives):
            begin, end = (gone or {}).get(i, (1.0, 1.0))
            if begin <= k / len(drive) < end:
                continue
            odometry = None if odom_T_base is None else odom_T_base[k]
            located = _observed(mapper, drive, i, k, odometry)
            if located is not None and located.in_map:
                live.setdefault(k, located.map_T_base)
        if (k + 1) % EVERY == 0:
            grids.append(mapper.map.grid.occupancy())
    while not mapper.map.follows:
        mapper.catch_up(1.0)
    grids[-1] = mapper.map.grid.occupancy()
    truth = drives[0].world_T_camera @ invert(drives[0].base_T_camera)
    numbers = np.array(list(live), np.int64)
    poses = np.stack(list(live.values()))
    return Run(mapper, grids, numbers, poses, truth, drives[0].stamps_ns)


def _observed(
    mapper: Mapper, drive: Drive, camera: int, k: int, odom_T_base: Array | None
) -> LocatedFrame | None:
    """Show an image of a drive to a mapper."""
    observation = Observation(
        np.array(drive.images[k]),
        int(drive.stamps_ns[k]),
        _intrinsics(drive),
        drive.base_T_camera,
        odom_T_base,
        camera_index=camera,
    )
    try:
        located = mapper.observe(observation)
    except UserError:
        return None
    mapper.integrate()
    return located


def _ate(poses: Array, truth: Array) -> float:
    aligned = align(poses[:, :3, 3], truth[:, :3, 3], 'se3').pose(poses)
    return float(np.sqrt(np.mean(np.sum((aligned - truth)[:, :3, 3] ** 2, axis=1))))


def draw(file: IO[bytes], alone: Run, rig: Run, plan: FloorPlan) -> None:
    """
    Draw what one camera and what three have mapped, and the plan.

    :param file: of the picture.
    """
    figure = Figure(figsize=(12, 4), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    titles = ('front camera', 'front, left and back', 'plan and true path')
    for axis, run, title in zip(axes, (alone, rig), titles):
        grid, world_T_map = run.mapper.map.grid.occupancy(), run.world_T_map()
        for kind, color, size in ((FREE, '0.85', 1.0), (OCCUPIED, '0.1', 1.0)):
            world = transform_points(world_T_map, points_of(grid, kind))
            axis.scatter(world[:, 0], world[:, 1], size, color, marker='s', linewidths=0)
        path = world_T_map @ run.mapper.path_of_base().poses
        axis.plot(path[:, 0, 3], path[:, 1, 3], color='tab:red', linewidth=0.8)
        axis.set_title(title)
    extent = np.array(plan.clearance.shape[::-1]) * PLAN_RESOLUTION + plan.low
    axes[2].imshow(
        plan.clearance > FLOOR_M,
        cmap='gray',
        origin='lower',
        extent=(plan.low[0], extent[0], plan.low[1], extent[1]),
        vmin=-0.5,
    )
    axes[2].plot(rig.truth[:, 0, 3], rig.truth[:, 1, 3], color='tab:red', linewidth=0.8)
    axes[2].set_title(titles[2])
    for axis in axes:
        axis.set_aspect('equal')
        axis.axis('off')
    figure.tight_layout()
    figure.savefig(file, format='png')
