# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What holds strands together, and what falls apart without it."""

import numpy as np
import pytest

from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.strands import minimum_cut, part

# Three strands of ten key frames; the first and the second are well joined.
STRANDS = {number: 10 * (number // 10) for number in range(30)}
WELL = {(1, 11), (2, 12), (3, 13), (4, 13)}
HARDLY = {(15, 21), (16, 22)}


@pytest.mark.parametrize(('here', 'there'), [(0, 20), (20, 10), (10, 20)])
def test_the_minimum_cut_is_where_the_fewest_key_frames_vote(here, there):
    cut = minimum_cut(STRANDS, WELL | HARDLY, here, there)

    assert cut.pairs == HARDLY
    assert cut.votes == 2


def test_a_key_frame_votes_once():
    assert minimum_cut(STRANDS, WELL, 0, 10).votes == 3


def test_loops_around_have_to_be_cut_as_well():
    around = {(5, 23), (6, 24), (7, 25), (8, 26)}
    cut = minimum_cut(STRANDS, WELL | HARDLY | around, 10, 20)

    assert cut.pairs == WELL | HARDLY  # the second strand goes, with five votes instead of six
    assert cut.votes == 3 + 2


def test_strands_that_nothing_joins_need_no_cut():
    cut = minimum_cut(STRANDS, WELL, 0, 20)

    assert (cut.pairs, cut.votes) == (frozenset(), 0)


def nodes_of(robot, submaps):
    keys = robot.drive(range(len(submaps)))
    poses = [robot.place(k) for k in range(len(keys))]
    nodes = Nodes()
    for key, pose, submap in zip(keys, poses, submaps):
        nodes.add(robot.frame(key), pose, 0.0, submap)
    return nodes


def test_what_nothing_holds_any_more_becomes_a_submap_of_its_own(robot):
    nodes = nodes_of(robot, [0] * 30)
    before = nodes.estimate.poses.copy()

    assert not part(nodes, STRANDS, WELL | HARDLY, WELL | {(15, 21)})
    assert set(nodes.submaps.values()) == {0}
    assert part(nodes, STRANDS, WELL | HARDLY, WELL)

    assert nodes.submaps == {number: 0 if number < 20 else 20 for number in range(30)}
    np.testing.assert_array_equal(nodes.estimate.poses, before)


def test_parts_that_still_hold_together_stay_together(robot):
    nodes = nodes_of(robot, [0] * 30)

    part(nodes, STRANDS, WELL | HARDLY, HARDLY)

    assert nodes.submaps == {number: 0 if number < 10 else 10 for number in range(30)}


def test_what_was_one_submap_without_loops_stays_one(robot):
    nodes = nodes_of(robot, [0] * 30)

    part(nodes, STRANDS, HARDLY, ())

    assert nodes.submaps == {number: 0 if number < 20 else 20 for number in range(30)}
