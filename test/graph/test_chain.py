# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from ttt3r_ros.geometry import transform_points
from ttt3r_ros.graph.bends import stretch
from ttt3r_ros.graph.chain import Chain
from ttt3r_ros.graph.floor import FloorScale
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.wheels import NOISES
from ttt3r_ros.graph.window import HELD
from ttt3r_ros.tracking.relative_pose import rays_at, RelativePose


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
        # A chain of scales that has gone down does not hide the floor, which fits the network.
        ([-0.4, -0.05, 0.0], [0, 1, 2]),
        ([-0.4, 0.3], [0]),
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


def named_by_place(keys, room, places):
    """Return key frames whose features have the numbers of the points that they show."""
    tree, named = cKDTree(room.cloud), []
    for key, place in zip(keys, places):
        rays = rays_at(key.tracks.px, key.view.camera)
        points = transform_points(place, rays * np.exp(key.log_depth)[:, None])
        number = tree.query(points)[1]
        order = np.argsort(number)
        tracks = replace(key.tracks, number=number[order], px=key.tracks.px[order])
        named.append(replace(key, tracks=tracks, log_depth=key.log_depth[order]))
    return named


@pytest.mark.parametrize(('noise', 'believed'), [(0.06, 1.0), (0.0, 0.5)])
def test_bends_of_depths_are_found_and_believed_less_where_depths_agree(
    robot, other_room, noise, believed
):
    tilt, numbers, rng = np.array([0.1, -0.08]), range(8), np.random.default_rng(0)
    chain, nodes = Chain(NOISES['usual']), Nodes()
    drive, places = robot.drive(numbers, other_room), [robot.place(k) for k in numbers]

    for key in named_by_place(drive, other_room, places):
        log_depth = key.log_depth + rng.normal(0, noise, len(key.log_depth))
        if key.number >= HELD:  # the first two are held with exact depths
            log_depth -= rays_at(key.tracks.px, key.view.camera)[:, :2] @ tilt
        key = replace(key, log_depth=log_depth)
        chain.append(key, robot.frame(key), nodes, robot.place(0))

    for number in range(HELD, 7):
        rays = rays_at(drive[number].tracks.px, drive[number].view.camera)
        found, true = np.log(stretch(tuple(rays.T), chain.bends[number])), rays[:, :2] @ tilt
        assert found @ true / (true @ true) == pytest.approx(believed, abs=0.2)
    chain.forget(numbers)
    assert not chain.bends
