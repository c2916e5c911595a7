# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Scenes of what was written: the folder of a run, or a saved map."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
from typing import Any

import numpy as np

from ttt3r_ros.errors import UserError
from ttt3r_ros.mapping.cloud_files import read_ply
from ttt3r_ros.mapping.occupancy_files import DESCRIPTION, read_occupancy
from ttt3r_ros.settings import MapSettings
from ttt3r_ros.trajectory import read_trajectory, Trajectory
from ttt3r_ros.viewer.scene import Cloud, KeyPlaces, Scene, truth_in_map
from ttt3r_ros.viewer.view_file import add_view, VIEW_FILE

CLOUD, PATH, TRUTH = 'map.ply', 'trajectory.txt', 'groundtruth.txt'
SUMMARIES = ('summary.json', 'recording.json')
# What of them is shown, by the names for the user.
SHOWN = {
    'images': ('frames', 'images_mapped'),
    'images per second': ('fps', 'rate_hz'),
    'path (m)': ('path_m',),
    'voxels': ('voxels',),
}


class NothingToShow(UserError):
    """A path has no map."""


def stored_scene(path: Path) -> Scene:
    """
    Read a finished run or a saved map.

    :param path: folder that `ttt3r map` or `ttt3r demo` wrote, or a file of `--save-map`.
    :raises UserError: when there is no map, or it cannot be read.
    """
    if path.is_dir():
        return scene_of_run(path)
    if path.is_file():
        return scene_of_map(path)
    raise NothingToShow(f'{path} does not exist')


def scene_of_run(folder: Path) -> Scene:
    """
    Read a finished run.

    :param folder: with map.ply, and whatever else there is.
    :raises UserError: when there is no map, or a file cannot be read.
    """
    if not (folder / CLOUD).is_file():
        raise NothingToShow(f'{folder} has no {CLOUD}: it is no output of ttt3r map or demo')
    with (folder / CLOUD).open('rb') as file:
        cloud = read_ply(file)
    scene = Scene(
        cloud=Cloud(cloud.points, cloud.colors, cloud.confidence),
        voxel_size=MapSettings().voxel_size,
        status=_status(folder),
        finished=True,
    )
    if (folder / PATH).is_file():
        scene = replace(scene, path=read_trajectory(folder / PATH))
    if (folder / TRUTH).is_file():
        truth = read_trajectory(folder / TRUTH)
        scene = replace(scene, truth=truth_in_map(scene.path, truth))
    if (folder / DESCRIPTION).is_file():
        scene = replace(scene, floor=read_occupancy(folder))
    if (folder / VIEW_FILE).is_file():
        with (folder / VIEW_FILE).open('rb') as file:
            scene = add_view(file, scene)
    return scene


def _status(folder: Path) -> dict[str, str]:
    values: dict[str, Any] = {}
    for name in SUMMARIES:
        if (folder / name).is_file():
            try:
                values |= json.loads((folder / name).read_text(encoding='utf-8'))
            except (OSError, ValueError) as error:
                raise UserError(f'{folder / name} cannot be read: {error}') from error
    status = {}
    for shown, names in SHOWN.items():
        value = next((values[name] for name in names if name in values), None)
        if isinstance(value, (int, float)):
            status[shown] = f'{value:,}' if isinstance(value, int) else f'{value:.1f}'
    return status


def scene_of_map(path: Path) -> Scene:
    """
    Read a saved map; the way between its key frames is the path.

    :param path: of the file.
    :raises MapFileError: when it is no map.
    """
    # Here, not at the top: it loads torch, which a run folder does not need.
    from ttt3r_ros.mapping.storage import read_map

    stored = read_map(path)
    scene = Scene(
        cloud=Cloud(stored.cloud.points, stored.cloud.colors, stored.cloud.confidence),
        voxel_size=MapSettings().voxel_size,
        floor=stored.occupancy,
        status={'voxels': f'{len(stored.cloud.points):,}'},
        finished=True,
    )
    graph = stored.graph
    if graph is None:
        return scene
    # Key frames of younger submaps are in frames of their own until they are joined.
    placed = [at for at, submap in enumerate(graph.submaps) if submap == min(graph.submaps)]
    poses = graph.estimate.poses[placed]
    stamps = np.array([graph.frames[at].stamp_ns for at in placed], np.int64)
    places = {graph.frames[at].number: graph.estimate.poses[at][:3, 3] for at in placed}
    pairs = [(loop.forth.here, loop.forth.there) for loop in graph.loops]
    loops = [(places[a], places[b]) for a, b in pairs if a in places and b in places]
    return replace(
        scene,
        path=Trajectory(stamps, poses),
        keys=KeyPlaces(
            poses[:, :3, 3].astype(np.float32), np.array(loops, np.float32).reshape(-1, 2, 3)
        ),
        status={**scene.status, 'key frames': str(len(placed)), 'loops': str(len(loops))},
    )
