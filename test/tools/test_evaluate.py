# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import shutil

import cv2
import numpy as np
import pytest

from ttt3r_ros.tools.main import main


@pytest.fixture
def paths(tmp_path):
    """Create a true path, and an estimate of it at half the size with stamps 10 ms off."""
    estimate, truth = tmp_path / 'estimate', tmp_path / 'truth'
    estimate.mkdir()
    truth.mkdir()
    corners = [(0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 1)]
    (truth / 'groundtruth.txt').write_text(
        ''.join(f'{i} {x} {y} {z} 0 0 0 1\n' for i, (x, y, z) in enumerate(corners))
    )
    (estimate / 'trajectory.txt').write_text(
        ''.join(f'{i}.01 {x / 2} {y / 2} {z / 2} 0 0 0 1\n' for i, (x, y, z) in enumerate(corners))
    )
    return estimate, truth


def write_depth(folder, name, metres, per_metre):
    folder.mkdir(exist_ok=True)
    (folder.parent / 'camera.json').write_text(json.dumps({'depth_scale_per_m': per_metre}))
    cv2.imwrite(str(folder / name), np.round(np.asarray(metres) * per_metre).astype(np.uint16))


def test_evaluate_prints_the_errors_and_writes_them_with_a_plot(paths, tmp_path, capsys):
    numbers, plot = tmp_path / 'errors.json', tmp_path / 'errors.png'

    code = main(['evaluate', *map(str, paths), '--json', str(numbers), '--plot', str(plot)])

    assert code == 0
    printed = capsys.readouterr().out
    assert '4 matched of 4' in printed
    assert printed.endswith(f'next: open {plot}\n')
    assert 'scale 2.0000' in printed
    assert 'doubt: the estimate is 2 times smaller' in printed
    record = json.loads(numbers.read_text())
    assert record['align'] == 'se3'
    assert record['ate_m']['rmse'] == pytest.approx(record['static_ate_m'] / 2, abs=1e-9)
    assert record['sim3']['scale'] == pytest.approx(2.0, abs=1e-9)
    assert record['sim3']['ate_m']['rmse'] < 1e-9
    assert record['path_groundtruth_m'] == pytest.approx(4 + 5**0.5, abs=1e-9)
    assert cv2.imread(str(plot)).shape[1] > 800


def test_a_scale_that_is_not_aligned_shows_as_an_error(paths, tmp_path):
    numbers = tmp_path / 'errors.json'

    main(['evaluate', *map(str, paths), '--align', 'none', '--json', str(numbers)])

    # Each position is half of the true one: squared distances 0, 1, 2 and 1.25.
    assert json.loads(numbers.read_text())['ate_m']['rmse'] == pytest.approx(
        ((0 + 1 + 2 + 1.25) / 4) ** 0.5, abs=1e-9
    )


def test_stamps_too_far_apart_end_with_one_clear_line(paths, capsys):
    code = main(['evaluate', *map(str, paths), '--max-difference', '0.005'])

    assert code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith('ttt3r evaluate: error: only 0 poses')


def test_depth_is_compared_metric_and_scaled(paths, tmp_path):
    truth = np.linspace(1, 4, 12).reshape(3, 4)
    for i in range(2):
        write_depth(paths[0] / 'depth', f'{i:06d}.png', truth / 2, 1000)
        write_depth(paths[1] / 'depth', f'{i:06d}.png', truth, 5000)
    numbers = tmp_path / 'errors.json'
    depth = ['--depth-estimate', paths[0] / 'depth', '--depth-groundtruth', paths[1] / 'depth']

    main(['evaluate', *map(str, [*paths, *depth]), '--json', str(numbers)])

    record = json.loads(numbers.read_text())['depth']
    assert record['images'] == 2
    assert record['metric']['abs_rel'] == pytest.approx(0.5, abs=1e-3)
    assert record['metric']['delta_1_25'] == pytest.approx(0.0, abs=1e-9)
    assert record['scaled']['scale'] == pytest.approx(2.0, abs=1e-3)
    assert record['scaled']['abs_rel'] < 1e-3
    assert record['scaled']['delta_1_25'] == pytest.approx(1.0, abs=1e-9)


def test_depth_of_an_unknown_unit_is_refused(paths, tmp_path, capsys):
    for path in paths:
        write_depth(path / 'depth', '0.png', np.ones((2, 2)), 1000)
        (path / 'camera.json').unlink()
    depth = ['--depth-estimate', paths[0] / 'depth', '--depth-groundtruth', paths[1] / 'depth']

    assert main(['evaluate', *map(str, [*paths, *depth])]) == 1
    assert 'depth_scale_per_m' in capsys.readouterr().err


def test_a_plot_into_a_missing_folder_is_refused_and_nothing_is_left(paths, tmp_path, capsys):
    assert main(['evaluate', *map(str, paths), '--plot', str(tmp_path / 'no' / 'a.png')]) == 1
    assert 'cannot write' in capsys.readouterr().err


def test_several_estimates_are_told_apart_in_numbers_and_plot(paths, tmp_path, capsys):
    estimate, truth = paths
    other = tmp_path / 'other'
    other.mkdir()
    shutil.copy(truth / 'groundtruth.txt', other / 'trajectory.txt')
    numbers, plot = tmp_path / 'errors.json', tmp_path / 'errors.svg'

    options = ['--json', str(numbers), '--plot', str(plot)]
    assert main(['evaluate', str(estimate), str(other), str(truth), *options]) == 0

    assert '== estimate' in capsys.readouterr().out
    ours, theirs = json.loads(numbers.read_text())['estimates']
    assert (ours['name'], theirs['name']) == ('estimate', 'other')
    assert theirs['ate_m']['rmse'] < 1e-9 < ours['ate_m']['rmse']
    assert plot.read_text().startswith('<?xml')


def test_a_plot_of_an_unknown_format_is_refused(paths, tmp_path, capsys):
    assert main(['evaluate', *map(str, paths), '--plot', str(tmp_path / 'a.bmp')]) == 1
    assert '.png, .svg, .pdf' in capsys.readouterr().err
