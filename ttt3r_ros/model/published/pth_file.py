# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Read the tensors of a published ``.pth`` file without executing code from it.

Such a file is a zip archive: ``data.pkl`` is a pickle that names the tensors, ``data/<key>`` are
their raw bytes. The pickle also holds the objects of the training run (``args``, the optimizer),
of classes that are not installed here. ``torch.load(weights_only=True)`` refuses the whole file
for them unless every class is allowed by name beforehand, and which calls it knows of that
differs between torch versions. So the pickle is read here, by an unpickler that knows no class
at all: it can make records of where a tensor lies, dictionaries, and inert objects that only
remember what they were given. No code outside this file can be reached from a pickle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import io
import mmap
from pathlib import Path
import pickle
import struct
from typing import Any
import zipfile

import torch
from torch import Tensor

from ttt3r_ros.errors import UserError

_MAX_PICKLE_BYTES = 64 * 2**20  # the published ones have 0.2 MB; an optimizer adds about as much
_STORAGE_DTYPES = {
    'FloatStorage': torch.float32,
    'DoubleStorage': torch.float64,
    'HalfStorage': torch.float16,
    'BFloat16Storage': torch.bfloat16,
}
_WRONG_FILES = (  # first bytes, what it is
    (b'version https://git-lfs', 'a Git LFS pointer instead of the file it points to'),
    (b'<', 'a web page instead of the file; the download went wrong'),
    (b'\x80', 'a pickle of before torch 1.6, which is not read'),
    (b'PK\x03\x04', 'cut short: the end of the archive is missing'),
)


class CheckpointError(UserError):
    """A checkpoint file is missing, damaged or of another kind."""


@dataclass(frozen=True)
class PthFile:
    """The network in a ``.pth`` file: its tensors, and its config string if any."""

    tensors: dict[str, Tensor]
    config: str | None


def read_pth(path: Path) -> PthFile:
    """
    Read the entry ``model`` and the string ``args.model`` of a ``.pth`` file.

    :param path: a file written by torch.save since torch 1.6.
    :returns: tensors in the memory-mapped file, and the config string or None.
    :raises CheckpointError: when the file is not such a file, is cut short or holds no model.
    """
    try:
        with path.open('rb') as file:
            head = file.read(64)
            archive = zipfile.ZipFile(file)
            # A private mapping: the tensors may be written to, the file stays as it is.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except NotImplementedError as error:  # of zipfile: a later version, or encrypted
        raise CheckpointError(f'{path} is no checkpoint: {error}') from None
    except (zipfile.BadZipFile, struct.error):
        raise CheckpointError(f'{path} is {_name_wrong_file(head)}') from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f'cannot read {path}: {error}') from None
    return _PthReader(path, archive, mapped).read()


def _name_wrong_file(head: bytes) -> str:
    for start, name in _WRONG_FILES:
        if head.lstrip().startswith(start):
            return f'{name}; fetch or copy it again'
    return 'not a checkpoint; a .pth file of torch.save or a .safetensors file is needed'


class _Inert:
    """Replaces an unknown object or class: stores its arguments, and does nothing."""

    state: dict[Any, Any]

    def __new__(cls, *arguments: Any, **keywords: Any) -> _Inert:  # pickles skip __init__
        made = super().__new__(cls)
        made.state = {}
        return made

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.state.update(part)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.state[key] = value

    def __call__(self, *arguments: Any, **keywords: Any) -> _Inert:
        return _Inert()

    def append(self, item: Any) -> None:
        """Ignore an item of an unknown list."""

    def extend(self, items: Any) -> None:
        """Ignore items of an unknown list."""

    def add(self, item: Any) -> None:
        """Ignore an item of an unknown set."""


class _Mapping(dict[Any, Any]):
    """An OrderedDict that takes no attributes from a pickle."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Drop the module versions that a state dict carries."""


@dataclass(frozen=True)
class _StorageType:
    dtype: torch.dtype


@dataclass(frozen=True)
class _Storage:
    dtype: torch.dtype
    key: str
    length: int


class _TensorRecord:
    """The position of a tensor in a storage; as untrusted as its pickle."""

    def __init__(self, storage: Any, offset: Any, shape: Any, stride: Any, *unused: Any) -> None:
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride


def _record_of_parameter(record: Any, *unused: Any) -> Any:
    return record


_KNOWN_GLOBALS: dict[tuple[str, str], Any] = {
    ('collections', 'OrderedDict'): _Mapping,
    ('torch._utils', '_rebuild_tensor_v2'): _TensorRecord,
    ('torch._utils', '_rebuild_parameter'): _record_of_parameter,
    **{('torch', name): _StorageType(dtype) for name, dtype in _STORAGE_DTYPES.items()},
}


class _InertUnpickler(pickle.Unpickler):
    """Maps every name in the pickle to one of the inert classes above; imports nothing."""

    def find_class(self, module: str, name: str, /) -> Any:
        """Return the inert class for a name."""
        return _KNOWN_GLOBALS.get((module, name), _Inert)

    def persistent_load(self, pid: Any, /) -> Any:
        """Return the record of a referenced storage."""
        _, kind, key, _, length = pid
        if isinstance(kind, _StorageType):
            return _Storage(kind.dtype, key, length)
        return _Inert()


class _PthReader:
    """Reads the pickle and the tensors of one open archive."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, mapped: mmap.mmap) -> None:
        self._path = path
        self._mapped = mapped
        self._members = {member.filename: member for member in archive.infolist()}
        self._folder = next(
            (name.rpartition('/')[0] for name in self._members if name.endswith('/data.pkl')), ''
        )

    def read(self) -> PthFile:
        """Return the tensors and the config string."""
        if not self._folder:
            raise self._broken('it is a zip archive, but not one of torch.save')
        if bytes(self._member('byteorder', b'little')) != b'little':
            raise self._broken('it was written on a big-endian machine')
        contents = self._unpickle()
        model = contents.get('model') if isinstance(contents, dict) else None
        if not isinstance(model, dict) or not model:
            raise self._broken("it has no entry 'model' with the tensors of a network")
        tensors = {str(name): self._tensor(str(name), value) for name, value in model.items()}
        return PthFile(tensors, _find_config(contents.get('args')))

    def _unpickle(self) -> Any:
        pickled = self._member('data.pkl')
        if len(pickled) > _MAX_PICKLE_BYTES:
            raise self._broken(f'its index of {len(pickled)} bytes is larger than any real one')
        try:
            return _InertUnpickler(io.BytesIO(pickled)).load()
        except Exception as error:  # noqa: BLE001  # a broken pickle may raise anything
            raise self._broken(f'its index is unreadable ({type(error).__name__})') from None

    def _member(self, name: str, missing: bytes | None = None) -> memoryview:
        """Return the bytes of a stored member, without a copy."""
        member = self._members.get(f'{self._folder}/{name}')
        if member is None and missing is not None:
            return memoryview(missing)
        if member is None or member.compress_type != zipfile.ZIP_STORED:
            raise self._broken(f'its part {name} is missing or compressed')
        start = member.header_offset
        if start < 0 or start + 30 > len(self._mapped):
            raise self._broken(f'its part {name} lies outside the file')
        # The local header: 30 bytes, of which the last 4 are the lengths of name and padding.
        name_length, extra_length = struct.unpack_from('<HH', self._mapped, start + 26)
        start += 30 + name_length + extra_length
        if start + member.file_size > len(self._mapped):
            raise self._broken(f'its part {name} lies outside the file')
        return memoryview(self._mapped)[start : start + member.file_size]

    def _tensor(self, name: str, record: Any) -> Tensor:
        if not isinstance(record, _TensorRecord) or not isinstance(record.storage, _Storage):
            raise self._broken(f'its entry {name} is not a tensor of floating-point numbers')
        storage, offset, shape, stride = record.storage, record.offset, record.shape, record.stride
        if not (
            isinstance(shape, tuple)
            and isinstance(stride, tuple)
            and len(shape) == len(stride)
            and _are_sizes((offset, storage.length, *shape, *stride))
        ):
            raise self._broken(f'its tensor {name} has no sensible shape')
        if 0 in shape:
            return torch.empty(shape, dtype=storage.dtype)
        stored = self._member(f'data/{storage.key}')
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride))
        if last >= storage.length or storage.length * storage.dtype.itemsize > len(stored):
            raise self._broken(f'its tensor {name} is larger than the bytes stored for it')
        flat = torch.frombuffer(stored, dtype=storage.dtype, count=storage.length)
        return flat.as_strided(shape, stride, offset)

    def _broken(self, reason: str) -> CheckpointError:
        return CheckpointError(f'{self._path} is not a usable checkpoint: {reason}')


def _are_sizes(numbers: Iterable[Any]) -> bool:
    return all(type(number) is int and number >= 0 for number in numbers)


def _find_config(arguments: Any) -> str | None:
    """Find ``model`` in a Namespace, a dict or an omegaconf DictConfig, all of them inert here."""
    fields = arguments.state if isinstance(arguments, _Inert) else arguments
    if not isinstance(fields, dict):
        return None
    if isinstance(fields.get('_content'), dict):  # omegaconf keeps its values in there ...
        fields = fields['_content']
    config = fields.get('model')
    if isinstance(config, _Inert):  # ... each of them in a node
        config = config.state.get('_val')
    return config if isinstance(config, str) else None
