# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Every rule against its formula, written again with numpy and one token at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ttt3r_ros.errors import UserError
from ttt3r_ros.model import update_rule
from ttt3r_ros.model.state_update import Candidate, RULES, Scaled

FRAMES, BATCH, TOKENS, WIDTH = 12, 2, 5, 6


def logistic(x):
    return 1 / (1 + np.exp(-x))


def simulate(name, proposed, match, scale=1.0):
    """
    Run one sequence by the formulas.

    :param proposed: (T, S, D) float64, the first frame being a fresh one. match: (T, S).
    :returns: (T, S) gains and (T, S, D) states after each frame.
    """
    count, tokens, _ = proposed.shape
    state = proposed[0].copy()
    last_step = [None] * tokens
    variance, average = np.full(tokens, 1.5), None
    gains, states = [np.ones(tokens)], [state.copy()]
    for t in range(1, count):
        change = np.sqrt(((proposed[t] - proposed[t - 1]) ** 2).sum(axis=1))
        average = change.mean() if average is None else 0.95 * average + 0.05 * change.mean()
        gain = np.ones(tokens)
        for i in range(tokens):
            step = proposed[t, i] - state[i]
            match_gain = logistic(match[t, i])
            if name == 'ttt3r':
                gain[i] = match_gain
            elif name == 'brake':
                last = last_step[i]
                cosine = 0 if last is None else step @ last / np.sqrt(step @ step * (last @ last))
                gain[i] = match_gain * logistic(-cosine)
                last_step[i] = step
            elif name == 'filt3r':
                noise = 0.02 + 0.48 * logistic(20 * (change[i] / average - 3))
                predicted = variance[i] + noise
                gain[i] = min(max(predicted / (predicted + 1), 0.01), 0.99)
                variance[i] = (1 - gain[i]) ** 2 * predicted + gain[i] ** 2
        gain = scale * gain
        state = state + gain[:, None] * (proposed[t] - state)
        gains.append(gain)
        states.append(state.copy())
    return np.array(gains), np.array(states)


def run_rule(rule, proposed, match):
    """Write frame after frame as the network does: (T, B, S) gains, (T, B, S, D) states."""
    state, memory = proposed[0], rule.start(proposed[0])
    gains, states = [torch.ones_like(match[0])], [state]
    for candidate, logits in zip(proposed[1:], match[1:]):
        gain, memory = rule.gain(Candidate(state, candidate, logits), memory)
        state = state + gain[..., None] * (candidate - state)
        gains.append(gain)
        states.append(state)
    return torch.stack(gains), torch.stack(states)


def candidates(seed):
    """Return a slow drift with jumps of single tokens, as a still and a moving camera would."""
    rng = np.random.default_rng(seed)
    steps = 0.1 * rng.normal(size=(FRAMES, BATCH, TOKENS, WIDTH))
    steps[4, 0, 2] *= 30
    steps[7, 1, :2] *= 30
    proposed = rng.normal(size=(1, BATCH, TOKENS, WIDTH)) + steps.cumsum(axis=0)
    return proposed, 2 * rng.normal(size=(FRAMES, BATCH, TOKENS))


@pytest.mark.parametrize('scale', [1.0, 0.5, 0.33])
@pytest.mark.parametrize('name', RULES)
def test_a_rule_writes_as_its_formula_says(name, scale):
    proposed, match = candidates(seed=1)

    gains, states = run_rule(
        update_rule(name, scale), torch.from_numpy(proposed), torch.from_numpy(match)
    )

    for b in range(BATCH):
        expected_gains, expected_states = simulate(name, proposed[:, b], match[:, b], scale)
        np.testing.assert_allclose(gains[:, b], expected_gains, atol=1e-12)
        np.testing.assert_allclose(states[:, b], expected_states, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('name', RULES)
def test_gains_lie_between_zero_and_one_whatever_comes(name):
    torch.manual_seed(0)
    proposed = 10 ** (8 * torch.rand(20, 1, 50, 1) - 4) * torch.randn(20, 1, 50, 3)
    proposed[5] = proposed[4]  # a frame that changes nothing
    proposed[9] = 0

    gains, states = run_rule(update_rule(name), proposed, 50 * torch.randn(20, 1, 50))

    assert (gains >= 0).all()
    assert (gains <= 1).all()
    assert states.isfinite().all()


def test_filt3r_settles_where_its_variance_does_and_opens_on_a_jump():
    time = torch.arange(300.0)[:, None, None, None]
    proposed = 0.1 * time + torch.zeros(300, 1, 4, 3)  # every token drifts alike
    proposed[200:, :, 1] += 50

    gains, _ = run_rule(update_rule('filt3r'), proposed, torch.zeros(300, 1, 4))

    # With the noise of a change that is average, P settles where P = (1 - K)^2 (P + q) + K^2.
    variance, noise = 1.5, 0.02 + 0.48 * logistic(20 * (1 - 3))
    for _ in range(1000):
        gain = (variance + noise) / (variance + noise + 1)
        variance = (1 - gain) ** 2 * (variance + noise) + gain**2
    assert gains[199, 0].tolist() == pytest.approx([gain] * 4, abs=1e-5)
    opened = (variance + 0.5) / (variance + 0.5 + 1)
    assert gains[200, 0].tolist() == pytest.approx([gain, opened, gain, gain], abs=1e-5)


def test_brake_halves_the_gain_where_no_direction_is_known():
    proposed, match = torch.randn(2, 1, 4, 3), torch.randn(2, 1, 4)

    gains, _ = run_rule(update_rule('brake'), proposed, match)

    torch.testing.assert_close(gains[1], match[1].sigmoid() / 2, rtol=0, atol=1e-6)


def test_brake_damps_going_on_and_lets_turning_back_pass():
    rule = update_rule('brake')
    memory = (torch.tensor([[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]]),)
    proposed = torch.tensor([[[3.0, 0.0], [0.0, 2.0], [-1.0, 0.0]]])
    candidate = Candidate(torch.zeros_like(proposed), proposed, torch.zeros(1, 3))

    gain, _ = rule.gain(candidate, memory)

    expected = [0.5 * logistic(-1), 0.5 * 0.5, 0.5 * logistic(1)]
    np.testing.assert_allclose(gain[0], expected, atol=1e-6)


def test_a_scale_of_one_leaves_the_rule_as_published():
    assert update_rule('ttt3r') == update_rule('ttt3r', 1.0)
    assert update_rule('ttt3r', 0.5) == Scaled(update_rule('ttt3r'), 0.5)


def test_an_unknown_rule_is_refused_with_the_names_that_exist():
    with pytest.raises(UserError, match=r"'ttsa3r'.*cut3r, ttt3r, brake, filt3r"):
        update_rule('ttsa3r')
