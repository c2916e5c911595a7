# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Two graphs become one where they show the same places, and never where they do not."""

from dataclasses import replace

import numpy as np
import pytest

from ttt3r_ros.geometry import rotation_about, Similarity, transform
from ttt3r_ros.graph.chain import Chain
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.loops import with_loops
from ttt3r_ros.graph.merging import LEAST_VOTES, merge_graphs
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.stored_graph import from_arrays, to_arrays
from ttt3r_ros.graph.wheels import NOISES

REACH = 6  # steps between two key frames that recognise each other, at most
AWAY = Similarity(transform(rotation_about([0, 0, 1], 2.0), [7.0, -3.0, 0.2]), 1.3)


@pytest.mark.usefixtures('unthinned')
def test_two_drives_of_one_room_become_one_graph_in_the_frame_of_the_first(drive_map):
    first, second = drive_map(range(18)).graph, drive_map(range(8, 30), AWAY).graph

    merged = merge_graphs(first, second)

    assert merged.first == tuple(range(18))
    assert merged.second == tuple(range(18, 18 + 22))
    assert [frame.number for frame in merged.graph.frames] == [*merged.first, *merged.second]
    at = merged.graph.estimate
    steps = [*range(18), *range(8, 30)]
    for pose, log_scale, step in zip(at.poses, at.log_scales, steps):
        np.testing.assert_allclose(pose, drive_map.place(step), atol=0.02)
        assert log_scale == pytest.approx(0.0, abs=0.02)
    for number in merged.second:
        moved = merged.after_T_before[number].after(AWAY)
        np.testing.assert_allclose(moved.a_T_b, np.eye(4), atol=0.05)
        assert moved.scale == pytest.approx(1.0, abs=0.02)
    for number in merged.first:
        np.testing.assert_allclose(merged.after_T_before[number].a_T_b, np.eye(4), atol=0.02)


def test_the_overlap_is_where_both_drives_were(drive_map):
    merged = merge_graphs(drive_map(range(18)).graph, drive_map(range(10, 28), AWAY).graph)

    (overlap,) = merged.overlaps
    # The second drive begins at the tenth step of the first one; so many steps farther little is
    # left of what was seen then.
    assert overlap.votes[0] == merged.second[0]
    assert 8 <= len(overlap.votes) == merged.votes <= 14
    assert min(overlap.known) >= 10 - REACH
    step = np.linalg.norm(drive_map.place(1)[:3, 3] - drive_map.place(0)[:3, 3])
    assert overlap.way == pytest.approx(
        step * (overlap.votes[-1] - overlap.votes[0]), rel=0.05, abs=0
    )
    expected = np.mean([drive_map.place(k)[:3, 3] for k in range(10, 18)], axis=0)
    np.testing.assert_allclose(overlap.middle, expected, atol=0.7)
    assert 0.0 < overlap.sigma_m < 0.05
    assert 0.0 < overlap.sigma_rad < np.radians(1.0)


@pytest.mark.usefixtures('unthinned')
def test_a_key_frame_is_compared_with_all_that_look_like_it(drive_map):
    merged = merge_graphs(drive_map(range(18)).graph, drive_map(range(8, 30), AWAY).graph)

    pairs = [(loop.forth.here, loop.forth.there) for loop in merged.graph.loops]
    across = [there for here, there in pairs if here < merged.second[0] <= there]
    # Key frames that are five steps apart still have half of an image in common.
    assert max(map(across.count, merged.second)) >= 6


@pytest.mark.usefixtures('unthinned')
def test_a_merged_graph_lies_where_the_loops_that_it_keeps_have_it(drive_map, monkeypatch):
    monkeypatch.setattr('ttt3r_ros.graph.loops.MOST_LOOPS', 4)
    second = drive_map(range(8, 30), AWAY).graph
    bend = transform(rotation_about([0, 1, 0], 0.02), [0.0, 0.0, 0.0])
    bent = [
        (replace(motion, here_T_there=motion.here_T_there @ bend), step)
        for motion, step in second.measured.visual
    ]
    second = replace(second, measured=replace(second.measured, visual=tuple(bent)))

    merged = merge_graphs(drive_map(range(18)).graph, second).graph

    nodes = Nodes(merged.frames, merged.estimate, merged.submaps)
    chain = Chain(NOISES['usual'], merged.measured)
    best = with_loops(chain.graph(nodes, nodes.numbers), merged.loops).optimised(20)
    np.testing.assert_allclose(merged.estimate.poses, best.estimate.poses, atol=1e-3)


def test_two_places_that_both_know_are_two_overlaps(drive_map):
    around = [*range(6), *range(6, 18)]
    merged = merge_graphs(drive_map(around).graph, drive_map(range(14, 40), AWAY).graph)

    assert len(merged.overlaps) == 2
    begin, end = merged.overlaps
    assert min(begin.known) >= 14 - REACH
    assert max(end.known) <= 3 + REACH  # 36 steps are a round
    assert np.median(begin.known) > np.median(end.known)


def test_what_is_merged_can_be_saved_and_is_one_submap(drive_map):
    merged = merge_graphs(drive_map(range(18)).graph, drive_map(range(8, 30), AWAY).graph)

    again = from_arrays(to_arrays(merged.graph))

    assert set(again.submaps) == {0}
    assert again.next_number > merged.second[-1]
    assert not KeyFrameGraph.resumed(again).belief.apart


@pytest.mark.usefixtures('unthinned')
def test_merging_does_not_depend_on_which_map_is_first(drive_map):
    aside = Similarity(AWAY.a_T_b)
    maps = drive_map(range(18)).graph, drive_map(range(8, 30), aside).graph

    there, back = merge_graphs(*maps), merge_graphs(*reversed(maps))

    one, other = there.graph.estimate.poses, back.graph.estimate.poses
    ours = aside.inverse().pose(np.concatenate([other[22:], other[:22]]))
    np.testing.assert_allclose(one, ours, atol=0.03)


def test_another_room_is_never_merged(drive_map):
    first = drive_map(range(36)).graph
    for room in range(1, 6):
        assert merge_graphs(first, drive_map(range(36), AWAY, room).graph) is None


def test_an_overlap_of_a_few_images_is_not_enough(drive_map):
    """They see ever less of what the first drive saw: nothing later could contradict them."""
    votes = {}
    for begin in range(14, 26):
        merged = merge_graphs(drive_map(range(18)).graph, drive_map(range(begin, 29)).graph)
        votes[begin] = 0 if merged is None else merged.votes

    assert votes[14] > LEAST_VOTES
    assert votes[25] == 0
    assert all(found == 0 or found >= LEAST_VOTES for found in votes.values())


def test_what_others_replace_in_a_merged_graph_goes(drive_map):
    rounds = [k % 36 for k in range(60)]

    merged = merge_graphs(drive_map(rounds).graph, drive_map(rounds, AWAY).graph)

    assert len(merged.graph.frames) < 100
    assert len(merged.after_T_before) == 120
    assert set(merged.graph.submaps) == {0}
    for number, pose in zip((f.number for f in merged.graph.frames), merged.graph.estimate.poses):
        np.testing.assert_allclose(pose, drive_map.place(rounds[number % 60]), atol=0.05)
