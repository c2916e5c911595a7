# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import signal

from geometry_msgs.msg import PoseStamped, Twist
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from ttt3r_ros.node import messages

MODULE = 'ttt3r_ros.players.driven_robot'
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SMALL = {'width': 64, 'height': 48, 'image_noise': 0.0}


def stamp_of(message):
    return messages.nanoseconds(message.header.stamp)


def test_a_robot_drives_as_it_is_told_stops_and_shows_what_it_sees(rig, start_process):
    received = {}
    for kind, topic, qos in (
        (Image, '/image', 100),
        (CameraInfo, '/camera_info', 100),
        (Odometry, '/odometry', 500),
        (PoseStamped, '/ground_truth', 500),
        (TFMessage, '/tf', 500),
        (TFMessage, '/tf_static', LATCHED),
    ):
        received[topic] = []
        rig.robot.create_subscription(kind, topic, received[topic].append, qos)
    robot = start_process(MODULE, odometry_noise=0.0, **SMALL)
    commands = rig.publisher(Twist, '/cmd_vel')
    rig.spin_until(lambda: received['/image'] and received['/camera_info'], 'images come')

    def place():
        return messages.matrix_from_pose(received['/ground_truth'][-1].pose)

    start = place()

    def driven():
        # Forwards, as long as it takes.
        command = Twist()
        command.linear.x = 0.4
        commands.publish(command)
        return np.linalg.norm((place() - start)[:2, 3]) > 0.3

    rig.spin_until(driven, 'the robot has driven 30 cm')
    # Straight ahead, in its own direction.
    ahead = np.linalg.solve(start, place())
    assert abs(ahead[1, 3]) < 0.02
    assert received['/odometry'][-1].twist.twist.linear.x > 0.1

    rig.spin_until(
        lambda: received['/odometry'][-1].twist.twist.linear.x == 0.0, 'without commands it stops'
    )
    # Exact wheels measure what happened, and each image has its transform.
    truth = np.linalg.solve(start, place())
    odom = messages.matrix_from_pose(received['/odometry'][-1].pose.pose)
    np.testing.assert_allclose(odom[:3, 3], truth[:3, 3], atol=0.05)
    links = [link for message in received['/tf'] for link in message.transforms]
    assert {(link.header.frame_id, link.child_frame_id) for link in links} == {
        ('odom', 'base_link')
    }
    stamps = {stamp_of(link) for link in links}
    assert {stamp_of(image) for image in received['/image'][1:-1]} <= stamps
    first, last = (np.frombuffer(received['/image'][n].data, np.uint8) for n in (0, -1))
    assert np.abs(first.astype(int) - last).mean() > 2

    robot.send_signal(signal.SIGINT)
    assert robot.wait(30) == 0


def test_a_wrong_parameter_ends_the_robot_with_one_line(rig, start_process):
    robot = start_process(MODULE, image_rate=0.0)

    assert robot.wait(60) == 1
