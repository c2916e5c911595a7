# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Several runs of the mapper over the same images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ttt3r_ros.atomic import output_folder
from ttt3r_ros.evaluation.depth_folders import compare_folders, depth_files
from ttt3r_ros.evaluation.errors import DepthErrors, EvaluationError
from ttt3r_ros.inputs.source import ImageSource
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.settings import MappingSettings, ModelSettings
from ttt3r_ros.tools.depth_images import DepthFolder
from ttt3r_ros.tools.mapping_run import MappingRun
from ttt3r_ros.tools.stop import StopRequest
from ttt3r_ros.trajectory import Trajectory

# So many points of a map are kept to be drawn beside the others.
MOST_POINTS = 200_000


@dataclass(frozen=True, eq=False)
class RunResult:
    """
    One run.

    name: of its folder. trajectory: map_T_camera. cloud: part of its points. summary: contents of
    summary.json. depth: metric and scaled errors, None where there is no true depth.
    """

    name: str
    trajectory: Trajectory
    cloud: VoxelCloud
    summary: dict[str, Any]
    depth: tuple[DepthErrors, DepthErrors] | None


class ComparisonRun:
    """
    Maps the same images again and again, and keeps what is compared.

    results: of the finished runs.
    """

    def __init__(
        self,
        folder: Path,
        calibration: CameraIntrinsics | None,
        calibration_note: str,
        true_depth: Path | None,
        stop: StopRequest,
    ) -> None:
        """
        Prepare the runs.

        :param folder: exists; each run gets a folder in it.
        :param calibration: of all images, or None.
        :param calibration_note: where it comes from, for people.
        :param true_depth: folder of depth images named as those of `ttt3r map --depth`, or None.
        :param stop: ends the runs after the current image.
        """
        self._folder = folder
        self._calibration, self._note = calibration, calibration_note
        self._true_depth = true_depth
        self._stop = stop
        self.results: list[RunResult] = []

    def add(
        self,
        name: str,
        model: ModelSettings,
        mapping: MappingSettings,
        source: ImageSource,
        step: int,
        most_frames: int | None,
    ) -> bool:
        """
        Map the images once more.

        :param name: of the run and of its folder.
        :param source: opened anew.
        :param step: read every step-th image.
        :param most_frames: largest number of mapped images, or None.
        :returns: whether it was finished; what was cut short is not compared.
        :raises UserError: when no image could be mapped, or the network cannot be loaded.
        """
        with output_folder(self._folder / name) as folder:
            run = MappingRun(model, mapping, self._calibration, self._note, name)
            depth = None
            if self._true_depth is not None:
                depth = DepthFolder(folder / 'depth', depth_files(self._true_depth).keys())
            run.map(source, step, most_frames, depth, folder, self._stop)
            run.write(folder, source.name, self._stop)
        if self._stop.signal_number:
            return False
        self.results.append(
            RunResult(
                name,
                run.mapper.trail.trajectory(),
                _subsampled(run.mapper.map.voxels.points()),
                run.summary(source.name, False),
                self._depth_errors(folder),
            )
        )
        return True

    def _depth_errors(self, folder: Path) -> tuple[DepthErrors, DepthErrors] | None:
        if self._true_depth is None:
            return None
        try:
            metric, scaled, _ = compare_folders(folder / 'depth', self._true_depth)
        except EvaluationError:  # none of the images with depth was mapped, or its unit is unknown
            return None
        return metric, scaled


def _subsampled(cloud: VoxelCloud) -> VoxelCloud:
    """Return an even part of the points of a map."""
    chosen = np.linspace(0, len(cloud.points) - 1, min(MOST_POINTS, len(cloud.points)))
    which = chosen.round().astype(np.int64)
    return VoxelCloud(cloud.points[which], cloud.colors[which], cloud.confidence[which])
