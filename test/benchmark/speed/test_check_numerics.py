# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchmark.speed import check_numerics
from ttt3r_ros.model import (
    attention,
    heads,
    layers,
    Network,
    network,
    state_update,
)
from ttt3r_ros.model.published.config import config_architecture
from ttt3r_ros.model.rotary import rotate

CONFIG = {
    'img_size': [32, 32],
    'enc_embed_dim': 64,
    'enc_depth': 1,
    'enc_num_heads': 4,
    'dec_embed_dim': 32,
    'dec_depth': 2,
    'dec_num_heads': 2,
    'state_dec_num_heads': 4,
    'state_size': 6,
    'local_mem_size': 3,
    'dpt_feature_dim': 8,
    'dpt_layer_dims': [4, 4, 4, 4],
}

OUTPUTS = set(check_numerics.TOLERANCES) - {'rgb'}


@pytest.fixture
def contents() -> dict[str, object]:
    """Return what a small correct bundle holds: two frames of a random network of our own."""
    torch.manual_seed(0)
    ours = Network(config_architecture(CONFIG)).eval()
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    poses, states = [], [ours.initial_state()]
    with torch.inference_mode():
        for image in (torch.from_numpy(images).float() / 255 - 0.5) / 0.5:
            prediction, state = ours.step(image.movedim(-1, 0)[None], states[-1])
            states.append(state)
            poses.append(
                torch.cat([prediction.translation, prediction.quaternion_xyzw[:, [3, 0, 1, 2]]], 1)
            )
    run = {
        'name': 'r',
        'images': 'imgs',
        'frames': [0, 1],
        'update': 'ttt3r',
        'reset': None,
        'update_flags': None,
        'stored': ['pts3d_in_self_view'],
        'stored_frames': [1],
    }
    weights = {f'sd:{name}': tensor.numpy() for name, tensor in ours.state_dict().items()}
    return {
        'config': CONFIG,
        'runs': [run],
        'imgs': images,
        'r.camera_pose': torch.cat(poses).numpy(),
        'r.state': states[-1].tokens.detach().numpy(),
        'r.mem': states[-1].memory.detach().numpy(),
        'r.pts3d_in_self_view': prediction.points_camera.numpy(),
        **weights,
    }


@pytest.fixture
def write_bundle(tmp_path):
    """Return a function that writes contents to a file and returns its path as text."""

    def write(contents):
        path = tmp_path / 'bundle.npz'
        texts = {name: json.dumps(contents[name]) for name in ('config', 'runs')}
        np.savez(path, **{**contents, **texts})
        return str(path)

    return write


@pytest.fixture
def gated_run(shared_data, tmp_path) -> str:
    """Return the path of the reference bundle with its run `ttt3r` alone, for speed."""
    with np.load(shared_data / 'reference' / 'tiny_ref.npz') as file:
        arrays = dict(file)
    runs = [run for run in json.loads(str(arrays['runs'])) if run['name'] == 'ttt3r']
    path = tmp_path / 'gated.npz'
    np.savez(path, **{**arrays, 'runs': json.dumps(runs)})
    return str(path)


def beyond(printed: str) -> set[str]:
    """Return the outputs that were printed as beyond their tolerance."""
    rows = [line.split() for line in printed.splitlines()]
    return {row[1] for row in rows if row[-1] == 'BEYOND'}


def test_every_run_of_the_reference_bundle_holds(shared_data, capsys):
    bundle = shared_data / 'reference' / 'tiny_ref.npz'

    assert check_numerics.main([str(bundle)]) == 0

    printed = capsys.readouterr().out
    assert {line.split()[0] for line in printed.splitlines()[1:]} == {
        'cut3r',
        'ttt3r',
        'cut3r_reset3',
        'ttt3r_reset3',
        'ttt3r_noupdate2',
        'cut3r_portrait',
        'rgb',
        'demo_interval3',
    }
    assert len(printed.splitlines()) == 1 + 47
    assert not beyond(printed)


def use_tanh_gelu(monkeypatch):
    exact = functional.gelu
    monkeypatch.setattr(functional, 'gelu', lambda x: exact(x, approximate='tanh'))


def use_a_larger_norm_epsilon(monkeypatch):
    monkeypatch.setattr(layers, 'NORM_EPSILON', 1e-5)


def use_a_constant_gain(monkeypatch):
    def one_half(self, candidate, memory):
        return torch.full_like(candidate.match, 0.5), ()

    monkeypatch.setattr(state_update.Ttt3r, 'gain', one_half)


def put_the_pose_token_at_the_first_pixel(monkeypatch):
    monkeypatch.setattr(network, 'POSE_TOKEN_POSITION', 0)


def split_the_state_into_other_heads(monkeypatch):

    def with_two_state_heads(config):
        return config_architecture({**config, 'state_dec_num_heads': 2})

    monkeypatch.setattr(check_numerics, 'config_architecture', with_two_state_heads)


def lay_the_state_out_on_another_grid(monkeypatch):
    def in_one_row(self, device):
        index = torch.arange(self.architecture.state_tokens)
        return torch.stack([torch.zeros_like(index), index], dim=-1)

    monkeypatch.setattr(Network, '_state_positions', in_one_row)


def enlarge_without_aligned_corners(monkeypatch):
    def not_aligned(x, interpolate=functional.interpolate, **options):
        return interpolate(x, **{**options, 'align_corners': False})

    monkeypatch.setattr(heads, 'interpolate', not_aligned)


def rotate_the_encoder_in_float32(monkeypatch):
    def exact_rotation(self, x, turn):
        return rotate(x, turn)

    monkeypatch.setattr(attention.SelfAttention, '_rotate', exact_rotation)


RECURRENT = {'camera_pose', 'state', 'states', 'mem', 'mems'}


@pytest.mark.parametrize(
    ('mistake', 'not_noticed_by'),
    [
        (use_tanh_gelu, set()),
        (use_a_larger_norm_epsilon, set()),
        (use_a_constant_gain, set()),
        (put_the_pose_token_at_the_first_pixel, set()),
        (split_the_state_into_other_heads, set()),
        (lay_the_state_out_on_another_grid, set()),
        (enlarge_without_aligned_corners, RECURRENT),
        # It costs 6e-5 in the pose and 2e-4 in the state, but only some 1e-6 in the points.
        (rotate_the_encoder_in_float32, OUTPUTS - RECURRENT),
    ],
)
def test_a_typical_mistake_is_caught(gated_run, monkeypatch, capsys, mistake, not_noticed_by):
    mistake(monkeypatch)

    assert check_numerics.main([gated_run]) == 1

    assert beyond(capsys.readouterr().out) >= OUTPUTS - not_noticed_by


def test_a_bundle_of_other_sizes_is_replayed(contents, write_bundle, capsys):
    assert check_numerics.main([write_bundle(contents)]) == 0

    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [['r', name] for name in ('pts3d_in_self_view', 'camera_pose', 'state', 'mem')]


@pytest.mark.parametrize('value', [1.0, np.nan, np.inf])
@pytest.mark.parametrize('output', ['camera_pose', 'state', 'mem', 'pts3d_in_self_view'])
def test_one_wrong_number_fails(contents, write_bundle, capsys, output, value):
    wrong = contents[f'r.{output}'].copy()
    wrong.flat[-1] += value

    assert check_numerics.main([write_bundle({**contents, f'r.{output}': wrong})]) == 1

    assert beyond(capsys.readouterr().out) == {output}


def test_an_output_of_another_shape_fails(contents, write_bundle, capsys):
    cut = contents['r.state'][:, :-1]

    assert check_numerics.main([write_bundle({**contents, 'r.state': cut})]) == 1

    assert beyond(capsys.readouterr().out) == {'state'}


def without(name):
    return lambda contents: contents.pop(name)


def with_value(name, value):
    return lambda contents: contents.update({name: value})


def with_run(**changes):
    return lambda contents: contents['runs'][0].update(changes)


@pytest.mark.parametrize(
    ('damage', 'named'),
    [
        (without('imgs'), 'imgs'),
        (without('sd:pose_token'), 'pose_token'),
        (without('r.pts3d_in_self_view'), 'r.pts3d_in_self_view'),
        (with_value('sd:pose_token', np.zeros((1, 1, 31))), 'pose_token'),
        (with_value('sd:more', np.zeros(1)), 'more'),
        (with_value('config', []), 'config'),
        (with_value('config', {**CONFIG, 'enc_num_heads': 5}), 'heads'),
        (with_value('config', {**CONFIG, 'enc_depth': 'one'}), 'encoder_depth'),
        (with_value('config', {**CONFIG, 'pos_embed': 'cosine'}), 'pos_embed'),
        (with_value('runs', []), 'runs'),
        (with_value('runs', [{}]), 'name'),
        (with_value('imgs', np.zeros((2, 32, 32), np.uint8)), 'images'),
        (with_value('imgs', np.array([None])), 'allow_pickle'),
        (with_run(frames=[]), 'r'),
        (with_run(frames=[0, 7]), '7'),
        (with_run(reset=[True]), 'flag'),
        (with_run(update='other'), 'other'),
        (with_run(stored=['depth']), 'depth'),
        (with_run(stored_frames=[2]), 'stored'),
    ],
)
def test_a_malformed_bundle_gives_one_clear_line(contents, write_bundle, capsys, damage, named):
    damage(contents)

    assert_refused_in_one_line(write_bundle(contents), named, capsys)


def test_a_truncated_bundle_gives_one_clear_line(contents, write_bundle, capsys):
    path = Path(write_bundle(contents))
    path.write_bytes(path.read_bytes()[:-1000])

    assert_refused_in_one_line(str(path), 'no bundle', capsys)


def test_a_damaged_bundle_gives_one_clear_line(contents, write_bundle, capsys):
    path = Path(write_bundle(contents))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)

    assert_refused_in_one_line(str(path), 'CRC', capsys)


@pytest.mark.parametrize('content', [b'', b'a text', b'PK\x03\x04', b'\x80\x04N.'])
def test_a_file_that_is_no_bundle_gives_one_clear_line(tmp_path, capsys, content):
    path = tmp_path / 'other.npz'
    path.write_bytes(content)

    assert_refused_in_one_line(str(path), 'no bundle', capsys)


def test_a_single_array_gives_one_clear_line(tmp_path, capsys):
    np.save(tmp_path / 'array.npy', np.zeros(3))

    assert_refused_in_one_line(str(tmp_path / 'array.npy'), 'no bundle', capsys)


def test_a_missing_bundle_gives_one_clear_line(tmp_path, capsys):
    assert_refused_in_one_line(str(tmp_path / 'none.npz'), 'No such file', capsys)


def assert_refused_in_one_line(path, named, capsys):
    assert check_numerics.main([path]) == 1
    printed = capsys.readouterr()
    assert printed.out == ''
    assert len(printed.err.splitlines()) == 1
    assert path in printed.err
    assert named in printed.err
