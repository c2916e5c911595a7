# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Checks of this machine: device, checkpoint, and disk space for maps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
import os
from pathlib import Path
import shutil

from ttt3r_ros.doctor.finding import fail, Finding, ok, warn
from ttt3r_ros.errors import UserError
from ttt3r_ros.home import expanded, NoHome
from ttt3r_ros.serving.address import is_elsewhere
from ttt3r_ros.settings import ModelSettings, NodeSettings

STARVED_LOAD = 1.75
FREE_FAIL, FREE_WARN = 100 * 2**20, 2 * 2**30


@dataclass(frozen=True)
class Device:
    """
    The device of the network, memory in bytes.

    load: threads that run or wait for a core, mean of a minute. error: why it cannot be used, or
    empty.
    """

    torch: str
    name: str = 'cpu'
    cores: int = 1
    load: float = 0.0
    free: int = 0
    total: int = 0
    has_nvidia_driver: bool = False
    error: str = ''


@dataclass(frozen=True)
class CheckpointFile:
    """
    The checkpoint that the settings choose.

    note: from the metadata, a message of its author to users, or empty. error: why it cannot be
    used, or empty.
    """

    path: str = ''
    sha256: str = ''
    licence: str = ''
    architecture: str = ''
    size: int = 0
    note: str = ''
    error: str = ''


@dataclass(frozen=True)
class Disk:
    """The folder of the maps; free space in bytes."""

    folder: Path
    free: int
    writable: bool


# ---- looking


def look_at_device(model: ModelSettings) -> Device:
    """
    Inspect the device of the network on this machine.

    :param model: the model settings.
    """
    import torch

    from ttt3r_ros.model.predictor import choose_device

    seen = Device(
        torch=torch.__version__,
        cores=os.cpu_count() or 1,
        load=os.getloadavg()[0],
        has_nvidia_driver=Path('/proc/driver/nvidia/version').exists(),
    )
    if is_elsewhere(model.device):
        return dataclasses.replace(seen, name=model.device)
    try:
        device = choose_device(model.device)
        if device.type != 'cuda':
            return seen
        free, total = torch.cuda.mem_get_info(device)
    except (UserError, RuntimeError) as error:  # torch has no class for a driver that is gone
        return dataclasses.replace(seen, error=str(error))
    name = f'{device}: {torch.cuda.get_device_name(device)}'
    return dataclasses.replace(seen, name=name, free=free, total=total)


def look_at_checkpoint(model: ModelSettings) -> CheckpointFile:
    """
    Inspect the checkpoint on this machine.

    :param model: the model settings.
    """
    from ttt3r_ros.model.checkpoint import open_checkpoint, resolve_checkpoint
    from ttt3r_ros.model.predictor import RANDOM_CHECKPOINT

    if is_elsewhere(model.device):
        return CheckpointFile(path=model.device)
    if model.checkpoint == RANDOM_CHECKPOINT:
        return CheckpointFile(error='random weights, the map is meaningless: set model.checkpoint')
    try:
        path = resolve_checkpoint(model.checkpoint)
        info = open_checkpoint(path).info
        return CheckpointFile(
            path=str(path),
            sha256=info.sha256,
            licence=info.licence,
            architecture=info.architecture.preset,
            size=path.stat().st_size,
            note=info.note,
        )
    except UserError as error:
        return CheckpointFile(error=str(error))


def look_at_disk(settings: NodeSettings) -> Disk:
    """
    Inspect the folder of the maps.

    :param settings: the node settings.
    """
    try:
        folder = expanded(settings.map_directory)
    except NoHome:
        return Disk(Path(settings.map_directory), 0, False)
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    writable = nearest.is_dir() and os.access(nearest, os.W_OK)
    return Disk(folder, shutil.disk_usage(nearest).free, writable)


# ---- judging


def judge_device(device: Device, checkpoint: CheckpointFile) -> Finding:
    """
    Check the device of the network and its memory.

    :param device: of this machine.
    :param checkpoint: whose size is compared with the memory.
    """
    if device.error:
        return fail('device', device.error, '')  # the error has the remedy
    if is_elsewhere(device.name):
        return ok('device', f'the network is on {device.name}')
    if device.name.startswith('cuda'):
        seen = (
            f'{device.name}, {device.free / 2**30:.1f} of {device.total / 2**30:.1f} GB free, '
            f'torch {device.torch}'
        )
        if device.free < checkpoint.size:
            return fail(
                'device',
                seen,
                f'the checkpoint has {checkpoint.size / 2**30:.1f} GB: free some memory',
            )
        return ok('device', seen)
    seen = f'cpu with {device.cores} core(s), torch {device.torch}'
    if device.has_nvidia_driver:
        return warn(
            'device',
            f'{seen}, though there is an NVIDIA driver',
            'install a CUDA build of torch, and set model.device to auto',
        )
    # The threads of the network itself are as many as the cores at most.
    if device.load > STARVED_LOAD * device.cores:
        return warn(
            'device',
            f'{seen}, for which {device.load:.1f} threads compete',
            'end other programs, or start them with nice: they slow the network down',
        )
    return ok('device', seen)


def judge_checkpoint(checkpoint: CheckpointFile) -> Finding:
    """
    Check the checkpoint.

    :param checkpoint: that the settings choose.
    """
    if checkpoint.error:
        return fail('checkpoint', checkpoint.error, '')  # the error has the remedy
    if is_elsewhere(checkpoint.path):
        return ok('checkpoint', f'that of {checkpoint.path}')
    seen = (
        f'{checkpoint.path}, architecture {checkpoint.architecture}, '
        f'sha256 {checkpoint.sha256[:16]}, licence {checkpoint.licence}'
    )
    return warn('checkpoint', seen, checkpoint.note) if checkpoint.note else ok('checkpoint', seen)


def judge_disk(disk: Disk) -> Finding:
    """
    Check the folder of the maps.

    :param disk: of map_directory.
    """
    seen = f'map_directory {disk.folder}, {disk.free / 2**30:.1f} GB free'
    if not disk.writable:
        return fail('disk', f'{seen}, cannot be written', 'change its owner, or map_directory')
    if disk.free < FREE_FAIL:
        return fail('disk', seen, 'free some space: maps cannot be saved')
    if disk.free < FREE_WARN:
        return warn('disk', seen, 'free some space for maps')
    return ok('disk', seen)
