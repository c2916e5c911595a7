# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The measurement runs from end to end, on hardly anything and with a random network."""

import json
import re

import numpy as np
from PIL import Image
import pytest
from tqdm import tqdm

from benchmark.accuracy.__main__ import main
from benchmark.accuracy.batched_runs import (
    decodings,
    EncodedSequences,
    run_sequences,
    SegmentLayout,
)
from benchmark.accuracy.estimates import Method, methods, RULES
from benchmark.accuracy.sequences import FIRST_CHOICE_SEED, FIRST_SEED, recorded, simulated
from training.clips import FIRST_VALIDATION_SEED
from ttt3r_ros.geometry import invert
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model import Architecture
from ttt3r_ros.model.predictor import choose_device, Predictor, random_network
from ttt3r_ros.settings import MappingSettings, TrackingSettings
from ttt3r_ros.tracking.guard import OpenGuard
from ttt3r_ros.tracking.observation import Observation

FIT = ImageFit.for_image(640, 480, 64, 16)


@pytest.fixture(scope='module')
def measured(tmp_path_factory):
    """Measure a random network on sequences of S; no recordings are there."""
    out = tmp_path_factory.mktemp('measured')
    command = ['--checkpoint', 'random', '--quick', '--families', 'S', '--device', 'cpu']
    assert main([*command, '--shared', str(out / 'nowhere'), '--out', str(out)]) == 0
    return out


@pytest.fixture(scope='module')
def sequence():
    return simulated('S', 'hand', 0, 6, 15.0, FIT)


@pytest.fixture(scope='module')
def two_sequences():
    return [simulated('S', kind, 0, 11, 7.5, FIT) for kind in ('hand', 'robot')]


@pytest.mark.parametrize('part', ['short', 'choose', 'rates', 'long', 'targets'])
def test_every_table_is_headed_by_its_command(measured, part):
    text = (measured / f'{part}.md').read_text()
    assert text.startswith('`python -m benchmark.accuracy --checkpoint random --quick ')
    assert re.search(r'^\|-+\|', text, re.MULTILINE)


def test_what_the_pages_leave_out_stands_beside_it(measured):
    shown, details = ((measured / f'long.{kind}').read_text() for kind in ('md', 'details.md'))
    assert 'mean gain' not in shown
    assert 'mean gain' in details
    assert details.startswith('`python -m benchmark.accuracy --checkpoint random --quick ')


@pytest.mark.parametrize('file', ['short.details', 'rates', 'rates.details', 'long'])
def test_the_baselines_stand_in_the_same_table(measured, file):
    text = (measured / f'{file}.md').read_text().replace('robot, ', '')
    for name in ('constant pose', 'constant velocity', 'features + PnP'):
        assert f'| {name} ' in text


def test_long_sequences_are_measured_by_every_rule_with_and_without_segments(measured):
    records = json.loads((measured / 'long.json').read_text())['records']
    names = {record['method'] for record in records}
    rules = {'cut3r', 'ttt3r', 'ttt3r x 0.5', 'brake', 'filt3r'}
    assert rules | {f'{rule}, segments of 5' for rule in rules} < names
    assert {6, 12} <= {record['setting'] for record in records}
    assert {record['kind'] for record in records} == {'robot', 'hand'}


def test_the_beginning_of_a_long_sequence_is_a_shorter_sequence(measured):
    records = json.loads((measured / 'long.json').read_text())['records']
    of_sequence = [
        r for r in records if (r['sequence'], r['method']) == ('S robot 0', 'constant pose')
    ]
    # At a constant speed the path grows by as much with each image.
    step = [record['path']['path'] / (record['setting'] - 1) for record in of_sequence]
    assert len(step) > 5
    assert step == pytest.approx([step[0]] * len(step), abs=0.02 * step[0])


def test_rates_are_those_of_one_path(measured):
    records = json.loads((measured / 'rates.json').read_text())['records']
    of_sequence = [record for record in records if record['sequence'] == 'S robot 0']
    lengths = {record['setting']: record['path']['path'] for record in of_sequence}
    # 12 images at 30 Hz are 6 at 15 Hz, 3 at 7.5 Hz and but one at 2 Hz; this robot drives at a
    # constant speed, so the length goes with the time from the first image to the last.
    seconds = {30.0: 11 / 30, 15.0: 5 / 15, 7.5: 2 / 7.5}
    assert lengths.keys() == seconds.keys()
    speeds = [lengths[rate] / seconds[rate] for rate in seconds]
    assert speeds == pytest.approx([speeds[0]] * 3, abs=0.02 * speeds[0])


@pytest.mark.parametrize('name', ['long_S', 'ate_by_length'])
def test_pictures_are_small_enough_for_a_page(measured, name):
    path = measured / f'{name}.png'
    assert path.stat().st_size < 300_000
    assert min(Image.open(path).size) > 300


def test_missing_recordings_are_named(capsys, tmp_path):
    nowhere = tmp_path / 'nowhere'
    arguments = ['--checkpoint', 'random', '--part', 'real', '--out', str(tmp_path / 'out')]
    assert main([*arguments, '--shared', str(nowhere)]) == 0
    printed = capsys.readouterr().out
    for name in ('indoor_hololens_office', 'indoor_tum_fr1_rpy', 'driving_kitti07'):
        assert f'{name}: skipped' in printed


def test_a_missing_checkpoint_is_one_line(capsys, tmp_path):
    assert main(['--checkpoint', str(tmp_path / 'no.safetensors'), '--out', str(tmp_path)]) == 1
    assert capsys.readouterr().err.count('\n') == 1


def alone(network, sequence, method):
    """Follow a sequence as the product does: its own mapper, frame by frame."""
    predictor = Predictor(network, rule=RULES[method.rule])
    tracking = TrackingSettings(reset_interval=method.interval, segment_scale='free')
    mapper = Mapper(predictor, MappingSettings(tracking), OpenGuard)
    seen = map(Observation, sequence.rgb, sequence.stamps_ns.tolist())
    return [mapper.observe(observation).tracked for observation in seen]


@pytest.mark.parametrize('interval', [0, 1, 4, 11])
def test_a_batch_gives_the_estimate_of_the_mapper_for_each_sequence(
    two_sequences, interval, monkeypatch
):
    monkeypatch.setattr(
        'benchmark.accuracy.batched_runs.SEGMENT_SCALE', 'free'
    )  # it always has an effect
    network = random_network(choose_device('cpu'), 'strict').eval()
    compared = methods([interval])[-len(RULES) :]
    encoded = EncodedSequences.of(network, two_sequences)
    with tqdm() as progress:
        estimates = run_sequences(network, encoded, compared, progress, compared)
        assert progress.n == decodings(2, len(encoded), compared)
    for method in compared:
        for sequence, said in zip(two_sequences, estimates[method.name], strict=True):
            frames = alone(network, sequence, method)
            poses = np.stack([frame.network_T_camera for frame in frames])
            points = np.stack(
                [f.pointmap.points_camera / np.float32(f.pose.depth_scale) for f in frames]
            )
            np.testing.assert_allclose(said.world_T_camera, poses, atol=1e-4)
            # Points are kept in half precision.
            np.testing.assert_allclose(said.points_camera, points, rtol=2e-3, atol=1e-3)
            gains = [frame.gain_mean for frame in frames]
            np.testing.assert_allclose(said.gains, gains, atol=1e-4)


def test_points_that_are_not_requested_change_no_path(two_sequences):
    network = random_network(choose_device('cpu'), 'strict').eval()
    encoded, chosen = (
        EncodedSequences.of(network, two_sequences),
        [Method('cut3r', 4), Method('brake', 4)],
    )
    with tqdm(disable=True) as progress:
        with_points = run_sequences(network, encoded, chosen, progress, chosen)
        without = run_sequences(network, encoded, chosen, progress, chosen[:1])
    assert set(without) == {method.name for method in chosen}
    for name, others in without.items():
        for one, other in zip(with_points[name], others, strict=True):
            np.testing.assert_array_equal(one.world_T_camera, other.world_T_camera)
    name = 'cut3r, segments of 4'
    for one, other in zip(with_points[name], without[name], strict=True):
        np.testing.assert_array_equal(one.points_camera, other.points_camera)
    assert all(other.points_camera.size == 0 for other in without['brake, segments of 4'])


def test_a_sequence_is_divided_into_segments_as_the_mapper_does():
    layout = SegmentLayout(8, 3)
    # 0 1 2, then 3 4 5 behind 2, then 6 7 behind 5; the first and the last clip are filled up.
    assert layout.images.tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [5, 6, 7, 7]]
    assert layout.images[layout.segment, layout.place].tolist() == list(range(8))
    assert layout.joints.tolist() == [2, 5]


def test_a_sequence_is_the_same_every_time_and_begins_at_the_world(sequence):
    again = simulated('S', 'hand', 0, 6, 15.0, FIT)
    np.testing.assert_array_equal(sequence.rgb, again.rgb)
    np.testing.assert_array_equal(sequence.world_T_camera, again.world_T_camera)
    np.testing.assert_allclose(sequence.world_T_camera[0], np.eye(4), atol=1e-12)


def test_the_depth_of_a_sequence_belongs_to_its_poses(sequence):
    # A point of the first image, seen again in the last one, has the depth that is stored there.
    lens = sequence.intrinsics
    points = (lens.rays() * sequence.depth[0].astype(np.float64)[..., None]).reshape(-1, 3)
    last = invert(sequence.world_T_camera[-1])
    x, y, z = (points @ last[:3, :3].T + last[:3, 3]).T
    u, v = np.round(lens.fx * x / z + lens.cx), np.round(lens.fy * y / z + lens.cy)
    inside = (z > 0.1) & (u >= 0) & (u < lens.width) & (v >= 0) & (v < lens.height)
    stored = sequence.depth[-1][v[inside].astype(int), u[inside].astype(int)]
    assert inside.mean() > 0.5
    assert np.median(np.abs(stored - z[inside]) / z[inside]) < 0.02


def test_a_lower_rate_takes_images_away_and_nothing_else(sequence):
    slow = sequence.every(2)
    np.testing.assert_array_equal(slow.rgb, sequence.rgb[[0, 2, 4]])
    np.testing.assert_array_equal(slow.world_T_camera, sequence.world_T_camera[[0, 2, 4]])
    np.testing.assert_array_equal(slow.stamps_ns, sequence.stamps_ns[[0, 2, 4]])


def test_sequences_are_of_seeds_that_neither_training_nor_its_validation_draws():
    validated = 1000  # far more than any validation set has
    assert FIRST_VALIDATION_SEED + validated < FIRST_SEED
    assert FIRST_SEED + validated < FIRST_CHOICE_SEED


def test_what_is_chosen_on_is_not_what_is_reported(measured):
    lengths = {}
    for part in ('choose', 'rates'):
        records = json.loads((measured / f'{part}.json').read_text())['records']
        lengths[part] = {round(record['path']['path'], 6) for record in records}
    assert not lengths['choose'] & lengths['rates']


def test_records_of_other_weights_are_refused(measured, tmp_path, capsys):
    for part in ('choose', 'rates'):
        (tmp_path / f'{part}.json').write_text((measured / f'{part}.json').read_text())
    assert main(['--part', 'targets', '--out', str(tmp_path)]) == 1
    assert 'was measured with weights random' in capsys.readouterr().err


def test_a_recording_is_fitted_with_its_depth(shared_data):
    sequence = recorded(shared_data / 'data' / 'indoor_hololens_office', Architecture.tiny(), 6)
    assert sequence.rgb.shape == (6, 32, 64, 3)
    assert sequence.intrinsics.width == 64
    # Depth comes with every fifth image.
    assert sequence.depth.any(axis=(1, 2)).tolist() == [True, False, False, False, False, True]
    assert 0.3 < np.median(sequence.depth[0][sequence.depth[0] > 0]) < 10
