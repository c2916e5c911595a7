# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import BODY_T_OPTICAL, rotation_about, transform
from ttt3r_ros.mapping.cloud_files import read_ply
from ttt3r_ros.mapping.occupancy import Occupancy, OCCUPIED
from ttt3r_ros.mapping.occupancy_files import write_description, write_picture
from ttt3r_ros.players import installed
from ttt3r_ros.players.processes import NODES
from ttt3r_ros.settings import ModelSettings
from ttt3r_ros.tools import demo, preview
from ttt3r_ros.trajectory import read_trajectory, Trajectory, write_trajectory

DEADLINE_S = 240.0  # several processes import torch; a quarter is enough on an idle machine


@pytest.fixture
def start_demo(domain, tmp_path):
    """Start `ttt3r demo` with the random network; give the process."""
    started = []

    def start(*options):
        words = ['demo', '--checkpoint', 'random', '--domain', str(domain), *options]
        process = subprocess.Popen(
            [sys.executable, '-m', 'ttt3r_ros.tools.main', *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=DEADLINE_S)


def children_of(process):
    """Return the node processes that a demo started: name of the module -> process id."""
    found = {}
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            parent = int(path.read_text().rpartition(')')[2].split()[1])
            words = (path.parent / 'cmdline').read_text().split('\0')
        except OSError:  # gone meanwhile
            continue
        if parent == process.pid and '--ros-args' in words:
            name = next(word for word in words if word in NODES.values())
            found[name.rpartition('.')[2]] = int(path.parent.name)
    return found


def exists(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_line(process, text):
    """Read what the demo says until a line holds a text."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return line
    pytest.fail(f'the demo ended without {text!r}:\n{"".join(lines)}')


def test_a_drive_is_mapped_compared_with_the_truth_and_drawn(start_demo, tmp_path):
    process = start_demo('--seconds', '2')
    # The recorder is found long after the mapping node listens; nothing is lost by that.
    deadline = time.monotonic() + DEADLINE_S
    while 'recorder' not in (nodes := children_of(process)):
        assert time.monotonic() < deadline
    os.kill(nodes['recorder'], signal.SIGSTOP)
    wait_for_line(process, 'the network is loaded')
    os.kill(nodes['recorder'], signal.SIGCONT)
    said, _ = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 0, said
    truth = read_trajectory(tmp_path / 'demo' / 'groundtruth.txt')
    estimate = read_trajectory(tmp_path / 'demo' / 'trajectory.txt')
    assert len(truth.stamps_ns) > 0.9 * 2 * 40
    assert len(estimate.stamps_ns) >= 3
    assert set(estimate.stamps_ns.tolist()) <= set(truth.stamps_ns.tolist())
    assert re.search(r'\d+ images mapped, [\d.]+ per second, latency \d+ ms', said)
    assert re.search(r'ATE [\d.]+ m on a path of [\d.]+ m|not compared with the truth', said)
    summary = json.loads((tmp_path / 'demo' / 'recording.json').read_text())
    assert summary['images_mapped'] == len(estimate.stamps_ns)
    with (tmp_path / 'demo' / 'map.ply').open('rb') as file:
        assert np.isfinite(read_ply(file).points).all()
    with Image.open(tmp_path / 'demo' / 'preview.png') as picture:
        assert picture.width > 1000


def test_a_recording_is_mapped(start_demo, tmp_path):
    path = tmp_path / 'drive.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 5, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(15):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()

    process = start_demo('--input', 'drive.mp4', '--output', 'out', '--seconds', '2')
    said, _ = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 0, said
    estimate = read_trajectory(tmp_path / 'out' / 'trajectory.txt')
    # The stamps are those of the video, a second late because 0 would mean "none"; 2 s of them.
    assert set(estimate.stamps_ns.tolist()) <= {10**9 + n * 200_000_000 for n in range(11)}
    assert (
        estimate.stamps_ns[0] < 10**9 + 10**9
    )  # the node does not wait for a missing calibration
    assert (tmp_path / 'out' / 'preview.png').is_file()
    assert 'ATE' not in said


def test_ctrl_c_keeps_what_there_is_and_leaves_no_process(start_demo, tmp_path):
    process = start_demo('--seconds', '600')
    wait_for_line(process, 'images mapped per second, latency')
    nodes = children_of(process)

    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 128 + signal.SIGINT, said
    assert nodes.keys() == {'recorder', 'mapping_node', 'simulated_robot'}
    assert not any(exists(process_id) for process_id in nodes.values())
    assert len(read_trajectory(tmp_path / 'demo' / 'trajectory.txt').stamps_ns) > 0
    assert (tmp_path / 'demo' / 'preview.png').is_file()


def test_when_a_node_dies_the_demo_names_it_and_ends_the_others(start_demo):
    process = start_demo('--seconds', '600')
    wait_for_line(process, 'the network is loaded')
    nodes = children_of(process)

    os.kill(nodes['mapping_node'], signal.SIGKILL)
    said, _ = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 1
    assert said.splitlines()[-1].startswith('ttt3r demo: error: mapping_node has ended (signal 9)')
    deadline = time.monotonic() + DEADLINE_S
    while any(exists(process_id) for process_id in nodes.values()):
        assert time.monotonic() < deadline


@pytest.mark.parametrize('name', ['no_such.mp4', '0'])
def test_an_input_that_cannot_be_played_is_refused_before_anything_starts(start_demo, name):
    process = start_demo('--input', name)
    said, _ = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 1
    (line,) = said.splitlines()
    assert line.startswith('ttt3r demo: error: ')


def write_recording(folder, images, truth=None):
    folder.mkdir()
    (folder / 'recording.json').write_text(
        json.dumps({'images_mapped': images, 'state': 'LOST: no transform'})
    )
    for name, poses in (('trajectory.txt', images and truth), ('groundtruth.txt', truth)):
        if poses:
            with (folder / name).open('wb') as file:
                write_trajectory(file, poses)


def test_without_a_mapped_image_the_demo_says_why(tmp_path):
    write_recording(tmp_path / 'demo', 0)

    with pytest.raises(UserError, match=r'no image was mapped.*LOST: no transform'):
        demo.judge(tmp_path / 'demo')


def test_the_error_that_is_printed_is_that_of_the_files(tmp_path, capsys):
    turns = [rotation_about([0, 0, 1], 0.1 * n) for n in range(20)]
    places = [[np.cos(0.1 * n), np.sin(0.1 * n), 0] for n in range(20)]
    truth = Trajectory(np.arange(20) * 10**8, transform(turns, places))
    write_recording(tmp_path / 'demo', 20, truth)
    doubled = Trajectory(truth.stamps_ns, transform(turns, 2 * np.array(places)))
    with (tmp_path / 'demo' / 'trajectory.txt').open('wb') as file:
        write_trajectory(file, doubled)

    demo.judge(tmp_path / 'demo')

    said = capsys.readouterr().out
    length = 19 * 2 * np.sin(0.05)
    spread = np.array(places) - np.mean(places, axis=0)
    # Of an estimate twice as large every point is as far off as it is from the middle.
    error = np.sqrt((spread**2).sum(axis=1).mean())
    assert f'ATE {error:.3f} m on a path of {length:.1f} m; 0.000 m after scaling by 0.500' in said


@pytest.mark.parametrize('truth', [True, False])
def test_a_recording_that_the_checkpoint_is_not_made_for_has_a_warning_in_the_picture(
    tmp_path, truth
):
    places = [[0.1 * n, np.sin(0.3 * n), 0] for n in range(20)]
    path = Trajectory(np.arange(20) * 10**8, transform(np.tile(np.eye(3), (20, 1, 1)), places))
    write_recording(tmp_path / 'demo', 20, path)
    if not truth:
        (tmp_path / 'demo' / 'groundtruth.txt').unlink()

    def brown_pixels(warning):
        demo.judge(tmp_path / 'demo', warning=warning)
        with Image.open(tmp_path / 'demo' / 'preview.png') as picture:
            difference = np.asarray(picture.convert('RGB')).astype(int) - [0xA0, 0x30, 0x00]
        return (np.abs(difference).sum(axis=-1) < 60).sum()

    assert brown_pixels('') == 0
    assert brown_pixels(demo.note_on(ModelSettings())) > 300
    assert demo.note_on(ModelSettings(checkpoint='random')) == ''
    assert demo.note_on(ModelSettings(device='grpc://robot')) == ''


def test_the_truth_of_a_recording_is_drawn_in_the_map_whatever_is_up_in_its_world(
    tmp_path, monkeypatch
):
    forward = [[0, 0, 0.1 * n] for n in range(20)]  # z is ahead, as cameras have it
    world_T_camera = transform(np.tile(np.eye(3), (20, 1, 1)), forward)
    truth = Trajectory(np.arange(20) * 10**8, world_T_camera)
    write_recording(tmp_path / 'demo', 20, truth)
    with (tmp_path / 'demo' / 'trajectory.txt').open('wb') as file:
        write_trajectory(file, Trajectory(truth.stamps_ns, BODY_T_OPTICAL @ world_T_camera))
    drawn = []
    monkeypatch.setattr(preview, 'draw_preview', lambda *parts: drawn.append(parts))

    demo.judge(tmp_path / 'demo')

    ((_, caption, *_, in_map),) = drawn
    assert caption.headline == 'The camera moved 1.9 m; 0 cm off after 1.9 m.'
    ahead = [[0.1 * n, 0, 0] for n in range(20)]
    np.testing.assert_allclose(in_map.poses[:, :3, 3], ahead, atol=1e-6)


def test_the_plan_of_the_floor_is_drawn_where_there_is_one(tmp_path):
    def dark_pixels():
        demo.judge(tmp_path / 'demo')
        with Image.open(tmp_path / 'demo' / 'preview.png') as picture:
            return (np.asarray(picture.convert('RGB')) == 0x22).all(axis=-1).sum()

    places = [[0.1 * n, np.sin(0.3 * n), 0] for n in range(20)]
    path = Trajectory(np.arange(20) * 10**8, transform(np.tile(np.eye(3), (20, 1, 1)), places))
    write_recording(tmp_path / 'demo', 20, path)
    without = dark_pixels()
    plan = Occupancy(np.full((200, 200), OCCUPIED, np.int8), 0.05, -5.0, -5.0)
    for name, write in (('map.pgm', write_picture), ('map.yaml', write_description)):
        with (tmp_path / 'demo' / name).open('wb') as file:
            write(file, plan)

    assert dark_pixels() > without + 10_000


def test_the_profile_for_large_messages_is_found_in_an_installation(tmp_path, monkeypatch):
    checkout = installed.config_file('fastdds_large_messages.xml')
    assert checkout.parent.parent.joinpath('ttt3r_ros', '__init__.py').is_file()
    shared = tmp_path / 'share' / 'ttt3r_ros' / 'config' / checkout.name
    shared.parent.mkdir(parents=True)
    shared.write_text('<dds/>')
    elsewhere = tmp_path / 'site-packages' / 'ttt3r_ros' / 'tools' / 'installed.py'
    monkeypatch.setattr(installed, '__file__', str(elsewhere))
    with pytest.raises(UserError, match='install ttt3r_ros again'):
        installed.config_file(checkout.name)
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/nowhere:{tmp_path}')
    assert installed.config_file(checkout.name) == shared
