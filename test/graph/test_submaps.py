# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Submaps: begun when the robot does not know where it is, joined when it recognises."""

from dataclasses import replace

import numpy as np
import pytest

from ttt3r_ros.geometry import invert, rotation_about, Similarity, transform
from ttt3r_ros.graph import key_frame_graph, loops, relocalisation
from ttt3r_ros.graph.closure import Closure
from ttt3r_ros.graph.joining import DRIFT_SHARE, Hint, Join
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph, LEAST_SUBMAP
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.relocalisation import MOST_APART_M, MOST_APART_SHARE, PoseHypothesis
from ttt3r_ros.graph.thinning import most_covered
from ttt3r_ros.graph.wheels import NOISES
from ttt3r_ros.tracking.relative_pose import RelativePose

ROUND = range(36)


def mapped(robot, steps=ROUND, **given):
    """Return a graph that holds one drive."""
    graph = KeyFrameGraph()
    for key in robot.drive(steps, **given):
        graph.add(key)
    return graph


def go_on(graph, keys):
    """Add key frames; return what each has changed."""
    return [graph.add(key) for key in keys]


def joined_at(changes):
    """Return the index of the key frame that joined submaps, None if none did."""
    return next((i for i, change in enumerate(changes) if change.joined), None)


@pytest.mark.usefixtures('unthinned')
def test_a_second_drive_is_joined_to_the_first_one_in_its_scale(robot):
    graph, steps = mapped(robot), range(4, 20)
    keys = robot.drive(steps, first_number=graph.next_number, scale=1.3, seed=6)

    lost, joined = [], None
    for i, key in enumerate(keys):
        change = graph.add(key)
        lost.append(graph.belief.lost)
        joined = i if change.joined else joined

    assert lost == [True, *[False] * 15]  # the second key frame is 20 degrees farther
    assert joined == 1
    belief = graph.belief
    assert set(belief.poses) == set(range(36 + 16))
    assert not belief.apart
    for key, k in zip(keys, steps):
        # Its features are exact: it lies in the map where the map's own key frame is.
        apart = np.linalg.inv(belief.poses[k]) @ belief.poses[key.number]
        np.testing.assert_allclose(apart[:3, 3], 0, atol=0.01)
        stretched = belief.log_scales[key.number] - belief.log_scales[k]
        assert stretched == pytest.approx(np.log(1.3), abs=0.02)


def test_a_long_submap_is_moved_as_a_whole(robot, other_room):
    graph = mapped(robot)
    first = graph.next_number
    # It sees another room for a while, so there is nothing to recognise.
    away = robot.drive(range(20), other_room, first, seed=6)
    back = robot.drive(range(10, 24), first_number=first, seed=6)
    for key in away[:10]:
        graph.add(key)
    before = {n: pose.copy() for n, pose in graph.belief.apart.items()}
    assert graph.belief.lost

    changes = [graph.add(key) for key in _continued(away[9], back, first + 10)]

    assert joined_at(changes) is not None
    poses = graph.belief.poses
    for n, pose in before.items():  # they were where the drift of their own way has them
        inside = np.linalg.inv(poses[first]) @ poses[n]
        alone = np.linalg.inv(before[first]) @ pose
        np.testing.assert_allclose(inside[:3, 3], alone[:3, 3], atol=0.15)
        assert robot.error(poses[n], n - first) < 0.4


def _continued(last, keys, number):
    """Yield key frames that continue a track, the first one 10 degrees after its last one."""
    yield replace(keys[0], number=number, motion=keys[1].motion, track=last.track)
    for i, key in enumerate(keys[1:], 1):
        yield replace(key, number=number + i, track=last.track)


def test_another_building_is_never_joined(robot, other_room):
    graph = mapped(robot)
    before = graph.belief.poses

    keys = robot.drive(ROUND, other_room, graph.next_number)
    changes = go_on(graph, keys)

    assert joined_at(changes) is None
    assert graph.belief.lost
    assert set(graph.belief.poses) == set(before)
    for number, pose in before.items():
        np.testing.assert_array_equal(graph.belief.poses[number], pose)
    located = graph.locate(robot.at(keys[-1]))
    assert not located.in_map
    np.testing.assert_array_equal(located.map_T_camera, graph.belief.apart[keys[-1].number])


def test_until_it_is_joined_no_pose_is_in_the_map(robot):
    graph = mapped(robot)
    keys = robot.drive(range(4, 8), first_number=graph.next_number)

    assert graph.locate(robot.at(robot.drive(ROUND)[35])).in_map
    assert not graph.locate(robot.at(keys[0])).in_map  # of another track, and not looked at yet
    graph.add(keys[0])
    assert not graph.locate(robot.at(keys[0])).in_map
    assert not graph.locate(robot.at(keys[1])).in_map
    graph.add(keys[1])
    assert graph.locate(robot.at(keys[0])).in_map
    waiting = graph.locate(robot.at(keys[2]))
    assert waiting.in_map
    assert robot.error(waiting.map_T_camera, 6) < 0.2


def test_two_images_of_one_place_do_not_confirm_each_other(robot):
    graph = mapped(robot)
    changes = go_on(graph, robot.drive([10, 10, 10, 12], first_number=graph.next_number))
    assert [change.joined for change in changes] == [False, False, False, True]


@pytest.mark.parametrize(('sideways', 'confirmed'), [(0.1, True), (0.3, False)])
def test_two_suppositions_must_have_the_tracked_motion_between_them(robot, sideways, confirmed):
    way = np.linalg.norm((invert(robot.place(0)) @ robot.place(1))[:3, 3])
    assert 0.1 < MOST_APART_M + MOST_APART_SHARE * way < 0.3
    first = PoseHypothesis(robot.place(20), robot.place(0), 0.0)
    there = robot.place(21)
    there[2, 3] += sideways

    assert PoseHypothesis(there, robot.place(1), 0.0).confirms(first) == confirmed


def test_a_robot_that_is_carried_away_begins_a_submap_and_joins_it(robot):
    graph = mapped(robot)
    keys = robot.drive(range(20, 30), first_number=graph.next_number)
    graph.begin_submap()
    assert graph.belief.lost

    changes = go_on(graph, keys)

    assert joined_at(changes) == 1
    assert [change.jump for change in changes[:2]] == [0.0, 0.0]
    assert robot.error(graph.belief.poses[keys[-1].number], 29) < 0.2


@pytest.mark.usefixtures('unthinned')
def test_submaps_that_are_all_apart_are_joined_one_after_the_other(robot):
    graph = mapped(robot, range(12))
    far = robot.drive(range(18, 30), first_number=graph.next_number)
    assert joined_at(go_on(graph, far)) is None
    bridge = robot.drive(range(20, 46), first_number=graph.next_number)

    changes = go_on(graph, bridge)

    assert sum(change.joined for change in changes) == 2
    assert not graph.belief.apart
    errors = [robot.error(graph.belief.poses[key.number], 18 + i) for i, key in enumerate(far)]
    assert max(errors) < 0.35


@pytest.mark.parametrize('count', [LEAST_SUBMAP - 1, LEAST_SUBMAP])
def test_a_map_that_is_too_short_to_be_recognised_makes_way(robot, count):
    graph = mapped(robot, range(count))
    last = graph.belief.poses[count - 1]

    changes = go_on(graph, robot.drive(range(20, 24), first_number=graph.next_number))

    if count == LEAST_SUBMAP:
        assert changes[0].dropped == ()
        assert graph.belief.lost
    else:
        assert changes[0].dropped == tuple(range(count))
        assert not graph.belief.lost
        assert set(graph.belief.poses) == set(range(count, count + 4))
        np.testing.assert_allclose(graph.belief.poses[count], last, atol=1e-3)


def test_the_number_of_key_frames_of_all_submaps_is_bounded(robot, other_room):
    graph = KeyFrameGraph(most_keys=50)
    go_on(graph, robot.drive(range(40)))
    go_on(graph, robot.drive(range(40), other_room, graph.next_number))
    keys = robot.drive(range(40), first_number=graph.next_number)

    changes = go_on(graph, keys)

    belief = graph.belief
    assert len(belief.poses) + len(belief.apart) == 50
    assert joined_at(changes) == 1
    assert len(belief.apart) >= 2  # the other room is still known
    for number, pose in belief.poses.items():
        assert robot.error(pose, number if number < 40 else number - 80) < 0.3


def test_a_hint_limits_what_is_compared(robot, monkeypatch):
    graph = mapped(robot)
    compared, verify = [], relocalisation.verify
    views = {id(frame.feature_points): n for n, frame in graph.known_places().keys.items()}

    def counted(here, there, least_inliers):
        compared.append(views[id(here)])
        return verify(here, there, least_inliers)

    monkeypatch.setattr(relocalisation, 'verify', counted)
    graph.begin_submap()
    graph.expect(graph.belief.poses[10], radius=0.5)
    changes = go_on(graph, robot.drive(range(10, 14), first_number=graph.next_number))

    assert joined_at(changes) == 1
    start = robot.place(10)[:3, 3]
    for number in compared:
        assert np.linalg.norm(robot.place(number)[:3, 3] - start) < 0.5 + 3.0 + 0.3


# On the other side of the circle, or near enough to see the same but 1.4 m away.
@pytest.mark.parametrize('wrong', [28, 4])
def test_a_wrong_hint_gives_no_wrong_pose_and_is_forgotten(robot, wrong):
    graph = mapped(robot)
    graph.begin_submap()
    graph.expect(graph.belief.poses[wrong], radius=0.5)

    keys = robot.drive(range(8, 22), first_number=graph.next_number)
    for i, (key, k) in enumerate(zip(keys, range(8, 22))):
        graph.add(key)
        located = graph.locate(robot.at(key))
        assert located.in_map == (i > 10)
        assert not located.in_map or robot.error(located.map_T_camera, k) < 0.2


def test_a_hint_is_for_a_camera_that_is_lost(robot):
    graph = mapped(robot, range(3))
    with pytest.raises(ValueError, match='in the map'):
        graph.expect(np.eye(4))


def test_of_two_rooms_that_look_alike_only_a_hint_tells_which(robot, two_rooms):
    steps = [*ROUND, *range(1000, 1036)]
    graph = mapped(robot, steps, room=two_rooms)
    numbers = {k: n for n, k in enumerate(steps)}

    keys = robot.drive(range(10, 20), two_rooms, graph.next_number)
    go_on(graph, keys)
    assert graph.belief.lost

    graph.begin_submap()
    graph.expect(graph.belief.poses[numbers[1010]])
    keys = robot.drive(range(10, 20), two_rooms, graph.next_number)
    assert joined_at(go_on(graph, keys)) is not None
    found = graph.belief.poses[keys[0].number][:3, 3]
    there = graph.belief.poses[numbers[1010]][:3, 3]
    assert np.linalg.norm(found - there) < 0.2


def rolled(robot, room):
    """Return the map of the first and the last of three rooms, by wheels that hardly drift."""
    graph = KeyFrameGraph(NOISES['good'])
    go_on(graph, robot.drive([*ROUND, *range(2000, 2036)], room, odometry=True))
    return graph


@pytest.mark.usefixtures('unthinned')
def test_a_submap_that_was_joined_to_a_place_that_looks_alike_moves_to_its_own(robot, three_rooms):
    graph = rolled(robot, three_rooms)
    there = [*range(1000, 1008), *range(2000, 2024)]
    keys = robot.drive(there, three_rooms, graph.next_number, odometry=True, seed=6)

    errors, parted = [], []
    for key, k in zip(keys, there):
        parted += graph.add(key).parted
        errors.append(robot.error(graph.belief.pose_of(key.number), k))

    assert errors[7] == pytest.approx(20.0, abs=0.1)  # nothing told one room from the other
    # Eight key frames hold it there; with the ninth that sees the last room elsewhere it moves.
    assert errors[8 + 7] == pytest.approx(20.0, abs=0.1)
    assert max(errors[8 + 8 :]) < 0.1
    assert not parted  # it is joined to its own place at once
    assert max(robot.error(graph.belief.poses[n.number], k) for n, k in zip(keys, there)) < 0.1


@pytest.mark.usefixtures('unthinned')
def test_a_submap_that_is_where_it_belongs_stays_when_a_place_looks_like_another(
    robot, three_rooms
):
    graph = rolled(robot, three_rooms)
    there = [*range(2004, 2024), *range(1000, 1012)]
    keys = robot.drive(there, three_rooms, graph.next_number, odometry=True, seed=6)

    changes = go_on(graph, keys)

    assert sum(change.joined for change in changes) == 1
    poses = graph.belief.poses
    assert max(robot.error(poses[key.number], k) for key, k in zip(keys, there)) < 0.1


@pytest.mark.usefixtures('unthinned')
def test_a_submap_whose_loops_go_leaves_the_map(robot, monkeypatch):
    graph = mapped(robot)
    keys = robot.drive(range(4, 12), first_number=graph.next_number)
    go_on(graph, keys[:-1])
    assert not graph.belief.lost
    numbers = tuple(key.number for key in keys)

    monkeypatch.setattr(loops, 'FITS', 0.0)
    monkeypatch.setattr(loops, 'STILL_FITS', -np.inf)
    monkeypatch.setattr(loops, 'MOST_SIGMAS_AFTER', 0.0)  # the optimum contradicts all of them
    change = graph.add(keys[-1])

    assert change.parted == numbers[:-1]
    assert graph.belief.lost
    assert set(graph.belief.apart) == set(numbers)
    assert set(graph.belief.poses) == set(ROUND)


def test_numbers_of_key_frames_must_rise(robot):
    graph = mapped(robot, range(3))
    with pytest.raises(ValueError, match='key frame 0 comes after 2'):
        graph.add(robot.drive(range(2))[0])


def test_recognitions_that_contradict_the_motion_join_nothing(robot, other_room, monkeypatch):
    graph, rng = mapped(robot), np.random.default_rng(0)
    sure = np.diag([0.02**2] * 3 + [0.05**2] * 3)

    def anywhere(here, there, least_inliers):
        pose = transform(rotation_about([0, 1, 0], rng.normal(0, 1)), rng.normal(0, 1, 3))
        forth, back = (RelativePose(p, sure, np.ones(50), 1.0) for p in (pose, invert(pose)))
        return Closure(forth, back, 0.0, 50, rng.normal(0, 1, (50, 3)))

    monkeypatch.setattr(relocalisation, 'verify', anywhere)
    monkeypatch.setattr(relocalisation, 'CANDIDATES', 1)  # so that no image contradicts itself
    changes = go_on(graph, robot.drive(ROUND, other_room, graph.next_number))

    assert joined_at(changes) is None
    assert graph.belief.lost


@pytest.mark.parametrize(('depth', 'joins'), [(0.01, False), (0.2, True)])
def test_one_wall_is_no_place(robot, monkeypatch, depth, joins):
    """A wall may have the same paper in two rooms: what is recognised must have a depth."""
    graph, verify = mapped(robot), relocalisation.verify

    def of_a_wall(here, there, least_inliers):
        closure = verify(here, there, least_inliers)
        if closure is None:
            return None
        points = np.random.default_rng(0).normal(0, [1.0, 0.5, depth], (50, 3))
        # In the map, so that all of them are of one wall.
        number = next(n for n, f in graph.known_places().keys.items() if f.feature_points is here)
        local = (points - graph.belief.poses[number][:3, 3]) @ graph.belief.poses[number][:3, :3]
        return replace(closure, points=local / np.exp(graph.belief.log_scales[number]))

    monkeypatch.setattr(relocalisation, 'verify', of_a_wall)
    changes = go_on(graph, robot.drive(range(5, 9), first_number=graph.next_number))

    assert (joined_at(changes) is not None) == joins


def test_what_the_optimum_contradicts_is_not_joined(robot, monkeypatch):
    graph = mapped(robot)
    before, loops = graph.belief.poses, graph.belief.loops
    monkeypatch.setattr(key_frame_graph, 'MOST_SIGMAS_AFTER', 0.0)

    changes = go_on(graph, robot.drive(range(5, 9), first_number=graph.next_number))

    assert joined_at(changes) is None
    assert graph.belief.loops == loops
    for number, pose in before.items():
        np.testing.assert_array_equal(graph.belief.poses[number], pose)


@pytest.mark.usefixtures('unthinned')
def test_a_submap_is_joined_from_the_map_too(robot):
    graph = mapped(robot, range(12))
    far = robot.drive(range(18, 30), first_number=graph.next_number)
    go_on(graph, far)
    keys = robot.drive(range(4, 26), first_number=graph.next_number)

    changes = go_on(graph, keys)

    first = joined_at(changes)
    second = first + 1 + joined_at(changes[first + 1 :])
    assert second > first + 5  # in between the robot is in the map, and the far submap is not
    assert robot.error(graph.belief.poses[0], 0) < 1e-3  # the map stays where it is
    errors = [robot.error(graph.belief.poses[key.number], 18 + i) for i, key in enumerate(far)]
    assert max(errors) < 0.35


def test_a_join_moves_poses_and_scales_of_the_younger_submap(robot):
    nodes = Nodes()
    poses = [robot.place(k) for k in range(4)]
    for number, (key, pose) in enumerate(zip(robot.drive(range(4)), poses)):
        nodes.add(robot.frame(key), pose, 0.1 * number, 0 if number < 2 else 2)
    turn, scale = transform(rotation_about([0, 0, 1], 0.3), [1.0, 2.0, 3.0]), 1.5

    at = Join(2, 0, Similarity(turn, scale), ()).applied(nodes, nodes.numbers)

    np.testing.assert_array_equal(at.poses[:2], poses[:2])
    for moved, pose in zip(at.poses[2:], poses[2:]):
        np.testing.assert_allclose(moved[:3, :3], turn[:3, :3] @ pose[:3, :3], atol=1e-12)
        expected = turn[:3, :3] @ (scale * pose[:3, 3]) + turn[:3, 3]
        np.testing.assert_allclose(moved[:3, 3], expected, atol=1e-12)
    added = [0.0, 0.0, np.log(scale), np.log(scale)]
    np.testing.assert_allclose(at.log_scales, 0.1 * np.arange(4) + added, atol=1e-12)


@pytest.mark.parametrize(('off', 'agrees'), [(0.9, True), (1.1, False)])
def test_a_hint_holds_for_the_motion_since(robot, off, agrees):
    hint = Hint(robot.place(5), robot.place(0), radius=1.0)
    there = robot.place(5) @ invert(robot.place(0)) @ robot.place(4)
    way = np.linalg.norm((invert(robot.place(0)) @ robot.place(4))[:3, 3])
    there[2, 3] += off * (1.0 + DRIFT_SHARE * way)

    assert hint.agrees(PoseHypothesis(there, robot.place(4), 0.0)) == agrees


def test_what_covers_a_key_frame_is_of_its_own_submap():
    poses = np.tile(np.eye(4), (4, 1, 1))
    poses[:, 0, 3] = [0.0, 0.3, 0.3, 0.4]

    assert most_covered(poses, [0, 0, 7, 7], [1]) == (1, 0)
    assert most_covered(poses, [0, 0, 0, 0], [1]) == (1, 2)
