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

from ttt3r_ros import atomic
from ttt3r_ros.inputs import image_folder
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics, intrinsics_for
from ttt3r_ros.mapping.occupancy import UNKNOWN
from ttt3r_ros.mapping.occupancy_files import read_occupancy
from ttt3r_ros.model import Architecture, Network
from ttt3r_ros.model.checkpoint import save_checkpoint
from ttt3r_ros.tools import mapping_run
from ttt3r_ros.tools.depth_images import DepthFolder
from ttt3r_ros.tools.main import main
from ttt3r_ros.tools.map import what_to_open
from ttt3r_ros.trajectory import read_trajectory
from ttt3r_ros.viewer.optional import is_installed

CASES = Path(__file__).parents[1] / 'cases'
PLAN = {'map.pgm', 'map.yaml'}
RESULTS = {
    'trajectory.txt',
    'map.ply',
    'summary.json',
    'preview.png',
    'gate.npz',
    'view.npz',
}
if is_installed():
    RESULTS.add('map.html')
SEQUENCES = (
    'driving_kitti07',
    'handheld_dog_nogt',
    'images_fountain_p11',
    'images_lund_door',
    'indoor_hololens_office',
    'indoor_tum_fr1_rpy',
)


@pytest.fixture
def images(tmp_path):
    """Create a folder of five different images."""
    folder = tmp_path / 'images'
    folder.mkdir()
    rng = np.random.default_rng(1)
    for i in range(5):
        pixels = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((160, 120), Image.Resampling.NEAREST).save(
            folder / f'{i}.png'
        )
    return folder


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


def run_map(source, output, *options):
    """Map with a small random network: it shows the path of the data, not a map."""
    anywhere = ['--max-speed', '1000', '--max-turn-rate', '100000']
    fixed = ['--output', str(output), '--checkpoint', 'random', *anywhere]
    return main(['map', str(source), *fixed, *options])


def summary_of(output):
    return json.loads((output / 'summary.json').read_text())


def poses_of(output):
    return np.loadtxt(output / 'trajectory.txt', ndmin=2)


@pytest.mark.parametrize('name', SEQUENCES)
def test_every_shared_sequence_goes_through(shared_data, tmp_path, name):
    source = shared_data / 'data' / name

    assert run_map(source, tmp_path, '--max-frames', '8') == 0

    assert {path.name for path in tmp_path.iterdir()} == RESULTS
    assert summary_of(tmp_path)['frames'] == 8
    assert summary_of(tmp_path)['skipped'] == 0
    poses = poses_of(tmp_path)
    times = np.loadtxt(source / 'timestamps.txt')[:8, 1]
    np.testing.assert_allclose(poses[:, 0], times, atol=1e-9, rtol=0)
    np.testing.assert_allclose(np.linalg.norm(poses[:, 4:], axis=1), 1.0, atol=1e-6)
    calibrated = 'fx' in json.loads((source / 'camera.json').read_text())
    assert summary_of(tmp_path)['focal_from'] == ('calibration' if calibrated else 'estimate')


def test_a_run_leaves_whole_files(images, tmp_path, capsys):
    output = tmp_path / 'deep' / 'out'

    assert run_map(images, output, '--confidence-threshold', '1') == 0

    assert {path.name for path in output.iterdir()} == RESULTS
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


def test_a_camera_of_known_height_gives_a_plan_of_the_floor_too(images, tmp_path):
    options = ['--confidence-threshold', '1', '--occupancy-resolution', '1']

    assert run_map(images, tmp_path, *options, '--camera-height', '0.8') == 0

    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {*RESULTS, *PLAN}
    plan = read_occupancy(tmp_path)
    assert plan.resolution == 1.0
    assert (plan.cells != UNKNOWN).any()

    run_map(images, tmp_path, *options, '--overwrite')

    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == RESULTS


def test_what_the_maker_of_a_checkpoint_wants_known_is_told(images, tmp_path, capsys):
    torch.manual_seed(0)
    checkpoint, sizes = tmp_path / 'noted.safetensors', Architecture.tiny()
    save_checkpoint(checkpoint, Network(sizes), sizes, {'note': 'only for cellars'})

    assert run_map(images, tmp_path / 'out', '--checkpoint', str(checkpoint)) == 0

    assert 'note: only for cellars\n' in capsys.readouterr().err


def test_what_to_open_is_what_is_there(tmp_path):
    assert what_to_open(tmp_path) == f'open {tmp_path}/preview.png'
    (tmp_path / 'map.html').touch()
    assert what_to_open(tmp_path) == f'open {tmp_path}/preview.png, {tmp_path}/map.html'


def test_results_of_an_earlier_run_are_kept_unless_they_may_go(images, tmp_path, capsys):
    out = tmp_path / 'out'
    run_map(images, out)
    before = (out / 'summary.json').read_bytes()
    assert capsys.readouterr().out.endswith(f'next: {what_to_open(out)}\n')

    assert run_map(images, out, '--max-frames', '2') == 1

    assert 'or replace them with --overwrite' in capsys.readouterr().err
    assert (out / 'summary.json').read_bytes() == before
    assert run_map(images, out, '--max-frames', '2', '--overwrite') == 0
    assert summary_of(out)['frames'] == 2


def test_the_options_reach_the_mapper(images, tmp_path):
    run_map(images, tmp_path / 'a', '--reset-interval', '2', '--fps', '10', '--frame-step', '2')

    summary = summary_of(tmp_path / 'a')
    assert summary['frames'] == 3
    assert summary['segments'] == 2
    assert summary['settings']['tracking']['reset_interval'] == 2
    np.testing.assert_allclose(poses_of(tmp_path / 'a')[:, 0], [0, 0.2, 0.4], atol=1e-9)


def test_two_runs_give_the_same_path(images, tmp_path):
    for name in 'ab':
        run_map(images, tmp_path / name)

    assert (tmp_path / 'a/trajectory.txt').read_bytes() == (
        tmp_path / 'b/trajectory.txt'
    ).read_bytes()


def test_an_intrinsics_file_is_used_and_follows_the_size_of_the_images(images, tmp_path):
    camera = CameraIntrinsics.from_field_of_view(320, 240, 70)
    path = tmp_path / 'camera.json'
    path.write_text(json.dumps(camera.to_record()))

    run_map(images, tmp_path / 'out', '--intrinsics', str(path))

    assert summary_of(tmp_path / 'out')['focal_from'] == 'calibration'
    assert summary_of(tmp_path / 'out')['focal_px'] == pytest.approx(camera.fx / 2, abs=1e-9)


def test_depth_is_written_at_the_size_of_the_images_for_evaluate(images, tmp_path, capsys):
    out = tmp_path / 'out'
    run_map(images, out, '--depth', '--frame-step', '2')

    depth = cv2.imread(str(out / 'depth/000002.png'), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    assert depth.shape == (120, 160)
    both = ['--depth-estimate', str(out / 'depth'), '--depth-groundtruth', str(out / 'depth')]
    assert main(['evaluate', str(out), str(out / 'trajectory.txt'), *both]) == 0
    assert 'AbsRel 0.0000   delta<1.25 1.0000' in capsys.readouterr().out


def test_one_bad_image_in_the_middle_is_skipped_and_counted(images, tmp_path, capsys):
    (images / '2.png').write_bytes(b'broken')

    assert run_map(images, tmp_path / 'out') == 0

    assert summary_of(tmp_path / 'out')['frames'] == 4
    assert summary_of(tmp_path / 'out')['skipped'] == 1
    np.testing.assert_allclose(poses_of(tmp_path / 'out')[:, 0], [0, 1, 3, 4], atol=1e-9)
    skipped = [line for line in capsys.readouterr().err.splitlines() if 'skipped' in line]
    assert len(skipped) == 1
    assert '2.png' in skipped[0]


def test_an_image_of_another_shape_than_the_calibration_is_skipped(images, tmp_path):
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


def broken_video(tmp_path):
    path = tmp_path / 'v.mp4'
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    return path


def truncated_video(tmp_path):
    path = tmp_path / 'v.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (64, 48))
    for _ in range(20):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])
    return path


def empty_folder(tmp_path):
    (tmp_path / 'empty').mkdir()
    return tmp_path / 'empty'


def unreadable_images(tmp_path):
    (tmp_path / 'bad').mkdir()
    for i in range(3):
        (tmp_path / 'bad' / f'{i}.jpg').write_bytes(b'no')
    return tmp_path / 'bad'


def empty_file(tmp_path):
    (tmp_path / 'v.avi').write_bytes(b'')
    return tmp_path / 'v.avi'


def loop_of_links(tmp_path):
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    return tmp_path / 'loop'


BAD_INPUTS = {
    'missing file': (lambda tmp_path: tmp_path / 'gone.mp4', 'there is no'),
    'empty folder': (empty_folder, 'holds no image'),
    'noise as a video': (broken_video, 'no video that can be opened'),
    'truncated video': (truncated_video, 'no video that can be opened'),
    'empty video': (empty_file, 'no video that can be opened'),
    'images that are none': (unreadable_images, 'no image of'),
    'a name that is too long': (lambda tmp_path: tmp_path / ('a' * 300), 'File name too long'),
    'a name with a line break': (lambda tmp_path: tmp_path / 'a\nb', r'a\nb'),
    'a loop of links': (loop_of_links, 'there is no'),
    'a single image': (lambda tmp_path: single_image(tmp_path), 'single image'),
}


def single_image(tmp_path):
    Image.new('RGB', (64, 48)).save(tmp_path / 'a.png')
    return tmp_path / 'a.png'


@pytest.mark.parametrize('name', BAD_INPUTS)
def test_a_bad_input_ends_with_one_clear_line_and_no_output(tmp_path, capfd, name):
    make, message = BAD_INPUTS[name]

    assert run_map(make(tmp_path), tmp_path / 'out') == 1

    errors = [line for line in capfd.readouterr().err.splitlines() if 'error' in line.lower()]
    assert len(errors) == 1
    assert errors[0].startswith('ttt3r map: error: ')
    assert message in errors[0]
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--device', 'cuda:63'], 'cuda:63'),
        (['--device', 'toaster'], 'toaster'),
        (['--checkpoint', 'gone.safetensors'], 'gone.safetensors'),
        (['--voxel-size', '-1'], '--voxel-size is -1.0'),
        (['--gain-scale', 'nan'], '--gain-scale is nan'),
        (['--topic', '/image'], '--topic is for bags'),
        (['--intrinsics', 'gone.json'], 'gone.json'),
    ],
)
def test_a_bad_option_ends_with_one_clear_line_and_no_output(
    images, tmp_path, capsys, options, message
):
    assert run_map(images, tmp_path / 'out', *options) == 1

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'options', [['--frame-step', '0'], ['--fps', '-1'], ['--update-rule', 'x']]
)
def test_an_impossible_value_is_a_wrong_use(images, tmp_path, options):
    with pytest.raises(SystemExit) as ended:
        run_map(images, tmp_path / 'out', *options)

    assert ended.value.code == 2


def test_an_output_that_cannot_be_written_is_told_before_the_network_loads(
    images, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(mapping_run, 'ImageMapper', None)
    (tmp_path / 'file').write_text('in the way')

    assert run_map(images, tmp_path / 'file' / 'out') == 1

    assert 'cannot write into the folder' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['a' * 300, 'loop/out'])
def test_an_output_of_no_possible_name_is_told_in_one_line(images, tmp_path, capsys, name):
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')

    assert run_map(images, tmp_path / name) == 1

    assert capsys.readouterr().err.count('error: ') == 1


def test_a_read_only_output_is_refused(images, tmp_path, capsys, monkeypatch):
    def refuse(dir):
        raise PermissionError(13, 'Permission denied', str(dir))

    # Root may write anywhere, so the refusal of the system is played.
    monkeypatch.setattr(atomic.tempfile, 'TemporaryFile', refuse)

    assert run_map(images, tmp_path / 'locked') == 1
    assert 'Permission denied; choose another' in capsys.readouterr().err
    assert not (tmp_path / 'locked').exists()


def full_disk(*arguments):
    raise OSError(28, 'No space left on device')


@pytest.mark.parametrize('name', ['draw_preview', 'write_ply', 'write_trajectory'])
def test_a_file_that_cannot_be_written_costs_only_itself(
    images, tmp_path, monkeypatch, capsys, name
):
    lost = {'draw_preview': 'preview.png', 'write_ply': 'map.ply'}.get(name, 'trajectory.txt')
    out = tmp_path / 'out'
    run_map(images, out)
    capsys.readouterr()
    monkeypatch.setattr(mapping_run, name, full_disk)

    assert run_map(images, out, '--max-frames', '2', '--overwrite') == 1

    # The file of the earlier run is gone too: it would be taken for one of this run.
    assert {path.name for path in out.iterdir()} == RESULTS - {lost}
    assert summary_of(out)['frames'] == 2
    assert f'error: cannot write {out / lost}: No space left' in capsys.readouterr().err


def test_a_preview_that_cannot_be_drawn_costs_only_itself(images, tmp_path, monkeypatch):
    def broken(*arguments):
        raise RuntimeError('no glyph')

    monkeypatch.setattr(mapping_run, 'draw_preview', broken)

    assert run_map(images, tmp_path / 'out') == 1
    assert {path.name for path in (tmp_path / 'out').iterdir()} == RESULTS - {'preview.png'}


def test_depth_on_a_full_disk_costs_the_depth_only(images, tmp_path, monkeypatch, capsys):
    def refuse(self, index, depth, fit):
        raise atomic.OutputError('cannot write depth: No space left on device')

    monkeypatch.setattr(DepthFolder, 'write', refuse)

    assert run_map(images, tmp_path / 'out', '--depth') == 1

    assert summary_of(tmp_path / 'out')['frames'] == 5
    assert capsys.readouterr().err.count('no more depth is written') == 1


def test_a_run_leaves_no_depth_of_an_earlier_one(images, tmp_path):
    run_map(images, tmp_path / 'out', '--depth')
    run_map(images, tmp_path / 'out', '--depth', '--max-frames', '2', '--overwrite')

    assert len(list((tmp_path / 'out/depth').glob('*.png'))) == 2


def test_results_never_go_among_the_images(images, tmp_path, capsys):
    before = {path.name for path in images.iterdir()}

    assert run_map(images, images) == 1

    assert 'is the input itself' in capsys.readouterr().err
    assert {path.name for path in images.iterdir()} == before


@pytest.mark.parametrize('name', ['a $^$ b', b'caf\xe9 \xff'.decode(errors='surrogateescape')])
def test_a_folder_of_any_name_is_mapped_and_drawn(images, tmp_path, name):
    odd = images.rename(tmp_path / name)

    assert run_map(odd, tmp_path / f'{name} out') == 0
    assert {path.name for path in (tmp_path / f'{name} out').iterdir()} == RESULTS


def test_a_clock_that_was_set_back_begins_a_new_map_and_keeps_the_old_one(
    images, tmp_path, capsys
):
    times = [7200.0, 7200.1, 3600.2, 3600.3, 3600.4]
    (images / 'frames').mkdir()
    for i in range(5):
        (images / f'{i}.png').rename(images / f'frames/{i}.png')
    table = ''.join(f'{i} {seconds}\n' for i, seconds in enumerate(times))
    (images / 'timestamps.txt').write_text(table)

    assert run_map(images, tmp_path / 'out') == 0

    assert poses_of(tmp_path / 'out')[:, 0].tolist() == times[2:]
    assert poses_of(tmp_path / 'out/before_jump_1')[:, 0].tolist() == times[:2]
    assert 'image 2: the clock was set back by 3599.9 s' in capsys.readouterr().err


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
def test_ctrl_c_keeps_what_was_mapped(images, tmp_path, monkeypatch, number, code):
    mapped = []
    add = mapping_run.RunRecord.add

    def add_and_interrupt(self, frame, latency_s):
        add(self, frame, latency_s)
        mapped.append(frame)
        if len(mapped) == 2:
            os.kill(os.getpid(), number)
            time.sleep(0.01)

    monkeypatch.setattr(mapping_run.RunRecord, 'add', add_and_interrupt)

    assert run_map(images, tmp_path / 'out') == code

    assert {path.name for path in (tmp_path / 'out').iterdir()} == RESULTS
    assert summary_of(tmp_path / 'out')['interrupted'] is True
    assert len(poses_of(tmp_path / 'out')) == 2


def test_ctrl_c_before_the_first_frame_leaves_nothing(images, tmp_path, monkeypatch):
    for path in images.iterdir():
        path.write_bytes(b'bad')

    def interrupt(self, reason, count=1):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

    monkeypatch.setattr(mapping_run.MappingRun, '_skip', interrupt)

    assert run_map(images, tmp_path / 'out') == 130
    assert not (tmp_path / 'out').exists()


def test_the_next_image_is_read_while_one_is_mapped(images, tmp_path, monkeypatch):
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


def test_another_run_goes_on_in_a_saved_map_or_only_follows_in_it(images, tmp_path, capsys):
    saved = tmp_path / 'maps' / 'house.ttt3r'
    first, grown, followed = (tmp_path / name for name in ('first', 'grown', 'followed'))
    low = ('--confidence-threshold', '1')  # a random network is sure of nothing

    assert run_map(images, first, *low, '--save-map', str(saved)) == 0
    assert run_map(images, grown, *low, '--load-map', str(saved)) == 0
    assert run_map(images, followed, *low, '--load-map', str(saved), '--localize') == 0

    voxels = [summary_of(folder)['voxels'] for folder in (first, grown, followed)]
    assert voxels[1] > voxels[0] == voxels[2] > 0
    assert 'wrote' in capsys.readouterr().out


def test_localizing_without_a_map_and_a_map_of_other_weights_are_refused(images, tmp_path, capsys):
    saved = tmp_path / 'house.ttt3r'
    assert run_map(images, tmp_path / 'a', '--save-map', str(saved)) == 0
    assert run_map(images, tmp_path / 'b', '--localize') == 1
    assert 'needs a map' in capsys.readouterr().err
    other = ['map', str(images), '--output', str(tmp_path / 'c'), '--load-map', str(saved)]
    assert main(other) == 1
    assert 'made with the weights random' in capsys.readouterr().err


def test_a_start_pose_is_where_the_first_camera_stands(images, tmp_path):
    assert run_map(images, tmp_path / 'out', '--start-pose', '1.5', '-2', '90') == 0

    pose = read_trajectory(tmp_path / 'out' / 'trajectory.txt').poses[0]
    np.testing.assert_allclose(pose[:3, 3], [1.5, -2, 0], atol=1e-6)
    # The optical axis is ahead, which is y of the map after a quarter turn.
    np.testing.assert_allclose(pose[:3, 2], [0, 1, 0], atol=1e-6)


def test_the_odometry_of_a_bag_gives_the_map_its_place_and_is_named(tmp_path):
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
    images, tmp_path, capsys, first, missing
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


def test_what_is_known_of_the_calibration_is_told_and_kept(images, tmp_path, capsys):
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


def test_the_summary_holds_the_calibration_that_fits_the_photos(tmp_path):
    given = tmp_path / 'camera.json'
    photo = Image.open(CASES / 'exif180/0.jpg')
    assert photo.getexif()[0x0112] == 3
    width, height = photo.size
    camera = CameraIntrinsics(width, height, 100.0, 100.0, 20.0, 10.0)
    given.write_text(json.dumps(camera.to_record()))

    assert run_map(CASES / 'exif180', tmp_path / 'out', '--intrinsics', str(given)) == 0

    used = summary_of(tmp_path / 'out')['intrinsics']
    assert (used['cx'], used['cy']) == (width - 1 - 20, height - 1 - 10)


def test_an_image_is_mapped_with_the_calibration_in_force(images, tmp_path, monkeypatch):
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


def test_the_gain_of_each_image_is_saved_and_drawn_where_it_is_asked_for(images, tmp_path):
    assert run_map(images, tmp_path, '--gates', '--reset-interval', '2') == 0

    archive = np.load(tmp_path / 'gate.npz')
    assert archive['gains'].shape[0] == len(archive['mean']) == 5
    np.testing.assert_allclose(archive['gains'].mean(axis=1), archive['mean'], atol=1e-3)
    assert archive['segment'].max() >= 1
    assert cv2.imread(str(tmp_path / 'gate.png')).shape[1] > 1000

    assert run_map(images, tmp_path, '--overwrite') == 0
    assert not (tmp_path / 'gate.png').exists()  # of another run
