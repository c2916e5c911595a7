# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Steps that OpenVINO computes are those of torch, and torch takes over where it cannot."""

from dataclasses import replace
import logging
import os

import numpy as np
import pytest
import torch

from ttt3r_ros.errors import UserError
from ttt3r_ros.model import Architecture, Network, openvino_step, update_rule
from ttt3r_ros.model.openvino_step import drop_oldest, exportable, MOST_GRAPHS, OpenVinoStep
from ttt3r_ros.model.predictor import load_predictor, Predictor
from ttt3r_ros.model.recorded_step import RecordingRefused
from ttt3r_ros.settings import ModelSettings

RANDOM = ModelSettings(checkpoint='random', device='cpu')
RULES = ('ttt3r', 'cut3r', 'brake', 'filt3r')
# With a pose memory, and a head of convolutions. Not rounded to float16 on the way, where the last
# bit of a float32 makes a difference of 1e-3.
SIZES = replace(Architecture.tiny(), half_rotation=False)
with torch.random.fork_rng(devices=[]):
    torch.manual_seed(0)
    NETWORK = Network(SIZES).eval().requires_grad_(False)


def image(number, height=48, width=64):
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    """Skip where OpenVINO is missing; return a folder in which graphs are cached."""
    pytest.importorskip('openvino', reason='needs the package openvino')
    return tmp_path_factory.mktemp('cache')


@pytest.fixture
def step(cache, monkeypatch):
    """Return a step of OpenVINO with the rule ttt3r."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
    return OpenVinoStep(NETWORK, update_rule('ttt3r'), 'weights')


def assert_within_range(found, wanted):
    """Compare within 1e-5 of the range."""
    span = float(wanted.max() - wanted.min()) if wanted.size else 0.0
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * max(span, 1.0))


def assert_same_steps(compiled, plain, images, writes):
    """Compare the predictions and states of two predictors over a segment."""
    a, b = compiled.initial_state(), plain.initial_state()
    for rgb, write in zip(images, writes):
        found, a = compiled.step(rgb, a, write)
        wanted, b = plain.step(rgb, b, write)
        assert compiled.recorded
        assert_within_range(found.points_camera, wanted.points_camera)
        assert_within_range(found.confidence, wanted.confidence)
        assert_within_range(found.world_T_camera, wanted.world_T_camera)
        assert found.gain_mean == pytest.approx(wanted.gain_mean, abs=1e-5)
        assert a.frames_seen == b.frames_seen
        assert len(a.rule_memory) == len(b.rule_memory)
        for one, other in zip(
            (a.tokens, a.memory, *a.rule_memory), (b.tokens, b.memory, *b.rule_memory)
        ):
            assert_within_range(one.numpy(), other.numpy())


@pytest.mark.parametrize('name', RULES)
def test_points_poses_and_states_are_those_of_torch(step, name):
    rule = update_rule(name)
    step._rule = rule
    compiled = Predictor(NETWORK, rule=rule, compiled=step)
    plain = Predictor(NETWORK, rule=rule)

    images = [image(number) for number in range(4)]
    assert_same_steps(compiled, plain, images, [True] * 4)
    assert_same_steps(compiled, plain, images, [False, True, False, True])


def test_a_state_is_a_value_that_later_steps_do_not_change(step):
    compiled = Predictor(NETWORK, compiled=step)
    _, first = compiled.step(image(0), compiled.initial_state())
    kept = first.clone()

    found, _ = compiled.step(image(1), first)
    points = found.points_camera.copy()
    again, _ = compiled.step(image(2), first)
    once_more, _ = compiled.step(image(1), first)

    assert torch.equal(first.tokens, kept.tokens)
    assert torch.equal(first.memory, kept.memory)
    np.testing.assert_array_equal(found.points_camera, points)
    assert not np.allclose(again.points_camera, points, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(once_more.points_camera, points)


def test_a_graph_is_converted_once(step, monkeypatch):
    step(image(0), NETWORK.initial_state(), True)
    monkeypatch.setattr(OpenVinoStep, '_convert', lambda *_: pytest.fail('converted again'))

    OpenVinoStep(NETWORK, update_rule('cut3r'), 'weights')(image(0), NETWORK.initial_state(), True)

    with pytest.raises(pytest.fail.Exception):
        OpenVinoStep(NETWORK, update_rule('cut3r'), 'other')(image(0), NETWORK.initial_state(), 1)


def test_a_damaged_file_is_made_anew(step, monkeypatch, tmp_path, caplog):
    step(image(0), NETWORK.initial_state(), True)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    path = step._folder(48, 64) / 'step.xml'
    path.parent.mkdir(parents=True)
    path.write_text('<net')
    fresh = OpenVinoStep(NETWORK, update_rule('ttt3r'), 'weights')
    monkeypatch.setattr(OpenVinoStep, '_convert', refuse)

    with pytest.raises(RecordingRefused):
        fresh(image(0), NETWORK.initial_state(), True)

    assert 'made anew' in caplog.text
    assert not path.exists()


@pytest.mark.int8
def test_int8_is_close_to_that_of_torch(cache, monkeypatch):
    """Both round weights and inputs; OpenVINO only where the processor multiplies int8."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
    network = Network(SIZES).eval().requires_grad_(False)
    network.load_state_dict(NETWORK.state_dict())
    network.use_precision('int8_float32', torch.device('cpu'))
    compiled = Predictor(network, compiled=OpenVinoStep(network, update_rule('ttt3r'), 'weights'))
    plain, exact = Predictor(network), Predictor(NETWORK)
    states = [each.initial_state() for each in (compiled, plain, exact)]
    errors = []
    for number in range(4):
        told = []
        for index, each in enumerate((compiled, plain, exact)):
            prediction, states[index] = each.step(image(number), states[index])
            told.append(prediction.points_camera)
        errors.append([np.abs(points - told[2]).mean() for points in told[:2]])

    assert compiled.recorded
    of_openvino, of_torch = np.mean(errors, axis=0)
    assert 0 < of_openvino < 2 * of_torch


@pytest.mark.slow
def test_the_shipped_checkpoint_maps_the_same_points(cache, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
    settings = ModelSettings(device='cpu', precision='strict')
    compiled = load_predictor(settings)
    plain = load_predictor(replace(settings, runtime='torch'))

    images = [image(number, 160, 224) for number in range(3)]
    assert_same_steps(compiled, plain, images, [True] * 3)


# ---- without OpenVINO


def test_only_the_newest_graphs_are_kept(tmp_path):
    for number in range(12):
        (tmp_path / f'{number}').mkdir()
        (tmp_path / f'{number}' / 'step.xml').write_text('')
        os.utime(tmp_path / f'{number}', (number, number))

    drop_oldest(tmp_path)

    kept = sorted(int(folder.name) for folder in tmp_path.iterdir())
    assert kept == list(range(12 - MOST_GRAPHS, 12))


def refuse(*_):
    raise RuntimeError('no such operation')


def test_torch_takes_over_where_a_graph_cannot_be_made(monkeypatch, caplog):
    monkeypatch.setattr(openvino_step, 'is_installed', lambda: True)
    monkeypatch.setattr(OpenVinoStep, '_compile', refuse)
    compiled = load_predictor(replace(RANDOM, runtime='openvino'))
    plain = load_predictor(replace(RANDOM, runtime='torch'))

    with caplog.at_level(logging.WARNING):
        found, _ = compiled.step(image(0), compiled.initial_state())

    wanted, _ = plain.step(image(0), plain.initial_state())
    np.testing.assert_array_equal(found.points_camera, wanted.points_camera)
    assert 'OpenVINO: no such operation' in caplog.text
    assert not compiled.recorded


def test_a_runtime_that_is_not_installed_is_an_error_with_the_command(monkeypatch):
    monkeypatch.setattr(openvino_step, 'is_installed', lambda: False)

    with pytest.raises(UserError, match=r'pip install -r requirements/openvino\.txt'):
        load_predictor(replace(RANDOM, runtime='openvino'))


def test_bfloat16_is_not_computed_by_openvino(monkeypatch):
    monkeypatch.setattr(openvino_step, 'is_installed', lambda: True)

    with pytest.raises(UserError, match='precision strict or int8'):
        load_predictor(replace(RANDOM, runtime='openvino', precision='fast'))
    assert not load_predictor(ModelSettings(device='cpu', precision='fast')).recorded


@pytest.mark.int8
def test_int8_is_computed_by_openvino_where_that_is_asked_for(monkeypatch):
    monkeypatch.setattr(openvino_step, 'is_installed', lambda: True)

    assert load_predictor(replace(RANDOM, runtime='openvino', precision='int8')).recorded
    assert not load_predictor(ModelSettings(device='cpu', precision='int8')).recorded


@pytest.mark.int8
@torch.inference_mode()
def test_what_is_exported_shares_its_weights_and_rounds_no_inputs():
    network = Network(SIZES).eval().requires_grad_(False)
    network.use_precision('int8_float32', torch.device('cpu'))
    shared = {tensor.data_ptr() for tensor in network.state_dict().values() if tensor.numel()}

    exported = exportable(network)

    theirs = [tensor for tensor in exported.state_dict().values() if tensor.numel()]
    assert {tensor.data_ptr() for tensor in theirs} == shared
    layer, rounded = (each.enc_blocks[0].mlp.fc1 for each in (network, exported))
    x = torch.randn(1, 5, SIZES.encoder_width)
    # The weights as they were rounded, times the numbers as they are.
    expected = x @ (layer.weight.float() * layer.scale[:, None]).T + layer.bias
    torch.testing.assert_close(rounded(x), expected, rtol=0, atol=1e-5)
    assert exportable(NETWORK) is NETWORK


@pytest.mark.parametrize('installed', [True, False])
def test_auto_takes_it_for_the_sizes_where_it_is_the_fastest(monkeypatch, installed):
    monkeypatch.setattr(openvino_step, 'is_installed', lambda: installed)

    assert openvino_step.pays(Architecture.small()) is installed
    assert not openvino_step.pays(Architecture.published_512())
    assert load_predictor(ModelSettings(device='cpu')).recorded is installed
    assert not load_predictor(ModelSettings(device='cpu', runtime='torch')).recorded
    assert not load_predictor(RANDOM).recorded
