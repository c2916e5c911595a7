# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Maps as files: the voxels, the occupancy grid, the graph and the state of the network.

A map file is a safetensors file (names, types and sizes in a JSON header, then numbers; it holds
no code) with a checksum of its tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from safetensors import safe_open, SafetensorError
from safetensors.torch import save
import torch
from torch import Tensor

from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import Similarity
from ttt3r_ros.graph.stored_graph import from_arrays, StoredGraph, to_arrays
from ttt3r_ros.mapping.occupancy import Occupancy
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.model.elsewhere import StateElsewhere
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.model.tensor_hash import hash_tensors

FORMAT = 'ttt3r_map'
VERSION = '2'
READABLE = ('1', VERSION)  # the first one had no graph
GRAPH = 'graph.'
CLOUD = {'points': torch.float32, 'colors': torch.uint8, 'confidence': torch.float32}


class MapFileError(UserError):
    """A file has no map that can be used here."""


@dataclass(frozen=True, eq=False)
class StoredTrack:
    """
    The state of the front end in a map file.

    network: the recurrent state. map_T_world: pose of its last segment in the map, its scale in
    metres per unit of the network. segment: its number. frames: images since the reset.
    """

    network: RecurrentState
    map_T_world: Similarity
    segment: int
    frames: int


@dataclass(frozen=True, eq=False)
class StoredMap:
    """
    The contents of a map file.

    cloud: the voxels. network: name or hash of the weights that made it. track: None when its
    network has no state to store. occupancy: the grid, or None. graph: of key frames, by which
    the map is recognised; None where there are too few.
    """

    cloud: VoxelCloud
    network: str
    track: StoredTrack | None = None
    occupancy: Occupancy | None = None
    graph: StoredGraph | None = None


def write_map(file: IO[bytes], stored: StoredMap) -> None:
    """
    Write a map.

    :param file: open for binary writing.
    """
    cloud = stored.cloud
    tensors = {name: torch.from_numpy(getattr(cloud, name)) for name in CLOUD}
    track = stored.track
    if track is not None:
        state = track.network.to('cpu').to_tensors()
        tensors |= {f'state.{name}': tensor for name, tensor in state.items()}
        tensors['map_T_world'] = torch.tensor(track.map_T_world.a_T_b, dtype=torch.float64)
        tensors['scale'] = torch.tensor(track.map_T_world.scale, dtype=torch.float64)
        tensors['numbers'] = torch.tensor([track.segment, track.frames], dtype=torch.int64)
    if stored.occupancy is not None:
        plan = stored.occupancy
        tensors['occupancy'] = torch.from_numpy(plan.cells)
        place = [plan.resolution, plan.x, plan.y]
        tensors['occupancy_place'] = torch.tensor(place, dtype=torch.float64)
    if stored.graph is not None:
        for name, array in to_arrays(stored.graph).items():
            tensors[GRAPH + name] = torch.from_numpy(np.ascontiguousarray(array))
    metadata = {
        'format': FORMAT,
        'version': VERSION,
        'network': stored.network,
        'sha256': hash_tensors(tensors),
    }
    file.write(save(tensors, metadata))


def read_map(path: Path) -> StoredMap:
    """
    Read a map.

    :param path: of a file that write_map wrote.
    :raises MapFileError: why the file cannot be used.
    """
    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            _check_header(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise MapFileError(f'{path} is no map that can be read: {error}') from error
    if hash_tensors(tensors) != metadata['sha256']:
        raise MapFileError(f'{path} is damaged: its checksum is wrong; save the map again')
    try:
        return StoredMap(
            _cloud(tensors),
            metadata['network'],
            _track(tensors),
            _occupancy(tensors),
            _graph(tensors),
        )
    except (KeyError, ValueError, RuntimeError) as error:
        raise MapFileError(f'{path} is no complete map: {error}') from error


def _check_header(path: Path, metadata: dict[str, str]) -> None:
    if metadata.get('format') != FORMAT or not {'network', 'sha256'} <= metadata.keys():
        raise MapFileError(f'{path} is no map of this program')
    if metadata.get('version') not in READABLE:
        known = ' and '.join(repr(version) for version in READABLE)
        raise MapFileError(
            f'{path} has version {metadata.get("version")!r}, this program reads {known}'
        )


def _cloud(tensors: dict[str, Tensor]) -> VoxelCloud:
    count = tensors['points'].shape[0] if tensors['points'].dim() else 0
    sizes = (count, 3), (count, 3), (count,)
    points, colors, confidence = (
        _part(tensors, name, size, kind).numpy()
        for (name, kind), size in zip(CLOUD.items(), sizes)
    )
    return VoxelCloud(points, colors, confidence)


def _part(
    tensors: dict[str, Tensor], name: str, size: tuple[int, ...], kind: torch.dtype
) -> Tensor:
    """Return a tensor whose size, type and numbers are sensible."""
    tensor = tensors[name]
    if tuple(tensor.shape) != size or tensor.dtype != kind:
        raise ValueError(f'its {name} is {tuple(tensor.shape)} {tensor.dtype}')
    if not tensor.isfinite().all():
        raise ValueError(f'its {name} is not finite')
    return tensor


def _track(tensors: dict[str, Tensor]) -> StoredTrack | None:
    if 'numbers' not in tensors:
        return None
    named = {
        name.removeprefix('state.'): tensor
        for name, tensor in tensors.items()
        if name.startswith('state.')
    }
    segment, frames = _part(tensors, 'numbers', (2,), torch.int64).tolist()
    map_T_world = _part(tensors, 'map_T_world', (4, 4), torch.float64).numpy()
    scale = float(_part(tensors, 'scale', (), torch.float64))
    if scale <= 0:
        raise ValueError(f'its scale is {scale}')
    place = Similarity(map_T_world, scale)
    _part(named, 'frames_seen', (), torch.int64)
    return StoredTrack(RecurrentState.from_tensors(named), place, segment, frames)


def _occupancy(tensors: dict[str, Tensor]) -> Occupancy | None:
    if 'occupancy' not in tensors:
        return None
    cells = tensors['occupancy']
    if cells.dtype != torch.int8 or cells.dim() != 2:
        raise ValueError(f'its occupancy grid is {tuple(cells.shape)} {cells.dtype}')
    resolution, x, y = _part(tensors, 'occupancy_place', (3,), torch.float64).tolist()
    if resolution <= 0:
        raise ValueError(f'its occupancy grid has cells of {resolution} m')
    return Occupancy(cells.numpy(), resolution, x, y)


def _graph(tensors: dict[str, Tensor]) -> StoredGraph | None:
    named = {
        name.removeprefix(GRAPH): tensor.numpy()
        for name, tensor in tensors.items()
        if name.startswith(GRAPH)
    }
    return from_arrays(named) if named else None


def fitting_state(stored: RecurrentState, fresh: object) -> RecurrentState | StateElsewhere:
    """
    Return a stored state on the device, or the server, of a network.

    :param fresh: the network's own initial state; it determines which sizes and device fit.
    :raises MapFileError: when the state belongs to a network of other sizes.
    """
    if isinstance(fresh, StateElsewhere):
        return fresh.replaced(stored)
    if not isinstance(fresh, RecurrentState):
        raise MapFileError('this network cannot use a stored state')
    if (stored.tokens.shape, stored.memory.shape[2:]) != (
        fresh.tokens.shape,
        fresh.memory.shape[2:],
    ):
        raise MapFileError('the map was made by a network of other sizes')
    return stored.to(fresh.tokens.device)
