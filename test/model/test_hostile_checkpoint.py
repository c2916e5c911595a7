# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Files that are made to run code, or to read beyond themselves."""

import argparse
from collections import OrderedDict
import importlib
import io
import os
from pathlib import Path
import pickle
import zipfile

import pytest
import torch

from ttt3r_ros.model.checkpoint import (
    CheckpointError,
    load_network,
    open_checkpoint,
)
from ttt3r_ros.model.published.pth_file import read_pth


class Trap:
    """Makes a file when it is unpickled by the ordinary unpickler."""

    def __init__(self, function, *arguments, state=None):
        self.made = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.made


def touch(marker):
    return f'touch {marker}'


TRAPS = {
    'os.system': lambda marker: Trap(os.system, touch(marker)),
    'eval': lambda marker: Trap(eval, f'open({str(marker)!r}, "w")'),
    'open': lambda marker: Trap(open, str(marker), 'w'),
    'Path.touch': lambda marker: Trap(Path.touch, marker),
    'torch.load': lambda marker: Trap(torch.load, str(marker.with_suffix('.pickle'))),
    'a known name first': lambda marker: [
        torch.zeros(1),
        Trap(getattr, Trap(importlib.import_module, 'os'), 'system'),
        Trap(exec, f'open({str(marker)!r}, "w")'),
    ],
    'state': lambda marker: Trap(
        torch.nn.Linear, 1, 1, state={'forward': Trap(os.system, touch(marker))}
    ),
}


@pytest.mark.parametrize('place', ['args', 'args.model', 'model', 'optimizer', 'beside', 'key'])
@pytest.mark.parametrize('trap', TRAPS)
def test_a_malicious_pickle_is_not_run(tmp_path, tensors, trap, place, save_pth, tiny_config):
    marker = tmp_path / 'marker'
    sprung = TRAPS[trap](marker)
    args = argparse.Namespace(model=tiny_config)
    path = tmp_path / 'tiny.pth'
    if place == 'args':
        save_pth(path, tensors, sprung)
    elif place == 'args.model':
        save_pth(path, tensors, argparse.Namespace(model=sprung))
    elif place == 'model':
        save_pth(path, {**tensors, 'pose_token': sprung}, args)
    elif place == 'optimizer':
        save_pth(path, tensors, args, optimizer={'state': sprung})
    elif place == 'beside':
        save_pth(path, tensors, args, scaler=sprung)
    else:
        save_pth(path, tensors, args, scaler={(1, Trap(os.system, touch(marker))): 1})

    if place in ('optimizer', 'beside', 'key'):  # a good network in bad company
        load_network(path, 'cpu', 'strict')
    else:
        with pytest.raises(CheckpointError):
            load_network(path, 'cpu', 'strict')
    assert not marker.exists()


def test_the_trap_of_these_tests_does_spring_in_an_ordinary_unpickler(tmp_path):
    marker = tmp_path / 'marker'

    pickle.loads(pickle.dumps(Trap(os.system, touch(marker))))

    assert marker.exists()


def with_pickle(path, source, pickled):
    """Copy a .pth file with another index in it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, 'w') as new:
        for member in old.infolist():
            is_index = member.filename.endswith('/data.pkl')
            new.writestr(member.filename, pickled if is_index else old.read(member))
    return path


@pytest.mark.parametrize(
    'pickled',
    [
        b'',
        b'.',
        b'\x80\x02}.',
        b'\x80\x02]q\x00.',
        b'\x80\x02N.',
        b'\x80\x02cos\nsystem\n.',
        b"cos\nsystem\n(S'true'\ntR.",
        b'\x80\x02K\x01Q.',
        b'\x80\x02X\x10\x00\x00\x00short.',
        b'\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.',
        pickle.dumps({'model': {}}),
        pickle.dumps({'model': {'a': 1}}),
        pickle.dumps({'model': [1]}),
        pickle.dumps('model'),
    ],
)
def test_an_odd_index_is_one_clear_error(tmp_path, tensors, pickled, save_pth):
    source = save_pth(tmp_path / 'tiny.pth', tensors)
    path = with_pickle(tmp_path / 'odd.pth', source, pickled)

    with pytest.raises(CheckpointError, match='not a usable checkpoint') as caught:
        open_checkpoint(path)

    assert '\n' not in str(caught.value)


class FarTensor:
    """Pickles as a tensor that lies where it is told to, in a storage of a told length."""

    def __init__(self, shape, stride, offset, length):
        self.parts = (StorageOf(length), offset, shape, stride, False, OrderedDict())

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.parts


class StorageOf:
    def __init__(self, length):
        self.length = length


class FarPickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, StorageOf):
            return 'storage', torch.FloatStorage, '0', 'cpu', value.length
        return None


@pytest.mark.parametrize(
    ('shape', 'stride', 'offset', 'length', 'fits'),
    [
        ((4,), (1,), 0, 4, True),
        ((4,), (1,), 0, 1000, False),
        ((5,), (1,), 0, 4, False),
        ((4,), (1,), 1, 4, False),
        ((4,), (2,), 0, 4, False),
        ((4,), (-1,), 3, 4, False),
        ((-4,), (1,), 0, 4, False),
        ((4,), (1,), -1, 4, False),
        ((4,), (1, 1), 0, 4, False),
        ((4.0,), (1,), 0, 4, False),
        ((2**62, 2**62), (1, 1), 0, 4, False),
        ([4], (1,), 0, 4, False),
    ],
)
def test_a_tensor_cannot_reach_beyond_its_bytes(tmp_path, shape, stride, offset, length, fits):
    source = tmp_path / 'four.pth'
    torch.save({'model': {'a': torch.arange(4.0)}}, source)
    pickled = io.BytesIO()
    FarPickler(pickled, 2).dump({'model': {'a': FarTensor(shape, stride, offset, length)}})
    path = with_pickle(tmp_path / 'far.pth', source, pickled.getvalue())

    if fits:
        assert torch.equal(read_pth(path).tensors['a'], torch.arange(4.0))
    else:
        with pytest.raises(CheckpointError, match='its tensor a'):
            read_pth(path)
