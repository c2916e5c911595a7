# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest

from ttt3r_ros.graph.chain import Chain
from ttt3r_ros.graph.floor import FloorScale
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.wheels import NOISES


def fixed(robot, floors):
    """Return the numbers of the key frames whose scale a floor fixes; floors: its log scales."""
    chain, nodes = Chain(NOISES['usual']), Nodes()
    for key, log_scale in zip(robot.drive(range(len(floors))), floors):
        floor = None if log_scale is None else FloorScale(log_scale, 0.0, 0.4, 0.05)
        chain.append(key, replace(robot.frame(key), floor=floor), nodes, np.eye(4))
    return [fix.here for fix in chain.measured.fixes]


@pytest.mark.parametrize(
    ('floors', 'expected'),
    [
        ([0.0, 0.05, 0.1, 0.0], [0, 1, 2, 3]),
        ([0.0, 0.85, 0.85, 0.02], [0, 3]),  # a bed fills the view for a while
        ([0.0, None, 0.3], [0]),
        ([0.85, 0.85, 0.0], [0, 1, 2]),  # what lies lower is the floor, whatever came before
    ],
)
def test_what_lies_clearly_higher_than_the_floor_was_is_not_the_floor(robot, floors, expected):
    assert fixed(robot, floors) == expected
