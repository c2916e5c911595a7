# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import io
import json
import sys

import pytest

from ttt3r_ros.players.processes import PROGRESS
from ttt3r_ros.tools.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(('seconds', 'said'), [(60.0, '15 of 60 s'), (None, '15 s')])
def test_a_terminal_sees_how_far_drive_and_map_have_come(tmp_path, monkeypatch, seconds, said):
    monkeypatch.setattr(sys, 'stderr', Terminal())

    with ProgressBar(tmp_path, seconds) as bar:
        bar.update()  # the recorder has written nothing yet
        (tmp_path / PROGRESS).write_text('{"sec')  # and now half of it
        bar.update()
        progress = {'seconds': 15.2, 'images': 120, 'latency_ms': 98.6}
        (tmp_path / PROGRESS).write_text(json.dumps(progress))
        bar.update()
        shown = sys.stderr.getvalue()

    assert said in shown
    assert '120 images, 99 ms after the camera' in shown


def test_a_file_gets_no_bar(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'stderr', io.StringIO())

    with ProgressBar(tmp_path, 60.0) as bar:
        bar.update()

    assert sys.stderr.getvalue() == ''
