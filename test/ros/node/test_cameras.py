# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A robot with two cameras, one ahead and one back, on real topics."""

from geometry_msgs.msg import PoseWithCovarianceStamped
import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header

from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import BODY_T_OPTICAL, rotation_about, transform
from ttt3r_ros.node import messages
from ttt3r_ros.node.cameras import named_cameras, NamedCamera
from ttt3r_ros.node.worker import Worker
from ttt3r_ros.settings import NodeSettings

MOUNTS = {
    'front': transform(np.eye(3), [0.2, 0.0, 0.5]) @ BODY_T_OPTICAL,
    'back': transform(rotation_about([0, 0, 1], np.pi), [-0.2, 0.0, 0.5]) @ BODY_T_OPTICAL,
}
TENTH, STEP = 10**8, 0.1  # the network takes an image of grey n for one n decimetres ahead


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('', (NamedCamera(0, '', 'lens'),)),
        ('front', (NamedCamera(0, 'front', ''),)),
        (
            'front  left=left_lens',
            (NamedCamera(0, 'front', ''), NamedCamera(1, 'left', 'left_lens')),
        ),
    ],
)
def test_cameras_are_named_in_one_parameter(text, expected):
    settings = NodeSettings(cameras=text, camera_optical_frame='lens')

    assert named_cameras(settings) == expected


@pytest.mark.parametrize('text', ['front front', '/front', 'a-b', '1st'])
def test_a_name_that_is_no_topic_or_comes_twice_is_refused(text):
    with pytest.raises(UserError, match='cameras: '):
        named_cameras(NodeSettings(cameras=text))


def test_several_cameras_need_a_robot():
    with pytest.raises(UserError, match='needs a base_frame'):
        named_cameras(NodeSettings(cameras='front back', base_frame=''))


def test_slots_take_turns_and_keep_the_newest_item_of_each():
    import threading

    go, done, order = threading.Event(), threading.Event(), []

    def process(item):
        assert go.wait(10)
        order.append(item)
        if item == 'end':
            done.set()

    worker = Worker(process, order.append)
    worker.offer('first', 0)
    while not worker.is_idle(1) or 0 in worker._items:
        pass
    worker.offer('fast 1', 0)
    worker.offer('slow', 1)
    assert worker.offer('fast 2', 0)  # has the turn of the one that it replaces
    worker.offer('end', 2)
    go.set()
    assert done.wait(10)
    worker.stop(10)

    assert order == ['first', 'fast 2', 'slow', 'end']


class TwoCameras:
    """The robot drives ahead, a decimetre each tenth of a second."""

    def __init__(self, rig, **values):
        self.rig = rig
        rig.start(cameras='front back', odom_frame='', **values)
        for name, mount in MOUNTS.items():
            rig.send_transform('base_link', name, mount, static=True)
        self.begin_ns = rig.now_ns()

    def stamp_ns(self, k):
        return self.begin_ns + k * TENTH

    def show(self, name, k):
        number = 40 + k if name == 'front' else 90 - k
        stamp_ns = self.stamp_ns(k) + (name == 'back') * 1000
        message = self.rig.image(number, stamp_ns)
        message.header = Header(stamp=messages.time_message(stamp_ns), frame_id=name)
        self.rig.publisher(Image, f'/{name}/image').publish(message)
        return stamp_ns


def test_two_cameras_have_one_map_and_an_unplugged_one_is_named(rig):
    robot = TwoCameras(rig, **{'diagnostics.stale_timeout': 1.5})
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    clouds = rig.collect(PointCloud2, '/ttt3r/points', qos_profile_sensor_data)

    def drive(k, *names):
        for name in names:
            stamp_ns = robot.show(name, k)
            rig.wait_for_stamp(clouds, stamp_ns)
        return stamp_ns

    for k in range(6):
        last = drive(k, 'front', 'back')
    pose = rig.wait_for_stamp(poses, last).pose.pose.position
    np.testing.assert_allclose([pose.x, pose.y, pose.z], [STEP * 5, 0, 0], atol=0.02)
    assert {cloud.header.frame_id for cloud in clouds} == {'front', 'back'}

    rig.wait_for_status('OK')
    for k in range(6, 40):  # the front one is unplugged
        last = drive(k, 'back')
        status = rig.statuses['/ttt3r: mapping'].message
        if status.startswith('DEGRADED: camera front: no image for'):
            break
        rig.spin_for(0.1)
    assert status.startswith('DEGRADED: camera front: no image for')
    pose = rig.wait_for_stamp(poses, last).pose.pose.position
    np.testing.assert_allclose([pose.x, pose.y, pose.z], [STEP * k, 0, 0], atol=0.05 * k * STEP)
    assert rig.statuses['/ttt3r: camera back'].message == 'OK'
    assert rig.statuses['/ttt3r: camera front'].message.startswith('STALE: no image for')
    values = {v.key: v.value for v in rig.statuses['/ttt3r: camera front'].values}
    assert values['images mapped'] == '6'
