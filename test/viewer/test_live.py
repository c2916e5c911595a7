# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""`ttt3r map --view` shows every image, and `ttt3r view` what the run left."""

from contextlib import nullcontext
import os
import signal
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.tools import map as map_command
from ttt3r_ros.tools.main import main
from ttt3r_ros.viewer import optional
from ttt3r_ros.viewer.stored import stored_scene

pytest.importorskip('viser', reason='needs the package viser')

FRAMES = 4
ANYWHERE = ['--max-speed', '1000', '--max-turn-rate', '100000', '--checkpoint', 'random']


@pytest.fixture
def images(tmp_path):
    """Create a folder of different images."""
    folder = tmp_path / 'images'
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(FRAMES):
        pixels = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        large = Image.fromarray(pixels).resize((160, 120), Image.Resampling.NEAREST)
        large.save(folder / f'{number}.png')
    return folder


class Watched:
    """A viewer with a browser, which draws at once."""

    watched = True

    def __init__(self):
        self.scenes = []

    def take(self, make):
        self.scenes.append(make())


def test_every_image_and_the_finished_run_are_shown(images, tmp_path, monkeypatch):
    viewer, out = Watched(), tmp_path / 'out'
    monkeypatch.setattr(map_command, 'started', lambda: nullcontext(viewer))
    monkeypatch.setattr(map_command, 'wait_for_interrupt', lambda: None)

    assert main(['map', str(images), '--output', str(out), '--view', *ANYWHERE]) == 0

    *growing, last = viewer.scenes
    assert [scene.status['images'] for scene in growing] == ['1', '2', '3', '4']
    stamps = [scene.newest.stamp_ns for scene in growing]
    assert stamps == last.path.stamps_ns.tolist()
    assert [view.stamp_ns for view in last.views] == stamps
    assert (last.finished, growing[-1].finished) == (True, False)
    assert len(last.cloud) > 0
    read = stored_scene(out)
    np.testing.assert_array_equal(read.cloud.points, last.cloud.points)
    np.testing.assert_array_equal(read.cloud.seen_s, last.cloud.seen_s)
    assert (read.cloud.seen_s >= 0).all()
    assert (read.cloud.seen_s < FRAMES).all()
    np.testing.assert_array_equal(
        np.stack([view.map_T_camera for view in read.views]), last.path.poses
    )


def test_the_page_stays_after_the_run_until_ctrl_c(images, tmp_path):
    command = ['map', str(images), '--output', str(tmp_path / 'out'), '--view', *ANYWHERE]
    without_screen = {k: v for k, v in os.environ.items() if 'DISPLAY' not in k}
    process = subprocess.Popen(
        [sys.executable, '-m', 'ttt3r_ros.tools.main', *command],
        stdout=subprocess.PIPE,
        env=without_screen,
        text=True,
    )

    assert process.stdout.readline().startswith('the view is at http://127.0.0.1:')
    while 'Ctrl-C ends' not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)

    assert process.wait(60) == 0
    process.stdout.close()


@pytest.mark.parametrize('command', [['view', '{out}'], ['map', '{images}', '--view']])
def test_without_the_library_the_command_that_installs_it_is_named(
    images, tmp_path, monkeypatch, capsys, command
):
    (tmp_path / 'out').mkdir()
    monkeypatch.setattr(optional, 'is_installed', lambda: False)
    words = [word.format(out=tmp_path / 'out', images=images) for word in command]
    if command[0] == 'map':
        words += ['--output', str(tmp_path / 'out'), *ANYWHERE]
    else:
        (tmp_path / 'out' / 'map.ply').write_bytes(EMPTY_PLY)

    assert main(words) == 1

    assert 'pip install -r requirements/viewer.txt' in capsys.readouterr().err


EMPTY_PLY = b"""ply
format binary_little_endian 1.0
comment ttt3r_ros: metres, map frame (x forward, y left, z up)
element vertex 0
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
property float confidence
end_header
"""
