# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ttt3r_ros.errors import UserError
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.model import Architecture, FramePrediction, HeadSelection, Network, update_rule
from ttt3r_ros.model.checkpoint import CheckpointError, CheckpointInfo, save_checkpoint
from ttt3r_ros.model.predictor import (
    choose_device,
    load_predictor,
    Predictor,
    random_network,
    to_host,
)
from ttt3r_ros.settings import ModelSettings, TrackingSettings

RANDOM = ModelSettings(checkpoint='random', device='cpu', precision='strict')


def photographs(count, height=32, width=48):
    return np.random.default_rng(3).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def matrix_from_quaternion(x, y, z, w):
    """Return the rotation of a quaternion by its textbook formula."""
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def a_prediction(**changes):
    torch.manual_seed(0)
    prediction = FramePrediction(
        gain=torch.tensor([[0.25, 0.5, 0.75, 0.1]]),
        points_camera=torch.randn(1, 2, 3, 3),
        confidence=1 + torch.rand(1, 2, 3),
        translation=torch.tensor([[1.0, 2.0, 3.0]]),
        quaternion_xyzw=torch.tensor([[0.0, 0.0, 0.6, 0.8]]),
    )
    return replace(prediction, **changes)


@pytest.mark.parametrize('name', ['cut3r', 'ttt3r', 'brake', 'filt3r'])
def test_the_host_gets_what_the_network_says(tiny_network, name):
    predictor = Predictor(tiny_network, rule=update_rule(name, 0.5))
    state, network_state = predictor.initial_state(), tiny_network.initial_state()

    for rgb in photographs(3):
        host, state = predictor.step(rgb, state)

        image = torch.tensor(rgb.transpose(2, 0, 1)[None] / 127.5 - 1, dtype=torch.float32)
        expected, network_state = tiny_network.step(
            image, network_state, rule=update_rule(name, 0.5)
        )
        # A key that falls to the other side of a float16 moves points of 3 m by up to 1e-4.
        np.testing.assert_allclose(host.points_camera, expected.points_camera[0], atol=1e-3)
        np.testing.assert_allclose(host.confidence, expected.confidence[0], atol=1e-3)
        quaternion = expected.quaternion_xyzw[0].numpy().astype(np.float64)
        rotation = matrix_from_quaternion(*quaternion)
        np.testing.assert_allclose(host.world_T_camera[:3, :3], rotation, atol=1e-3)
        np.testing.assert_allclose(host.world_T_camera[:3, 3], expected.translation[0], atol=1e-3)
        assert host.world_T_camera[3].tolist() == [0, 0, 0, 1]
        np.testing.assert_allclose(host.gain_mean, expected.gain.numpy().mean(), atol=1e-5)
    assert state.frames_seen == 3


def test_the_host_gets_the_documented_shapes_and_types(tiny_network):
    predictor = Predictor(tiny_network)

    host, _ = predictor.step(photographs(1, 48, 32)[0], predictor.initial_state())

    assert (host.points_camera.shape, host.points_camera.dtype) == ((48, 32, 3), np.float32)
    assert (host.confidence.shape, host.confidence.dtype) == ((48, 32), np.float32)
    assert (host.world_T_camera.shape, host.world_T_camera.dtype) == ((4, 4), np.float64)
    assert type(host.gain_mean) is float


def test_a_frame_reaches_the_host_in_one_copy(tiny_network, monkeypatch):
    predictor = Predictor(tiny_network)
    copies = []
    to_cpu = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, 'cpu', lambda self: copies.append(1) or to_cpu(self))
    monkeypatch.setattr(torch.Tensor, 'item', lambda self: pytest.fail('a second copy'))
    monkeypatch.setattr(torch.Tensor, 'tolist', lambda self: pytest.fail('a second copy'))

    predictor.step(photographs(1)[0], predictor.initial_state())

    assert copies == [1]


def test_images_of_any_memory_layout_are_understood(tiny_network):
    predictor = Predictor(tiny_network)
    rgb = photographs(1)[0]
    mirrored = rgb[:, ::-1]

    from_view, _ = predictor.step(mirrored, predictor.initial_state())
    from_copy, _ = predictor.step(mirrored.copy(), predictor.initial_state())

    np.testing.assert_array_equal(from_view.points_camera, from_copy.points_camera)


def test_a_step_leaves_the_state_it_was_given_for_another_try(tiny_network):
    predictor = Predictor(tiny_network, rule=update_rule('filt3r'))
    first, second = photographs(2)
    _, state = predictor.step(first, predictor.initial_state())

    once, _ = predictor.step(second, state)
    again, _ = predictor.step(second, state)

    np.testing.assert_array_equal(once.points_camera, again.points_camera)
    np.testing.assert_array_equal(once.world_T_camera, again.world_T_camera)


def test_a_frame_can_be_looked_at_without_being_written(tiny_network):
    predictor = Predictor(tiny_network)
    first, second = photographs(2)
    _, state = predictor.step(first, predictor.initial_state())

    written, _ = predictor.step(second, state)
    looked, after = predictor.step(second, state, write=False)

    np.testing.assert_array_equal(looked.points_camera, written.points_camera)
    assert torch.equal(after.tokens, state.tokens)
    assert looked.gain_mean == 0


def test_a_known_pose_becomes_its_matrix():
    host = to_host(a_prediction())

    # A turn about z with cosine 0.8^2 - 0.6^2 and sine 2 * 0.6 * 0.8.
    expected = [[0.28, -0.96, 0, 1], [0.96, 0.28, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(host.world_T_camera, expected, atol=1e-6)
    assert host.gain_mean == pytest.approx(0.4, abs=1e-6)


@pytest.mark.parametrize(
    'changes',
    [
        {'translation': torch.tensor([[0.0, torch.nan, 0.0]])},
        {'translation': torch.tensor([[0.0, 0.0, torch.inf]])},
        {'quaternion_xyzw': torch.tensor([[torch.nan, 0.0, 0.0, 1.0]])},
        {'quaternion_xyzw': torch.zeros(1, 4)},
    ],
)
def test_a_pose_that_is_none_gives_nan_and_no_exception(changes):
    prediction = a_prediction(**changes)

    host = to_host(prediction)

    assert np.isnan(host.world_T_camera).all()
    np.testing.assert_array_equal(host.points_camera, prediction.points_camera[0])


def test_a_network_gone_wrong_gives_nan_and_no_exception(make_network):
    network = make_network()
    network.pose_token.fill_(torch.nan)
    predictor = Predictor(network)

    host, _ = predictor.step(photographs(1)[0], predictor.initial_state())

    assert np.isnan(host.world_T_camera).all()


def test_a_prediction_without_points_or_pose_is_the_callers_mistake(tiny_network):
    prediction, _ = tiny_network.step(
        torch.zeros(1, 3, 32, 32),
        tiny_network.initial_state(),
        outputs=HeadSelection(points=False),
    )

    with pytest.raises(ValueError, match='points were not computed'):
        to_host(prediction)


def test_a_predictor_tells_how_images_must_be_fitted(make_network, tiny_network):
    square = make_network(replace(tiny_network.architecture, square_crop=True))

    predictor = Predictor(square)

    assert predictor.patch == 16
    assert predictor.fit(640, 480) == ImageFit.for_image(640, 480, 64, 16, square_crop=True)
    assert Predictor(tiny_network).fit(640, 480) == ImageFit.for_image(640, 480, 64, 16)


def test_a_predictor_names_its_weights(tiny_network, tmp_path):
    path = tmp_path / 'w.safetensors'
    path.write_bytes(b'abc')
    info = CheckpointInfo('w', path, tiny_network.architecture, {})

    assert Predictor(tiny_network).checkpoint_name == 'random'
    assert Predictor(tiny_network).checkpoint_sha256 == ''
    assert Predictor(tiny_network, info).checkpoint_name == 'w'
    # The SHA-256 of the three letters, from the standard's own examples (FIPS 180-2).
    digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    assert Predictor(tiny_network, info).checkpoint_sha256 == digest


# Settings


def test_the_random_checkpoint_is_the_same_every_time():
    rgb = photographs(1)[0]
    hosts = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        predictor = load_predictor(RANDOM)
        hosts.append(predictor.step(rgb, predictor.initial_state())[0])

    np.testing.assert_array_equal(hosts[0].points_camera, hosts[1].points_camera)
    np.testing.assert_array_equal(hosts[0].world_T_camera, hosts[1].world_T_camera)


@pytest.mark.parametrize('precision', ['strict', 'fast'])
def test_making_random_weights_does_not_disturb_other_random_numbers(precision):
    torch.manual_seed(5)
    expected = torch.rand(4)

    torch.manual_seed(5)
    random_network(torch.device('cpu'), precision)

    assert torch.equal(torch.rand(4), expected)


@pytest.mark.gpu
def test_making_random_weights_does_not_disturb_the_random_numbers_of_the_gpu():
    torch.manual_seed(5)
    expected = torch.rand(4, device='cuda')

    torch.manual_seed(5)
    random_network(torch.device('cuda'), 'strict')

    assert torch.equal(torch.rand(4, device='cuda'), expected)


def test_the_rule_and_its_scale_come_from_the_settings():
    frames = photographs(2)
    gains = []
    for scale in (1.0, 0.5):
        predictor = load_predictor(replace(RANDOM, gain_scale=scale))
        _, state = predictor.step(frames[0], predictor.initial_state())
        gains.append(predictor.step(frames[1], state)[0].gain_mean)

    assert 0 < gains[0] < 1
    assert gains[1] == pytest.approx(gains[0] / 2, abs=1e-6)


def test_fast_precision_uses_bfloat16_and_strict_does_not():
    cpu = torch.device('cpu')

    fast, strict = (random_network(cpu, precision) for precision in ('fast', 'strict'))

    assert torch.bfloat16 in {parameter.dtype for parameter in fast.parameters()}
    assert {parameter.dtype for parameter in strict.parameters()} == {torch.float32}


@pytest.mark.parametrize('name', ['tpu', 'cuda:x', 'cuda:-1', 'cpu:x', '', 'CUDA'])
def test_an_unknown_device_is_refused_with_the_names_that_exist(name):
    with pytest.raises(UserError, match=r'is not one of auto, cpu, cuda, cuda:N'):
        load_predictor(replace(RANDOM, device=name))


@pytest.mark.parametrize('name', ['cuda', 'cuda:0', 'cuda:3'])
def test_a_gpu_that_is_not_there_is_refused_with_what_to_do(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)

    with pytest.raises(UserError, match=rf'{name} was asked for.* 0 CUDA devices.*--device cpu'):
        load_predictor(replace(RANDOM, device=name))


def test_a_gpu_beyond_the_last_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)

    assert choose_device('cuda:1') == torch.device('cuda:1')
    with pytest.raises(UserError, match='2 CUDA devices'):
        choose_device('cuda:2')


@pytest.mark.parametrize(('available', 'device'), [(True, 'cuda'), (False, 'cpu')])
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch, available, device):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: available)

    assert choose_device('auto') == torch.device(device)


def test_an_unknown_rule_is_refused():
    with pytest.raises(UserError, match=r"update_rule must be one of .*, not 'other'"):
        load_predictor(replace(RANDOM, update_rule='other'))


def test_a_missing_checkpoint_file_is_refused():
    with pytest.raises(UserError, match=r'no checkpoint file nowhere\.safetensors'):
        load_predictor(replace(RANDOM, checkpoint='nowhere.safetensors'))


@pytest.mark.parametrize(
    ('metadata', 'asked', 'given'),
    [({}, -1, 0), ({'reset_interval': '10'}, -1, 10), ({'reset_interval': '10'}, 0, 0)],
)
def test_a_checkpoint_may_advise_segments_and_the_user_decides(tmp_path, metadata, asked, given):
    path, sizes = tmp_path / 'advising.safetensors', Architecture.tiny()
    save_checkpoint(path, Network(sizes), sizes, metadata)
    predictor = load_predictor(ModelSettings(checkpoint=str(path)))

    assert predictor.advise(TrackingSettings(reset_interval=asked)).reset_interval == given


@pytest.mark.parametrize(
    ('rule', 'asked', 'scale'),
    [('ttt3r', -1.0, 0.5), ('ttt3r', 1.0, 1.0), ('ttt3r', 0.25, 0.25), ('brake', -1.0, 1.0)],
)
def test_a_checkpoint_may_advise_a_gain_for_a_rule_and_the_user_decides(
    tmp_path, rule, asked, scale
):
    path, sizes = tmp_path / 'advising.safetensors', Architecture.tiny()
    save_checkpoint(path, Network(sizes), sizes, {'gain_scale.ttt3r': '0.5'})
    frames, gains = photographs(2), []
    for given in (asked, 1.0):
        settings = ModelSettings(checkpoint=str(path), update_rule=rule, gain_scale=given)
        predictor = load_predictor(settings)
        _, state = predictor.step(frames[0], predictor.initial_state())
        gains.append(predictor.step(frames[1], state)[0].gain_mean)

    assert gains[0] == pytest.approx(scale * gains[1], abs=1e-6)


@pytest.mark.parametrize('advice', ['much', 'nan', '2', '-0.5'])
def test_advice_that_is_no_factor_is_refused(tmp_path, advice):
    path, sizes = tmp_path / 'advising.safetensors', Architecture.tiny()
    save_checkpoint(path, Network(sizes), sizes, {'gain_scale.ttt3r': advice})

    with pytest.raises(CheckpointError, match=f"gain_scale.ttt3r='{advice}'"):
        load_predictor(ModelSettings(checkpoint=str(path)))


def test_advice_that_is_no_number_is_refused(tmp_path):
    path, sizes = tmp_path / 'advising.safetensors', Architecture.tiny()
    save_checkpoint(path, Network(sizes), sizes, {'reset_interval': 'often'})
    predictor = load_predictor(ModelSettings(checkpoint=str(path)))

    with pytest.raises(CheckpointError, match="reset_interval='often'"):
        predictor.advise(TrackingSettings())
