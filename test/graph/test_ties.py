# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A robot with two cameras, one to the left, drives around a room; nothing is rendered."""

from dataclasses import replace

import numpy as np
import pytest

from ttt3r_ros.geometry import BODY_T_OPTICAL, invert, rotation_about, scaled, transform
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.rig import Rig
from ttt3r_ros.graph.solver.pose_graph import Estimate, Motion, PoseGraph
from ttt3r_ros.graph.stored_graph import from_arrays, to_arrays
from ttt3r_ros.graph.ties import metric, tie_to, Ties
from ttt3r_ros.tracking.tracked_pose import TrackedPose

FRONT = BODY_T_OPTICAL
LEFT = transform(rotation_about([0, 0, 1], np.pi / 2), [-0.1, 0.2, 0.3]) @ BODY_T_OPTICAL
SECOND = 10**9
UNIT = 1.25  # metres per unit of a key frame's depth


def at(key, stamp_ns, moved=None):
    """Return an image whose pose relative to a key frame is known."""
    pose = np.eye(4) if moved is None else moved
    return TrackedPose(stamp_ns, key, pose, 1e-6 * np.eye(6), 'features', False, False, 99)


def both(robot, steps, seed=5):
    """Return the key frames of two cameras at the same places, and the ties between them."""
    front = robot.drive(steps, mount=FRONT, seed=seed)
    left = robot.drive(steps, mount=LEFT, seed=seed + 1)
    left = [replace(key, view=replace(key.view, camera_index=1)) for key in left]
    front = [replace(key, number=2 * i) for i, key in enumerate(front)]
    left = [replace(key, number=2 * i + 1, track=1) for i, key in enumerate(left)]
    ties = [tie_to(b, [at(a, b.view.stamp_ns)]) for a, b in zip(front, left)]
    return front, left, ties


def mapped(front, left, ties):
    graph = KeyFrameGraph()
    for a, b, tie in zip(front, left, ties):
        graph.add(a)
        graph.add(b)
        graph.tie([tie])
    return graph


@pytest.mark.parametrize('share', [0.0, 0.25, 1.0])
def test_a_tie_is_the_way_since_the_key_frame_and_the_mounts(robot, share):
    key, other = (robot.drive([0], mount=mount)[0] for mount in (FRONT, LEFT))
    key = replace(key, log_scale=float(np.log(UNIT)))
    other = replace(other, view=replace(other.view, stamp_ns=round(share * SECOND / 10)))
    way = transform(rotation_about([0, 1, 0], 0.2 * share), [0.1 * share, 0, 0.4 * share])
    # At an even speed: the rotation vector and the translation of the motion grow with time.
    whole = transform(rotation_about([0, 1, 0], 0.2), [0.1, 0, 0.4])

    tie = tie_to(other, [at(key, 0), at(key, SECOND // 10, whole)])

    expected = scaled(way, UNIT) @ invert(FRONT) @ LEFT
    np.testing.assert_allclose(metric(tie, np.log(UNIT)), expected, atol=1e-9)
    assert (tie.here, tie.there) == (key.number, other.number)


@pytest.mark.parametrize('stamps', [(), (0.0,), (0.1,), (0.0, 0.7)])
def test_where_a_camera_was_not_followed_there_is_no_tie(robot, stamps):
    key, other = (robot.drive([0], mount=mount)[0] for mount in (FRONT, LEFT))
    other = replace(other, view=replace(other.view, stamp_ns=SECOND // 20))

    assert tie_to(other, [at(key, round(s * SECOND)) for s in stamps]) is None


def test_without_a_mount_or_over_a_cut_there_is_no_tie(robot):
    key, other = robot.drive([0], mount=FRONT)[0], robot.drive([0])[0]
    assert tie_to(other, [at(key, other.view.stamp_ns)]) is None

    other = replace(robot.drive([0], mount=LEFT)[0])
    stamp_ns = other.view.stamp_ns
    later = replace(key, track=7)
    assert tie_to(other, [at(key, stamp_ns - 1), at(later, stamp_ns + 1)]) is None


def test_a_key_frame_waits_for_the_next_image_of_the_other_camera(robot):
    key, other = (robot.drive([0], mount=mount)[0] for mount in (FRONT, LEFT))
    other = replace(other, number=1, view=replace(other.view, camera_index=1, stamp_ns=5))
    rig = Rig()

    assert rig.ties(replace(at(key, 0), new_key=True)) == []
    assert rig.ties(replace(at(other, 5), new_key=True)) == []
    (tie,) = rig.ties(at(key, 10))
    assert (tie.here, tie.there) == (0, 1)
    assert rig.ties(at(key, 20)) == []


def test_the_map_of_two_cameras_is_one_and_each_is_where_it_is_mounted(robot):
    graph = mapped(*both(robot, range(20)))

    beside = invert(BODY_T_OPTICAL) @ LEFT
    belief = graph.belief
    assert len(belief.poses) == 40
    assert not belief.apart
    assert not belief.lost
    for k in range(20):
        front_T_left = invert(belief.poses[2 * k]) @ belief.poses[2 * k + 1]
        np.testing.assert_allclose(front_T_left, beside, atol=0.02)


def test_two_cameras_drift_less_than_each_alone(robot):
    def end(graph, number):
        return robot.error(graph.belief.poses[number], 24)

    together, alone = [], []
    for seed in range(10, 30, 10):
        front, left, ties = both(robot, range(25), seed)
        together.append(end(mapped(front, left, ties), 48))
        single = KeyFrameGraph()
        for key in front:
            single.add(key)
        alone.append(end(single, 48))

    assert np.mean(together) < 0.9 * np.mean(alone)


def test_a_camera_that_lost_its_track_is_tied_to_the_others_again(robot):
    front, left, ties = both(robot, range(20))
    left[12:] = [replace(key, track=25) for key in left[12:]]
    left[12] = replace(left[12], motion=None)
    graph = mapped(front[:12], left[:12], ties[:12])

    graph.add(front[12])
    graph.add(left[12])
    assert left[12].number in graph.belief.apart
    assert not graph.belief.lost
    assert graph.tie([ties[12]]).joined
    assert left[12].number in graph.belief.poses
    front_T_left = invert(graph.belief.poses[24]) @ graph.belief.poses[25]
    np.testing.assert_allclose(front_T_left, invert(BODY_T_OPTICAL) @ LEFT, atol=0.02)


def test_a_short_submap_of_a_camera_stays_while_another_one_goes_on_in_it(robot):
    front, left, ties = both(robot, range(4))
    graph = mapped(front[:3], left[:3], ties[:3])

    graph.add(replace(left[3], track=left[3].number, motion=None))

    assert set(range(6)) <= graph.belief.poses.keys()


@pytest.mark.parametrize('gone_is_here', [False, True])
def test_the_tie_of_a_key_frame_that_goes_leads_to_the_next_one(gone_is_here):
    rng = np.random.default_rng(3)

    def pose():
        return transform(rotation_about(rng.normal(size=3), 0.7), rng.normal(size=3))

    other, gone, after = pose(), pose(), pose()
    scales = np.log([1.3, 0.8, 1.1])
    here, there = (1, 0) if gone_is_here else (0, 1)
    ends = (other, gone)[here], (other, gone)[there]
    way, arm = invert(ends[0]) @ ends[1], rng.normal(size=3)
    way[:3, 3] = (way[:3, 3] - arm) / np.exp(scales[here])
    onward = scaled(invert(gone) @ after, 1 / 0.8)
    nodes = Nodes()
    for number, (place, scale) in enumerate(zip((other, gone, after), scales)):
        frame = KeyFrame(number, 0, place, 0.0, None, None, None, np.empty(0), None, True)
        nodes.add(frame, place, scale, 0)
    ties = Ties([Motion(here, there, way, np.eye(6), arm=tuple(arm))])

    ties.hand_over(Motion(1, 2, onward, np.eye(6)), nodes)

    (tie,) = ties.all
    assert (tie.here, tie.there) == (0, 2)
    np.testing.assert_allclose(metric(tie, scales[0]), invert(other) @ after, atol=1e-9)


def test_the_arm_of_a_tie_tells_the_metre():
    """Two turned places, whose tie has an arm: only one scale of the way fits the arm."""
    turn = rotation_about([0, 1, 0], 1.0)
    arm, way = np.array([0.0, 0.0, 1.0]), np.array([0.5, 0.0, 0.0])
    there = transform(turn, UNIT * way + arm)
    motions = (
        Motion(0, 1, transform(turn, way), 1e-4 * np.eye(6), kernel=np.inf, arm=tuple(arm)),
        Motion(0, 1, there, 1e-4 * np.eye(6), scaled=0.0, kernel=np.inf),
    )
    start = Estimate(np.stack([np.eye(4), np.eye(4)]), np.zeros(2))

    found = PoseGraph((0, 1), start, motions, ()).optimised(20).estimate

    np.testing.assert_allclose(found.poses[1], there, atol=2e-3)
    np.testing.assert_allclose(np.exp(found.log_scales[0]), UNIT, atol=2e-2)


def test_ties_are_saved(robot):
    graph = mapped(*both(robot, range(12)))
    arrays = to_arrays(graph.stored())

    saved, again = graph.stored().ties, from_arrays(arrays).ties

    assert len(again) == len(saved) == 12
    for one, other in zip(saved, again):
        assert (one.here, one.there, one.arm) == (other.here, other.there, other.arm)
        np.testing.assert_array_equal(one.here_T_there, other.here_T_there)
    del arrays['motion_arm']  # as of maps from before
    assert all(tie.arm == (0.0, 0.0, 0.0) for tie in from_arrays(arrays).ties)
