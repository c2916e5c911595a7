# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One frame, two publishers: exactly one goes on, and no node yields to one that is gone."""

import numpy as np
import pytest
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from ttt3r_ros.node import messages, transforms

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    monkeypatch.setattr(transforms, 'CONFLICT_S', 0.5)


def parents(received):
    """Return the parents of `odom` among received messages."""
    return {
        t.header.frame_id for m in received for t in m.transforms if t.child_frame_id == 'odom'
    }


def test_of_two_nodes_that_both_yield_exactly_one_goes_on(rig):
    for name in ('a', 'b'):
        rig.start(
            namespace=f'/{name}',
            map_frame=f'map_{name}',
            cli_args=['--ros-args', '-r', 'tf:=/tf', '-r', 'tf_static:=/tf_static'],
        )
    received = rig.collect(TFMessage, '/tf', 100)

    def one_alone():
        received.clear()
        rig.spin_for(2.0)  # longer than any patience
        return len(parents(received)) == 1

    rig.spin_until(one_alone, 'one of them is alone')
    (first,) = parents(received)
    assert one_alone()
    assert parents(received) == {first}


def test_a_static_parent_silences_ours_until_its_publisher_is_gone(rig):
    rig.start()
    received = rig.collect(TFMessage, '/tf', 100)
    rig.spin_until(lambda: parents(received) == {'map'}, 'ours comes')
    other = rclpy.create_node('other', context=rig.context)
    static = messages.transform_message(np.eye(4), 'world', 'odom', 0)
    publisher = other.create_publisher(TFMessage, '/tf_static', LATCHED)
    publisher.publish(TFMessage(transforms=[static]))
    rig.wait_for_log("another node publishes 'world' to 'odom'")
    rig.spin_for(1.5)  # longer than any patience
    received.clear()
    rig.spin_for(0.5)
    assert parents(received) == set()

    other.destroy_node()

    rig.spin_until(lambda: parents(received) == {'map'}, 'ours comes again')


def test_a_silent_camera_is_stale_whatever_tf_does(rig):
    rig.start(**{'diagnostics.stale_timeout': 0.5})
    rig.collect(TFMessage, '/tf', 100)

    def second_parent():
        rig.send_transform('world', 'odom', np.eye(4), rig.now_ns())
        rig.spin_for(0.05)
        return rig.logged("another node publishes 'world' to 'odom'")

    rig.spin_until(second_parent, 'the node notices')
    said = set()
    for _ in range(40):
        second_parent()
        said |= {status.message for status in rig.statuses.values()}

    assert any('nothing publishes /image' in message for message in said)
    assert {message.partition(':')[0] for message in said} <= {'STALE', 'OK', 'DEGRADED'}
