# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A short real run of the training, from the command line to a checkpoint that loads."""

import json

import numpy as np
import pytest
import torch

from training.clips import ClipPool, ClipSettings, draw_clip_spec, render_on_cpu, render_on_cuda
from training.presets import PRESETS
from training.run import Run
from training.train import main
from training.validate import validate, validation_clips
from ttt3r_ros.model import Network, update_rule
from ttt3r_ros.model.checkpoint import (
    load_network,
    read_info,
    resolve_checkpoint,
    save_checkpoint,
)

CPU = torch.device('cpu')
SETTINGS = ClipSettings(families='S', width=32, height=16, length=12)


def rows(folder, kind):
    lines = (folder / 'log.jsonl').read_text().splitlines()
    return [row for row in map(json.loads, lines) if row['kind'] == kind]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Train a few seconds on two families, stop, go on with one of them and larger images."""
    folder, rules = tmp_path_factory.mktemp('run'), []
    common = ['--preset', 'tiny', '--minutes', '0.16', '--device', 'cpu', '--out', str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            'training.run.update_rule', lambda name: rules.append(name) or update_rule(name)
        )
        assert main([*common, '--family', 'SL', '--until', '0.08']) == 0
        first = rows(folder, 'validation')[-1]
        assert first['seconds'] < 0.13 * 60
        assert main([*common, '--family', 'S', '--resolution', '96x64', '--resume']) == 0
    return folder, first['frames'], rules


def test_a_run_goes_on_where_it_stopped(trained):
    folder, frames_of_first_part, _ = trained
    checks = rows(folder, 'validation')

    assert frames_of_first_part > 0
    assert checks[-1]['frames'] > frames_of_first_part
    assert checks[-1]['seconds'] >= 0.16 * 60
    assert (folder / 'log.png').stat().st_size > 1000


def test_every_step_draws_one_of_the_rules_of_the_recipe(trained):
    _, _, rules = trained

    # The draws have a seed, so that both are among the first ones, however few there is time for.
    assert set(rules) == {'cut3r', 'ttt3r'} == set(PRESETS['tiny'].rules)


def test_what_it_exports_is_a_checkpoint_of_the_product(trained):
    folder, frames_of_first_part, _ = trained
    network, info = load_network(folder / 'best.safetensors', 'cpu', 'strict')

    assert info.metadata['licence'] == 'Apache-2.0'
    assert f'(of families: {frames_of_first_part} of SL at 64x48, ' in info.metadata['training']
    assert ' of S at 96x64)' in info.metadata['training']
    assert '--family S --resolution 96x64 --resume' in info.metadata['command']
    assert 'simulated worlds only' in info.metadata['note']
    assert json.loads(info.metadata['validation'])['S']['depth_scaled'] > 0
    assert info.architecture.image_size == 96
    with torch.no_grad():
        predicted, _ = network.step(torch.zeros(1, 3, 64, 96), network.initial_state())
    assert torch.isfinite(predicted.points_camera).all()
    assert not any('flow' in name for name in network.state_dict())


def a_checkpoint(folder, architecture):
    torch.manual_seed(3)
    network, path = Network(architecture), folder / 'before.safetensors'
    save_checkpoint(path, network.state_dict(), architecture, {})
    return path, network.eval()


def test_training_on_begins_with_the_weights_and_exports_only_better_ones(tmp_path):
    """The command for the first GPU, on a CPU with a tiny network: six seconds of it."""
    path, before = a_checkpoint(tmp_path, PRESETS['tiny'].architecture)
    options = ['--preset', 'tiny', '--minutes', '0.1', '--device', 'cpu', '--out', str(tmp_path)]

    assert main([*options, '--begin-with', str(path), '--check-every', '3', '--workers', '0']) == 0

    settings = ClipSettings('S', PRESETS['tiny'].width, PRESETS['tiny'].height)
    expected = validate(before, validation_clips(settings, count=8)['S'], CPU)
    checks = [row for row in rows(tmp_path, 'validation') if row['family'] == 'S']
    # The network trains in bfloat16.
    assert checks[0]['depth_scaled'] == pytest.approx(
        expected.depth_scaled, abs=0.02 * expected.depth_scaled
    )
    assert checks[0]['frames'] == 0 < checks[-1]['frames']
    parts = list(tmp_path.glob('resume-*.part'))
    assert parts
    assert max(part.stat().st_size for part in parts) <= 16_000_000


def test_training_on_exports_nothing_that_is_worse(tmp_path):
    path, _ = a_checkpoint(tmp_path, PRESETS['tiny'].architecture)
    run = Run(PRESETS['tiny'], 'S', 0.1, tmp_path, CPU, 1, '')
    run.begin_with(path)
    run._validate = lambda validation: ({}, 1.0)
    run.best_score = run._validate({})[1]

    run._check({})

    assert not (tmp_path / 'best.safetensors').exists()


def test_training_on_needs_a_network_of_the_preset(tmp_path, capsys):
    path, _ = a_checkpoint(tmp_path, PRESETS['tiny'].architecture)
    options = ['--preset', 'small', '--minutes', '1', '--device', 'cpu', '--out', str(tmp_path)]

    assert main([*options, '--begin-with', str(path)]) == 1

    assert 'is no network of the preset: tiny' in capsys.readouterr().err


def test_the_preset_that_trains_on_is_of_the_checkpoint_that_ships():
    assert read_info(resolve_checkpoint('small')).architecture == PRESETS['more'].architecture


def test_resuming_nothing_is_refused_in_one_line(tmp_path, capsys):
    assert main(['--preset', 'tiny', '--minutes', '1', '--out', str(tmp_path), '--resume']) == 1

    assert capsys.readouterr().err.startswith('training: error: nothing to resume')


def test_images_that_are_no_whole_number_of_patches_are_refused(tmp_path, capsys):
    options = ['--preset', 'tiny', '--minutes', '1', '--out', str(tmp_path)]

    assert main([*options, '--resolution', '100x64']) == 1

    assert 'multiples of 16' in capsys.readouterr().err


def test_a_seed_always_gives_the_same_clip():
    first, again, other = (
        render_on_cpu(draw_clip_spec('L', seed, SETTINGS)) for seed in (5, 5, 6)
    )

    assert torch.equal(first.rgb, again.rgb)
    np.testing.assert_array_equal(first.world_T_camera, again.world_T_camera)
    assert not torch.equal(first.rgb, other.rgb)


def test_the_pool_stays_bounded_and_renews_itself():
    pool = ClipPool(SETTINGS, capacity=3, seed=1, reuse=1.0, workers=0, device=CPU)
    rng = np.random.default_rng(0)
    drawn = [pool.draw(4, 3, rng) for _ in range(10)]

    assert len(pool.clips) == 3
    assert all(len(clip.rgb) == 3 for batch in drawn for clip in batch)
    # 120 frames drawn at one use each: ten clips of 12 frames were made, of which 3 are kept.
    assert pool.frames_rendered == pytest.approx(120, abs=12)


@pytest.mark.gpu
def test_clips_rendered_on_the_gpu_equal_those_of_the_cpu_and_stay_on_the_gpu():
    spec = draw_clip_spec('L', 5, SETTINGS)
    expected, clip = render_on_cpu(spec), render_on_cuda(spec)

    assert clip.rgb.device.type == clip.depth.device.type == 'cuda'
    apart = (clip.rgb.cpu().int() - expected.rgb.int()).abs()
    assert (apart <= 3).float().mean() > 0.99
    torch.testing.assert_close(
        clip.depth.cpu().median(), expected.depth.median(), rtol=0, atol=1e-5
    )
