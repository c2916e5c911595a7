# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A simulated drive, as a folder and as images."""

import pytest

from ttt3r_ros.tools.main import main


@pytest.fixture(scope='session')
def drive(tmp_path_factory):
    """Render a short drive; return its folder: video, times, calibration, truth, depth."""
    folder = tmp_path_factory.mktemp('api') / 'drive'
    options = ['--seconds', '3', '--image-rate', '8', '--width', '224', '--height', '160']
    assert main(['simulate', '--output', str(folder), *options]) == 0
    return folder
