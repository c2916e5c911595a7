# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Update rules side by side: what is run, in which order, and what is written."""

import csv
from html.parser import HTMLParser
import json
import shutil

import cv2
import numpy as np
import pytest

from ttt3r_ros.evaluation.errors import errors_of
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.tools import comparison_run
from ttt3r_ros.tools.compare import chosen_variants
from ttt3r_ros.tools.comparison_maps import draw_map_of
from ttt3r_ros.tools.comparison_run import RunResult
from ttt3r_ros.tools.main import main
from ttt3r_ros.trajectory import read_trajectory, Trajectory

FAST = ['--checkpoint', 'random', '--max-speed', '1000', '--max-turn-rate', '100000']


@pytest.fixture(scope='module')
def drive(tmp_path_factory):
    folder = tmp_path_factory.mktemp('compare') / 'drive'
    options = ['--seconds', '2', '--image-rate', '4', '--width', '128', '--height', '96']
    assert main(['simulate', '--output', str(folder), *options]) == 0
    return folder


def compared(drive, output, *options):
    return main(['compare', str(drive), '--output', str(output), *FAST, *options])


def table_of(output):
    with (output / 'compare.csv').open() as file:
        return {row['run']: row for row in csv.DictReader(file)}


class Page(HTMLParser):
    """Collect what a page refers to, and the cells of its table."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.links, self.cells, self._in_cell = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if 'src' in named:
            self.sources.append(named['src'])
        if tag == 'a':
            self.links.append(named['href'])
        self._in_cell = tag == 'td'

    def handle_data(self, data):
        if self._in_cell:
            self.cells.append(data)
            self._in_cell = False


@pytest.fixture(scope='module')
def output(drive, tmp_path_factory):
    folder = tmp_path_factory.mktemp('compare') / 'rules'
    options = ['--rules', 'cut3r,ttt3r', '--segments', '0,3', '--as-published']
    assert compared(drive, folder, *options) == 0
    return folder


def test_every_rule_comes_with_every_length_of_segments(output):
    assert list(table_of(output)) == [
        'cut3r_0', 'ttt3r_0', 'cut3r_3', 'ttt3r_3', 'camera that never moves',
    ]  # fmt: skip
    for name, rule, interval in (('cut3r_0', 'cut3r', 0), ('ttt3r_3', 'ttt3r', 3)):
        settings = json.loads((output / name / 'summary.json').read_text())['settings']
        assert settings['model']['update_rule'] == rule
        assert settings['tracking']['reset_interval'] == interval
        assert settings['tracking']['front_end'] == 'network'


def test_the_numbers_are_those_of_the_files(output, drive):
    row = table_of(output)['ttt3r_0']
    estimate = read_trajectory(output / 'ttt3r_0' / 'trajectory.txt')
    truth = read_trajectory(drive / 'groundtruth.txt')

    errors = errors_of(estimate, truth)

    assert float(row['ate_se3_m']) == pytest.approx(errors.ate.rmse, abs=1e-6)
    assert float(row['rpe_deg']) == pytest.approx(errors.rpe_rotation.rmse, abs=1e-4)
    assert int(row['frames']) == len(truth.poses) == 8
    assert float(row['abs_rel']) > 0
    positions = truth.poses[:, :3, 3]
    spread = np.sqrt(np.mean(np.sum((positions - positions.mean(axis=0)) ** 2, axis=1)))
    still = table_of(output)['camera that never moves']
    assert float(still['ate_se3_m']) == pytest.approx(spread, abs=1e-9)


def test_only_depth_with_a_truth_is_written(output, drive):
    written = {path.name for path in (output / 'ttt3r_0' / 'depth').glob('*.png')}
    assert written == {path.name for path in (drive / 'depth').glob('*.png')}


def test_the_page_needs_nothing_but_itself(output):
    page = Page((output / 'index.html').read_text())

    assert len(page.sources) == 1 + 4  # the plot, and a map for each run
    assert all(source.startswith('data:image/png;base64,') for source in page.sources)
    assert 'ttt3r_3' in page.cells
    assert len(page.links) >= 4
    assert all((output / link).exists() for link in page.links)
    assert json.loads((output / 'compare.json').read_text())['common_images'] == 8


def test_paths_that_come_from_features_are_told_to_hide_the_rules(drive, tmp_path, capsys):
    few = ['--rules', 'cut3r,ttt3r', '--max-frames', '3']
    for folder, options, told in (('a', [], True), ('b', ['--as-published'], False)):
        assert compared(drive, tmp_path / folder, *few, *options) == 0
        assert ('doubt: features, key frames' in capsys.readouterr().out) == told
        page = (tmp_path / folder / 'index.html').read_text()
        assert ('<p class="doubt">features, key frames' in page) == told


def test_a_map_is_drawn_without_holes_between_its_voxels():
    """Voxels of 5 cm on a floor of 4 by 4 m; dots of one size would leave gaps."""
    x, y = np.meshgrid(np.arange(0.025, 4, 0.05), np.arange(0.025, 4, 0.05))
    points = np.stack([x.ravel(), y.ravel(), 0 * x.ravel() - 1], axis=1).astype(np.float32)
    green = np.tile(np.array([0, 160, 0], np.uint8), (len(points), 1))
    cloud = VoxelCloud(points, green, np.ones(len(points), np.float32))
    path = Trajectory(np.zeros(1, np.int64), np.eye(4)[None])
    summary = {'settings': {'map': {'voxel_size': 0.05}}}

    png = draw_map_of(
        RunResult('a', path, cloud, summary, None),
        None,
        np.array([[-1, -1], [5, 5]]),
        ('red', '-'),
    )

    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).astype(int)
    is_green = (picture[..., 1] > 90) & (picture[..., [0, 2]] < 90).all(axis=-1)
    rows, columns = np.flatnonzero(is_green.any(axis=1)), np.flatnonzero(is_green.any(axis=0))
    inside = is_green[rows[0] : rows[-1], columns[0] : columns[-1]]
    assert len(rows) > 200
    assert inside.mean() > 0.9


def test_without_a_truth_speed_and_maps_are_compared(drive, tmp_path):
    video = tmp_path / 'video.mp4'
    shutil.copy(drive / 'video.mp4', video)

    assert compared(video, tmp_path / 'out', '--rules', 'cut3r', '--max-frames', '3') == 0

    (row,) = table_of(tmp_path / 'out').values()
    assert set(row) == {'run', 'frames', 'fps', 'path_m'}
    assert not (tmp_path / 'out' / 'errors.png').exists()
    assert len(Page((tmp_path / 'out' / 'index.html').read_text()).sources) == 1


def test_a_map_in_3d_is_linked_where_there_is_one(drive, tmp_path, monkeypatch):
    write = comparison_run.MappingRun.write

    def with_page(self, folder, *given):
        (folder / 'map.html').write_text('a page of the viewer')
        return write(self, folder, *given)

    monkeypatch.setattr(comparison_run.MappingRun, 'write', with_page)
    assert compared(drive, tmp_path / 'out', '--rules', 'cut3r', '--max-frames', '3') == 0

    links = Page((tmp_path / 'out' / 'index.html').read_text()).links
    assert links == ['cut3r/', 'cut3r/map.html']


def test_nothing_of_an_earlier_comparison_is_used_again(drive, tmp_path, capsys):
    (tmp_path / 'cut3r').mkdir()
    assert compared(drive, tmp_path) == 1
    assert 'is not empty' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['cut3r']


def test_a_run_that_is_cut_short_is_not_compared(drive, tmp_path, monkeypatch, capsys):
    map_images = comparison_run.MappingRun.map

    def interrupted(self, source, step, most, depth, folder, stop):
        map_images(self, source, step, most, depth, folder, stop)
        stop.signal_number = 2 if folder.name == 'ttt3r' else 0

    monkeypatch.setattr(comparison_run.MappingRun, 'map', interrupted)

    assert compared(drive, tmp_path / 'out', '--rules', 'cut3r,ttt3r', '--max-frames', '4') == 130

    assert '1 of 2 runs were not finished' in capsys.readouterr().out
    assert list(table_of(tmp_path / 'out')) == ['cut3r', 'camera that never moves']


def test_a_truth_that_cannot_be_compared_costs_no_run(drive, tmp_path, capsys):
    (tmp_path / 'other.txt').write_text(
        ''.join(f'{i}.5 0 0 {i} 0 0 0 1\n' for i in range(99, 104))
    )
    options = ['--rules', 'cut3r', '--max-frames', '2', '--truth', str(tmp_path / 'other.txt')]

    assert compared(drive, tmp_path / 'out', *options) == 0

    assert 'no errors: only 0 poses' in capsys.readouterr().out
    assert (tmp_path / 'out' / 'cut3r' / 'map.ply').is_file()


def test_all_rules_of_one_length_come_before_the_next_length():
    assert chosen_variants('cut3r,brake', 'auto,10') == [
        ('cut3r', -1), ('brake', -1), ('cut3r', 10), ('brake', 10),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--rules', 'ttt4r'], 'must be one of cut3r'),
        (['--segments', 'few'], 'no numbers of frames'),
        (['--segments=-3'], '--segments is -3'),
        (['--rules', 'cut3r,cut3r'], 'twice'),
        (['--truth', 'missing.txt'], 'there is no file'),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_written(drive, tmp_path, capsys, options, said):
    output = tmp_path / 'out'
    assert compared(drive, output, *options) == 1
    assert said in capsys.readouterr().err
    assert not output.exists()
