# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The curve of a training run finds a law that is there and says how well it predicts."""

import json

import numpy as np
from PIL import Image
import pytest

from benchmark.accuracy.__main__ import main
from benchmark.accuracy.curve import curves_of, steady

FRAMES = np.geomspace(10_000, 500_000, 20)
STILL = 4  # the first checks at which the network does not see motion yet


def rows(exponent=0.3, bend=1.0):
    """Return log rows: no motion, then errors by a law, the last third times `bend`."""
    later = len(FRAMES) - (len(FRAMES) - STILL) // 3
    factor = np.where(np.arange(len(FRAMES)) < later, 1.0, bend)
    error = 5 * FRAMES**-exponent * factor
    moves = np.arange(len(FRAMES)) >= STILL
    return [
        {
            'kind': 'validation',
            'family': 'S',
            'frames': int(frames),
            'depth_scaled': value if moving else 0.5,
            'rotation_deg': 4 * value if moving else 4.0,
            'still_deg': 4.0,
            'ate_fraction': value if moving else 0.3,
        }
        for frames, value, moving in zip(FRAMES, error, moves)
    ]


def test_a_power_law_is_found_behind_the_time_without_motion():
    curves = curves_of(rows(exponent=0.3), 'S')
    assert len(curves) == 3
    for curve in curves:
        assert curve.begin == STILL
        assert curve.law.exponent == pytest.approx(0.3, abs=1e-3)
        assert curve.law.at(1e6) == pytest.approx(5 * 1e6**-0.3, abs=1e-4)
        assert curve.surprise == pytest.approx(1.0, abs=1e-3)


def test_a_last_third_that_is_worse_than_foretold_is_told():
    # The law of the first two thirds foretells two thirds of what came.
    curves = curves_of(rows(bend=1.5), 'S')
    assert len(curves) == 3
    for curve in curves:
        assert curve.surprise == pytest.approx(1 / 1.5, abs=1e-2)


def test_too_few_checks_with_motion_have_no_law():
    assert curves_of(rows()[: STILL + 5], 'S') == []


def test_a_single_bad_check_does_not_move_the_line():
    errors = np.full(20, 0.3)
    errors[10] = 2.0

    np.testing.assert_allclose(steady(errors), 0.3, atol=1e-12)


def test_a_line_falls_with_its_errors():
    errors = np.linspace(1.0, 0.0, 41)

    # In the middle the median of a straight line is the line.
    np.testing.assert_allclose(steady(errors)[5:-5], errors[5:-5], atol=1e-12)


def test_the_curve_of_a_log_is_drawn_and_tabulated(tmp_path):
    log = tmp_path / 'log.jsonl'
    log.write_text(''.join(json.dumps(row) + '\n' for row in rows()))
    arguments = ['--checkpoint', 'random', '--part', 'curve', '--families', 'S']
    assert main([*arguments, '--log', str(log), '--out', str(tmp_path)]) == 0
    text = (tmp_path / 'curve.details.md').read_text()
    # 5 * (10 M frames) ** -0.3, and a warning.
    assert '0.040 |' in text
    assert 'Do not trust it far' in text
    assert min(Image.open(tmp_path / 'error_by_frames.png').size) > 300
