# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import threading
import time

from geometry_msgs.msg import TransformStamped
import numpy as np
import pytest
import rclpy
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage
from tf2_ros import (
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    StaticTransformBroadcaster,
    TransformBroadcaster,
    TransformException,
    TransformListener,
)

DEADLINE = 20.0


def placed(parent, child, seconds=0.0, xyz=(0, 0, 0), yaw=0.0) -> TransformStamped:
    """Return the pose of child in parent."""
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = parent, child
    message.header.stamp = Time(nanoseconds=round(seconds * 1e9)).to_msg()
    moved, turned = message.transform.translation, message.transform.rotation
    moved.x, moved.y, moved.z = map(float, xyz)
    turned.z, turned.w = float(np.sin(yaw / 2)), float(np.cos(yaw / 2))
    return message


def at(seconds: float) -> Time:
    return Time(nanoseconds=round(seconds * 1e9))


def xyz_of(message: TransformStamped) -> list[float]:
    moved = message.transform.translation
    return [moved.x, moved.y, moved.z]


def seconds_of(message: TransformStamped) -> float:
    return Time.from_msg(message.header.stamp).nanoseconds / 1e9


def yaw_of(message: TransformStamped) -> float:
    q = message.transform.rotation
    return Rotation.from_quat([q.x, q.y, q.z, q.w]).as_euler('xyz')[2]


@pytest.fixture
def buffer() -> Buffer:
    """Return odom -> base moving by 1 m and a quarter turn in 1 s, base -> camera fixed."""
    buffer = Buffer()
    buffer.set_transform(placed('odom', 'base', 10.0), 'test')
    buffer.set_transform(placed('odom', 'base', 11.0, (1, 0, 0), np.pi / 2), 'test')
    buffer.set_transform_static(placed('base', 'camera', 0.0, (0, 0, 0.5)), 'test')
    return buffer


def test_between_two_samples_a_frame_moves_and_turns_evenly(buffer):
    found = buffer.lookup_transform('odom', 'base', at(10.25))
    np.testing.assert_allclose(xyz_of(found), [0.25, 0, 0], atol=1e-12)
    assert yaw_of(found) == pytest.approx(np.pi / 8, abs=1e-12)
    assert seconds_of(found) == pytest.approx(10.25, abs=1e-9)
    assert (found.header.frame_id, found.child_frame_id) == ('odom', 'base')


def test_a_chain_is_followed_both_ways(buffer):
    np.testing.assert_allclose(
        xyz_of(buffer.lookup_transform('odom', 'camera', at(11.0))), [1, 0, 0.5], atol=1e-12
    )
    back = buffer.lookup_transform('camera', 'odom', at(11.0))
    # The camera looks along y, so the origin of odom, 1 m behind in x, lies 1 m to its left.
    np.testing.assert_allclose(xyz_of(back), [0, 1, -0.5], atol=1e-12)
    assert yaw_of(back) == pytest.approx(-np.pi / 2, abs=1e-12)


def test_time_zero_is_the_newest_that_the_whole_chain_knows(buffer):
    buffer.set_transform(placed('map', 'odom', 10.5), 'test')
    found = buffer.lookup_transform('map', 'camera', Time())
    assert seconds_of(found) == pytest.approx(10.5, abs=1e-9)
    np.testing.assert_allclose(xyz_of(found), [0.5, 0, 0.5], atol=1e-12)


@pytest.mark.parametrize(('seconds', 'said'), [(9.9, 'into the past'), (11.1, 'into the future')])
def test_nothing_is_extrapolated(buffer, seconds, said):
    with pytest.raises(ExtrapolationException, match=said):
        buffer.lookup_transform('odom', 'camera', at(seconds))


def test_a_stale_link_above_the_chain_does_not_matter(buffer):
    buffer.set_transform(placed('map', 'odom', 5.0), 'test')
    np.testing.assert_allclose(
        xyz_of(buffer.lookup_transform('odom', 'base', at(10.5))), [0.5, 0, 0], atol=1e-12
    )
    with pytest.raises(ExtrapolationException):
        buffer.lookup_transform('map', 'base', at(10.5))


def test_each_reason_has_an_exception_of_its_own(buffer):
    with pytest.raises(LookupException, match='"lidar" passed to lookupTransform'):
        buffer.lookup_transform('odom', 'lidar', Time())
    buffer.set_transform(placed('world', 'moon', 10.0), 'test')
    with pytest.raises(ConnectivityException, match='not part of the same tree'):
        buffer.lookup_transform('odom', 'moon', Time())
    with pytest.raises(InvalidArgumentException):
        buffer.lookup_transform('odom', '/base', Time())
    for reason in (LookupException, ConnectivityException, InvalidArgumentException):
        assert issubclass(reason, TransformException)


def test_can_transform_tells_why_not(buffer):
    assert buffer.can_transform('odom', 'base', at(10.5))
    assert not buffer.can_transform('odom', 'base', at(12.0))
    can, why = buffer.can_transform('odom', 'base', at(12.0), return_debug_tuple=True)
    assert not can
    assert 'extrapolation' in why


def test_transforms_older_than_the_cache_are_forgotten():
    buffer = Buffer(cache_time=Duration(seconds=2))
    for seconds in range(1, 11):
        buffer.set_transform(placed('odom', 'base', seconds, (seconds, 0, 0)), 'test')
    assert buffer.can_transform('odom', 'base', at(8.5))
    assert not buffer.can_transform('odom', 'base', at(6.5))


def test_samples_may_come_out_of_order(buffer):
    buffer.set_transform(placed('odom', 'base', 10.5, (9, 0, 0)), 'test')
    np.testing.assert_allclose(
        xyz_of(buffer.lookup_transform('odom', 'base', at(10.625))),
        [0.75 * 9 + 0.25 * 1, 0, 0],
        atol=1e-12,
    )


def test_a_lookup_waits_for_its_transform(buffer):
    later = threading.Timer(
        0.2, buffer.set_transform, [placed('odom', 'base', 12.0, (2, 0, 0)), 'test']
    )
    later.start()
    found = buffer.lookup_transform('odom', 'base', at(12.0), timeout=Duration(seconds=DEADLINE))
    later.join()
    np.testing.assert_allclose(xyz_of(found), [2, 0, 0], atol=1e-12)


def test_a_lookup_gives_up_after_its_timeout(buffer):
    started = time.monotonic()
    with pytest.raises(ExtrapolationException):
        buffer.lookup_transform('odom', 'base', at(12.0), timeout=Duration(seconds=0.2))
    assert 0.2 <= time.monotonic() - started < DEADLINE


def test_clearing_leaves_what_is_static(buffer):
    buffer.clear()
    assert not buffer.can_transform('odom', 'base', Time())
    assert buffer.can_transform('base', 'camera', Time())


@pytest.fixture
def two_nodes(ros_domain):
    """Return a node that talks, a node that listens, and `until(condition)` that spins both."""
    context = rclpy.Context()
    rclpy.init(context=context)
    talker = rclpy.create_node('talker', context=context)
    listener = rclpy.create_node('listener', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(talker)
    executor.add_node(listener)

    def until(condition):
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, 'nothing came in time'
            executor.spin_once(timeout_sec=0.05)

    yield talker, listener, until
    executor.shutdown()
    talker.destroy_node()
    listener.destroy_node()
    rclpy.shutdown(context=context)


def test_transforms_travel_from_broadcaster_to_listener(two_nodes):
    talker, listener, until = two_nodes
    buffer = Buffer(node=listener)
    TransformListener(buffer, listener)
    broadcaster = TransformBroadcaster(talker)
    until(lambda: talker.count_subscribers('/tf') == 1)
    broadcaster.sendTransform([placed('map', 'odom', 3.0), placed('odom', 'base', 3.0, (1, 2, 3))])
    until(lambda: buffer.can_transform('map', 'base', Time()))
    np.testing.assert_allclose(
        xyz_of(buffer.lookup_transform('map', 'base', at(3.0))), [1, 2, 3], atol=1e-12
    )


def test_a_late_listener_hears_every_static_transform(two_nodes):
    talker, listener, until = two_nodes
    broadcaster = StaticTransformBroadcaster(talker)
    broadcaster.sendTransform(placed('base', 'camera', xyz=(0, 0, 1)))
    broadcaster.sendTransform(placed('base', 'lidar', xyz=(0, 0, 2)))
    buffer = Buffer(node=listener)
    TransformListener(buffer, listener)
    until(lambda: buffer.can_transform('camera', 'lidar', Time()))
    np.testing.assert_allclose(
        xyz_of(buffer.lookup_transform('camera', 'lidar', at(77.0))), [0, 0, 1], atol=1e-12
    )


def test_time_jumping_back_clears_the_buffer(two_nodes):
    talker, listener, until = two_nodes
    listener.set_parameters([Parameter('use_sim_time', value=True)])
    buffer = Buffer(node=listener)
    clock = talker.create_publisher(Clock, '/clock', 10)
    until(lambda: talker.count_subscribers('/clock') == 1)

    def set_time(seconds):
        clock.publish(Clock(clock=at(seconds).to_msg()))
        until(lambda: listener.get_clock().now().nanoseconds == seconds * 1e9)

    set_time(100.0)
    buffer.set_transform(placed('odom', 'base', 100.0), 'test')
    set_time(100.5)
    assert buffer.can_transform('odom', 'base', Time())
    set_time(50.0)
    assert not buffer.can_transform('odom', 'base', Time())


def test_a_malformed_transform_is_ignored_by_the_listener(two_nodes):
    talker, listener, until = two_nodes
    buffer = Buffer(node=listener)
    TransformListener(buffer, listener)
    publisher = talker.create_publisher(TFMessage, '/tf', 10)
    until(lambda: publisher.get_subscription_count() == 1)
    malformed = [placed('a', 'a', 1.0), placed('a', 'b', 1.0, (np.nan, 0, 0)), placed('a', 'c')]
    malformed[2].transform.rotation.w = 0.0
    publisher.publish(TFMessage(transforms=[*malformed, placed('a', 'fine', 1.0)]))
    until(lambda: buffer.can_transform('a', 'fine', Time()))
    for child in ('b', 'c'):
        assert not buffer.can_transform('a', child, Time())


def test_the_type_of_tf_is_known_to_every_ros_2(two_nodes):
    talker, _, until = two_nodes
    TransformBroadcaster(talker)
    until(lambda: talker.get_publishers_info_by_topic('/tf'))
    (info,) = talker.get_publishers_info_by_topic('/tf')
    assert info.topic_type == 'tf2_msgs/msg/TFMessage'
    # The type hash that the real tf2_msgs announces.
    digest = 'e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087'
    assert str(info.topic_type_hash).lower().endswith(digest)
