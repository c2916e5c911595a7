# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Everything off that the published demo does not have, and a line that says what is on."""

import json

import cv2
import numpy as np
import pytest

from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.tools.main import main


@pytest.fixture
def sequence(tmp_path):
    """Create a calibrated sequence of four images with odometry."""
    folder = tmp_path / 'sequence'
    (folder / 'frames').mkdir(parents=True)
    rng = np.random.default_rng(1)
    for i in range(4):
        pixels = np.kron(rng.integers(0, 255, (12, 16, 3)), np.ones((10, 10, 1))).astype(np.uint8)
        cv2.imwrite(str(folder / 'frames' / f'{i:06d}.png'), pixels)
    (folder / 'timestamps.txt').write_text(''.join(f'{i} {i}.0\n' for i in range(4)))
    camera = CameraIntrinsics.from_field_of_view(160, 120, 70.0).to_record()
    mount = [[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0.5], [0, 0, 0, 1]]
    (folder / 'camera.json').write_text(json.dumps({**camera, 'base_T_camera': mount}))
    (folder / 'odometry.txt').write_text(''.join(f'{i} 0 0 0 0 0 0 1\n' for i in range(4)))
    return folder


def mapped(sequence, output, capsys, *options):
    words = ['--checkpoint', 'random', '--max-speed', '1000', '--max-turn-rate', '100000']
    assert main(['map', str(sequence), '--output', str(output), *words, *options]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if 'published' in line]
    return told, json.loads((output / 'summary.json').read_text())


def test_what_is_on_is_said(sequence, tmp_path, capsys):
    told, _ = mapped(sequence, tmp_path / 'out', capsys, '--reset-interval', '3')

    assert told == [
        'on, beyond the published demo: segments of 3 frames, features with key frames and loops, '
        'guard, calibration, odometry (--as-published: none of it)'
    ]


def test_as_published_switches_all_of_it_off(sequence, tmp_path, capsys):
    told, summary = mapped(sequence, tmp_path / 'out', capsys, '--as-published')

    assert len(told) == 1
    assert told[0].startswith('as published: no segments')
    tracking, model = summary['settings']['tracking'], summary['settings']['model']
    assert (tracking['reset_interval'], tracking['front_end']) == (0, 'network')
    assert (tracking['guard'], model['gain_scale']) == (False, 1.0)
    assert summary['focal_from'] == 'estimate'
    assert summary['odometry'].startswith('no odometry')


def test_an_option_that_was_given_stays(sequence, tmp_path, capsys):
    options = ['--as-published', '--reset-interval', '2']
    options += ['--intrinsics', str(sequence / 'camera.json')]
    told, summary = mapped(sequence, tmp_path / 'out', capsys, *options)

    assert 'segments of 2 frames, calibration (' in told[0]
    assert summary['segments'] == 2
    assert summary['focal_from'] == 'calibration'
