# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The gravity of an IMU levels the map."""

from geometry_msgs.msg import PoseWithCovarianceStamped, Quaternion, Vector3
import numpy as np
import pytest
from sensor_msgs.msg import Imu
from std_msgs.msg import Header

from ttt3r_ros.geometry import (
    BODY_T_OPTICAL,
    invert,
    quaternion_from_rotation,
    rotation_about,
    transform,
)
from ttt3r_ros.node import messages
from ttt3r_ros.node.gravity import up_of

CAMERA = 'camera_optical_frame'
ALONE = {'odom_frame': '', 'base_frame': ''}
UP = np.array([0.0, 0.0, 1.0])
# The camera looks down and hangs to one side; the IMU sits on it, turned again.
MAP_R_CAMERA = rotation_about([0, 1, 0], 0.4) @ rotation_about([1, 0, 0], 0.2)
MAP_R_CAMERA = MAP_R_CAMERA @ BODY_T_OPTICAL[:3, :3]
CAMERA_R_IMU = rotation_about([1, 2, 0], 0.7)
IMU_UP = CAMERA_R_IMU.T @ MAP_R_CAMERA.T @ UP


def imu(stamp_ns=0, up=IMU_UP, orientation=False, push=0.0):
    """Return what an IMU measures; push: m/s^2 by which it is accelerated upwards."""
    message = Imu(header=Header(stamp=messages.time_message(stamp_ns), frame_id='imu'))
    x, y, z = (9.81 + push) * np.asarray(up)
    message.linear_acceleration = Vector3(x=x, y=y, z=z)
    message.orientation_covariance[0] = -1.0
    if orientation:
        message.orientation_covariance[0] = 0.01
        x, y, z, w = quaternion_from_rotation(MAP_R_CAMERA @ CAMERA_R_IMU)
        message.orientation = Quaternion(x=x, y=y, z=z, w=w)
    return message


@pytest.mark.parametrize('orientation', [False, True])
def test_orientation_or_acceleration_tell_what_is_up(orientation):
    push = 5.0 if orientation else 0.0

    np.testing.assert_allclose(up_of(imu(orientation=orientation, push=push)), IMU_UP, atol=1e-9)


@pytest.mark.parametrize('push', [3.0, -9.0, np.nan])
def test_a_push_is_no_gravity(push):
    assert up_of(imu(push=push)) is None


def send(rig, stamp_ns):
    imus = rig.publisher(Imu, '/imu/data')
    for back in range(5):
        imus.publish(imu(stamp_ns - back * 10**7))


def test_a_tilted_camera_alone_has_a_level_map_and_the_first_image_waits_for_gravity(rig):
    rig.start(imu_topic='imu/data', **ALONE)
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    rig.send_transform(CAMERA, 'imu', transform(CAMERA_R_IMU, [0.0, 0.0, 0.1]), static=True)
    rig.publisher(Imu, '/imu/data')
    rig.show(0, rig.now_ns())
    rig.wait_for_count('dropped: no gravity', 1)

    def mapped():
        stamp_ns = rig.now_ns()
        send(rig, stamp_ns)
        rig.spin_for(0.2)
        rig.show(0, stamp_ns)
        rig.spin_for(0.3)
        return poses

    rig.spin_until(mapped, 'gravity is used')

    found = messages.matrix_from_pose(poses[0].pose.pose)[:3, :3]
    np.testing.assert_allclose(found @ MAP_R_CAMERA.T @ UP, UP, atol=1e-6)
    assert (found @ [0, 0, 1])[0] > 0.8  # it still looks along x


def test_a_robot_without_odometry_is_levelled_at_its_base(rig):
    mast = transform(BODY_T_OPTICAL[:3, :3], [0.2, 0.0, 0.5])
    base_up = rotation_about([0, 1, 0], 0.1) @ UP  # on a ramp
    up = CAMERA_R_IMU.T @ mast[:3, :3].T @ base_up
    rig.start(imu_topic='/imu/data', odom_frame='')
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    rig.mount_camera(mast)
    rig.send_transform(CAMERA, 'imu', transform(CAMERA_R_IMU, [0.0, 0.0, 0.1]), static=True)

    def mapped():
        stamp_ns = rig.now_ns()
        rig.publisher(Imu, '/imu/data').publish(imu(stamp_ns, up))
        rig.spin_for(0.2)
        rig.show(0, stamp_ns)
        rig.spin_for(0.3)
        return poses

    rig.spin_until(mapped, 'gravity is used')

    map_T_base = messages.matrix_from_pose(poses[0].pose.pose)
    np.testing.assert_allclose(map_T_base[:3, :3] @ base_up, UP, atol=1e-6)
    assert np.isfinite(invert(map_T_base)).all()


def test_without_the_parameter_no_imu_is_asked_for(rig):
    node = rig.start(**ALONE)

    assert not [s for s in node.subscriptions if s.msg_type is Imu]
