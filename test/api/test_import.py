# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Importing the package is light, and what it offers is there."""

import subprocess
import sys

import pytest

import ttt3r_ros

HEAVY = ('torch', 'numpy', 'cv2', 'scipy', 'matplotlib', 'openvino', 'rclpy')

LOADED = """
import sys
before = set(sys.modules)
import ttt3r_ros
print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))
"""


def printed(code):
    return subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_importing_the_package_loads_no_library():
    loaded = printed(LOADED)

    assert 'ttt3r_ros' in loaded
    assert set(loaded).isdisjoint(HEAVY)


def test_reading_a_trajectory_loads_no_network():
    assert printed(LOADED + "ttt3r_ros.read_trajectory; print('torch' in sys.modules)")[-1] == (
        'False'
    )


def test_every_name_that_is_offered_is_there():
    for name in ttt3r_ros.__all__:
        assert callable(getattr(ttt3r_ros, name))
        assert name in dir(ttt3r_ros)


def test_a_name_that_is_not_offered_is_an_attribute_error():
    with pytest.raises(AttributeError, match='maps'):
        ttt3r_ros.maps  # noqa: B018
