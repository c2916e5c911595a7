# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A camera of 30 Hz and a network of 5 Hz: each image has a pose."""

import time

import cv2
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage

from ttt3r_ros.geometry import BODY_T_OPTICAL, transform
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.node import messages

WIDTH, HEIGHT, WALL, PER_METRE = 224, 160, 2.0, 120.0
CAMERA = CameraIntrinsics(WIDTH, HEIGHT, 160.0, 160.0, 111.5, 79.5)
FRAME = 'camera_optical_frame'
RATE, NETWORK_S, SPEED = 30.0, 0.2, 0.3  # Hz, seconds, metres a second
MORE = 2  # poses for each image of the network, at least: 6 where nothing else runs


class Prediction:
    gains = (0.5,)
    world_T_camera = np.eye(4)
    confidence = np.full((HEIGHT, WIDTH), 5.0, np.float32)
    points_camera = (CAMERA.rays() * WALL).astype(np.float32)


class SlowNetwork:
    """It knows the depth of a wall, and of the motion nothing."""

    patch = 16
    checkpoint_name, checkpoint_sha256, checkpoint_note = 'slow', '', ''
    resize = staticmethod(resize_on_host)

    def fit(self, width, height):
        return ImageFit.for_image(width, height, WIDTH, self.patch)

    def advise(self, settings):
        return settings

    def initial_state(self):
        return None

    def step(self, rgb_fitted, state, write=True):
        time.sleep(NETWORK_S)
        return Prediction(), None


@pytest.fixture(scope='module')
def poster():
    small = np.random.default_rng(0).uniform(20, 235, (180, 480, 3)).astype(np.float32)
    return cv2.resize(small, (2400, 900), interpolation=cv2.INTER_CUBIC).clip(0, 255)


def view(poster, x, noise):
    """Return the image of a camera x metres along the wall."""
    rays = CAMERA.rays()
    u, v, _ = np.moveaxis(rays * WALL * PER_METRE, -1, 0)
    places = (u + x * PER_METRE + 600).astype(np.float32), (v + 450).astype(np.float32)
    image = cv2.remap(poster, *places, cv2.INTER_LINEAR)
    image += np.random.default_rng(noise).normal(0, 1.5, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def film(rig, poster, seconds):
    """Drive along the wall, filming as a camera does; return the way at each stamp."""
    count = round(seconds * RATE)
    images = [view(poster, SPEED * k / RATE, k) for k in range(count)]
    publisher = rig.publisher(Image, '/image')
    calibration = rig.publisher(CameraInfo, '/camera_info')
    rig.spin_until(rig._is_heard, 'the robot is known')
    ways, begin = {}, time.monotonic()
    for k, pixels in enumerate(images):
        rig.spin_until(lambda k=k: time.monotonic() >= begin + k / RATE, 'the next image is due')
        message = rig.image(0, rig.now_ns(), width=WIDTH, height=HEIGHT, step=3 * WIDTH)
        message.data = pixels.tobytes()
        calibration.publish(messages.camera_info(CAMERA, message.header))
        publisher.publish(message)
        ways[messages.nanoseconds(message.header.stamp)] = SPEED * k / RATE
    rig.spin_for(2 * NETWORK_S)
    return ways


def test_each_image_of_a_fast_camera_has_a_pose_and_a_transform_in_order(rig, poster):
    rig.start(
        build_mapper=lambda settings: Mapper(SlowNetwork(), settings.mapping),
        publish_odom_to_base_tf=True,
        base_frame='',
    )
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose', 100)
    odometry = rig.collect(Odometry, '/ttt3r/odometry', 100)
    clouds = rig.collect(PointCloud2, '/ttt3r/points', qos_profile_sensor_data)
    transforms = rig.collect(TFMessage, '/tf', 1000)

    ways = film(rig, poster, 4.0)

    stamps = [messages.nanoseconds(pose.header.stamp) for pose in poses]
    assert len(stamps) > MORE * len(clouds)
    assert (np.diff(stamps) > 0).all()
    for stamp, pose in zip(stamps, poses):
        found = messages.matrix_from_pose(pose.pose.pose)
        # The network takes the camera to stand, which has its part in the unit.
        atol = 0.03 + 0.1 * ways[stamp]
        np.testing.assert_allclose(found[:3, 3], [0, -ways[stamp], 0], atol=atol)
        assert stamp == stamps[0] or pose.pose.covariance[7] > 0  # the first is the origin
    sent = {
        messages.nanoseconds(t.header.stamp): messages.matrix_from_transform(t.transform)
        for message in transforms
        for t in message.transforms
        if t.header.frame_id == 'odom'
    }
    assert set(sent) == set(stamps)
    for message in odometry:
        stamp = messages.nanoseconds(message.header.stamp)
        pose = messages.matrix_from_pose(message.pose.pose)
        np.testing.assert_allclose(pose, sent[stamp], atol=1e-9)
    speeds = [message.twist.twist.linear.x for message in odometry]
    assert np.median(speeds) == pytest.approx(SPEED, abs=0.05)  # to the right of the image
    pose_rate, map_rate = (float(rig.counts()[f'{of} rate (Hz)']) for of in ('pose', 'map'))
    assert pose_rate > MORE * map_rate


def test_with_wheels_the_pose_of_each_image_is_that_of_tf_at_its_stamp(rig, poster):
    """The wheels say 3 % too much, so the map corrects them all the time."""
    rig.start(build_mapper=lambda settings: Mapper(SlowNetwork(), settings.mapping))
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose', 100)
    clouds = rig.collect(PointCloud2, '/ttt3r/points', qos_profile_sensor_data)
    rig.mount_camera(BODY_T_OPTICAL)
    image, sent = rig.image, {}

    def image_with_odometry(number, stamp_ns, **changes):
        way = 1.03 * SPEED * (len(sent) / RATE)
        sent[stamp_ns] = transform(np.eye(3), [0, -way, 0])
        rig.send_transform('odom', 'base_link', sent[stamp_ns], stamp_ns)
        return image(number, stamp_ns, **changes)

    rig.image = image_with_odometry
    ways = film(rig, poster, 4.0)

    stamps = [messages.nanoseconds(pose.header.stamp) for pose in poses]
    assert len(stamps) > MORE * len(clouds)
    assert (np.diff(stamps) > 0).all()
    for stamp, pose in zip(stamps, poses):
        found = messages.matrix_from_pose(pose.pose.pose)
        np.testing.assert_allclose(found[:3, 3], [0, -ways[stamp], 0], atol=0.06)
        map_T_odom = found @ np.linalg.inv(sent[stamp])
        assert np.linalg.norm(map_T_odom[:3, 3]) < 0.08
