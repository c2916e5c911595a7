# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from concurrent.futures import Executor, Future
from dataclasses import replace

import numpy as np
import pytest

from ttt3r_ros.geometry import (
    BODY_T_OPTICAL,
    invert,
    rotation_about,
    rotation_angle,
    Similarity,
    transform,
)
from ttt3r_ros.graph import back_end as room
from ttt3r_ros.graph.additions import SynchronousExecutor
from ttt3r_ros.graph.anchor import flattened, is_planar, longest_step, towards
from ttt3r_ros.graph.back_end import BackEnd
from ttt3r_ros.graph.belief import Belief, Located, LoopCounts
from ttt3r_ros.graph.key_frame_graph import Change
from ttt3r_ros.graph.thinning import RemovedKeyFrame
from ttt3r_ros.settings import OdometrySettings
from ttt3r_ros.tracking.features import begin
from ttt3r_ros.tracking.frame import Pointmap, TrackedFrame
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.tracked_pose import KeyView, TrackedPose, View

MAST = transform(rotation_about([1, 2, 3], 0.4), [0.1, 0.0, 0.8])
PLACE = transform(rotation_about([0, 0, 1], 0.7), [4.0, 5.0, 0.0])
DEPTH = 2.0
TENTH = 100_000_000
AT_ONCE = OdometrySettings(correction_speed=0.0)


def track_pose(number):
    """Return where the front end has camera `number`: on a screw that begins at the origin."""
    return transform(rotation_about([1, 0, 1], 0.1 * number), [0.03 * number, 0, 0])


def tracked(number, pose=None, new_key=False, slips=False):
    points = np.full((2, 3, 3), DEPTH, np.float32)
    confidence, colors = np.full((2, 3), 5.0, np.float32), np.zeros((2, 3, 3), np.uint8)
    pose = track_pose(number) if pose is None else pose
    view = View(number * TENTH, colors, np.eye(3), network_T_camera=pose)
    tracks = begin(np.zeros((16, 16), np.uint8))
    key = KeyView(0, view, tracks, np.empty(0), None, 'nothing', np.eye(4), 0.0)
    tracked_pose = TrackedPose(view.stamp_ns, key, pose, np.eye(6), 'network', False, new_key, 0)
    tracked_pose = replace(tracked_pose, slips=slips)
    pointmap = Pointmap(points, confidence, colors)
    return TrackedFrame(number, 0, view, tracked_pose, 1.0, pointmap, None, None, 0.5)


def locate(back_end, number, base_T_camera=None, odom_T_base=None, pose=None, slips=False):
    observation = Observation(
        np.zeros((2, 3, 3), np.uint8), number, None, base_T_camera, odom_T_base
    )
    return back_end.locate(tracked(number, pose, slips=slips), observation)


def step(first, second):
    return invert(track_pose(first)) @ track_pose(second)


def along(way, height=0.0, roll=0.0):
    return transform(rotation_about([1, 0, 0], roll), [way, 0.0, height])


class ScriptedGraph:
    """Replaces the graph: every key frame is moved by `graph_T_track`."""

    def __init__(self, noise):
        self.graph_T_track = Similarity(np.eye(4))
        self.generation, self.keys = 0, []

    @property
    def belief(self):
        poses = {key.number: self.graph_T_track.pose(key.track_T_camera) for key in self.keys}
        scales = dict.fromkeys(poses, float(np.log(self.graph_T_track.scale)))
        counts, unsure = LoopCounts(), np.eye(6)
        return Belief(
            self.graph_T_track, self.generation, None, poses, {}, scales, False, (), counts, unsure
        )

    def correct(self, graph_T_track):
        self.graph_T_track = graph_T_track
        self.generation += 1

    def locate(self, tracked_pose):
        pose = self.graph_T_track.pose(tracked_pose.track_T_camera)
        key = self.graph_T_track.pose(tracked_pose.key.track_T_camera)
        return Located(pose, np.eye(6), Similarity(key, self.graph_T_track.scale), True)

    def add(self, key):
        self.keys.append(key)
        self.generation += 1
        removed = RemovedKeyFrame(7, 0, np.eye(4), 0.0, 0.0) if key.number == 8 else None
        return Change(0.0, False, removed)


@pytest.fixture
def with_graph(monkeypatch):
    """Return a function that makes a back end, and the graph that it asks."""

    def make(settings=AT_ONCE, executor=None):
        graph = ScriptedGraph(None)
        monkeypatch.setattr(room, 'KeyFrameGraph', lambda noise: graph)
        return BackEnd(settings, executor or SynchronousExecutor()), graph

    return make


def plain():
    return BackEnd(AT_ONCE, SynchronousExecutor())


@pytest.mark.parametrize(
    ('base_T_camera', 'odom_T_base', 'map_T_base'),
    [(None, None, BODY_T_OPTICAL), (MAST, None, np.eye(4)), (MAST, PLACE, PLACE)],
)
def test_the_first_image_stands_where_odometry_or_convention_has_it(
    base_T_camera, odom_T_base, map_T_base
):
    located = locate(plain(), 0, base_T_camera, odom_T_base)

    np.testing.assert_allclose(located.map_T_base, map_T_base, atol=1e-12)


def test_later_images_move_as_the_front_end_does():
    back_end = plain()
    first = locate(back_end, 0, MAST)
    second = locate(back_end, 4, MAST)

    expected = first.map_T_camera @ step(0, 4)
    np.testing.assert_allclose(second.map_T_camera, expected, atol=1e-12)
    np.testing.assert_allclose(second.map_T_base, expected @ invert(MAST), atol=1e-12)
    through_key = second.map_T_key.pose(second.key_T_camera)
    np.testing.assert_allclose(through_key, second.map_T_camera, atol=1e-12)


def test_an_initial_pose_before_the_first_image_is_where_it_stands():
    back_end = plain()
    back_end.place_base(PLACE)

    located = locate(back_end, 0, MAST, transform(np.eye(3), [1, 0, 0]))

    np.testing.assert_allclose(located.map_T_base, PLACE, atol=1e-12)


def test_an_initial_pose_takes_the_whole_map_along_and_changes_no_image_before(with_graph):
    back_end, _ = with_graph()
    first = locate(back_end, 0, MAST)
    back_end.add(replace(first, tracked=tracked(0, new_key=True)))
    before = locate(back_end, 1, MAST)
    pose = before.map_T_camera.copy()
    assert back_end.correction() is not None

    back_end.place_base(PLACE)
    moved = back_end.correction()
    after = locate(back_end, 2, MAST)

    np.testing.assert_allclose(after.map_T_camera, PLACE @ MAST @ step(1, 2), atol=1e-12)
    np.testing.assert_array_equal(before.map_T_camera, pose)
    expected = PLACE @ MAST @ step(1, 0)
    np.testing.assert_allclose(moved.map_T_key[0].a_T_b, expected, atol=1e-12)
    assert back_end.correction() is None


def test_without_odometry_at_a_stamp_the_images_go_on_in_its_place():
    back_end = plain()
    locate(back_end, 0, MAST, PLACE)
    held = back_end.map_T_odom

    located = locate(back_end, 2, MAST)

    np.testing.assert_allclose(back_end.map_T_odom, held, atol=1e-12)
    np.testing.assert_allclose(held @ located.odom_T_base, located.map_T_base, atol=1e-12)


def test_the_odometry_of_images_never_jumps_when_the_graph_is_corrected(with_graph):
    back_end, graph = with_graph()
    before = locate(back_end, 0, MAST)
    graph.correct(Similarity(along(1.0)))
    after = locate(back_end, 1, MAST)

    expected = before.odom_T_base @ MAST @ step(0, 1) @ invert(MAST)
    np.testing.assert_allclose(after.odom_T_base, expected, atol=1e-12)
    assert np.linalg.norm(after.map_T_base[:3, 3] - expected[:3, 3]) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize('error', [along(1.0), transform(rotation_about([0, 0, 1], 0.6), [0] * 3)])
def test_a_correction_is_followed_in_steps_of_five_centimetres_and_reached(with_graph, error):
    back_end, graph = with_graph(OdometrySettings(correction_speed=0.5))
    locate(back_end, 0, np.eye(4), np.eye(4), along(0))
    graph.correct(Similarity(error))

    anchors = []
    for number in range(1, 40):
        odom_T_base = along(0.01 * number)
        located = locate(back_end, number, np.eye(4), odom_T_base, along(0.01 * number))
        anchors.append(back_end.map_T_odom)
        # TF at the stamp of the image gives the pose that is published.
        tf = back_end.map_T_odom @ odom_T_base
        np.testing.assert_allclose(tf, located.map_T_base, atol=1e-12)

    steps = invert(np.stack(anchors[:-1])) @ np.stack(anchors[1:])
    at_robot = steps[:, :3, :3] @ np.array([0.4, 0, 0]) + steps[:, :3, 3] - [0.4, 0, 0]
    assert np.linalg.norm(at_robot, axis=1).max() <= 0.05 + 0.4 * 0.05
    assert rotation_angle(steps[:, :3, :3]).max() <= 0.05 + 1e-9
    np.testing.assert_allclose(anchors[-1], error, atol=1e-9)
    assert np.abs(anchors[3] - error).max() > 0.1


@pytest.mark.parametrize('jump', [along(8.0), transform(rotation_about([0, 0, 1], 2.0), [0] * 3)])
def test_a_jump_of_the_odometry_moves_no_robot(jump):
    back_end = BackEnd(OdometrySettings(), SynchronousExecutor())
    found = []
    for number in range(6):
        pose = along(0.03 * number)
        odom_T_base = jump @ pose if number > 2 else pose
        found.append(locate(back_end, number, np.eye(4), odom_T_base, pose, slips=number == 3))

    for number, one in enumerate(found):
        np.testing.assert_allclose(one.map_T_base, along(0.03 * number), atol=1e-9)
    np.testing.assert_allclose(back_end.map_T_odom, invert(jump), atol=1e-9)


def test_a_camera_that_moves_on_the_robot_moves_no_robot():
    back_end, rise = plain(), transform(np.eye(3), [0, 0, 0.3])
    before = locate(back_end, 0, MAST)
    camera = invert(MAST) @ rise @ MAST  # as the camera sees itself rise
    after = locate(back_end, 1, rise @ MAST, pose=camera)

    np.testing.assert_allclose(after.map_T_base, before.map_T_base, atol=1e-12)
    np.testing.assert_allclose(after.odom_T_base, before.odom_T_base, atol=1e-12)


@pytest.mark.parametrize(('planar', 'stays'), [('auto', True), ('off', False)])
def test_a_robot_on_planar_wheels_stays_on_the_floor(with_graph, planar, stays):
    back_end, graph = with_graph(replace(AT_ONCE, planar=planar))
    locate(back_end, 0, MAST, np.eye(4), track_pose(0))
    graph.correct(Similarity(along(0.0, height=-1.1, roll=0.15)))
    located = locate(back_end, 1, MAST, along(0.02))

    height, tilt = located.map_T_base[2, 3], rotation_angle(located.map_T_base[:3, :3])
    on_floor = abs(height) < 1e-9 and np.allclose(located.map_T_base[:3, 2], [0, 0, 1], atol=1e-9)
    assert on_floor == stays, (height, tilt)


def test_an_odometry_with_height_is_not_taken_for_planar(with_graph):
    back_end, graph = with_graph()
    locate(back_end, 0, MAST, np.eye(4), track_pose(0))
    locate(back_end, 1, MAST, along(0.02, height=0.01))
    graph.correct(Similarity(along(0.0, height=-1.1)))

    # Later the robot is level again; its measured height is used.
    assert locate(back_end, 2, MAST, along(0.04)).map_T_base[2, 3] < -0.5


class Later(Executor):
    """Keeps what is submitted until it is asked to run it."""

    def __init__(self):
        self.waiting = []

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.waiting.append((future, fn, args))
        return future

    def run(self):
        for future, fn, args in self.waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(fn(*args))
        self.waiting = []


def test_key_frames_are_added_by_the_executor_and_nothing_waits(with_graph):
    later = Later()
    back_end, _ = with_graph(executor=later)
    frame = locate(back_end, 0, MAST)
    back_end.add(frame)  # no key frame
    assert not later.waiting
    back_end.add(replace(frame, tracked=tracked(0, new_key=True)))
    assert back_end.correction() is None
    locate(back_end, 1, MAST)

    later.run()
    correction = back_end.correction()

    assert list(correction.map_T_key) == [0]
    np.testing.assert_allclose(correction.map_T_key[0].a_T_b, MAST, atol=1e-12)
    assert back_end.correction() is None


def test_a_removed_key_frame_is_reported_once(with_graph):
    back_end, _ = with_graph()
    frame = tracked(0, new_key=True)
    key = replace(frame.pose.key, number=8)
    located = locate(back_end, 0)
    back_end.add(replace(located, tracked=replace(frame, pose=replace(frame.pose, key=key))))

    assert [removed.number for removed in back_end.correction().removed] == [7]
    assert back_end.correction() is None


def test_points_have_the_unit_that_the_graph_estimates(with_graph):
    back_end, graph = with_graph()
    locate(back_end, 0)
    graph.correct(Similarity(np.eye(4), 1.5))

    located = locate(back_end, 1)

    np.testing.assert_allclose(located.pointmap.depth, 1.5 * DEPTH, atol=1e-5)
    assert located.scale == pytest.approx(1.5, abs=1e-12)


def test_an_image_under_way_cannot_bring_back_the_old_map_to_odom():
    back_end = plain()
    locate(back_end, 0, MAST, np.eye(4))

    back_end.begin_epoch()  # by another thread, while the next image is being looked at
    late = locate(back_end, 5, MAST, np.eye(4))

    assert not back_end.is_current(late)
    np.testing.assert_array_equal(back_end.map_T_odom, np.eye(4))
    back_end.reset()
    fresh = locate(back_end, 6, MAST, PLACE)
    assert back_end.is_current(fresh)


def test_a_reset_cancels_key_frames_that_are_waiting(with_graph):
    later = Later()
    back_end, graph = with_graph(executor=later)
    frame = locate(back_end, 0)
    back_end.add(replace(frame, tracked=tracked(0, new_key=True)))

    back_end.reset()
    later.run()

    assert not graph.keys
    assert back_end.correction() is None


def test_a_resumed_map_does_not_keep_the_map_to_odom_of_the_one_before():
    back_end = plain()
    locate(back_end, 0, MAST, np.eye(4))
    locate(back_end, 5, MAST, np.eye(4))
    assert np.abs(back_end.map_T_odom - np.eye(4)).max() > 0.1

    back_end.resume(Similarity(PLACE))

    np.testing.assert_array_equal(back_end.map_T_odom, np.eye(4))
    located = locate(back_end, 1, MAST, np.eye(4))
    np.testing.assert_allclose(located.map_T_camera, PLACE @ track_pose(1), atol=1e-12)


def test_poses_between_two_lie_on_the_way_and_never_too_far():
    target = transform(rotation_about([0, 0, 1], 0.2), [1.0, 0, 0])

    np.testing.assert_array_equal(towards(np.eye(4), target, 2.0), target)
    part = towards(np.eye(4), target, 0.1)
    assert np.linalg.norm(part[:3, 3]) == pytest.approx(0.1, abs=2e-3)
    assert rotation_angle(part[:3, :3]) == pytest.approx(0.02, abs=2e-3)
    assert longest_step(0.5, TENTH) == pytest.approx(0.05, abs=1e-12)
    assert longest_step(0.5, 50 * TENTH) == pytest.approx(0.05, abs=1e-12)
    assert longest_step(0.1, TENTH) == pytest.approx(0.01, abs=1e-12)
    assert longest_step(0.0, TENTH) == np.inf


def test_planes_are_told_from_other_poses():
    assert is_planar(PLACE)
    assert not is_planar(along(1.0, height=0.01))
    assert not is_planar(along(1.0, roll=0.01))
    np.testing.assert_allclose(flattened(along(2.0, 0.3, 0.1)), along(2.0), atol=1e-12)
    np.testing.assert_allclose(flattened(PLACE), PLACE, atol=1e-12)


def test_how_sure_the_robot_is_counts_along_the_axes_of_the_map():
    """Move the camera by chance to the right of its pose, and look at the robot on the map."""
    located = locate(plain(), 0, MAST, PLACE)
    rng = np.random.default_rng(0)
    spread = rng.normal(0, 1e-3, (6, 6))
    located = replace(located, covariance=spread @ spread.T)

    steps = rng.normal(size=(20_000, 6)) @ spread.T
    turned = np.zeros((len(steps), 3, 3))
    turned[:, [2, 0, 1], [1, 2, 0]], turned[:, [1, 2, 0], [2, 0, 1]] = steps[:, :3], -steps[:, :3]
    wrong = located.map_T_camera @ transform(np.eye(3) + turned, steps[:, 3:])
    base = wrong @ invert(MAST)
    turns = base[:, :3, :3] @ located.map_T_base[:3, :3].T - np.eye(3)
    moved = np.concatenate(
        [turns[:, [2, 0, 1], [1, 2, 0]], base[:, :3, 3] - located.map_T_base[:3, 3]], axis=1
    )

    expected = np.cov(moved.T)
    size = np.abs(expected).max()
    np.testing.assert_allclose(located.base_covariance(), expected, atol=0.05 * size)


def test_the_odometry_of_images_goes_on_over_a_reset():
    back_end = plain()
    locate(back_end, 0, MAST)
    before = locate(back_end, 5, MAST)

    back_end.reset()
    after = locate(back_end, 0, MAST)

    np.testing.assert_array_equal(after.odom_T_base, before.odom_T_base)
    np.testing.assert_allclose(after.map_T_base, np.eye(4), atol=1e-12)
    tf = back_end.map_T_odom @ after.odom_T_base
    np.testing.assert_allclose(tf, after.map_T_base, atol=1e-12)


def test_a_map_of_an_odometry_on_the_globe_begins_at_its_own_origin():
    utm = transform(rotation_about([0, 0, 1], 0.7), [690_000.0, 5_330_000.0, 0.0])
    back_end = BackEnd(OdometrySettings(), SynchronousExecutor())
    first = locate(back_end, 0, np.eye(4), utm, along(0))
    later = locate(back_end, 1, np.eye(4), utm @ along(0.03), along(0.03))

    np.testing.assert_allclose(first.map_T_base[:3, 3], 0, atol=1e-6)
    np.testing.assert_allclose(later.map_T_base, first.map_T_base @ along(0.03), atol=1e-6)
    tf = back_end.map_T_odom @ utm @ along(0.03)
    np.testing.assert_allclose(tf, later.map_T_base, atol=1e-6)
