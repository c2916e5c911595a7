# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Load and save networks.

Our own files are safetensors whose metadata holds, as strings: ``architecture`` (JSON of
Architecture.to_record), ``tensors_sha256`` (see hash_tensors) and what the maker added
(``source``, ``source_sha256``, ``licence``, ...). The published ``.pth`` files are read too, see
pth_file. Names in a file are the published ones; every name must be there and none besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
import hashlib
import json
import os
from pathlib import Path

from safetensors import safe_open, SafetensorError
from safetensors.torch import save_file
import torch
from torch import Tensor

from ttt3r_ros.home import expanded
from ttt3r_ros.model.architecture import Architecture, ArchitectureError
from ttt3r_ros.model.layers import rounded_to_int8
from ttt3r_ros.model.network import HeadSelection, Network, POINTS_AND_POSE
from ttt3r_ros.model.published.config import published_architecture
from ttt3r_ros.model.published.files import fetched, LICENSE, PUBLISHED, published_with, with_needs
from ttt3r_ros.model.published.names import own_tensors, without_aliases
from ttt3r_ros.model.published.pth_file import CheckpointError as CheckpointError
from ttt3r_ros.model.published.pth_file import read_pth
from ttt3r_ros.model.tensor_hash import hash_tensors

STORAGE_DTYPES = {
    'float32': torch.float32,
    'bfloat16': torch.bfloat16,
    'float16': torch.float16,
}
_SHIPPED = Path(__file__).parents[1] / 'weights' / 'small.safetensors'


@dataclass(frozen=True)
class CheckpointInfo:
    """The origin of a network. The hash of the file is computed at the first access."""

    name: str
    path: Path
    architecture: Architecture
    metadata: Mapping[str, str]

    @cached_property
    def sha256(self) -> str:
        """Return the SHA-256 of the file, in hexadecimal."""
        return hash_file(self.path)

    @property
    def note(self) -> str:
        """Return the message of its author to users, mostly empty."""
        return with_needs(self.metadata.get('note', ''))

    @property
    def licence(self) -> str:
        """Return the licence that the file records, or that of the published file it is."""
        recorded = self.metadata.get('licence')
        if recorded is not None:
            return recorded
        return LICENSE if published_with(self.sha256) else 'not recorded'


@dataclass(frozen=True)
class Checkpoint:
    """An open checkpoint; its tensors are in the memory-mapped file, as stored."""

    info: CheckpointInfo
    tensors: dict[str, Tensor]


def resolve_checkpoint(name_or_path: str) -> Path:
    """
    Return the file of a checkpoint name or path.

    :param name_or_path: empty or 'small' for the file that ships with the package, '512' or
        '224' for a published one that was fetched, otherwise a path.
    :returns: an existing file.
    :raises CheckpointError: when it does not exist, with the command to fetch it.
    """
    if name_or_path in ('', 'small'):
        if not _SHIPPED.is_file():
            raise CheckpointError(
                f'the small checkpoint is missing from this installation ({_SHIPPED}): install '
                'the package again, or get a published one with: ttt3r weights fetch 512'
            )
        return _SHIPPED
    if name_or_path in PUBLISHED:
        found = fetched(name_or_path)
        if found is None:
            raise CheckpointError(
                f'checkpoint {name_or_path} is not on this machine: '
                f'ttt3r weights fetch {name_or_path}'
            )
        return found
    path = expanded(name_or_path)
    if not path.is_file():
        raise CheckpointError(
            f'there is no checkpoint file {path}; name a .safetensors or .pth file, or one of '
            'the names small, 512, 224 (the last two after: ttt3r weights fetch)'
        )
    return path


def load_network(
    path: Path | str, device: torch.device | str, precision: str
) -> tuple[Network, CheckpointInfo]:
    """
    Build the whole network of a checkpoint, ready to run or to be trained on.

    :param path: a .safetensors or .pth file.
    :param device: device of the network.
    :param precision: 'strict' for float32 throughout, 'fast' for bfloat16 in the layers that
        tolerate it, 'int8' for int8 weights in the linear ones of them; the stored tensors are
        converted one by one.
    :returns: the network in evaluation mode, and its origin.
    :raises CheckpointError: when the file is damaged or does not fit the network.
    :raises PrecisionError: when the device does not support the precision.
    """
    checkpoint = _read_checked(path)
    network = _empty_network(checkpoint.info.architecture)
    return _filled(network, checkpoint, device, precision), checkpoint.info


def load_network_of_images(
    path: Path | str,
    device: torch.device | str,
    precision: str,
    outputs: HeadSelection = POINTS_AND_POSE,
) -> tuple[Network, CheckpointInfo]:
    """
    Build what steps on images need of the network of a checkpoint, see Network.of_images.

    All tensors must be in the file, but the others are not loaded.

    :param path: a .safetensors or .pth file.
    :param device: device of the network.
    :param precision: see load_network.
    :param outputs: all that the network will be asked for besides points and pose.
    :returns: the network in evaluation mode, and its origin.
    :raises CheckpointError: when the file is damaged or does not fit the network.
    :raises PrecisionError: when the device does not support the precision.
    """
    checkpoint = _read_checked(path)
    with torch.device('meta'):
        network = Network.of_images(checkpoint.info.architecture, outputs)
    return _filled(network, checkpoint, device, precision), checkpoint.info


def read_info(path: Path) -> CheckpointInfo:
    """
    Read the metadata of a checkpoint, without its tensors.

    :param path: a .safetensors file of ours, or a published .pth file.
    :raises CheckpointError: when it is no checkpoint.
    """
    return _read(path).info


def open_checkpoint(path: Path) -> Checkpoint:
    """
    Open a checkpoint and check that it contains exactly the tensors of its network.

    :param path: a .safetensors file of ours, or a published .pth file.
    :returns: the tensors under the names of Network.state_dict, memory-mapped.
    :raises CheckpointError: when it is no checkpoint or does not fit.
    """
    checkpoint = _read(path)
    _check_fit(checkpoint)
    return checkpoint


def save_checkpoint(
    path: Path,
    network: Network | Mapping[str, Tensor],
    architecture: Architecture,
    metadata: Mapping[str, str],
    dtype: torch.dtype = torch.float32,
) -> None:
    """
    Write a checkpoint; the file appears complete or not at all.

    :param path: of the file, ending in .safetensors.
    :param network: a network, or its tensors by the names of Network.state_dict.
    :param architecture: its sizes.
    :param metadata: further metadata of the file.
    :param dtype: of the stored tensors: float32, bfloat16 or float16.
    :raises CheckpointError: when a number is not finite in dtype, or the file cannot be written.
    """
    if path.suffix != '.safetensors':
        raise CheckpointError(f'{path} must end in .safetensors')
    tensors = network.state_dict() if isinstance(network, Network) else dict(network)
    tensors = without_aliases(path, tensors)
    _check_fit(Checkpoint(CheckpointInfo(path.stem, path, architecture, metadata), tensors))
    stored = {
        name: tensor.detach().to('cpu', dtype).contiguous() for name, tensor in tensors.items()
    }
    check_finite(path, stored)
    record = {
        **metadata,
        'architecture': json.dumps(architecture.to_record()),
        'tensors_sha256': hash_tensors(stored),
    }
    unfinished = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(stored, unfinished, record)
        unfinished.chmod(0o644)  # safetensors leaves it to its owner alone
        with unfinished.open('rb') as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f'cannot write {path}: {error}') from None
    finally:
        with suppress(OSError):
            unfinished.unlink()


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """
    Check that tensors contain neither NaN nor infinity.

    :param path: of their file, for error messages.
    :param tensors: by name, of any shape.
    :raises CheckpointError: naming the first one.
    """
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            dtype = str(tensor.dtype).removeprefix('torch.')
            raise CheckpointError(f'{path}: {name} holds numbers that are not finite in {dtype}')


def check_recorded_hash(checkpoint: Checkpoint) -> bool:
    """
    Compare the tensors with the SHA-256 in the metadata of their file.

    :returns: whether the metadata contain one.
    :raises CheckpointError: when it differs.
    """
    recorded = checkpoint.info.metadata.get('tensors_sha256')
    if recorded is None:
        return False
    if recorded != hash_tensors(checkpoint.tensors):
        raise CheckpointError(
            f'{checkpoint.info.path} is damaged: its tensors do not have the SHA-256 that it '
            'records; fetch, copy or convert it again'
        )
    return True


def hash_file(path: Path) -> str:
    """
    Return the SHA-256 of a file, in hexadecimal.

    :raises CheckpointError: when it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open('rb') as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise CheckpointError(f'cannot read {path}: {error}') from None
    return digest.hexdigest()


def _read_checked(path: Path | str) -> Checkpoint:
    checkpoint = _read(Path(path))
    check_recorded_hash(checkpoint)
    _check_fit(checkpoint)
    return checkpoint


def _filled(
    network: Network, checkpoint: Checkpoint, device: torch.device | str, precision: str
) -> Network:
    """Load the tensors of a network on the meta device, or of a part of one."""
    wanted = network.use_precision(precision, torch.device(device)).state_dict()
    loaded = {}
    for name, tensor in checkpoint.tensors.items():
        if name not in wanted:
            continue
        like = wanted[name]
        tensor = tensor[-len(like) :]  # a part may need the last rows only
        if like.dtype == torch.int8:
            scale = name.removesuffix('weight') + 'scale'
            loaded[name], loaded[scale] = rounded_to_int8(tensor.to(device))
        else:
            # Copied, so that a file that changes later cannot change a network at work.
            # Not empty_like: of a meta tensor that loads torch's compiler.
            empty = torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=device)
            loaded[name] = empty.copy_(tensor)
    network.load_state_dict(loaded, strict=True, assign=True)
    return network.eval()


def _read(path: Path) -> Checkpoint:
    if path.suffix == '.safetensors':
        tensors, metadata = _read_safetensors(path)
        tensors = without_aliases(path, tensors)
        architecture = _recorded_architecture(path, metadata)
    else:
        published = read_pth(path)
        tensors = own_tensors(path, published.tensors)
        metadata = {} if published.config is None else {'config': published.config}
        architecture = published_architecture(path, tensors, published.config)
    return Checkpoint(CheckpointInfo(path.stem, path, architecture, metadata), tensors)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(
            f'{path} is cut short or not a safetensors file ({error}); fetch or copy it again'
        ) from None
    except OSError as error:
        raise CheckpointError(f'cannot read {path}: {error}') from None


def _recorded_architecture(path: Path, metadata: Mapping[str, str]) -> Architecture:
    if 'architecture' not in metadata:
        raise CheckpointError(
            f'{path} has no architecture in its metadata: it was not made by this program; '
            'make one with: ttt3r weights convert FILE.pth'
        )
    try:
        record = json.loads(metadata['architecture'])
        if not isinstance(record, dict):
            raise ArchitectureError('it is not a JSON object')
        return Architecture.from_record(record)
    except (json.JSONDecodeError, RecursionError, ArchitectureError) as error:
        raise CheckpointError(
            f'{path} has an architecture that this version cannot build: {error}; '
            'use a newer version, or fetch or convert it again'
        ) from None


def _empty_network(architecture: Architecture) -> Network:
    """Build a network on the meta device: sizes and dtypes, no storage."""
    with torch.device('meta'):
        return Network(architecture)


def _check_fit(checkpoint: Checkpoint) -> None:
    """
    Check that a checkpoint has the tensors of its architecture, in their shapes.

    :raises CheckpointError: when the tensors of the checkpoint are not just those of it.
    """
    path, tensors = checkpoint.info.path, checkpoint.tensors
    wanted = _empty_network(checkpoint.info.architecture).state_dict()
    missing = [name for name in wanted if name not in tensors]
    extra = [name for name in tensors if name not in wanted]
    if missing or extra:
        faults = [
            f'{len(names)} {kind} ({_first_three(names)})'
            for names, kind in ((missing, 'missing'), (extra, 'not known'))
            if names
        ]
        raise CheckpointError(
            f'{path} has not the tensors of its architecture: {", ".join(faults)}; '
            'it is another network, or was saved in part: fetch or convert it again'
        )
    wrong = [
        f'{name} is {tuple(tensors[name].shape)}, not {tuple(wanted[name].shape)}'
        for name in wanted
        if tensors[name].shape != wanted[name].shape
    ]
    if wrong:
        raise CheckpointError(
            f'{path} has {len(wrong)} tensors of a wrong shape ({_first_three(wrong)}): '
            'it is not the network of its architecture'
        )
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise CheckpointError(f'{path}: {name} is {tensor.dtype}, not floating-point numbers')


def _first_three(names: list[str]) -> str:
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')
