# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A robot drives twice around a room whose points are known; nothing is rendered."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ttt3r_ros.geometry import invert, rotation_about, transform
from ttt3r_ros.graph import key_frame_graph, loops
from ttt3r_ros.graph.closure import Closure
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph, MOVING
from ttt3r_ros.graph.places import WORDS
from ttt3r_ros.graph.wheels import NOISES
from ttt3r_ros.tracking.relative_pose import RelativePose


def test_a_second_round_closes_loops_and_takes_the_drift_away(robot):
    keys = robot.drive(range(54))
    found = KeyFrameGraph()
    changes = [found.add(key) for key in keys]

    drifted = np.linalg.norm(
        (robot.place(0) @ keys[-1].track_T_camera)[:3, 3] - robot.place(53)[:3, 3]
    )
    assert drifted > 0.4
    assert robot.errors(found.belief.poses)[53] < 0.1
    assert found.belief.counts.accepted > 5
    assert changes[5].jump < 0.05
    assert not changes[5].closed
    assert max(change.jump for change in changes if change.closed) > 0.05


def test_key_frames_that_share_the_rounds_take_the_drift_away_too(robot, monkeypatch):
    monkeypatch.setattr(key_frame_graph, 'MOTIONS_AT_ONCE', 1)
    found = KeyFrameGraph()
    changes = [found.add(key) for key in robot.drive(range(54))]

    assert robot.errors(found.belief.poses)[53] < 0.1
    assert found.belief.counts.accepted > 5
    closed = [change.closed for change in changes]
    assert closed[closed.index(True) + 1]  # the next one goes on


def test_places_are_learned_as_soon_as_there_are_features(robot, plain_room):
    graph, keys = KeyFrameGraph(), robot.drive(range(15), plain_room)
    for key in keys:
        assert not graph.add(key).closed
    with pytest.raises(ValueError, match='has no places yet'):
        graph.stored()

    for key in robot.drive(range(15, 80), first_number=15):
        graph.add(key)

    assert graph.belief.counts.accepted > 0
    assert len(graph.stored().vocabulary.words) == WORDS


def test_the_correction_takes_the_newest_camera_to_where_it_is(robot):
    keys = robot.drive(range(47))
    found = KeyFrameGraph()
    for key in keys:
        found.add(key)
    belief, newest = found.belief, keys[-1]

    pose = belief.correction.pose(newest.track_T_camera)
    np.testing.assert_allclose(pose, belief.poses[newest.number], atol=1e-9)
    np.testing.assert_allclose(found.locate(robot.at(newest)).map_T_camera, pose, atol=1e-9)


def test_a_key_frame_that_waits_is_located_already(robot):
    keys = robot.drive(range(18))
    found = KeyFrameGraph()
    for key in keys[:-1]:
        found.add(key)

    ahead = found.locate(robot.at(keys[-1])).map_T_camera
    found.add(keys[-1])

    np.testing.assert_allclose(ahead, found.belief.poses[keys[-1].number], atol=0.02)


def test_good_wheels_leave_no_drift(robot):
    keys = robot.drive(range(32), odometry=True)
    found = KeyFrameGraph(NOISES['good'])
    for key in keys:
        found.add(key)

    assert max(robot.errors(found.belief.poses).values()) < 0.03


@pytest.mark.parametrize('gate', [True, False])
def test_false_loops_are_refused_or_thrown_out(robot, monkeypatch, gate):
    keys = robot.drive(range(54))
    true, rng, left = loops.verify, np.random.default_rng(0), [10]

    def sometimes_wrong(here, there):
        if left[0] and rng.random() < 0.15:
            left[0] -= 1
            pose = transform(rotation_about([0, 1, 0], rng.normal(0, 1)), rng.normal(0, 1, 3))
            sure = np.diag([0.02**2] * 3 + [0.05**2] * 3)
            forth, back = (RelativePose(p, sure, np.ones(50), 1.0) for p in (pose, invert(pose)))
            return Closure(forth, back, 0.0, 50, np.empty((0, 3)))
        return true(here, there)

    monkeypatch.setattr(loops, 'verify', sometimes_wrong)
    if not gate:
        monkeypatch.setattr('ttt3r_ros.graph.loops._plausible', lambda *_: True)
    found = KeyFrameGraph()
    for key in keys:
        found.add(key)

    assert left[0] == 0
    assert robot.errors(found.belief.poses)[53] < 0.15
    assert found.belief.counts.rejected <= 2 if gate else found.belief.counts.rejected >= 8


def test_the_number_of_key_frames_is_bounded_and_the_map_stays(robot):
    keys = robot.drive(range(90))
    found, removed = KeyFrameGraph(most_keys=45), []
    for key in keys:
        removed.append(found.add(key).removed)

    belief = found.belief
    assert len(belief.poses) == 45
    gone = [one for one in removed if one is not None]
    assert len(gone) == len(keys) - 45
    assert max(robot.errors(belief.poses).values()) < 0.3
    for removed in gone[-5:]:  # what was attached to it is still where it was
        if removed.successor in belief.poses:
            pose = belief.poses[removed.successor] @ removed.successor_T_removed
            assert robot.error(pose, removed.number) < 0.3


def test_the_number_of_key_frames_follows_the_area_not_the_time(robot):
    found, counts = KeyFrameGraph(), []
    for key in robot.drive(range(36 * 5)):
        found.add(key)
        counts.append(len(found.belief.poses))

    # A round has 36; those of a later one replace others where five show the same.
    assert max(counts) <= 2 * 36
    assert max(robot.errors(found.belief.poses).values()) < 0.3


@pytest.mark.parametrize('most', [2, 4])
def test_a_key_frame_keeps_a_bounded_number_of_loops_however_often_it_is_seen(
    robot, monkeypatch, most
):
    monkeypatch.setattr('ttt3r_ros.graph.loops.MOST_LOOPS', most)
    found, rounds = KeyFrameGraph(), 3
    for key in robot.drive(range(36 * rounds)):
        found.add(key)

    belief = found.belief
    held = Counter(number for pair in belief.loops for number in pair)
    assert belief.counts.accepted > most * len(belief.poses)  # more than there may be
    assert max(held.values()) == most
    assert max(robot.errors(belief.poses).values()) < 0.3


@pytest.mark.usefixtures('unthinned')
def test_a_loop_that_fits_moves_only_recent_key_frames(robot):
    found, fitting = KeyFrameGraph(), 0
    for key in robot.drive(range(80)):
        before = found.belief
        change = found.add(key)
        if change.closed or found.belief.counts.accepted == before.counts.accepted:
            continue
        fitting += 1
        for number in list(before.poses)[: -MOVING + 1]:
            np.testing.assert_array_equal(before.poses[number], found.belief.poses[number])

    assert fitting > 10
    assert max(robot.errors(found.belief.poses).values()) < 0.3


def test_the_network_s_own_motions_are_metres_where_its_depths_are_short(robot):
    def way(network):
        found = KeyFrameGraph()
        for k, key in enumerate(robot.drive(range(24), scale=1.25)):
            said = robot.place(k) if network else None
            found.add(replace(key, view=replace(key.view, network_T_camera=said)))
        steps = np.diff([pose[:3, 3] for pose in found.belief.poses.values()], axis=0)
        return np.linalg.norm(steps, axis=1).sum()

    true = sum(
        np.linalg.norm(robot.place(k + 1)[:3, 3] - robot.place(k)[:3, 3]) for k in range(23)
    )
    assert way(network=False) < 0.85 * true
    assert way(network=True) > 0.87 * true
