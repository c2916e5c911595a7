# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A folder of images, and runs of `ttt3r map` on it."""

import json

import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.tools.main import main
from ttt3r_ros.viewer.optional import is_installed

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


@pytest.fixture
def run_map():
    """Return a function that maps with a small random network, which shows the path of data."""

    def run(source, output, *options):
        anywhere = ['--max-speed', '1000', '--max-turn-rate', '100000']
        fixed = ['--output', str(output), '--checkpoint', 'random', *anywhere]
        return main(['map', str(source), *fixed, *options])

    return run


@pytest.fixture
def summary_of():
    """Return a function that reads the summary of a run."""
    return lambda output: json.loads((output / 'summary.json').read_text())


@pytest.fixture
def poses_of():
    """Return a function that reads the rows of the trajectory of a run."""
    return lambda output: np.loadtxt(output / 'trajectory.txt', ndmin=2)


@pytest.fixture
def results():
    """Return the names of the files that every run leaves."""
    return RESULTS
