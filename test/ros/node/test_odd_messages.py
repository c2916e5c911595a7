# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Messages that are well formed and wrong: calibrations, transforms and sizes."""

from geometry_msgs.msg import TransformStamped
import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo
from tf2_msgs.msg import TFMessage

from ttt3r_ros.geometry import BODY_T_OPTICAL, transform
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.node import messages

MAST = transform(BODY_T_OPTICAL[:3, :3], [0.2, 0.0, 0.5])
ALONE = {'odom_frame': '', 'base_frame': ''}


def ahead(distance):
    return transform(np.eye(3), [distance, 0, 0])


def calibration(rig, focal, width=64, height=48):
    camera = CameraIntrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
    return messages.camera_info(camera, rig.image(0, 0).header)


def used_focal(rig, infos, number, info):
    """Show an image after a calibration; return the focal length that it was mapped with."""
    rig.publisher(CameraInfo, '/camera_info').publish(info)
    rig.wait_until_taken()  # the two topics have no common order
    stamp_ns = rig.now_ns()
    rig.show(number, stamp_ns)
    return rig.wait_for_stamp(infos, stamp_ns).k[0]


def test_a_calibration_that_changes_on_the_way_counts_from_the_next_image(rig):
    rig.start(**ALONE)
    infos = rig.collect(CameraInfo, '/ttt3r/camera_info', qos_profile_sensor_data)

    used = [
        used_focal(rig, infos, number, calibration(rig, focal))
        for number, focal in enumerate([60.0, 90.0, 60.0])
    ]

    np.testing.assert_allclose(used, [60.0, 90.0, 60.0], atol=1e-6)


def test_a_calibration_of_another_resolution_is_scaled_where_the_shape_agrees(rig):
    rig.start(**ALONE)
    infos = rig.collect(CameraInfo, '/ttt3r/camera_info', qos_profile_sensor_data)

    used = used_focal(rig, infos, 0, calibration(rig, 120.0, 128, 96))

    assert used == pytest.approx(60.0, abs=1e-6)


def broken(name):
    """Return odom_T_base as a driver sends it that divides by zero, or forgets the quaternion."""
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = 'odom', 'base_link'
    message.transform.rotation.w = 1.0
    if name == 'not a number':
        message.transform.translation.x = float('nan')
    elif name == 'infinite':
        message.transform.translation.y = float('inf')
    elif name == 'zero quaternion':
        message.transform.rotation.w = 0.0
    elif name == 'quaternion that is no number':
        message.transform.rotation.z = float('nan')
    elif name == 'to itself':
        message.header.frame_id = 'base_link'
    elif name == 'without names':
        message.header.frame_id = message.child_frame_id = ''
    return message


@pytest.mark.parametrize(
    'name',
    [
        'not a number',
        'infinite',
        'zero quaternion',
        'quaternion that is no number',
        'to itself',
        'without names',
    ],
)
def test_a_transform_that_is_none_costs_nothing_but_itself(rig, poses, name):
    rig.start(**{'tf.timeout': 5.0})
    rig.mount_camera(MAST)
    for number in range(3):
        stamp_ns = rig.now_ns()
        odd = broken(name)
        odd.header.stamp = messages.time_message(stamp_ns)
        rig.publisher(TFMessage, '/tf', 100).publish(TFMessage(transforms=[odd]))
        rig.send_transform('odom', 'base_link', ahead(0.1 * number), stamp_ns)
        rig.show(number, stamp_ns)
        pose = rig.wait_for_stamp(poses, stamp_ns)
        # With wheels the pose comes before the image is mapped: a newer one would replace it.
        rig.spin_until(lambda n=number: n in rig.predictor.written, 'the image is mapped')

    found = messages.matrix_from_pose(pose.pose.pose)
    np.testing.assert_allclose(found, ahead(0.2), atol=1e-6)
    assert rig.predictor.written == [0, 1, 2]
    assert rig.logged('Traceback') == []


def test_frames_in_a_circle_are_told_and_nothing_hangs(rig):
    rig.start(**{'tf.timeout': 0.05})
    rig.mount_camera(MAST)
    stamp_ns = rig.now_ns()
    rig.send_transform('odom', 'base_link', ahead(0.0), stamp_ns)
    rig.send_transform('base_link', 'odom', ahead(0.0), stamp_ns)
    rig.wait_until_taken()

    rig.show(0, stamp_ns)

    rig.wait_for_count('dropped: transform missing', 1)
    assert rig.predictor.seen == []
    assert rig.logged('Traceback') == []


def test_an_image_of_one_row_is_dropped_with_its_size(rig, poses):
    rig.start(**ALONE)
    pixels = np.random.default_rng(1).integers(0, 256, 3 * 5000, np.uint8)
    rig.show(0, rig.now_ns(), width=5000, height=1, step=15000, data=pixels.tobytes())
    rig.wait_for_log('5000x1 is too narrow')

    stamp_ns = rig.now_ns()
    rig.show(0, stamp_ns)

    rig.wait_for_stamp(poses, stamp_ns)
    assert rig.logged('Traceback') == []
