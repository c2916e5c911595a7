# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What may go wrong, and what the node then does."""

import time

from geometry_msgs.msg import PoseWithCovarianceStamped
import numpy as np
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from ttt3r_ros.geometry import BODY_T_OPTICAL, transform
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.node import diagnostics, messages

SECOND = 1_000_000_000
MAST = transform(BODY_T_OPTICAL[:3, :3], [0.2, 0.0, 0.5])
CAMERA = 'camera_optical_frame'
# A camera alone needs no transforms, so that a test may be about something else.
ALONE = {'odom_frame': '', 'base_frame': ''}


def ahead(distance):
    return transform(np.eye(3), [distance, 0, 0])


def show_and_wait(rig, poses, number, stamp_ns, **changes):
    rig.show(number, stamp_ns, **changes)
    return rig.wait_for_stamp(poses, stamp_ns)


# 1


def test_half_of_the_images_missing_is_a_warning_and_no_more(rig, poses, monkeypatch):
    monkeypatch.setattr(diagnostics, 'waited_s', lambda: 0.0)  # a busy machine has another cause
    rig.start(**{'diagnostics.stale_timeout': 60.0}, **ALONE)
    start_ns = rig.now_ns() - 5 * SECOND
    came = [n for n in range(50) if np.random.default_rng(3).random(50)[n] < 0.5]

    for number in came:
        show_and_wait(rig, poses, number, start_ns + number * SECOND // 10)

    status = rig.wait_for_status('DEGRADED: rate: about')
    assert int.from_bytes(status.level, 'little') == 1
    assert 35 <= int(rig.counts()['missing images (%)']) <= 65
    assert rig.predictor.written == came


# 2


def test_repeated_and_late_stamps_change_nothing_and_are_counted(rig, poses):
    rig.start(**ALONE)
    now_ns = rig.now_ns()
    show_and_wait(rig, poses, 0, now_ns)
    show_and_wait(rig, poses, 1, now_ns + SECOND // 10)

    rig.show(50, now_ns + SECOND // 10)
    for late in range(1, 4):
        rig.show(60, now_ns + SECOND // 10 - late * SECOND // 50)
    pose = show_and_wait(rig, poses, 2, now_ns + SECOND // 5)

    assert rig.predictor.written == [0, 1, 2]
    assert pose.pose.pose.position.x == pytest.approx(0.2, abs=1e-6)
    rig.wait_for_count('dropped: stamp came before', 1)
    rig.wait_for_count('dropped: stamp out of order', 3)
    assert len(rig.logged('stamp out of order')) == 1


# 3


@pytest.mark.parametrize('back_s', [0.5, 60.0])
def test_a_clock_that_goes_back_begins_a_new_session_with_one_line(rig, poses, back_s):
    rig.start(use_sim_time=True)
    clock = rig.publisher(Clock, '/clock')
    rig.mount_camera(MAST)
    transforms = rig.collect(TFMessage, '/tf', 100)

    def play(start_ns, first):
        for number in range(4):
            stamp_ns = start_ns + number * SECOND // 10
            clock.publish(Clock(clock=messages.time_message(stamp_ns)))
            rig.send_transform('odom', 'base_link', ahead(0.1 * number), stamp_ns)
            show_and_wait(rig, poses, first + number, stamp_ns)

    play(1000 * SECOND, 0)
    moved = messages.matrix_from_pose(poses[-1].pose.pose)
    np.testing.assert_allclose(moved, ahead(0.3), atol=1e-6)
    second_ns = 1000 * SECOND + 3 * SECOND // 10 - round(back_s * SECOND)
    clock.publish(Clock(clock=messages.time_message(second_ns - SECOND // 10)))
    rig.wait_for_log('went back')
    transforms.clear()
    poses.clear()
    play(second_ns, 100)

    # A new session: the first image stands where odometry says, and the state is new.
    found = [messages.matrix_from_pose(pose.pose.pose) for pose in poses]
    np.testing.assert_allclose(found, [ahead(0.1 * n) for n in range(4)], atol=1e-6)
    assert len(rig.logged('the map is reset')) == 1
    newest_ns = second_ns + SECOND

    def of_new_time():
        stamps = (t.header.stamp for m in transforms for t in m.transforms)
        return [messages.nanoseconds(stamp) < newest_ns for stamp in stamps]

    rig.spin_until(lambda: any(of_new_time()), 'TF goes on')
    since = of_new_time().index(True)  # some of the old time may have been under way
    assert all(of_new_time()[since:])


def test_a_bag_that_loops_without_a_clock_begins_a_new_session(rig, poses):
    rig.start(**{'inputs.bad_stamps': 'accept'}, **ALONE)
    for first in (0, 10):
        poses.clear()
        for number in range(3):
            show_and_wait(rig, poses, first + number, (500 + number) * SECOND)
        assert [p.pose.pose.position.x for p in poses] == pytest.approx([0.0, 0.1, 0.2], abs=1e-6)

    rig.wait_for_log('the stamps of the images went back: the map is reset')
    assert len(rig.logged('the map is reset')) == 1


def test_an_image_under_way_when_time_goes_back_comes_out_nowhere(rig, poses):
    rig.start(**{'inputs.bad_stamps': 'accept'}, **ALONE)
    transforms = rig.collect(TFMessage, '/tf', 100)
    rig.predictor.go.clear()
    rig.show(0, 500 * SECOND)
    assert rig.predictor.began.wait(60)
    rig.show(50, 400 * SECOND)
    rig.wait_for_log('the map is reset')
    rig.predictor.go.set()
    rig.wait_for_stamp(poses, 400 * SECOND)
    show_and_wait(rig, poses, 51, 401 * SECOND)

    assert rig.predictor.seen[0] == 0
    assert [p.header.stamp.sec for p in poses] == [400, 401]
    rig.spin_until(lambda: len(transforms) == 2, 'TF is sent')
    assert [t.header.stamp.sec for m in transforms for t in m.transforms] == [400, 401]


# 4


def test_a_clock_that_jumps_ahead_an_hour_goes_on(rig, poses):
    node = rig.start(use_sim_time=True, **ALONE)
    clock = rig.publisher(Clock, '/clock')
    for number, second in enumerate((100, 101, 3701, 3702)):
        clock.publish(Clock(clock=messages.time_message(second * SECOND)))
        rig.spin_until(lambda s=second: node.get_clock().now().nanoseconds >= s * SECOND)
        show_and_wait(rig, poses, number, second * SECOND)

    assert rig.predictor.written == [0, 1, 2, 3]


def test_a_missing_clock_is_named_as_the_cause(rig):
    rig.start(use_sim_time=True, **ALONE)
    rig.show(0, rig.now_ns())

    rig.wait_for_status('STALE: use_sim_time is set, but nothing publishes /clock')
    rig.wait_for_log('nothing publishes /clock')


def test_a_missing_publisher_is_named_as_the_cause(rig):
    rig.start(**ALONE)
    rig.wait_for_status('STALE: nothing publishes /image')
    rig.wait_for_log('nothing publishes /image')


# 5


@pytest.mark.parametrize('offset_s', [None, 3600.0, -3600.0])
def test_a_stamp_far_from_the_clock_is_refused(rig, poses, offset_s):
    rig.start(**ALONE)
    wrong_ns = 0 if offset_s is None else rig.now_ns() + round(offset_s * SECOND)

    rig.show(9, wrong_ns)
    show_and_wait(rig, poses, 0, rig.now_ns())

    rig.wait_for_count('dropped: stamp too far from the clock', 1)
    assert rig.predictor.seen == [0]


def test_a_wrong_stamp_can_be_replaced_by_the_time_of_arrival(rig, poses):
    rig.start(**{'inputs.bad_stamps': 'restamp'}, **ALONE)
    before_ns = rig.now_ns()

    rig.show(0, 0)

    rig.spin_until(lambda: poses, 'the image is mapped')
    assert before_ns <= messages.nanoseconds(poses[0].header.stamp) <= rig.now_ns()


# 6, 7, 8


def test_a_thermal_camera_of_14_bits_has_more_than_three_grey_levels(rig, poses):
    rig.start(**ALONE)
    stamp_ns = rig.now_ns()
    values = 7000 + rig.picture(100)[..., 0].astype('<u2') * 3 // 2
    height, width = values.shape

    rig.show(
        100, stamp_ns, encoding='mono16', step=2 * width, data=values.tobytes(), height=height
    )
    rig.wait_for_stamp(poses, stamp_ns)

    # 7150 of 7000 to 7382, with a quarter more on each side; its upper byte is 27.
    assert rig.predictor.seen[-1] == pytest.approx(109, abs=4)
    rig.wait_for_log('16 bit images: ')


def test_malformed_images_are_dropped_and_said_once(rig, poses):
    rig.start(**ALONE)
    began, now_ns = time.monotonic(), rig.now_ns()
    wrong = [
        {'encoding': 'turquoise'},
        {'data': b'12'},
        {'data': b''},
        {'width': 0, 'height': 0},
        {'width': 2**31, 'height': 2**31},
        {'step': 2**31},
    ]
    for number, changes in enumerate(wrong, start=1):
        rig.show(0, now_ns + number, **changes)
        rig.wait_for_count('dropped: image cannot be decoded', number)
    show_and_wait(rig, poses, 7, rig.now_ns())

    assert rig.predictor.seen == [7]
    assert 1 <= len(rig.logged('image dropped')) <= 1 + (time.monotonic() - began) / 5


def test_size_and_encoding_may_change_from_image_to_image(rig, poses):
    rig.start(**ALONE)
    show_and_wait(rig, poses, 0, rig.now_ns())
    grey = {'width': 80, 'height': 120, 'step': 80, 'encoding': 'mono8'}
    pixels = rig.picture(1, 80, 120)[..., 0].tobytes()
    show_and_wait(rig, poses, 1, rig.now_ns(), data=pixels, **grey)
    pose = show_and_wait(rig, poses, 2, rig.now_ns())

    assert rig.predictor.written == [0, 1, 2]
    assert pose.pose.pose.position.x == pytest.approx(0.2, abs=1e-6)


# 10


def test_numbers_that_are_not_finite_are_dropped_without_a_trace(rig, poses):
    rig.start(**ALONE)
    show_and_wait(rig, poses, 0, rig.now_ns())
    rig.predictor.broken = True
    rig.show(50, rig.now_ns())
    rig.wait_for_count('dropped: network gave no finite numbers', 1)
    rig.predictor.broken = False
    pose = show_and_wait(rig, poses, 2, rig.now_ns())

    assert pose.pose.pose.position.x == pytest.approx(0.2, abs=1e-6)


# 11


def calibration(rig, **changes):
    camera = CameraIntrinsics(64, 48, 70.0, 71.0, 30.0, 25.0)
    info = messages.camera_info(camera, rig.image(0, 0).header)
    for name, value in changes.items():
        setattr(info, name, value)
    return info


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'k': [0.0] * 9, 'p': [0.0] * 12}, 'not calibrated'),
        ({'distortion_model': 'fish', 'd': [0.1]}, "distortion model 'fish'"),
        ({'width': 32}, 'camera_info is for 32x48'),
        ({'header': Header(frame_id='lidar')}, "camera_info is of the frame 'lidar'"),
    ],
)
def test_an_unusable_calibration_is_said_and_the_focal_length_estimated(rig, poses, changes, said):
    rig.start(**ALONE)
    rig.publisher(CameraInfo, '/camera_info').publish(calibration(rig, **changes))

    def mapped():
        rig.show(0, rig.now_ns())
        rig.spin_for(0.05)
        return poses and rig.logged(said)

    rig.spin_until(mapped, f'the log says {said}')
    assert 'the focal length is estimated' in rig.logged(said)[0]


def test_images_without_a_calibration_can_be_refused(rig):
    rig.start(**{'inputs.require_camera_info': True}, **ALONE)

    rig.show(0, rig.now_ns())

    rig.wait_for_count('dropped: calibration', 1)
    rig.wait_for_log('no camera_info has come')
    assert rig.predictor.seen == []


# 13


def test_a_missing_camera_mount_is_waited_for_and_both_frames_are_named(rig, poses):
    rig.start(odom_frame='', **{'tf.timeout': 0.05})
    rig.show(0, rig.now_ns())
    rig.wait_for_count('dropped: transform missing', 1)
    rig.wait_for_log(f"no transform from '{CAMERA}' to 'base_link'")
    assert rig.predictor.seen == []

    rig.mount_camera(MAST)
    rig.set_parameters(**{'tf.timeout': 5.0})
    show_and_wait(rig, poses, 1, rig.now_ns())

    assert rig.predictor.written == [1]


def test_a_camera_that_moves_on_the_robot_is_where_it_was_at_the_stamp(rig, poses):
    rig.start(odom_frame='', **{'tf.timeout': 10.0})
    start_ns = rig.now_ns()
    # The mast rises by one metre a second, and the TF of later comes after the image.
    for second in (0, 1):
        mount = transform(MAST[:3, :3], [0.0, 0.0, float(second)])
        rig.send_transform('base_link', CAMERA, mount, start_ns + second * SECOND)
    show_and_wait(rig, poses, 0, start_ns + SECOND // 4)
    rig.show(1, start_ns + 3 * SECOND // 2)
    assert rig.predictor.began.wait(60)
    mount = transform(MAST[:3, :3], [0.0, 0.0, 2.0])
    rig.send_transform('base_link', CAMERA, mount, start_ns + 2 * SECOND)

    pose = rig.wait_for_stamp(poses, start_ns + 3 * SECOND // 2)

    # The camera went a decimetre ahead at the same height, so the base sank by 1.25 m.
    found = messages.matrix_from_pose(pose.pose.pose)
    np.testing.assert_allclose(found, transform(np.eye(3), [0.1, 0, -1.25]), atol=1e-6)


# 14


def test_a_second_publisher_of_map_to_odom_silences_ours(rig):
    rig.start(transform_tolerance=0.3)
    heard = rig.collect(TFMessage, '/tf', 100)
    rig.spin_until(lambda: heard, 'our transform is received')

    def noticed():
        rig.send_transform('map', 'odom', ahead(5.0), rig.now_ns())
        rig.spin_for(0.05)
        return rig.logged("another node publishes 'map' to 'odom'")

    rig.spin_until(noticed, 'the node notices')
    silent_ns = rig.now_ns()
    rig.spin_until(
        lambda: noticed() and rig.now_ns() > silent_ns + SECOND, 'a second of silence passes'
    )

    ours = [
        messages.nanoseconds(t.header.stamp)
        for message in heard
        for t in message.transforms
        if t.transform.translation.x == 0.0
    ]
    # Ours are dated ahead.
    assert max(ours) <= silent_ns + 3 * SECOND // 10


def test_a_base_that_has_another_parent_is_not_given_a_second_one(rig, poses):
    rig.start(odom_frame='')
    transforms = rig.collect(TFMessage, '/tf', 100)
    rig.mount_camera(MAST)

    def noticed():
        rig.send_transform('odom', 'base_link', ahead(5.0), rig.now_ns())
        rig.show(0, rig.now_ns())
        rig.spin_for(0.05)
        return poses and rig.logged("another node publishes 'odom' to 'base_link'")

    rig.spin_until(noticed, 'the node notices')
    transforms.clear()
    for _ in range(5):
        noticed()

    assert {t.header.frame_id for m in transforms for t in m.transforms} == {'odom'}


# 15


def test_when_odometry_stops_the_last_map_to_odom_holds(rig, poses):
    rig.start(**{'tf.timeout': 0.05})
    rig.mount_camera(MAST)
    for number in range(2):
        stamp_ns = rig.now_ns()
        rig.send_transform('odom', 'base_link', ahead(0.1 * number), stamp_ns)
        show_and_wait(rig, poses, number, stamp_ns)
    rig.nodes[0][0]._pipeline.place_base(ahead(-0.1))

    pose = show_and_wait(rig, poses, 2, rig.now_ns())

    assert pose.pose.pose.position.x == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(rig.nodes[0][0]._pipeline.map_T_odom, ahead(-0.2), atol=1e-6)
    rig.wait_for_log("no transform from 'base_link' to 'odom'")
    rig.wait_for_status('DEGRADED')


# 16


def test_a_slow_network_gets_the_newest_image_and_the_executor_goes_on(rig, poses):
    node = rig.start()
    rig.mount_camera(MAST)
    transforms = rig.collect(TFMessage, '/tf', 100)
    start_ns = rig.now_ns()
    for number in range(31):
        rig.send_transform('odom', 'base_link', ahead(0.0), start_ns + number * SECOND // 60)
    rig.predictor.go.clear()
    rig.show(0, start_ns)
    assert rig.predictor.began.wait(60)

    for number in range(1, 31):
        rig.show(number, start_ns + number * SECOND // 60)
        rig.spin_until(
            lambda n=number: node._health._cameras[0].received > n, 'the image is received'
        )
    before = len(transforms)
    rig.wait_for_count('images received', 31)
    rig.spin_until(lambda: len(transforms) > before + 10, 'TF goes on')
    rig.predictor.go.set()

    rig.wait_for_stamp(poses, start_ns + 30 * SECOND // 60)
    assert rig.predictor.written == [0, 30]
    rig.wait_for_count('dropped: a newer image came', 29)


# 17


def test_a_best_effort_camera_for_a_reliable_node_is_named_as_the_cause(rig):
    rig.start(image_qos='reliable', **ALONE)
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    rig.robot.create_publisher(Image, '/image', best_effort)

    rig.wait_for_log('robot offers reliability BEST_EFFORT, this node asks for RELIABLE')
    rig.wait_for_status('BEST_EFFORT')


def test_a_reliable_hearer_of_best_effort_points_is_named(rig):
    rig.start(**ALONE)
    rig.robot.create_subscription(
        PointCloud2,
        '/ttt3r/points',
        print,
        QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE),
    )

    rig.wait_for_log('a subscriber of /ttt3r/points asks for another RELIABILITY')


@pytest.mark.parametrize('reliability', ['BEST_EFFORT', 'RELIABLE'])
def test_images_of_both_kinds_of_camera_are_heard_by_default(rig, poses, reliability):
    rig.start(**ALONE)
    rig.publisher(Image, '/image', QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability]))

    def mapped():
        rig.show(0, rig.now_ns())
        rig.spin_for(0.05)
        return poses

    rig.spin_until(mapped, 'an image is mapped')


# 27


def test_two_robots_with_tf_of_their_own_do_not_disturb_each_other(rig):
    for name in ('a', 'b'):
        rig.start(
            namespace=name,
            cli_args=['--ros-args', '-r', f'/tf:=/{name}/tf', '-r', f'/tf_static:=/{name}/static'],
            publish_odom_to_base_tf=True,
            base_frame='',
        )
    poses = {}
    transforms = {}
    for name in ('a', 'b'):
        poses[name] = rig.collect(PoseWithCovarianceStamped, f'/{name}/ttt3r/pose')
        transforms[name] = rig.collect(TFMessage, f'/{name}/tf', 100)
    on_tf = []
    rig.robot.create_subscription(TFMessage, '/tf', on_tf.append, 100)

    stamp_ns = rig.now_ns()
    rig.show(0, stamp_ns, topic='/a/image')
    rig.wait_for_stamp(poses['a'], stamp_ns)

    rig.spin_until(
        lambda: any(t.child_frame_id == CAMERA for m in transforms['a'] for t in m.transforms)
    )
    assert poses['b'] == []
    assert not any(t.child_frame_id == CAMERA for m in transforms['b'] for t in m.transforms)
    assert on_tf == []
