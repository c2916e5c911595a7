# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Maps and clouds as files, inside one folder."""

from __future__ import annotations

import os
from pathlib import Path

from ttt3r_ros.atomic import atomic_file, OutputError
from ttt3r_ros.errors import UserError
from ttt3r_ros.home import expanded
from ttt3r_ros.mapping.cloud_files import write_las, write_pcd, write_ply
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.mapping.storage import MapFileError, read_map, write_map
from ttt3r_ros.mapping.voxels import VoxelCloud

EXPORTS = {'.ply': write_ply, '.pcd': write_pcd, '.las': write_las}


class PathError(UserError):
    """A path leads out of the folder of maps, or cannot be used."""


class EmptyMap(UserError):
    """There is nothing to save; an empty file would only replace a map."""


def confined(directory: str, name: str) -> Path:
    """
    Return the path of a file in the folder of maps, with `..` and links resolved.

    :param directory: the folder; `~` is the user's home.
    :param name: relative to it, or absolute inside it.
    :raises UserError: when it leads out of it, or the user has no home.
    """
    if '\0' in name:
        raise PathError('the name of a file has no zero byte')
    folder = Path(os.path.realpath(expanded(directory)))  # Path.resolve fails at a loop of links
    path = Path(os.path.realpath(folder / name))
    if path == folder or not path.is_relative_to(folder):
        raise PathError(f'{name!r} does not lie inside map_directory {folder}')
    return path


def save(mapper: Mapper, path: Path) -> str:
    """
    Save the map.

    :param path: of the file; its folder is made.
    :returns: what was written, for the user.
    :raises UserError: why nothing was written; a file that was there stays as it was.
    """
    stored = mapper.stored()
    if not len(stored.cloud.points):
        raise EmptyMap(f'the map is empty: {path} is not written')
    _make_folder(path)
    with atomic_file(path) as file:
        write_map(file, stored)
    remembers = 'with' if stored.track is not None else 'without'
    return f'wrote {path}: {len(stored.cloud.points)} voxels, {remembers} the state of the network'


def load(mapper: Mapper, path: Path) -> str:
    """
    Continue with a saved map.

    :param mapper: unchanged after an error.
    :returns: what was read, for the user.
    :raises UserError: why nothing was changed.
    """
    if not path.is_file():
        raise MapFileError(f'{path} does not exist')
    stored = read_map(path)
    mapper.resume(stored)
    return f'read {path}: {len(stored.cloud.points)} voxels'


def export(mapper: Mapper, path: Path) -> str:
    """
    Write the points of the map.

    :param path: ends in .ply, .pcd or .las; its folder is made.
    :returns: what was written, for the user.
    :raises UserError: why nothing was written; a file that was there stays as it was.
    """
    return write_cloud(path, mapper.map.voxels.points(), 'export_file')


def write_cloud(path: Path, cloud: VoxelCloud, what: str = 'a cloud') -> str:
    """
    Write the points of a map, in the format of the suffix.

    :param path: its folder is made.
    :param what: name of the path in messages.
    :returns: what was written, for the user.
    :raises UserError: why nothing was written; a file that was there stays as it was.
    """
    if path.suffix.lower() not in EXPORTS:
        raise PathError(f'{what} must end in {" or ".join(EXPORTS)}, not {path.name!r}')
    if not len(cloud.points):
        raise EmptyMap(f'the map is empty: {path} is not written')
    _make_folder(path)
    with atomic_file(path) as file:
        EXPORTS[path.suffix.lower()](file, cloud)
    return f'wrote {path}: {len(cloud.points)} points'


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'cannot make the folder {path.parent}: {error.strerror}') from error
