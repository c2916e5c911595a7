# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The network in training is the network that ships."""

import io

import pytest
import torch

from training.learner import compile_blocks, DetachedGain, initialise, Learner
from training.optimizer import Optimizer
from ttt3r_ros.model import Architecture, Network, update_rule
from ttt3r_ros.model.state_update import Candidate


@pytest.mark.parametrize('name', ['cut3r', 'ttt3r'])
def test_a_sequence_in_training_equals_the_same_frames_one_by_one(name):
    torch.manual_seed(0)
    learner = Learner(Architecture.tiny()).eval()
    images = torch.rand(2, 3, 3, 48, 64) * 2 - 1
    rule = update_rule(name)

    with torch.no_grad():
        sequence = learner(images, rule, dense=[0, 2], memory_frames=2)
        state = learner.network.initial_state(2)
        for t in range(3):
            predicted, state = learner.network.step(images[:, t], state, rule=rule)
            torch.testing.assert_close(
                sequence.translation[:, t], predicted.translation, rtol=0, atol=1e-5
            )
            torch.testing.assert_close(
                sequence.quaternion_xyzw[:, t], predicted.quaternion_xyzw, rtol=0, atol=1e-5
            )
            if t in (0, 2):
                slot = t // 2
                torch.testing.assert_close(
                    sequence.points[:, slot], predicted.points_camera, rtol=0, atol=1e-5
                )
                torch.testing.assert_close(
                    sequence.confidence[:, slot], predicted.confidence, rtol=0, atol=1e-5
                )


def test_the_gain_of_a_rule_has_no_gradient_in_training():
    state, proposed = torch.zeros(1, 2, 4), torch.ones(1, 2, 4)
    match = torch.tensor([[0.0, 3.0]], requires_grad=True)
    candidate = Candidate(state, proposed, match)

    attached, _ = update_rule('ttt3r').gain(candidate, ())
    detached, _ = DetachedGain(update_rule('ttt3r')).gain(candidate, ())

    torch.testing.assert_close(detached, attached.detach(), rtol=0, atol=1e-5)
    assert attached.requires_grad
    assert not detached.requires_grad


def test_the_mean_match_of_all_frames_but_the_first_has_a_gradient():
    torch.manual_seed(0)
    learner = Learner(Architecture.tiny())
    images = torch.rand(2, 3, 3, 48, 64) * 2 - 1
    detached = DetachedGain(update_rule('ttt3r'))

    predicted = learner(images, update_rule('ttt3r'), dense=[0], memory_frames=8).match
    predicted.backward()

    with torch.no_grad():
        state = learner.network.initial_state(2)
        for t in range(3):
            _, state = learner.network.step(images[:, t], state, rule=detached)
    assert len(detached.matches) == 2
    torch.testing.assert_close(
        predicted.detach(), torch.stack(detached.matches).mean(), rtol=0, atol=1e-5
    )
    for block in learner.network.dec_blocks_state:
        assert block.cross_attn.projk.bias.grad.abs().max() > 0


def test_no_gradient_goes_further_back_than_it_may():
    torch.manual_seed(0)
    learner = Learner(Architecture.tiny())

    def gradient_at_first_image(memory_frames):
        images = (torch.rand(1, 4, 3, 32, 32) * 2 - 1).requires_grad_()
        predicted = learner(images, update_rule('cut3r'), dense=[3], memory_frames=memory_frames)
        predicted.translation[:, 3].sum().backward()
        return images.grad[:, 0].abs().max()

    assert gradient_at_first_image(memory_frames=4) > 0
    assert gradient_at_first_image(memory_frames=2) == 0


def test_an_untrained_network_says_two_metres_and_no_motion():
    torch.manual_seed(0)
    network = Network(Architecture.small())
    initialise(network)

    with torch.no_grad():
        predicted, _ = network.step(torch.rand(1, 3, 96, 128) * 2 - 1, network.initial_state())

    assert 1.0 < predicted.points_camera[..., 2].mean() < 4.0
    assert predicted.translation.norm() < 0.3
    assert predicted.quaternion_xyzw[0, 3] > 0.98


def model_of_two_layers():
    """Create a model with one matrix for each of the two optimizers."""
    model = torch.nn.Module()
    model.dec_blocks = torch.nn.ModuleList([torch.nn.Linear(4, 4)])
    model.last = torch.nn.Linear(4, 4, bias=False)
    return model


def test_small_steps_add_up_in_the_master_weights_of_a_bfloat16_network():
    model = model_of_two_layers().to(torch.bfloat16)
    with torch.no_grad():
        model.last.weight.fill_(1.0)
    optimizer = Optimizer(model, rate=1e-4, weight_decay=0.0)

    for _ in range(100):
        model.last.weight.sum().backward()
        optimizer.step(1.0)

    # Adam moves by its rate a step: 1 - 100 * 1e-4. One such step is lost in bfloat16.
    torch.testing.assert_close(
        optimizer.masters['last.weight'], torch.full((4, 4), 0.99), atol=1e-4, rtol=0
    )
    assert model.last.weight.dtype == torch.bfloat16
    assert model.last.weight.float().max() < 1.0


def test_a_gradient_that_is_not_finite_changes_nothing():
    model = model_of_two_layers()
    optimizer = Optimizer(model, rate=0.1)
    before = model.last.weight.detach().clone()

    (model.last.weight.sum() * float('nan')).backward()
    optimizer.step(1.0)

    assert torch.equal(model.last.weight.detach(), before)


def test_a_run_that_was_saved_goes_on_as_if_it_never_stopped():
    torch.manual_seed(0)
    straight, stopped = model_of_two_layers(), model_of_two_layers()
    stopped.load_state_dict(straight.state_dict())

    def go_on(model, optimizer, steps):
        for step in steps:
            inputs = torch.full((1, 4), 0.1 * step)
            model.last(model.dec_blocks[0](inputs)).square().sum().backward()
            optimizer.step(1.0)

    go_on(straight, Optimizer(straight, rate=0.01), range(6))
    first = Optimizer(stopped, rate=0.01)
    go_on(stopped, first, range(3))
    saved = io.BytesIO()
    torch.save(first.state_dict(), saved)
    saved.seek(0)
    resumed = model_of_two_layers()
    second = Optimizer(resumed, rate=0.01)
    second.load_state_dict(torch.load(saved, weights_only=True))
    go_on(resumed, second, range(3, 6))

    torch.testing.assert_close(resumed.state_dict(), straight.state_dict(), rtol=0, atol=1e-5)


def test_training_starts_with_a_gain_that_is_neither_open_nor_shut():
    torch.manual_seed(0)
    network = Network(Architecture.small())
    initialise(network)
    gains = []

    with torch.no_grad():
        state = network.initial_state()
        for image in torch.rand(3, 1, 3, 96, 128) * 2 - 1:
            predicted, state = network.step(image, state, rule=update_rule('ttt3r'))
            gains.append(predicted.gain)

    assert 0.2 < torch.stack(gains[1:]).mean() < 0.8


def test_compiled_blocks_compute_the_same_for_sequences_of_any_size():
    torch.manual_seed(0)
    learner = Learner(Architecture.tiny())
    rule = update_rule('cut3r')
    inputs = [torch.rand(b, t, 3, 32, 48) * 2 - 1 for b, t in ((2, 3), (3, 2))]

    def gradients():
        found = []
        for images in inputs:
            predicted = learner(images, rule, dense=[1], memory_frames=8)
            (
                predicted.points.sum() + predicted.translation.sum() + predicted.flow.sum()
            ).backward()
            found.append([p.grad.clone() for p in learner.parameters() if p.grad is not None])
            learner.zero_grad()
        return found

    plain = gradients()
    # Traces as for a GPU, whole blocks at a time, and leaves out the code generator.
    compile_blocks(learner.network, backend='eager')
    for one, other in zip(plain, gradients()):
        for a, b in zip(one, other):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
