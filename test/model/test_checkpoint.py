# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import argparse
from collections import defaultdict
import hashlib
import json
from pathlib import Path
import pickle
import sys
from types import ModuleType, SimpleNamespace
import zipfile

import pytest
from safetensors.torch import save_file
import torch

from ttt3r_ros.model import Architecture, Network
from ttt3r_ros.model.checkpoint import (
    CheckpointError,
    load_network,
    open_checkpoint,
    resolve_checkpoint,
    save_checkpoint,
)
from ttt3r_ros.model.published.pth_file import read_pth

TINY = Architecture.tiny()


def without_aliases(tensors):
    return {name: tensor for name, tensor in tensors.items() if '.layer_rn.' not in name}


def assert_same_tensors(found, wanted):
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name


def test_a_published_pth_file_loads_strictly_with_the_same_tensors(tmp_path, tensors, save_pth):
    path = save_pth(tmp_path / 'tiny.pth', tensors)

    network, info = load_network(path, 'cpu', 'strict')

    assert_same_tensors(network.state_dict(), without_aliases(tensors))
    assert info.architecture == TINY
    assert info.name == 'tiny'
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not network.training


def test_a_network_saved_and_loaded_is_the_same(tmp_path, tensors):
    path = tmp_path / 'folder' / 'tiny.safetensors'

    save_checkpoint(path, tensors, TINY, {'licence': 'CC0-1.0'})
    network, info = load_network(path, 'cpu', 'strict')

    assert_same_tensors(network.state_dict(), without_aliases(tensors))
    assert info.architecture == TINY
    assert info.metadata['licence'] == 'CC0-1.0'
    assert [entry.name for entry in path.parent.iterdir()] == ['tiny.safetensors']


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_storage_loads_as_its_rounded_numbers(tmp_path, tensors, dtype):
    path = tmp_path / 'half.safetensors'

    save_checkpoint(path, tensors, TINY, {}, dtype)
    network, _ = load_network(path, 'cpu', 'strict')

    rounded = {name: t.to(dtype).float() for name, t in without_aliases(tensors).items()}
    assert_same_tensors(network.state_dict(), rounded)
    assert path.stat().st_size < 0.6 * sum(4 * t.numel() for t in rounded.values())


def test_fast_precision_gets_the_dtypes_that_the_network_asks_for(tmp_path, tensors, save_pth):
    path = save_pth(tmp_path / 'tiny.pth', tensors)

    network, _ = load_network(path, 'cpu', 'fast')

    wanted = {name: t.dtype for name, t in Network(TINY).use_bfloat16().state_dict().items()}
    assert {name: t.dtype for name, t in network.state_dict().items()} == wanted
    assert torch.bfloat16 in wanted.values()


def test_a_loaded_network_does_not_depend_on_its_file(tmp_path, tensors):
    path = tmp_path / 'tiny.safetensors'
    save_checkpoint(path, tensors, TINY, {})
    network, _ = load_network(path, 'cpu', 'strict')

    with path.open('r+b') as file:
        file.write(bytes(path.stat().st_size))

    assert_same_tensors(network.state_dict(), without_aliases(tensors))


def test_the_prefix_of_data_parallel_training_is_dropped(tmp_path, tensors, save_pth):
    prefixed = {f'module.{name}': tensor for name, tensor in tensors.items()}

    checkpoint = open_checkpoint(save_pth(tmp_path / 'tiny.pth', prefixed))

    assert_same_tensors(checkpoint.tensors, without_aliases(tensors))


def test_a_file_without_a_state_decoder_starts_it_from_the_image_decoder(
    tmp_path, tensors, save_pth
):
    without = {n: t for n, t in tensors.items() if not n.startswith('dec_blocks_state')}

    checkpoint = open_checkpoint(save_pth(tmp_path / 'tiny.pth', without))

    name = 'dec_blocks_state.3.cross_attn.projq.weight'
    assert torch.equal(checkpoint.tensors[name], tensors['dec_blocks.3.cross_attn.projq.weight'])
    save_checkpoint(tmp_path / 'tiny.safetensors', checkpoint.tensors, TINY, {})


def test_parameters_and_transposed_tensors_are_read_as_torch_reads_them(tmp_path, save_pth):
    stored = {
        'parameter': torch.nn.Parameter(torch.arange(6.0).view(2, 3)),
        'transposed': torch.arange(6.0).view(2, 3).T,
        'slice': torch.arange(10.0)[3:8:2],
        'scalar': torch.tensor(4.0),
        'empty': torch.zeros(0, 3),
        'half': torch.arange(3).half(),
        'bfloat16': torch.arange(3).bfloat16(),
        'double': torch.arange(3).double(),
    }
    path = save_pth(tmp_path / 'any.pth', stored)

    read = read_pth(path).tensors

    assert_same_tensors(read, {name: tensor.detach() for name, tensor in stored.items()})
    assert all(read[name].dtype == stored[name].dtype for name in stored)


# --- what the config says -------------------------------------------------------------------


def test_a_hostile_config_string_is_refused_and_not_run(tmp_path, tensors, save_pth):
    marker = tmp_path / 'marker'
    config = f"Model(a=__import__('os').system('touch {marker}'))"
    headless = {n: t for n, t in tensors.items() if not n.startswith('downstream_head.dpt_self')}
    path = save_pth(tmp_path / 'tiny.pth', headless, argparse.Namespace(model=config))

    with pytest.raises(CheckpointError, match='no readable config'):
        open_checkpoint(path)

    assert not marker.exists()


PUBLISHED_CONFIG = (
    "Model(Config(freeze='encoder', state_size=768, state_pe='2d', pos_embed='RoPE100', "
    "rgb_head=True, pose_head=True, img_size=(512, 512), head_type='dpt', "
    "depth_mode=('exp', -inf, inf), conf_mode=('exp', 1, inf), enc_embed_dim=1024, "
    'enc_depth=24, enc_num_heads=16, dec_embed_dim=768, dec_depth=12, dec_num_heads=12))'
)


@pytest.mark.parametrize(
    ('published', 'config'),
    [
        (Architecture.published_512(), PUBLISHED_CONFIG),
        (Architecture.published_512(), None),
        (Architecture.published_224(), "Model(a=__import__('os').system('touch MARKER'))"),
    ],
)
def test_a_published_network_is_known_by_its_config_or_by_its_head(
    tmp_path, monkeypatch, published, config, save_pth
):
    monkeypatch.chdir(tmp_path)
    with torch.device('meta'):
        shapes = {n: t.shape for n, t in Network(published).state_dict().items()}
    # Every tensor one stored number, seen in its full shape: a small file of a large network.
    stored = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}
    path = save_pth(tmp_path / 'published.pth', stored, argparse.Namespace(model=config))

    checkpoint = open_checkpoint(path)

    assert checkpoint.info.architecture == published
    assert not Path('MARKER').exists()


def test_a_config_for_another_kind_of_network_is_refused(tmp_path, tensors, save_pth, tiny_config):
    config = tiny_config.replace("state_pe='2d'", "state_pe='none'")
    path = save_pth(tmp_path / 'tiny.pth', tensors, argparse.Namespace(model=config))

    with pytest.raises(CheckpointError, match="state_pe is 'none', only '2d' is known"):
        open_checkpoint(path)


def test_args_of_a_class_that_is_not_installed_are_read(
    tmp_path, tensors, monkeypatch, save_pth, tiny_config
):
    # The shape of a pickled omegaconf DictConfig: values in nodes that know their parent.
    module = ModuleType('not_installed')
    for name in ('DictConfig', 'AnyNode'):
        setattr(module, name, type(name, (SimpleNamespace,), {'__module__': 'not_installed'}))
    node, arguments = module.AnyNode(_val=tiny_config), module.DictConfig(_content={})
    arguments._content['model'], node._parent = node, arguments
    arguments._metadata = defaultdict(dict, ref_type=module.AnyNode)
    with monkeypatch.context() as installed:
        installed.setitem(sys.modules, 'not_installed', module)
        path = save_pth(tmp_path / 'tiny.pth', tensors, arguments)

    checkpoint = open_checkpoint(path)

    assert checkpoint.info.architecture == TINY
    assert 'not_installed' not in sys.modules


# --- what must not run ----------------------------------------------------------------------


# --- damage ---------------------------------------------------------------------------------


@pytest.mark.parametrize('share', [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_pth_file_is_one_clear_error(tmp_path, tensors, share, save_pth):
    path = save_pth(tmp_path / 'tiny.pth', tensors)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])

    with pytest.raises(CheckpointError, match=r'cut short|not a checkpoint') as caught:
        open_checkpoint(path)

    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('share', [0.0, 0.0001, 0.5, 0.999])
def test_a_truncated_safetensors_file_is_one_clear_error(tmp_path, tensors, share):
    path = tmp_path / 'tiny.safetensors'
    save_checkpoint(path, tensors, TINY, {})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])

    with pytest.raises(CheckpointError, match='cut short') as caught:
        open_checkpoint(path)

    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('contents', 'told'),
    [
        (b'<!DOCTYPE html><title>Quota exceeded</title>', 'a web page'),
        (b'version https://git-lfs.github.com/spec/v1', 'a Git LFS pointer'),
        (pickle.dumps({'model': 1}, 2), 'before torch 1.6'),
        (b'something else entirely', 'not a checkpoint'),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, contents, told):
    path = tmp_path / 'tiny.pth'
    path.write_bytes(contents)

    with pytest.raises(CheckpointError, match=told):
        open_checkpoint(path)


def test_a_zip_archive_of_the_future_is_not_a_checkpoint(tmp_path, tensors, save_pth):
    path = save_pth(tmp_path / 'tiny.pth', tensors)
    archive = bytearray(path.read_bytes())
    archive[archive.index(b'PK\x01\x02') + 6] = 64  # version needed to extract
    path.write_bytes(archive)

    with pytest.raises(CheckpointError, match=r'no checkpoint: zip file version 6\.4'):
        open_checkpoint(path)


def test_an_ordinary_zip_archive_is_not_a_checkpoint(tmp_path):
    path = tmp_path / 'tiny.pth'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('readme.txt', 'hello')

    with pytest.raises(CheckpointError, match=r'not one of torch.save'):
        open_checkpoint(path)


def test_one_flipped_bit_in_the_tensors_is_noticed(tmp_path, tensors):
    path = tmp_path / 'tiny.safetensors'
    save_checkpoint(path, tensors, TINY, {})
    damaged = bytearray(path.read_bytes())
    damaged[-1000] ^= 1
    path.write_bytes(damaged)

    with pytest.raises(CheckpointError, match=r'damaged.*SHA-256'):
        load_network(path, 'cpu', 'strict')


def test_missing_and_unknown_names_are_counted_and_the_first_three_told(
    tmp_path, tensors, save_pth
):
    names = [name for name in tensors if name.startswith('enc_blocks.1.')]
    less = {name: tensor for name, tensor in tensors.items() if name not in names}
    path = save_pth(tmp_path / 'tiny.pth', {**less, 'a.b': torch.zeros(1)})

    with pytest.raises(CheckpointError) as caught:
        load_network(path, 'cpu', 'strict')

    text = str(caught.value)
    assert f'{len(names)} missing (enc_blocks.1.norm1.weight, ' in text
    assert '1 not known (a.b)' in text
    assert text.count('enc_blocks.1.') == 3


def test_a_tensor_of_a_wrong_shape_is_named_with_both_shapes(tmp_path, tensors, save_pth):
    path = save_pth(tmp_path / 'tiny.pth', {**tensors, 'enc_norm.bias': torch.zeros(65)})

    with pytest.raises(CheckpointError, match=r'enc_norm.bias is \(65,\), not \(64,\)'):
        load_network(path, 'cpu', 'strict')


def test_an_alias_that_differs_from_its_original_is_refused(tmp_path, tensors, save_pth):
    alias = 'downstream_head.dpt_self.scratch.layer_rn.2.weight'
    path = save_pth(tmp_path / 'tiny.pth', {**tensors, alias: tensors[alias] + 1})

    with pytest.raises(CheckpointError, match=r'layer_rn.2.weight must equal .*layer3_rn.weight'):
        load_network(path, 'cpu', 'strict')


def test_integers_in_place_of_weights_are_refused(tmp_path, tensors):
    path = tmp_path / 'tiny.safetensors'
    integers = {n: t.int() for n, t in without_aliases(tensors).items()}
    save_file(integers, path, {'architecture': json.dumps(TINY.to_record())})

    with pytest.raises(CheckpointError, match=r'is torch.int32, not floating-point numbers'):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ('metadata', 'told'),
    [
        (None, 'has no architecture in its metadata'),
        ({'architecture': '{'}, 'this version cannot build'),
        ({'architecture': '[1]'}, 'this version cannot build'),
        ({'architecture': '{"wings": 2}'}, "unknown size 'wings'"),
        ({'architecture': '{"encoder_width": "64"}'}, 'encoder_width must be int'),
    ],
)
def test_an_unknown_architecture_is_one_clear_error(tmp_path, tensors, metadata, told):
    path = tmp_path / 'tiny.safetensors'
    save_file(without_aliases(tensors), path, metadata)

    with pytest.raises(CheckpointError, match=told):
        open_checkpoint(path)


@pytest.mark.parametrize('name', ['missing.pth', 'missing.safetensors', 'folder.pth'])
def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path, name):
    (tmp_path / 'folder.pth').mkdir()

    with pytest.raises(CheckpointError, match='cannot read'):
        open_checkpoint(tmp_path / name)


# --- saving ---------------------------------------------------------------------------------


@pytest.mark.parametrize(('value', 'dtype'), [(float('nan'), 'float32'), (1e6, 'float16')])
def test_numbers_that_are_not_finite_are_not_saved(tmp_path, tensors, value, dtype):
    broken = {**tensors, 'enc_norm.bias': torch.full((64,), value)}

    with pytest.raises(CheckpointError, match=f'enc_norm.bias .* not finite in {dtype}'):
        save_checkpoint(tmp_path / 'a.safetensors', broken, TINY, {}, getattr(torch, dtype))

    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path, tensors, monkeypatch):
    path = tmp_path / 'a.safetensors'
    save_checkpoint(path, tensors, TINY, {'version': 'old'})

    def break_off(tensors, target, metadata):
        Path(target).write_bytes(b'half')
        raise OSError('No space left on device')

    monkeypatch.setattr('ttt3r_ros.model.checkpoint.save_file', break_off)
    with pytest.raises(CheckpointError, match='No space left'):
        save_checkpoint(path, tensors, TINY, {'version': 'new'})

    assert open_checkpoint(path).info.metadata['version'] == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_below_a_file_is_one_clear_error(tmp_path, tensors):
    (tmp_path / 'file').write_text('')

    with pytest.raises(CheckpointError, match='cannot write'):
        save_checkpoint(tmp_path / 'file' / 'a.safetensors', tensors, TINY, {})


def test_a_saved_file_is_readable_by_everybody(tmp_path, tensors):
    path = tmp_path / 'a.safetensors'

    save_checkpoint(path, tensors, TINY, {})

    assert path.stat().st_mode & 0o777 == 0o644


# --- finding --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('name', 'file'),
    [('512', 'cut3r_512_dpt_4_64.safetensors'), ('224', 'cut3r_224_linear_4.pth')],
)
def test_a_published_name_means_the_fetched_file(tmp_path, monkeypatch, name, file):
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path))
    with pytest.raises(CheckpointError, match=f'ttt3r weights fetch {name}'):
        resolve_checkpoint(name)
    (tmp_path / 'ttt3r_ros').mkdir()
    (tmp_path / 'ttt3r_ros' / file).touch()

    assert resolve_checkpoint(name) == tmp_path / 'ttt3r_ros' / file


@pytest.mark.parametrize('name', ['', 'small'])
def test_the_small_checkpoint_is_the_one_that_ships(tmp_path, monkeypatch, name):
    shipped = tmp_path / 'small.safetensors'
    monkeypatch.setattr('ttt3r_ros.model.checkpoint._SHIPPED', shipped)
    with pytest.raises(CheckpointError, match='ttt3r weights fetch 512'):
        resolve_checkpoint(name)
    shipped.touch()

    assert resolve_checkpoint(name) == shipped


def test_any_other_name_is_a_path(tmp_path):
    path = tmp_path / 'mine.safetensors'
    path.touch()

    assert resolve_checkpoint(str(path)) == path
    with pytest.raises(CheckpointError, match='there is no checkpoint file 513'):
        resolve_checkpoint('513')
