# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""`ttt3r map` on inputs, options and outputs that cannot be used, and on full disks."""

import cv2
import numpy as np
from PIL import Image
import pytest

from ttt3r_ros import atomic
from ttt3r_ros.tools import mapping_run
from ttt3r_ros.tools.depth_images import DepthFolder


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
def test_a_bad_input_ends_with_one_clear_line_and_no_output(tmp_path, capfd, name, run_map):
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
    images, tmp_path, capsys, options, message, run_map
):
    assert run_map(images, tmp_path / 'out', *options) == 1

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'options', [['--frame-step', '0'], ['--fps', '-1'], ['--update-rule', 'x']]
)
def test_an_impossible_value_is_a_wrong_use(images, tmp_path, options, run_map):
    with pytest.raises(SystemExit) as ended:
        run_map(images, tmp_path / 'out', *options)

    assert ended.value.code == 2


def test_an_output_that_cannot_be_written_is_told_before_the_network_loads(
    images, tmp_path, capsys, monkeypatch, run_map
):
    monkeypatch.setattr(mapping_run, 'ImageMapper', None)
    (tmp_path / 'file').write_text('in the way')

    assert run_map(images, tmp_path / 'file' / 'out') == 1

    assert 'cannot write into the folder' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['a' * 300, 'loop/out'])
def test_an_output_of_no_possible_name_is_told_in_one_line(
    images, tmp_path, capsys, name, run_map
):
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')

    assert run_map(images, tmp_path / name) == 1

    assert capsys.readouterr().err.count('error: ') == 1


def test_a_read_only_output_is_refused(images, tmp_path, capsys, monkeypatch, run_map):
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
    images, tmp_path, monkeypatch, capsys, name, run_map, summary_of, results
):
    lost = {'draw_preview': 'preview.png', 'write_ply': 'map.ply'}.get(name, 'trajectory.txt')
    out = tmp_path / 'out'
    run_map(images, out)
    capsys.readouterr()
    monkeypatch.setattr(mapping_run, name, full_disk)

    assert run_map(images, out, '--max-frames', '2', '--overwrite') == 1

    # The file of the earlier run is gone too: it would be taken for one of this run.
    assert {path.name for path in out.iterdir()} == results - {lost}
    assert summary_of(out)['frames'] == 2
    assert f'error: cannot write {out / lost}: No space left' in capsys.readouterr().err


def test_a_preview_that_cannot_be_drawn_costs_only_itself(
    images, tmp_path, monkeypatch, run_map, results
):
    def broken(*arguments):
        raise RuntimeError('no glyph')

    monkeypatch.setattr(mapping_run, 'draw_preview', broken)

    assert run_map(images, tmp_path / 'out') == 1
    assert {path.name for path in (tmp_path / 'out').iterdir()} == results - {'preview.png'}


def test_depth_on_a_full_disk_costs_the_depth_only(
    images, tmp_path, monkeypatch, capsys, run_map, summary_of
):
    def refuse(self, index, depth, fit):
        raise atomic.OutputError('cannot write depth: No space left on device')

    monkeypatch.setattr(DepthFolder, 'write', refuse)

    assert run_map(images, tmp_path / 'out', '--depth') == 1

    assert summary_of(tmp_path / 'out')['frames'] == 5
    assert capsys.readouterr().err.count('no more depth is written') == 1


def test_a_run_leaves_no_depth_of_an_earlier_one(images, tmp_path, run_map):
    run_map(images, tmp_path / 'out', '--depth')
    run_map(images, tmp_path / 'out', '--depth', '--max-frames', '2', '--overwrite')

    assert len(list((tmp_path / 'out/depth').glob('*.png'))) == 2


def test_results_never_go_among_the_images(images, tmp_path, capsys, run_map):
    before = {path.name for path in images.iterdir()}

    assert run_map(images, images) == 1

    assert 'is the input itself' in capsys.readouterr().err
    assert {path.name for path in images.iterdir()} == before


@pytest.mark.parametrize('name', ['a $^$ b', b'caf\xe9 \xff'.decode(errors='surrogateescape')])
def test_a_folder_of_any_name_is_mapped_and_drawn(images, tmp_path, name, run_map, results):
    odd = images.rename(tmp_path / name)

    assert run_map(odd, tmp_path / f'{name} out') == 0
    assert {path.name for path in (tmp_path / f'{name} out').iterdir()} == results


def test_a_clock_that_was_set_back_begins_a_new_map_and_keeps_the_old_one(
    images, tmp_path, capsys, run_map, poses_of
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
