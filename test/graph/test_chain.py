# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest

from ttt3r_ros.graph.chain import Chain
from ttt3r_ros.graph.floor import FloorScale
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.wheels import NOISES
from ttt3r_ros.tracking.relative_pose import RelativePose


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


def sigmas(robot, spoil):
    """Return the sigmas of measured scales of a drive with such depths, first and last."""
    chain, nodes = Chain(NOISES['usual']), Nodes()
    for i, key in enumerate(same_features(robot.drive(range(8)))):
        key = replace(key, log_depth=spoil(i, key.log_depth))
        frame = replace(robot.frame(key), floor=FloorScale(0.0, 0.0, 0.4, 0.05))
        chain.append(key, frame, nodes, np.eye(4))
    fixes = chain.measured.fixes
    return fixes[0].sigma, fixes[-1].sigma


def same_features(keys):
    """Return key frames that all show what the first one shows, from its place."""
    first = keys[0]
    still = RelativePose(np.eye(4), 1e-4 * np.eye(6), np.ones(len(first.tracks), bool), 1.0)
    return [
        replace(
            first,
            number=key.number,
            view=replace(first.view, stamp_ns=key.view.stamp_ns),
            motion=None if key is first else still,
        )
        for key in keys
    ]


def test_the_floor_counts_for_more_where_depths_agree_than_where_they_do_not(robot):
    rng = np.random.default_rng(0)

    assert sigmas(robot, lambda i, depth: depth) == pytest.approx((0.07, 0.007), abs=1e-9)
    noisy = sigmas(robot, lambda i, depth: depth + rng.normal(0, 0.06, len(depth)))
    assert noisy[0] == pytest.approx(0.07, abs=1e-9)
    assert noisy[1] >= 0.03
