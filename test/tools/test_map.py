# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace
import json
import os
from pathlib import Path
import signal
import struct
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
from PIL import Image
import pytest
import torch

from ttt3r_ros.inputs import image_folder
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics, intrinsics_for
from ttt3r_ros.mapping.occupancy import UNKNOWN
from ttt3r_ros.mapping.occupancy_files import read_occupancy
from ttt3r_ros.model import Architecture, Network
from ttt3r_ros.model.checkpoint import save_checkpoint
from ttt3r_ros.tools import mapping_run
from ttt3r_ros.tools.main import main
from ttt3r_ros.tools.map import what_to_open
from ttt3r_ros.trajectory import read_trajectory

CASES = Path(__file__).parents[1] / 'cases'
PLAN = {'map.pgm', 'map.yaml'}
SEQUENCES = (
    'driving_kitti07',
    'handheld_dog_nogt',
    'images_fountain_p11',
    'images_lund_door',
    'indoor_hololens_office',
    'indoor_tum_fr1_rpy',
)


WITHOUT_HOME = """
import pwd
import sys


def missing(who):
    raise KeyError(who)


pwd.getpwuid = pwd.getpwnam = missing
from ttt3r_ros.tools.main import main

sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ([], ''),
        (['--checkpoint', '512'], 'no home directory'),
        (['--checkpoint', '~/mine.safetensors'], 'no home directory'),
    ],
)
def test_a_user_without_a_home_can_map_and_is_told_what_needs_one(images, tmp_path, options, said):
    words = ['map', str(images), '--output', str(tmp_path / 'out'), *options]
    environment = {k: v for k, v in os.environ.items() if k not in ('HOME', 'XDG_DATA_HOME')}

    process = subprocess.run(
        [sys.executable, '-c', WITHOUT_HOME, *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert process.returncode == (1 if said else 0), process.stderr
    assert said in process.stderr.splitlines()[-1]
    assert 'Traceback' not in process.stderr


@pytest.mark.parametrize('name', SEQUENCES)
def test_every_shared_sequence_goes_through(
    shared_data, tmp_path, name, run_map, summary_of, poses_of, results
):
    source = shared_data / 'data' / name

    assert run_map(source, tmp_path, '--max-frames', '8') == 0

    assert {path.name for path in tmp_path.iterdir()} == results
    assert summary_of(tmp_path)['frames'] == 8
    assert summary_of(tmp_path)['skipped'] == 0
    poses = poses_of(tmp_path)
    times = np.loadtxt(source / 'timestamps.txt')[:8, 1]
    np.testing.assert_allclose(poses[:, 0], times, atol=1e-9, rtol=0)
    np.testing.assert_allclose(np.linalg.norm(poses[:, 4:], axis=1), 1.0, atol=1e-6)
    calibrated = 'fx' in json.loads((source / 'camera.json').read_text())
    assert summary_of(tmp_path)['focal_from'] == ('calibration' if calibrated else 'estimate')


def test_a_run_leaves_whole_files(images, tmp_path, capsys, run_map, summary_of, results):
    output = tmp_path / 'deep' / 'out'

    assert run_map(images, output, '--confidence-threshold', '1') == 0

    assert {path.name for path in output.iterdir()} == results
    summary = summary_of(output)
    assert (summary['frames'], summary['skipped'], summary['segments']) == (5, 0, 1)
    assert (summary['loops'], summary['lost_share']) == (0, 0.0)
    assert summary['settings']['map']['confidence_threshold'] == 1.0
    assert summary['latency_ms']['p50'] <= summary['latency_ms']['p99']
    assert summary['peak_memory_mb']['resident'] > 10
    header, body = (output / 'map.ply').read_bytes().split(b'end_header\n')
    assert f'element vertex {summary["voxels"]}\n'.encode() in header
    assert len(body) == summary['voxels'] * struct.calcsize('<fffBBBf')
    assert summary['voxels'] > 0
    preview = output / 'preview.png'
    assert cv2.imread(str(preview)).shape[1] > 1000
    assert preview.stat().st_size < 500_000
    assert '5 frames' in capsys.readouterr().out


def test_a_camera_of_known_height_gives_a_plan_of_the_floor_too(
    images, tmp_path, run_map, results
):
    options = ['--confidence-threshold', '1', '--occupancy-resolution', '1']

    assert run_map(images, tmp_path, *options, '--camera-height', '0.8') == 0

    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {*results, *PLAN}
    plan = read_occupancy(tmp_path)
    assert plan.resolution == 1.0
    assert (plan.cells != UNKNOWN).any()

    run_map(images, tmp_path, *options, '--overwrite')

    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == results


def test_what_the_maker_of_a_checkpoint_wants_known_is_told(images, tmp_path, capsys, run_map):
    torch.manual_seed(0)
    checkpoint, sizes = tmp_path / 'noted.safetensors', Architecture.tiny()
    save_checkpoint(checkpoint, Network(sizes), sizes, {'note': 'only for cellars'})

    assert run_map(images, tmp_path / 'out', '--checkpoint', str(checkpoint)) == 0

    assert 'note: only for cellars\n' in capsys.readouterr().err


def test_what_to_open_is_what_is_there(tmp_path):
    assert what_to_open(tmp_path) == f'open {tmp_path}'
    (tmp_path / 'preview.png').touch()
    assert what_to_open(tmp_path) == f'open {tmp_path}/preview.png'
    (tmp_path / 'map.html').touch()
    assert what_to_open(tmp_path) == f'open {tmp_path}/preview.png, {tmp_path}/map.html'


def test_results_of_an_earlier_run_are_kept_unless_they_may_go(
    images, tmp_path, capsys, run_map, summary_of
):
    out = tmp_path / 'out'
    run_map(images, out)
    before = (out / 'summary.json').read_bytes()
    assert capsys.readouterr().out.endswith(f'next: {what_to_open(out)}\n')

    assert run_map(images, out, '--max-frames', '2') == 1

    assert 'or replace them with --overwrite' in capsys.readouterr().err
    assert (out / 'summary.json').read_bytes() == before
    assert run_map(images, out, '--max-frames', '2', '--overwrite') == 0
    assert summary_of(out)['frames'] == 2


def test_the_options_reach_the_mapper(images, tmp_path, run_map, summary_of, poses_of):
    run_map(images, tmp_path / 'a', '--reset-interval', '2', '--fps', '10', '--frame-step', '2')

    summary = summary_of(tmp_path / 'a')
    assert summary['frames'] == 3
    assert summary['segments'] == 2
    assert summary['settings']['tracking']['reset_interval'] == 2
    np.testing.assert_allclose(poses_of(tmp_path / 'a')[:, 0], [0, 0.2, 0.4], atol=1e-9)


def test_two_runs_give_the_same_path(images, tmp_path, run_map):
    for name in 'ab':
        run_map(images, tmp_path / name)

    assert (tmp_path / 'a/trajectory.txt').read_bytes() == (
        tmp_path / 'b/trajectory.txt'
    ).read_bytes()


def test_an_intrinsics_file_is_used_and_follows_the_size_of_the_images(
    images, tmp_path, run_map, summary_of
):
    camera = CameraIntrinsics.from_field_of_view(320, 240, 70)
    path = tmp_path / 'camera.json'
    path.write_text(json.dumps(camera.to_record()))

    run_map(images, tmp_path / 'out', '--intrinsics', str(path))

    assert summary_of(tmp_path / 'out')['focal_from'] == 'calibration'
    assert summary_of(tmp_path / 'out')['focal_px'] == pytest.approx(camera.fx / 2, abs=1e-9)


def test_depth_is_written_at_the_size_of_the_images_for_evaluate(
    images, tmp_path, capsys, run_map
):
    out = tmp_path / 'out'
    run_map(images, out, '--depth', '--frame-step', '2')

    depth = cv2.imread(str(out / 'depth/000002.png'), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    assert depth.shape == (120, 160)
    both = ['--depth-estimate', str(out / 'depth'), '--depth-groundtruth', str(out / 'depth')]
    assert main(['evaluate', str(out), str(out / 'trajectory.txt'), *both]) == 0
    assert 'AbsRel 0.0000   delta<1.25 1.0000' in capsys.readouterr().out


def test_one_bad_image_in_the_middle_is_skipped_and_counted(
    images, tmp_path, capsys, run_map, summary_of, poses_of
):
    (images / '2.png').write_bytes(b'broken')

    assert run_map(images, tmp_path / 'out') == 0

    assert summary_of(tmp_path / 'out')['frames'] == 4
    assert summary_of(tmp_path / 'out')['skipped'] == 1
    np.testing.assert_allclose(poses_of(tmp_path / 'out')[:, 0], [0, 1, 3, 4], atol=1e-9)
    skipped = [line for line in capsys.readouterr().err.splitlines() if 'skipped' in line]
    assert len(skipped) == 1
    assert '2.png' in skipped[0]


def test_an_image_of_another_shape_than_the_calibration_is_skipped(
    images, tmp_path, run_map, summary_of
):
    camera = CameraIntrinsics.from_field_of_view(160, 120, 70)
    (tmp_path / 'camera.json').write_text(json.dumps(camera.to_record()))
    Image.new('RGB', (120, 160)).save(images / '3.png')

    run_map(images, tmp_path / 'out', '--intrinsics', str(tmp_path / 'camera.json'))

    assert summary_of(tmp_path / 'out')['skipped'] == 1


def test_a_calibration_keeps_its_edges_or_is_refused():
    camera = CameraIntrinsics(640, 480, 500.0, 510.0, 320.0, 240.0)

    assert intrinsics_for(camera, 640, 480) is camera
    assert intrinsics_for(None, 640, 480) is None
    assert intrinsics_for(camera, 320, 240).fx == pytest.approx(250.0, abs=1e-9)
    with pytest.raises(CalibrationError, match='640x480, the image is 480x640'):
        intrinsics_for(camera, 480, 640)


def test_the_command_line_reports_errors_without_a_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, '-m', 'ttt3r_ros.tools.main', 'map', 'gone', '--output', str(tmp_path)],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert done.stderr.startswith('ttt3r map: error: there is no gone')
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_keeps_what_was_mapped(
    images, tmp_path, monkeypatch, number, code, run_map, summary_of, poses_of, results
):
    mapped = []
    add = mapping_run.RunRecord.add

    def add_and_interrupt(self, frame, *others):
        add(self, frame, *others)
        mapped.append(frame)
        if len(mapped) == 2:
            os.kill(os.getpid(), number)
            time.sleep(0.01)

    monkeypatch.setattr(mapping_run.RunRecord, 'add', add_and_interrupt)

    assert run_map(images, tmp_path / 'out') == code

    assert {path.name for path in (tmp_path / 'out').iterdir()} == results
    assert summary_of(tmp_path / 'out')['interrupted'] is True
    assert len(poses_of(tmp_path / 'out')) == 2


def test_ctrl_c_before_the_first_frame_leaves_nothing(images, tmp_path, monkeypatch, run_map):
    for path in images.iterdir():
        path.write_bytes(b'bad')

    def interrupt(self, reason, count=1):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

    monkeypatch.setattr(mapping_run.MappingRun, '_skip', interrupt)

    assert run_map(images, tmp_path / 'out') == 130
    assert not (tmp_path / 'out').exists()


def test_the_next_image_is_read_while_one_is_mapped(
    images, tmp_path, monkeypatch, run_map, summary_of
):
    second_read = threading.Event()
    read, observe = image_folder.upright_rgb, mapping_run.Mapper.observe
    files = []

    def note(file, value_range):
        files.append(file.name)
        if len(files) == 2:
            second_read.set()
        return read(file, value_range)

    def wait_for_it(self, seen):
        assert second_read.wait(10)
        return observe(self, seen)

    monkeypatch.setattr(image_folder, 'upright_rgb', note)
    monkeypatch.setattr(mapping_run.Mapper, 'observe', wait_for_it)

    assert run_map(images, tmp_path / 'out') == 0
    assert summary_of(tmp_path / 'out')['frames'] == len(files) == 5


def test_another_run_goes_on_in_a_saved_map_or_only_follows_in_it(
    images, tmp_path, capsys, run_map, summary_of
):
    saved = tmp_path / 'maps' / 'house.ttt3r'
    first, grown, followed = (tmp_path / name for name in ('first', 'grown', 'followed'))
    low = ('--confidence-threshold', '1')  # a random network is sure of nothing

    assert run_map(images, first, *low, '--save-map', str(saved)) == 0
    assert run_map(images, grown, *low, '--load-map', str(saved)) == 0
    assert run_map(images, followed, *low, '--load-map', str(saved), '--localize') == 0

    voxels = [summary_of(folder)['voxels'] for folder in (first, grown, followed)]
    assert voxels[1] > voxels[0] == voxels[2] > 0
    assert 'wrote' in capsys.readouterr().out


def test_localizing_without_a_map_and_a_map_of_other_weights_are_refused(
    images, tmp_path, capsys, run_map
):
    saved = tmp_path / 'house.ttt3r'
    assert run_map(images, tmp_path / 'a', '--save-map', str(saved)) == 0
    assert run_map(images, tmp_path / 'b', '--localize') == 1
    assert 'needs a map' in capsys.readouterr().err
    other = ['map', str(images), '--output', str(tmp_path / 'c'), '--load-map', str(saved)]
    assert main(other) == 1
    assert 'made with the weights random' in capsys.readouterr().err


def test_a_start_pose_is_where_the_first_camera_stands(images, tmp_path, run_map):
    assert run_map(images, tmp_path / 'out', '--start-pose', '1.5', '-2', '90') == 0

    pose = read_trajectory(tmp_path / 'out' / 'trajectory.txt').poses[0]
    np.testing.assert_allclose(pose[:3, 3], [1.5, -2, 0], atol=1e-6)
    # The optical axis is ahead, which is y of the map after a quarter turn.
    np.testing.assert_allclose(pose[:3, 2], [0, 1, 0], atol=1e-6)


def test_the_odometry_of_a_bag_gives_the_map_its_place_and_is_named(tmp_path, run_map, summary_of):
    drive, bag = tmp_path / 'drive', tmp_path / 'drive' / 'bag'
    simulate = ['simulate', '--seconds', '2', '--seed', '3', '--output', str(drive), '--bag']
    assert main(simulate) == 0
    source = next(path for path in (bag, drive) if (path / 'metadata.yaml').exists())

    runs = {}
    for choice in ('auto', 'none'):
        out = tmp_path / choice
        assert run_map(source, out, '--odometry', choice, '--camera-height', '0.8') == 0
        runs[choice] = summary_of(out), read_trajectory(out / 'trajectory.txt').poses[0]

    assert runs['auto'][0]['odometry'].startswith('odometry: TF odom -> base_link')
    assert runs['auto'][1][2, 3] == pytest.approx(0.8, abs=1e-6)  # the camera on its robot
    assert runs['none'][0]['odometry'].startswith('no odometry')
    assert runs['none'][1][2, 3] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(('first', 'missing'), [(0.0, ''), (-1.0, '1 of the'), (99.0, '5 of the')])
def test_images_that_the_odometry_does_not_cover_are_counted(
    images, tmp_path, capsys, first, missing, run_map, summary_of
):
    images.rename(tmp_path / 'frames')
    times = [0.1 * i for i in range(5)]
    (tmp_path / 'timestamps.txt').write_text(''.join(f'{i} {t}\n' for i, t in enumerate(times)))
    poses = [f'{first + t * (3 if first else 1)} {t} 0 0 0 0 0 1\n' for t in times]
    (tmp_path / 'odometry.txt').write_text(''.join(poses))

    assert run_map(tmp_path, tmp_path / 'out') == 0

    said = capsys.readouterr().err.count('does not cover')
    assert (said, bool(missing)) in ((0, False), (1, True))
    assert missing in summary_of(tmp_path / 'out')['odometry']


def test_what_is_known_of_the_calibration_is_told_and_kept(
    images, tmp_path, capsys, run_map, summary_of
):
    assert run_map(images, tmp_path / 'none') == 0
    assert summary_of(tmp_path / 'none')['calibration'] == 'none was given'
    assert 'calibration: none was given\n' in capsys.readouterr().err

    given = tmp_path / 'camera.json'
    given.write_text(json.dumps(CameraIntrinsics(160, 120, 150.0, 150.0, 70.0, 59.5).to_record()))
    assert run_map(images, tmp_path / 'read', '--intrinsics', str(given)) == 0
    assert summary_of(tmp_path / 'read')['calibration'] == f'read from {given}'

    given.write_text('{"width": 160, "height": 120, "intrinsics": "unknown"}')
    assert run_map(images, tmp_path / 'unknown', '--intrinsics', str(given)) == 1
    assert 'the intrinsics are unknown' in capsys.readouterr().err
    assert not (tmp_path / 'unknown').exists()


def test_a_calibration_turns_with_the_photo_that_exif_turns():
    camera = CameraIntrinsics(640, 480, 500.0, 510.0, 300.0, 200.0)

    assert intrinsics_for(camera, 640, 480, orientation=3).cx == 639 - 300
    # A phone held upright: stored lying, shown standing, calibrated either way.
    assert intrinsics_for(camera, 480, 640, orientation=6).fx == 510.0
    standing = CameraIntrinsics(480, 640, 500.0, 510.0, 300.0, 200.0)
    assert intrinsics_for(standing, 480, 640, orientation=6) is standing


def test_the_summary_holds_the_calibration_that_fits_the_photos(tmp_path, run_map, summary_of):
    given = tmp_path / 'camera.json'
    photo = Image.open(CASES / 'exif180/0.jpg')
    assert photo.getexif()[0x0112] == 3
    width, height = photo.size
    camera = CameraIntrinsics(width, height, 100.0, 100.0, 20.0, 10.0)
    given.write_text(json.dumps(camera.to_record()))

    assert run_map(CASES / 'exif180', tmp_path / 'out', '--intrinsics', str(given)) == 0

    used = summary_of(tmp_path / 'out')['intrinsics']
    assert (used['cx'], used['cy']) == (width - 1 - 20, height - 1 - 10)


def test_an_image_is_mapped_with_the_calibration_in_force(
    images, tmp_path, monkeypatch, run_map, summary_of
):
    camera = CameraIntrinsics(160, 120, 111.0, 112.0, 80.0, 60.0)
    read = image_folder.ImageFolderSource.frames
    monkeypatch.setattr(
        image_folder.ImageFolderSource,
        'frames',
        lambda self, step: (replace(frame, intrinsics=camera) for frame in read(self, step)),
    )

    assert run_map(images, tmp_path / 'out') == 0

    used = summary_of(tmp_path / 'out')['intrinsics']
    assert (used['fx'], used['fy']) == (111.0, 112.0)


def test_the_gain_of_each_image_is_saved_and_drawn_where_it_is_asked_for(
    images, tmp_path, run_map
):
    assert run_map(images, tmp_path, '--gates', '--reset-interval', '2') == 0

    archive = np.load(tmp_path / 'gate.npz')
    assert archive['gains'].shape[0] == len(archive['mean']) == 5
    np.testing.assert_allclose(archive['gains'].mean(axis=1), archive['mean'], atol=1e-3)
    assert archive['segment'].max() >= 1
    assert cv2.imread(str(tmp_path / 'gate.png')).shape[1] > 1000

    assert run_map(images, tmp_path, '--overwrite') == 0
    assert not (tmp_path / 'gate.png').exists()  # of another run
