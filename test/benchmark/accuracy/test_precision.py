# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What fast options cost is measured rightly, and judged."""

from dataclasses import replace
import json
import math

import pytest
import torch

from benchmark.accuracy import precision
from benchmark.accuracy.errors import Mean
from benchmark.accuracy.precision import ate_ratio, Found, OPTIONS, StepErrors, STRICT, verdict
from ttt3r_ros.model import FramePrediction, RecurrentState


@pytest.mark.parametrize('sign', [1, -1])
def test_one_step_is_compared_in_metres_degrees_and_parts(sign):
    angle = math.radians(0.01)
    points = torch.tensor([[[[0.0, 0.0, 2.0], [3.0, 0.0, 4.0]]]])
    exact = FramePrediction(
        gain=torch.tensor([[0.5, 0.2]]),
        points_camera=points,
        confidence=points[..., 0],
        translation=torch.tensor([[1.0, 0.0, 0.0]]),
        quaternion_xyzw=torch.tensor([[0.0, 0.0, 0.0, 1.0]]),
    )
    rough = FramePrediction(
        gain=torch.tensor([[0.5, 0.3]]),
        points_camera=points * 1.01,
        confidence=points[..., 0],
        translation=torch.tensor([[1.0, 0.03, 0.04]]),
        quaternion_xyzw=sign
        * torch.tensor([[0.0, math.sin(angle / 2), 0.0, math.cos(angle / 2)]]),
    )
    state = RecurrentState(torch.zeros(1, 2, 4), torch.zeros(1, 0, 8))

    errors = StepErrors.of((exact, state), (rough, replace(state, tokens=state.tokens + 2)))

    assert errors.translation == pytest.approx(0.05, abs=1e-6)
    assert errors.rotation == pytest.approx(0.01, abs=1e-5)
    assert errors.points == pytest.approx(0.01, abs=1e-5)
    assert errors.gain == pytest.approx(0.1, abs=1e-6)
    assert errors.tokens == pytest.approx(2, abs=1e-6)


def test_paths_are_compared_over_all_sequences():
    found = [
        Found(option, sequence, {0: ate}, [])
        for option, sequence, ate in [
            (STRICT, 'a', 1.0),
            (STRICT, 'b', 3.0),
            ('fast', 'a', 1.2),
            ('fast', 'b', 3.0),
        ]
    ]

    # Cochran's standard error of a ratio of two means of two.
    value = 4.2 / 4
    off = [1.2 - value, 3.0 - 3 * value]
    spread = math.sqrt(sum(x**2 for x in off) / 2) / 2
    assert ate_ratio(found, 'fast', 0) == pytest.approx((value, spread), abs=1e-9)


@pytest.mark.parametrize(
    ('value', 'error', 'says'),
    [
        (0.9, 0.5, 'within 2 %'),
        (1.02, 0.0, 'within 2 %'),
        (1.05, 0.02, 'above 2 %, within twice its error'),
        (1.05, 0.01, 'above 2 %: off by default'),
        (1.05, math.nan, 'above 2 %: off by default'),
    ],
)
def test_an_option_is_judged_by_its_worst_ratio(value, error, says):
    assert verdict([Mean(1.0, 0.0), Mean(value, error)]) == says


@pytest.mark.int8
def test_every_option_is_measured_from_end_to_end(tmp_path, capsys):
    path = tmp_path / 'precision.json'
    command = ['--random', 'tiny', '--device', 'cpu', '--frames', '5', '--sequences', '1']
    assert precision.main([*command, '--families', 'S', '--json', str(path)]) == 0

    printed = capsys.readouterr().out
    for option in OPTIONS:
        assert printed.count(f'| {option} ') == 2
    found = json.loads(path.read_text())['found']
    assert len(found) == (1 + len(OPTIONS)) * 2  # sequences: robot and hand
    exact, *rough = (
        max(s['points'] for f in found if f['option'] == option for s in f['steps'])
        for option in OPTIONS
    )
    assert exact < 1e-5 < min(rough) < max(rough) < 0.1
