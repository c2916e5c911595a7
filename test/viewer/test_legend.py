# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import re

import numpy as np
import pytest

from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.viewer.scene import KeyPlaces, Scene

pytest.importorskip('viser', reason='needs the package viser')


def entries(text):
    return re.findall(r'color:rgb(\([^)]*\))">&#9632;</span> ([^<]*)</span>', text)


def test_the_legend_names_what_there_is_in_the_colour_in_which_it_is_drawn():
    from ttt3r_ros.viewer.drawing import KEYS, PATH
    from ttt3r_ros.viewer.legend import legend

    path = Trajectory(np.arange(2), np.tile(np.eye(4), (2, 1, 1)))
    keys = KeyPlaces(np.zeros((1, 3), np.float32), np.zeros((0, 2, 3), np.float32))

    text = legend(Scene(path=path, keys=keys))

    assert entries(text) == [(str(PATH), 'path'), (str(KEYS), 'key frames')]
    assert legend(Scene()) == ''


def test_names_of_files_are_no_html():
    from ttt3r_ros.viewer.legend import caption

    text = caption(Scene(status={'images': '<3'}), '<script>')

    assert '<script>' not in text
    assert '&lt;script&gt;' in text
    assert 'images &lt;3' in text
