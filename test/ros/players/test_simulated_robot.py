# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import itertools
import math
import signal
import threading
import time
from unittest import mock

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Empty
from tf2_msgs.msg import TFMessage

from ttt3r_ros.geometry import invert, rotation_angle
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.node import messages
from ttt3r_ros.players import replay, simulated_robot
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.renderer import render

MODULE = 'ttt3r_ros.players.simulated_robot'
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SMALL = {'width': 64, 'height': 48, 'field_of_view': 70.0}


def stamp_of(message):
    return messages.nanoseconds(message.header.stamp)


def by_stamp(received):
    return {stamp_of(message): message for message in received}


@pytest.fixture
def start_robot(rig):
    """Start the robot in a thread of this process."""
    robots = []

    def start(**values):
        robot = simulated_robot.SimulatedRobot(
            context=rig.context,
            parameter_overrides=[Parameter(name, value=v) for name, v in values.items()],
        )
        robots.append(robot)
        return robot

    yield start
    for robot in robots:
        robot.replay.stop()
        robot.destroy_node()


def test_the_topics_of_a_moment_share_its_stamp_and_agree(rig, start_process):
    received = {}
    for kind, topic, qos in (
        (CompressedImage, '/image/compressed', 100),
        (CameraInfo, '/camera_info', 100),
        (Odometry, '/odometry', 100),
        (PoseStamped, '/ground_truth', 100),
        (TFMessage, '/tf', 100),
        (TFMessage, '/tf_static', LATCHED),
    ):
        received[topic] = []
        rig.robot.create_subscription(kind, topic, received[topic].append, qos)
    robot = start_process(
        MODULE, seconds=2.0, image_rate=5.0, image_noise=0.0, odometry_noise=0.0, seed=3, **SMALL
    )
    images = []
    rig.robot.create_subscription(Image, '/image', images.append, 100)

    rig.spin_until(lambda: robot.poll() is not None, 'the drive ends')
    rig.spin_for(0.5)  # what came is taken

    assert robot.returncode == 0
    assert len(received['/odometry']) == len(received['/ground_truth']) == 2 * 5 * 4
    assert len(images) >= 9  # the first may come before its subscriber is ready
    assert {stamp_of(i) for i in images} <= by_stamp(received['/camera_info']).keys()
    assert {stamp_of(i) for i in images} <= by_stamp(received['/image/compressed']).keys()
    transforms = [m.transforms[0] for m in received['/tf']]
    assert {(t.header.frame_id, t.child_frame_id) for t in transforms} == {('odom', 'base_link')}
    assert by_stamp(transforms).keys() == by_stamp(received['/odometry']).keys()
    mount = received['/tf_static'][0].transforms[0]
    assert (mount.header.frame_id, mount.child_frame_id) == (
        'base_link',
        images[0].header.frame_id,
    )

    truth = by_stamp(received['/ground_truth'])
    world, base_T_camera = build_world('S', 3), messages.matrix_from_transform(mount.transform)
    camera = CameraIntrinsics.from_field_of_view(64, 48, 70.0)
    assert messages.intrinsics_from(received['/camera_info'][0]) == camera
    last = images[-1]
    world_T_base = messages.matrix_from_pose(truth[stamp_of(last)].pose)
    seen, _ = render(world, camera, world_T_base @ base_T_camera)
    # The lens blurs a little and loses some light in the corners.
    centre = slice(8, 40), slice(10, 54)
    difference = np.abs(messages.rgb_from_image(last)[centre].astype(int) - seen[centre])
    assert np.median(difference) < 8
    jpeg = by_stamp(received['/image/compressed'])[stamp_of(last)]
    difference = messages.rgb_from_compressed(jpeg) - messages.rgb_from_image(last).astype(int)
    assert np.abs(difference).mean() < 8

    start = truth[min(truth)]
    for odometry in received['/odometry']:  # exact odometry begins where the robot does
        moved = invert(messages.matrix_from_pose(start.pose)) @ messages.matrix_from_pose(
            truth[stamp_of(odometry)].pose
        )
        np.testing.assert_allclose(messages.matrix_from_pose(odometry.pose.pose), moved, atol=1e-9)


def test_a_tilt_in_degrees_turns_the_camera_by_so_much(rig, start_robot):
    mounts = []
    rig.robot.create_subscription(TFMessage, '/tf_static', mounts.append, LATCHED)
    start_robot(camera_tilt_degrees=30.0, **SMALL)

    rig.spin_until(lambda: mounts, 'the mount is known')

    mount = messages.matrix_from_transform(mounts[0].transforms[0].transform)
    np.testing.assert_allclose(mount[:3, 2], [math.sqrt(0.75), 0.0, 0.5], atol=1e-9)


def test_odometry_says_how_fast_the_robot_moves(rig, start_robot):
    subscribe = rig.robot.create_subscription
    odometry, done = [], threading.Event()
    subscribe(Odometry, '/odometry', odometry.append, 1000)
    robot = start_robot(wait_for_subscriber=False, rate=4.0, seconds=6.0, publish_clock=True)
    rig.spin_until(lambda: robot.count_subscribers('/odometry'), 'the robot has a subscriber')

    robot.replay.done.add_done_callback(lambda _: done.set())
    robot.replay.start()
    rig.spin_until(done.is_set, 'the drive ends')
    rig.spin_until(lambda: len(odometry) > 200, 'all odometry is there')

    poses = [messages.matrix_from_pose(m.pose.pose) for m in odometry]
    seconds = np.diff([stamp_of(m) for m in odometry]) / 1e9
    steps = [invert(a) @ b for a, b in itertools.pairwise(poses)]
    speeds = [np.linalg.norm(step[:3, 3]) for step in steps] / seconds
    turns = rotation_angle(np.stack(steps)[:, :3, :3]) / seconds
    said = [m.twist.twist for m in odometry[1:]]
    np.testing.assert_allclose([np.hypot(t.linear.x, t.linear.y) for t in said], speeds, atol=1e-6)
    np.testing.assert_allclose([abs(t.angular.z) for t in said], turns, atol=1e-6)
    assert max(speeds) > 0.3


def test_nothing_is_rendered_without_a_subscriber(rig, start_robot, monkeypatch):
    rendered = []

    def counting(*arguments, **options):
        rendered.append(arguments)
        return render(*arguments, **options)

    monkeypatch.setattr(simulated_robot, 'render', counting)
    odometry, images = [], []
    rig.robot.create_subscription(Odometry, '/odometry', odometry.append, 100)
    robot = start_robot(wait_for_subscriber=False, image_rate=20.0, **SMALL)

    robot.replay.start()
    rig.spin_until(lambda: len(odometry) > 40, 'the robot drives')
    assert rendered == []

    rig.robot.create_subscription(Image, '/image', images.append, qos_profile_sensor_data)
    rig.spin_until(lambda: images, 'an image comes')
    assert rendered


@pytest.mark.parametrize('loop_time', ['restart', 'continue'])
def test_the_clock_of_a_loop_jumps_back_or_goes_on(rig, start_robot, loop_time):
    clock, truth = [], []
    rig.robot.create_subscription(
        Clock, '/clock', lambda m: clock.append(messages.nanoseconds(m.clock)), 1000
    )
    rig.robot.create_subscription(PoseStamped, '/ground_truth', truth.append, 1000)
    robot = start_robot(
        publish_clock=True, loop=True, loop_time=loop_time, rate=5.0, seconds=1.0, image_rate=5.0
    )
    # The images have no subscriber yet: time is paused at its beginning.
    robot.replay.start()
    rig.spin_until(lambda: len(clock) > 3, 'the clock is received')
    assert set(clock) == {1_000_000_000}
    assert truth == []

    rig.robot.create_subscription(Image, '/image', lambda _: None, qos_profile_sensor_data)
    rig.spin_until(lambda: len(truth) >= 45, 'the third loop begins')

    stamps = [stamp_of(message) for message in truth[:45]]
    step = 50_000_000  # 5 images a second, 4 moments each
    once = list(range(1_000_000_000, 2_000_000_000, step))
    expected = once * 3 if loop_time == 'restart' else [once[0] + step * n for n in range(60)]
    assert stamps == expected[:45]
    if loop_time == 'restart':
        rig.spin_until(lambda: (np.diff(clock) < 0).sum() >= 2, 'the clock falls back twice')
    else:
        rig.spin_until(lambda: max(clock) >= stamps[-1], 'the clock is in the third loop')
        assert (np.diff(clock) >= 0).all()


def test_a_recorder_that_is_found_late_hears_the_drive_from_its_first_moment(rig, start_process):
    clock, truth = [], []
    rig.robot.create_subscription(Clock, '/clock', clock.append, 1000)
    rig.robot.create_subscription(Image, '/image', lambda _: None, qos_profile_sensor_data)
    robot = start_process(
        MODULE, publish_clock=True, wait_for_recorder=600.0, seconds=1.0, image_rate=5.0, **SMALL
    )

    def stands_still():
        clock.clear()
        rig.spin_until(lambda: len(clock) > 10, 'the clock is received')
        return {messages.nanoseconds(message.clock) for message in clock} == {1_000_000_000}

    assert stands_still()  # no recorder is ready
    rig.publisher(Empty, '/recorder/ready', LATCHED).publish(Empty())
    rig.spin_for(0.2)
    assert stands_still()  # the truth has no subscriber

    rig.robot.create_subscription(PoseStamped, '/ground_truth', truth.append, 100)
    rig.spin_until(lambda: robot.poll() is not None, 'the drive ends')
    rig.spin_until(lambda: len(truth) >= 20, 'all of it is received')

    # 5 images a second, 4 moments each.
    assert [stamp_of(m) for m in truth] == list(range(1_000_000_000, 2_000_000_000, 50_000_000))


def test_a_robot_that_no_recorder_hears_says_so_and_drives(rig, start_process):
    robot = start_process(
        MODULE, wait_for_subscriber=False, wait_for_recorder=0.5, seconds=1.0, image_rate=1.0
    )

    rig.spin_until(lambda: robot.poll() is not None, 'the drive ends')

    assert robot.returncode == 0
    assert 'no recorder was ready within 0.5 s: starting without' in robot.output.read_text()


def test_too_slow_a_camera_lets_time_stand_still_and_loses_nothing(rig, start_robot, monkeypatch):
    def slow(*arguments, **options):
        threading.Event().wait(0.15)
        return render(*arguments, **options)

    monkeypatch.setattr(simulated_robot, 'render', slow)
    stamps, ages, done = [], [], threading.Event()

    def on_image(image):
        stamps.append(stamp_of(image))
        ages.append((rig.now_ns() - stamps[-1]) / 1e9)

    rig.robot.create_subscription(Image, '/image', on_image, 100)
    robot = start_robot(seconds=1.5, image_rate=20.0, **SMALL)

    robot.replay.done.add_done_callback(lambda _: done.set())
    robot.replay.start()
    rig.spin_until(done.is_set, 'the drive ends')
    rig.spin_until(lambda: len(stamps) >= 29, 'all images are there')

    # It takes 4.5 s instead of 1.5, and stamps stay those of the time of publishing.
    assert np.median(ages[-10:]) < 1.5
    assert (np.diff(stamps) > 49_900_000).all()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_robot_in_good_order(rig, start_process, number):
    robot = start_process(MODULE, loop=True, wait_for_subscriber=False)
    transforms = rig.collect(TFMessage, '/tf')
    rig.spin_until(lambda: transforms, 'the robot drives')

    robot.send_signal(number)
    rig.spin_until(lambda: robot.poll() is not None, 'the robot ends')

    assert robot.returncode == 0
    assert 'Traceback' not in robot.output.read_text()


def test_a_wrong_parameter_ends_the_robot_with_one_line(rig, start_process):
    robot = start_process(MODULE, family='X')
    rig.spin_until(lambda: robot.poll() is not None, 'the robot ends')

    assert robot.returncode == 1
    (line,) = [x for x in robot.output.read_text().splitlines() if 'FASTRTPS' not in x]
    assert 'family must be one of S, M, L' in line


def test_a_robot_that_is_too_slow_says_so_once(rig, start_robot, monkeypatch):
    monkeypatch.setattr(replay, 'REPORTED_DELAY_S', 0.2)

    def slowly(*arguments, **options):
        time.sleep(0.15)
        return np.zeros((48, 64, 3), np.uint8), None

    monkeypatch.setattr(simulated_robot, 'render', slowly)
    said = []
    monkeypatch.setattr(
        simulated_robot.SimulatedRobot,
        'get_logger',
        lambda node: mock.Mock(warning=said.append, info=said.append),
    )
    rig.robot.create_subscription(Image, '/image', lambda message: None, 100)
    robot = start_robot(seconds=2.0, image_rate=20.0, **SMALL)
    robot.replay.start()

    rig.spin_until(robot.replay.done.done, 'the drive ends')

    assert [text for text in said if text.startswith('too slow for the rate 1: time stands')]
    assert sum('time st' in text for text in said) == 2
    (total,) = [text for text in said if text.startswith('time stood still for')]
    # 40 images of 0.15 s in a drive of 2 s: about 4 s of waiting.
    assert 2 <= int(total.split()[4]) <= 8
