# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One run of the mapper over a source of images, and the files that it writes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import asdict, replace
from importlib import metadata
import json
import math
from pathlib import Path
import platform
import resource
import sys
import time
from typing import Any, IO

import cv2
import numpy as np
import PIL
import torch
from tqdm import tqdm

from ttt3r_ros.arrays import Array
from ttt3r_ros.atomic import atomic_file, output_folder, OutputError
from ttt3r_ros.errors import UserError
from ttt3r_ros.evaluation.errors import path_length
from ttt3r_ros.geometry import BODY_T_OPTICAL, IDENTITY
from ttt3r_ros.graph.located import LocatedFrame
from ttt3r_ros.inputs.clock import in_order
from ttt3r_ros.inputs.read_ahead import ReadAhead
from ttt3r_ros.inputs.source import (
    BadFrame,
    ImageSource,
    InputError,
    InputFrame,
    NONE_GIVEN,
    TimeJump,
)
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping import files
from ttt3r_ros.mapping.cloud_files import write_ply
from ttt3r_ros.mapping.image_mapper import ImageMapper
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.mapping.occupancy import Occupancy
from ttt3r_ros.mapping.occupancy_files import (
    DESCRIPTION,
    PICTURE,
    write_description,
    write_picture,
)
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.settings import MappingSettings, ModelSettings
from ttt3r_ros.tools.captions import Caption, run_details, run_headline, short_name
from ttt3r_ros.tools.depth_images import DepthFolder
from ttt3r_ros.tools.gate_record import GateRecord
from ttt3r_ros.tools.preview import draw_preview
from ttt3r_ros.tools.published import beyond_published
from ttt3r_ros.tools.run_record import RunRecord
from ttt3r_ros.tools.stop import StopRequest
from ttt3r_ros.tools.terminal import print_note
from ttt3r_ros.tools.truth import Drive, joined_at_start
from ttt3r_ros.tools.truth_picture import draw_drive
from ttt3r_ros.trajectory import read_trajectory, Trajectory, write_trajectory
from ttt3r_ros.units import NANOSECONDS
from ttt3r_ros.viewer.album import Album
from ttt3r_ros.viewer.of_mapper import finished_scene
from ttt3r_ros.viewer.optional import HOW_TO_INSTALL, is_installed, PAGE
from ttt3r_ros.viewer.scene import SAME_MOMENT_NS as NEAR_NS
from ttt3r_ros.viewer.scene import Scene, truth_in_map
from ttt3r_ros.viewer.stored import TRUTH
from ttt3r_ros.viewer.view_file import VIEW_FILE, write_view

# So many skipped frames are explained, the others are only counted.
MOST_EXPLANATIONS = 20

# So many images are decoded before they are needed.
IMAGES_AHEAD = 2


Show = Callable[[Mapper, Album, LocatedFrame, dict[str, str]], None]


class MappingRun:
    """Maps a source of images and writes the files; used once: map, write, report."""

    def __init__(
        self,
        model_settings: ModelSettings,
        mapping_settings: MappingSettings,
        calibration: CameraIntrinsics | None,
        calibration_note: str = NONE_GIVEN,
        label: str = 'mapping',
    ) -> None:
        """
        Load the network.

        :param model_settings: of the network.
        :param mapping_settings: of the mapper and the map.
        :param calibration: of all images, or None.
        :param calibration_note: where it comes from, or why there is none; for people.
        :param label: of the progress bar.
        """
        self._calibration_note, self._label = calibration_note, label
        self._images = ImageMapper(model_settings, mapping_settings, calibration)
        self._mapper, self._predictor = self._images.mapper, self._images.predictor
        for note in self._images.notes:
            print_note(*note.split(': ', maxsplit=1))
        self._record, self._gates = RunRecord(), GateRecord()
        self._draws_gates = False
        self._album = Album()
        self._show: Show | None = None
        self._start_pose: Array | None = None
        self._odometry = ''
        self._beyond = ''
        self._with_wheels = False
        self._drive: Drive | None = None
        self._saved: Path | None = None
        self._follow_only = False
        self._parts = 0
        self._floor_found = self._doubted = False
        self._failed = False
        self._began = 0.0
        self._skipped = 0
        self._explanations = 0
        self._last_reason = ''
        self._seconds = 0.0

    def begin(self, saved: Path | None, follow_only: bool, start_pose: Array | None) -> None:
        """
        Load a map, and set the pose of the robot in it.

        :param saved: file of the map to extend, or None.
        :param follow_only: whether to localize in that map without changing it.
        :param start_pose: (4, 4) map_T_base at the first image, metres, or None.
        :raises UserError: when the map cannot be used.
        """
        self._saved, self._follow_only = saved, follow_only
        if saved is not None:
            print(files.load(self._mapper, saved), file=sys.stderr)
        self._mapper.follow_only(follow_only)
        self._start_pose = start_pose

    def draw_gates(self) -> None:
        """Draw the gain over time and over some images, which costs a step for each of those."""
        self._draws_gates = True

    def compare_with(self, drive: Drive | None) -> None:
        """
        Set the truth that the picture shows.

        :param drive: its poses are world_T_camera; or None.
        """
        self._drive = drive

    def watch(self, show: Show) -> None:
        """
        Show the map after each image.

        :param show: called with the mapper, the album of the run, the image and values for the
            user.
        """
        self._show = show

    def save(self, path: Path) -> str:
        """
        Save the map for `--load-map` and the node; return a sentence for the user.

        :raises UserError: when it cannot be written.
        """
        return files.save(self._mapper, path)

    def map(
        self,
        source: ImageSource,
        step: int,
        most_frames: int | None,
        depth: DepthFolder | None,
        folder: Path,
        stop: StopRequest,
    ) -> None:
        """
        Map the images; one that cannot be mapped is skipped, counted and reported in one line.

        Where the clock was set back for good, a new map begins; what was mapped before goes into
        a folder of its own.

        :param source: of the images.
        :param step: read every step-th image.
        :param most_frames: largest number of mapped images, or None.
        :param depth: folder for the depth of each image, or None.
        :param folder: of the results.
        :param stop: ends the run after the current image.
        :raises UserError: when no image could be mapped.
        """
        total = None if source.length is None else math.ceil(source.length / step)
        if most_frames is not None:
            total = most_frames if total is None else min(total, most_frames)
        self._beyond = beyond_published(
            self._mapper.settings, self._images.calibration is not None, source.odometry
        )
        for note in (f'calibration: {self._calibration_note}', *source.notes, self._beyond):
            print(note, file=sys.stderr)
        self._began = time.perf_counter()
        progress = tqdm(
            total=total,
            unit='frame',
            desc=self._label,
            dynamic_ncols=True,
            mininterval=0.2 if sys.stderr.isatty() else 10.0,
        )
        with progress, closing(_read(source, step)) as items:
            for item in items:
                if stop.signal_number:
                    break
                if isinstance(item, TimeJump):
                    self._begin_again(item, folder, source.name, stop)
                    continue
                self._take(item, depth)
                progress.update(item.count if isinstance(item, BadFrame) else 1)
                if len(self._record) == most_frames:
                    break
        self._seconds = time.perf_counter() - self._began
        self._odometry = source.odometry
        if source.images_without_odometry:
            missing = f'it does not cover {source.images_without_odometry} of the images'
            self._odometry += f'; {missing}'
            print_note('warning', f'{source.odometry}: {missing}, is it of the same clock?')
        if not len(self._record):
            if stop.signal_number:
                raise KeyboardInterrupt
            why = f'{self._skipped} skipped, the last: {self._last_reason}'
            raise InputError(
                f'no image of {source.name} could be mapped'
                + (f' ({why})' if self._skipped else ': it holds none')
            )

    def _take(self, item: InputFrame | BadFrame, depth: DepthFolder | None) -> None:
        if isinstance(item, BadFrame):
            self._skip(item.reason, item.count)
            return
        self._with_wheels |= item.odom_T_base is not None
        began, before = time.perf_counter(), self._mapper.state.network.recurrent
        if self._start_pose is not None and not len(self._record):
            # The base of a camera alone is its optical frame.
            alone = BODY_T_OPTICAL if item.base_T_camera is None else IDENTITY
            self._mapper.place_base(self._start_pose @ alone)
        try:
            located = self._images.map(
                item.rgb,
                item.stamp_ns,
                item.orientation,
                item.base_T_camera,
                item.odom_T_base,
                item.intrinsics,
            )
        except UserError as error:
            if self._images.is_fatal(error):
                raise
            self._skip(f'image {item.index}: {error}')
            return
        self._record.add(located, time.perf_counter() - began, self._images.used)
        is_sample = self._draws_gates and self._gates.is_sample
        self._gates.add(located)
        if is_sample:
            image = located.tracked.view.image
            self._gates.add_sample(located, self._predictor.match(image, before))
        if located.height is not None and not self._floor_found:
            self._floor_found = True
            print(
                f'note: the floor is {located.height:.2f} m below the camera, by what it sees; '
                '--camera-height sets it',
                file=sys.stderr,
            )
        if located.doubt and not self._doubted:
            self._doubted = True
            tqdm.write(f'warning: {located.doubt}', file=sys.stderr)
        self._album.add(located)
        if self._show is not None:
            self._show(self._mapper, self._album, located, self._live_status())
        if depth is not None and not depth.failed:
            try:
                depth.write(item.index, located.pointmap.depth, located.tracked.fit)
            except OutputError as error:
                depth.failed = True
                self._report_failure(f'{error}; no more depth is written')

    def _begin_again(self, jump: TimeJump, folder: Path, source: str, stop: StopRequest) -> None:
        """Write what was mapped before a jump of the clock, and begin a new map."""
        if not len(self._record):
            return
        self._parts += 1
        part = folder / f'before_jump_{self._parts}'
        tqdm.write(
            f'image {jump.index}: the clock was set back by {jump.back_ns / 1e9:g} s and stays '
            f'there: a new map begins, that of the images before it goes into {part}',
            file=sys.stderr,
        )
        self._seconds = time.perf_counter() - self._began
        with output_folder(part):
            self.write(part, source, stop)
        self._record, self._gates = RunRecord(), GateRecord()
        self._began = time.perf_counter()
        self._album = Album()
        self._mapper.reset()
        self.begin(self._saved, self._follow_only, self._start_pose)

    def _skip(self, reason: str, count: int = 1) -> None:
        self._skipped += count
        self._explanations += 1
        self._last_reason = reason
        if self._explanations <= MOST_EXPLANATIONS:
            tqdm.write(f'skipped: {reason}', file=sys.stderr)
        if self._explanations == MOST_EXPLANATIONS:
            tqdm.write('further skipped frames are only counted', file=sys.stderr)

    @property
    def mapper(self) -> Mapper:
        """Return the mapper with map and path."""
        return self._mapper

    @property
    def failed(self) -> bool:
        """Whether a file could not be written."""
        return self._failed

    def write(self, folder: Path, input_name: str, stop: StopRequest) -> Scene:
        """
        Write the results, each file alone: one that fails is reported and costs only itself.

        The plan of the floor is among them where it is known how high the camera is.

        :param folder: exists; holds no file of an earlier run afterwards.
        :param input_name: for people.
        :param stop: whether the run was interrupted.
        :returns: what the viewer shows of it.
        """
        trajectory = self._mapper.trail.trajectory()
        cloud = self._mapper.map.voxels.points()
        summary = self.summary(input_name, bool(stop.signal_number))
        plan = self._mapper.map.grid.occupancy()
        # What took long to compute comes first, what is only for the eye last.
        writers: dict[str, Callable[[IO[bytes]], None]] = {
            'trajectory.txt': lambda file: write_trajectory(file, trajectory),
            'map.ply': lambda file: write_ply(file, cloud),
            'summary.json': lambda file: _write_json(file, summary),
        }
        rule = self._images.model_settings.update_rule
        writers['gate.npz'] = lambda file: self._gates.write(file, rule)
        if plan.cells.size:
            writers[PICTURE] = lambda file: write_picture(file, plan)
            writers[DESCRIPTION] = lambda file: write_description(file, plan)
        floor, details = plan if plan.cells.size else None, run_details(summary)
        writers['preview.png'] = lambda file: self._draw(file, summary, cloud, trajectory, floor)
        if self._draws_gates:
            writers['gate.png'] = lambda file: self._gates.draw(file, details)
        scene = self.scene(summary)
        writers[VIEW_FILE] = lambda file: write_view(file, scene)
        if is_installed():
            writers[PAGE] = lambda file: _write_page(file, scene, short_name(Path(input_name)))
        else:
            print(f'no {PAGE}: for it, {HOW_TO_INSTALL}', file=sys.stderr)
        for name in (PICTURE, DESCRIPTION, PAGE, 'gate.png'):
            if name not in writers:
                (folder / name).unlink(missing_ok=True)
        for name, write in writers.items():
            self._write_one(folder / name, write)
        return scene

    def scene(self, summary: dict[str, Any]) -> Scene:
        """
        Return what the viewer shows of the run.

        :param summary: of `summary`.
        """
        keys = self._mapper.key_frames()
        status = {
            'images': f'{summary["frames"]:,}',
            'images per second': f'{summary["fps"]:.1f}',
            'path (m)': f'{summary["path_m"]:.1f}',
            'voxels': f'{summary["voxels"]:,}',
            'key frames': str(len(keys.map_T_camera)),
            'loops': str(len(keys.loops)),
        }
        scene = finished_scene(self._mapper, self._album, status)
        return replace(scene, truth=_truth_beside(Path(summary['input']), scene.path))

    def _live_status(self) -> dict[str, str]:
        seconds = max(time.perf_counter() - self._began, 1e-3)
        return {
            'state': 'mapping',
            'images': f'{len(self._record):,}',
            'images per second': f'{len(self._record) / seconds:.1f}',
            'skipped': str(self._skipped),
        }

    def _draw(
        self,
        file: IO[bytes],
        summary: dict[str, Any],
        cloud: VoxelCloud,
        trajectory: Trajectory,
        floor: Occupancy | None,
    ) -> None:
        """Draw the picture, in the building where it is known."""
        size, samples = self._mapper.settings.map.voxel_size, self._record.samples
        drive, details = self._drive, run_details(summary)
        joined = None if drive is None else joined_at_start(trajectory, drive.world_T_body)
        if drive is not None and joined is not None:
            caption = Caption(joined.sentence(), details)
            draw_drive(file, caption, cloud, joined, drive.world, size, floor, samples)
            return
        truth = _truth_beside(Path(summary['input']), trajectory)
        compared = joined_at_start(trajectory, truth, NEAR_NS) if truth is not None else None
        headline = run_headline(
            summary, self._with_wheels, compared.sentence() if compared is not None else None
        )
        caption = Caption(headline, details, self._predictor.checkpoint_note)
        draw_preview(file, caption, cloud, trajectory, samples, size, floor, truth)

    def _write_one(self, path: Path, write: Callable[[IO[bytes]], None]) -> None:
        try:
            with atomic_file(path) as file:
                write(file)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other files are written
            self._report_failure(
                str(error) if isinstance(error, OutputError) else f'cannot write {path}: {error!r}'
            )
            with suppress(OSError):
                path.unlink(missing_ok=True)  # of an earlier run

    def _report_failure(self, text: str) -> None:
        self._failed = True
        tqdm.write(f'error: {text}', file=sys.stderr)

    def summary(self, input_name: str, interrupted: bool) -> dict[str, Any]:
        """
        Return the contents of summary.json, for at least one frame.

        :param input_name: name of the input.
        :param interrupted: whether the run was interrupted.
        """
        record, trajectory = self._record, self._mapper.trail.trajectory()
        return {
            'input': input_name,
            'frames': len(record),
            'skipped': self._skipped,
            'interrupted': interrupted,
            'seconds': round(self._seconds, 3),
            'fps': round(len(record) / self._seconds, 3),
            'latency_ms': record.latency_ms(),
            'peak_memory_mb': self._peak_memory_mb(),
            'segments': record.segments,
            'loops': len(self._mapper.key_frames().loops),
            'lost_share': round(record.lost / len(record), 4),
            'path_m': path_length(trajectory.poses),
            'duration_s': float(trajectory.stamps_ns[-1] - trajectory.stamps_ns[0]) / NANOSECONDS,
            'voxels': len(self._mapper.map.voxels),
            'odometry': self._odometry,
            'focal_px': record.focal_px(),
            'focal_from': 'estimate' if self._images.calibration is None else 'calibration',
            'calibration': self._calibration_note,
            'intrinsics': None if self._images.used is None else self._images.used.to_record(),
            'calibrations': [
                {'from_ns': stamp_ns, **camera.to_record()}
                for stamp_ns, camera in record.calibrations
            ],
            'checkpoint': {
                'name': self._predictor.checkpoint_name,
                'sha256': self._predictor.checkpoint_sha256,
            },
            'device': self._predictor.place,
            'beyond_published': self._beyond,
            'update_rule': self._images.model_settings.update_rule,
            'settings': {
                'model': asdict(self._images.model_settings),
                **asdict(self._mapper.settings),
            },
            'versions': versions(),
        }

    def _peak_memory_mb(self) -> dict[str, float]:
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        unit = 1 if sys.platform == 'darwin' else 1024
        peak = {'resident': round(resident * unit / 2**20, 1)}
        device = self._predictor.device
        if device.type == 'cuda':
            peak['gpu'] = round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
        return peak

    def report(self) -> str:
        """Return the result in one line."""
        record = self._record
        skipped = f', {self._skipped} skipped' if self._skipped else ''
        return (
            f'{len(record)} frames{skipped} in {self._seconds:.1f} s '
            f'({len(record) / self._seconds:.1f} fps), {len(self._mapper.map.voxels)} voxels'
        )


def _truth_beside(source: Path, path: Trajectory) -> Trajectory | None:
    """Return the reference that lies in or beside the input, in the map; None without one."""
    for folder in (source, source.parent):
        if (folder / TRUTH).is_file():
            with suppress(UserError):
                return truth_in_map(path, read_trajectory(folder / TRUTH))
    return None


def _write_page(file: IO[bytes], scene: Scene, title: str) -> None:
    # Here, not at the top: its library is an option.
    from ttt3r_ros.viewer.page import write_page

    write_page(file, scene, title)


def _write_json(file: IO[bytes], record: dict[str, Any]) -> None:
    file.write((json.dumps(record, indent=2) + '\n').encode())


def _read(
    source: ImageSource, step: int
) -> Generator[InputFrame | BadFrame | TimeJump, None, None]:
    """Read the next image while one is mapped; from a camera, the newest one afterwards."""
    frames = source.frames(step)
    if source.live:
        with closing(frames):
            yield from frames
        return
    with closing(ReadAhead(in_order(frames), IMAGES_AHEAD)) as ahead:
        while (item := ahead.next()) is not None:
            yield item


def versions() -> dict[str, str]:
    """Return the versions of the packages that the numbers may depend on."""
    try:
        own = metadata.version('ttt3r_ros')
    except metadata.PackageNotFoundError:  # run from a source tree
        own = 'unknown'
    return {
        'ttt3r_ros': own,
        'python': platform.python_version(),
        'torch': torch.__version__,
        'numpy': np.__version__,
        'opencv': cv2.__version__,
        'pillow': PIL.__version__,
    }
