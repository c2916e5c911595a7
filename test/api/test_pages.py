# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the pages show in Python runs: README, docs/python.md, the examples, the notebook."""

import json
from pathlib import Path
import re
import shutil

import cv2
import matplotlib as mpl
import pytest

from ttt3r_ros.inputs.opening import open_source

PAGES = ('README.md', 'docs/python.md')


@pytest.fixture
def desk(drive, tmp_path, monkeypatch):
    """Go to a folder with a video, which camera 0 shows, too; no browser opens."""
    for name in ('video.mp4', 'camera.json'):
        shutil.copy(drive / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    capture = cv2.VideoCapture
    monkeypatch.setattr(
        cv2,
        'VideoCapture',
        lambda source, *more: capture('video.mp4' if source == 0 else source, *more),
    )
    monkeypatch.setattr('ttt3r_ros.viewer.show', lambda folder, open_browser: None)
    return tmp_path


def python_of(page: Path) -> str:
    return '\n'.join(re.findall(r'^```python\n(.*?)^```', page.read_text(), re.M | re.S))


@pytest.mark.parametrize('name', PAGES)
def test_the_python_of_a_page_runs_from_top_to_bottom(repository, desk, name):
    code = python_of(repository / name)
    assert 'ttt3r_ros.map' in code

    camera = [frame.rgb for frame in open_source('video.mp4').frames(8)]
    exec(compile(code, name, 'exec'), {'camera': camera})  # noqa: S102

    assert (desk / 'map.ply').stat().st_size > 1000


def test_the_page_shows_the_example_of_ten_lines(repository):
    code = (repository / 'examples' / 'own_camera.py').read_text().split('"""\n\n', 1)[1]
    assert code in python_of(repository / 'docs' / 'python.md')
    lines = [line for line in code.splitlines() if line and not line.startswith('import')]
    assert len(lines) <= 10


def test_the_notebook_runs_from_top_to_bottom(repository, desk, monkeypatch):
    monkeypatch.setattr(mpl, 'rcParams', mpl.rcParams)  # the notebook may change none for others
    mpl.use('agg')
    notebook = json.loads((repository / 'examples' / 'compare_rules.ipynb').read_text())
    cells = [''.join(c['source']) for c in notebook['cells'] if c['cell_type'] == 'code']
    assert len(cells) > 4

    names = {}
    for number, cell in enumerate(cells):
        exec(compile(cell, f'cell {number}', 'exec'), names)  # noqa: S102

    ate = {name: errors.ate.rmse for name, errors in names['errors'].items()}
    assert ate['everything on'] < min(ate['cut3r'], ate['ttt3r'])
    assert (desk / 'map.ply').stat().st_size > 1000
