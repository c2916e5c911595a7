# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest

from ttt3r_ros.doctor.finding import Level
from ttt3r_ros.doctor.middleware import Profile
from ttt3r_ros.doctor.observed import Arrivals, Endpoint
from ttt3r_ros.settings import InputSettings, NodeSettings

IMAGE, JPEG = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
INFO = 'sensor_msgs/msg/CameraInfo'
CAMERA = Endpoint('/camera', IMAGE, 'BEST_EFFORT')


@pytest.mark.parametrize(
    ('changes', 'seen', 'advice'),
    [
        ({'image.publishers': ()}, 'nothing publishes /image', 'start the camera'),
        (
            {'image.publishers': (), 'image_topics': ('/front/image_raw',)},
            'nothing publishes /image',
            'image_topic:=/front/image_raw',
        ),
        (
            {'image.name': '/front/image_raw', 'image.subscribers': ()},
            'has no subscriber in /ttt3r',
            'image_topic:=/front/image_raw',
        ),
        (
            {'image.subscribers': (Endpoint('/ttt3r', IMAGE, 'RELIABLE'),)},
            '/camera offers BEST_EFFORT, /ttt3r requests RELIABLE',
            'image_qos:=sensor_data',
        ),
        (
            {'image.publishers': (Endpoint('/camera', JPEG, 'BEST_EFFORT'),)},
            '/camera sends sensor_msgs/msg/CompressedImage',
            'image_transport',
        ),
        ({'image.arrivals': Arrivals()}, 'none came in 5 s', 'is the camera on?'),
    ],
)
def test_images_that_do_not_come_are_explained(find, changes, seen, advice):
    find(changes, Level.FAIL, seen, advice)


@pytest.mark.parametrize(
    ('changes', 'seen'),
    [
        ({'image.publishers': (CAMERA, Endpoint('/other', IMAGE, 'BEST_EFFORT'))}, '/other'),
        ({'image.arrivals.missing': 0.5}, '50 % are missing'),
        ({'image.arrivals.rate_hz': 0.4}, '0.4 Hz'),
    ],
)
def test_images_that_come_badly_are_a_warning(judge, find, changes, seen):
    find(changes, Level.WARN, seen)

    assert Level.FAIL not in {one.level for one in judge(changes)}


def test_images_that_are_lost_where_no_profile_is_set_say_so(find, profile):
    changes, unset = {'image.arrivals': Arrivals(), 'image.size': 0}, Profile(profile.variable)

    find(changes, Level.FAIL, 'none came', f'set {profile.variable}', profile=unset)
    find(changes, Level.WARN, f'{profile.variable} is not set', profile=unset)


@pytest.mark.parametrize(
    ('part', 'value', 'seen'),
    [
        ('publishers', (), 'nothing publishes /camera_info'),
        ('arrivals', Arrivals(), 'none came on /camera_info'),
        ('problem', 'K is zero', 'K is zero'),
        ('frame_id', 'left', "'left', the images are of 'optical'"),
        ('width', 320, 'for 320x480, the images have 640x480'),
        ('publishers', (Endpoint('/camera', INFO, 'BEST_EFFORT'),), '/ttt3r requests RELIABLE'),
    ],
)
@pytest.mark.parametrize(('required', 'level'), [(False, Level.WARN), (True, Level.FAIL)])
def test_a_calibration_that_cannot_be_used_is_explained(find, part, value, seen, required, level):
    settings = NodeSettings(inputs=InputSettings(require_camera_info=required))

    found = find({'node.settings': settings, f'camera_info.{part}': value}, level, seen)
    assert ('estimated' in found.advice) is not required


@pytest.mark.parametrize(
    'changes',
    [
        {'camera_info.frame_id': ''},
        {'camera_info.frame_id': '/optical'},
        {'camera_info.width': 1280, 'camera_info.height': 960},  # of twice the resolution
        {'image.width': 0, 'image.height': 0},  # compressed
    ],
)
def test_a_calibration_that_the_node_uses_is_no_finding(judge, changes):
    assert {one.level for one in judge(changes)} == {Level.OK}
