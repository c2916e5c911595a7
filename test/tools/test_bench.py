# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from contextlib import redirect_stdout
from importlib.util import find_spec
import io
import json
import mmap

import numpy as np
import pytest
import torch

from ttt3r_ros.bench import memory
from ttt3r_ros.bench.network import count_gflop, NetworkChoice, random_weights
from ttt3r_ros.bench.timed_predictor import STAGES, TimedPredictor, WHOLE
from ttt3r_ros.model import Architecture, architecture, update_rule
from ttt3r_ros.model.predictor import Predictor
from ttt3r_ros.settings import ModelSettings
from ttt3r_ros.tools import bench
from ttt3r_ros.tools.main import main

CPU = torch.device('cpu')
FRAMES = 110


@pytest.fixture(scope='module')
def measured(tmp_path_factory):
    """Measure a tiny network; return what was printed and what was written."""
    path = tmp_path_factory.mktemp('bench') / 'bench.json'
    command = ['bench', '--random', 'tiny', '--device', 'cpu', '--resolution', '64x48']
    with redirect_stdout(io.StringIO()) as printed:
        assert main([*command, '--frames', str(FRAMES), '--json', str(path)]) == 0
    return printed.getvalue(), json.loads(path.read_text())


def test_every_stage_has_its_median_and_its_99th_percentile(measured):
    printed, record = measured

    message = ['message'] if find_spec('rclpy') else []
    around = ['decode', 'mapper', 'voxel map', *message, 'frame']
    assert sorted(record['stages']) == sorted([*around, *STAGES, WHOLE])
    for spread in record['stages'].values():
        assert 0 <= spread['median'] <= spread['p99']
    for row in ('decode (JPEG)', 'encoder', 'memory', 'voxel map', 'whole frame'):
        assert f'| {row} ' in printed


def test_the_stages_add_up_to_the_step(measured):
    stages = measured[1]['stages']

    # Medians of different frames, on a machine that may do other things meanwhile.
    total = sum(stages[name]['median'] for name in STAGES)
    assert 0.5 < total / stages[WHOLE]['median'] < 2


def test_the_cost_is_told_along_the_run_and_from_old_against_young_states(measured):
    record = measured[1]

    assert [cost['frame'] for cost in record['costs']] == [10, 100, FRAMES]
    assert record['fork']['frames'] == [100, FRAMES]
    young, old = record['fork']['milliseconds']
    assert record['fork']['ratio'] == pytest.approx(old / young, abs=1e-9)


def test_the_rate_is_a_part_of_that_of_a_matrix_product(measured):
    record = measured[1]

    assert 0 < record['part_of_peak'] < 1
    rate = record['gflop'] / record['stages'][WHOLE]['median'] * 1e3
    assert record['part_of_peak'] == pytest.approx(rate / record['peak_gflops'], abs=1e-9)


def test_random_weights_and_a_checkpoint_exclude_each_other(capsys):
    assert main(['bench', '--random', 'tiny', '--checkpoint', 'small']) == 1
    assert 'not both' in capsys.readouterr().err


def test_random_takes_the_name_of_every_preset():
    assert bench.PRESETS == architecture.PRESETS


def test_small_is_one_network_as_a_checkpoint_and_with_random_weights():
    shipped = NetworkChoice(ModelSettings(checkpoint='small', device='cpu'))
    network, _ = NetworkChoice(ModelSettings(device='cpu'), 'small').load()

    assert network.architecture == shipped.load()[0].architecture


def test_the_operations_are_those_that_were_counted_in_the_published_network():
    # Encoder, state decoder, image decoder, memory read and write, one dense head.
    counted = 381 + 207 + 166 + 5 + 35 + 140

    assert count_gflop(Architecture.published_512(), 512, 288) == pytest.approx(
        counted, abs=0.01 * counted
    )


def test_a_timed_step_computes_what_the_product_computes():
    network = random_weights(Architecture.tiny(), CPU, 'strict')
    rule = update_rule('ttt3r')
    plain = Predictor(network, device=CPU, rule=rule)
    timed = TimedPredictor(network, None, device=CPU, rule=rule)
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8)

    state, timed_state = plain.initial_state(), timed.initial_state()
    for image, timed.staged in zip(images, (False, True, True)):
        prediction, state = plain.step(image, state)
        told, timed_state = timed.step(image, timed_state)
        np.testing.assert_array_equal(told.points_camera, prediction.points_camera)
        np.testing.assert_array_equal(told.world_T_camera, prediction.world_T_camera)
        assert told.gain_mean == prediction.gain_mean
    assert torch.equal(timed_state.tokens, state.tokens)
    assert torch.equal(timed_state.memory, state.memory)
    assert [len(timed.times[name]) for name in (WHOLE, *STAGES)] == [1] + [2] * 6
    assert min(timed.times['memory']) > 0


@pytest.mark.parametrize(
    ('precision', 'dtypes'),
    [
        ('fast', {torch.float32, torch.bfloat16}),
        pytest.param('int8', {torch.float32, torch.bfloat16, torch.int8}, marks=pytest.mark.int8),
    ],
)
def test_random_weights_are_always_the_same_and_give_finite_numbers(precision, dtypes):
    one, two = (random_weights(Architecture.tiny(), CPU, precision) for _ in range(2))
    predictor = Predictor(one, device=CPU)

    prediction, _ = predictor.step(np.zeros((48, 64, 3), np.uint8), predictor.initial_state())

    here, there = one.state_dict(), two.state_dict()
    assert all(torch.equal(here[name], there[name]) for name in here)
    assert {tensor.dtype for tensor in here.values()} == dtypes
    assert np.isfinite(prediction.points_camera).all()


def test_the_peak_of_memory_can_begin_anew():
    memory.restart_peak()
    before = memory.peak_resident()
    with mmap.mmap(-1, 64 * 2**20) as pages:  # malloc need not give a freed block back
        pages.write(bytes(len(pages)))
        assert memory.peak_resident() - before > 60 * 2**20

    memory.restart_peak()

    assert memory.peak_resident() - before < 32 * 2**20
    assert memory.resident() <= memory.peak_resident()
