# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Images and calibrations as drivers describe them: frames, topics, rectified or not."""

from geometry_msgs.msg import PoseWithCovarianceStamped
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.node import messages

ALONE = {'odom_frame': '', 'base_frame': ''}
CAMERA = CameraIntrinsics(64, 48, 70.0, 71.0, 30.0, 25.0)


def header(rig, frame):
    return Header(stamp=messages.time_message(rig.now_ns()), frame_id=frame)


def calibration(rig, frame='camera_optical_frame', **changes):
    info = messages.camera_info(CAMERA, header(rig, frame))
    for name, value in changes.items():
        setattr(info, name, value)
    return info


@pytest.fixture
def start(rig, monkeypatch):
    """Start a node that remembers the calibration of the images that it maps."""

    def start(*remaps, **values):
        options = [word for remap in remaps for word in ('-r', remap)]
        node = rig.start(cli_args=['--ros-args', *options], **values)
        node.calibrations = []
        observer = node._pipeline._observer
        look_up = observer._intrinsics

        def remembered(*arguments):
            node.calibrations.append(look_up(*arguments))
            return node.calibrations[-1]

        monkeypatch.setattr(observer, '_intrinsics', remembered)
        return node

    return start


def map_one(rig, node, info, topic='/image', info_topic='/camera_info', frame=None):
    """Publish a calibration and images until one is mapped; return its calibration."""
    publisher = rig.publisher(CameraInfo, info_topic)
    publisher.publish(info)
    rig.wait_until_taken()
    changes = {} if frame is None else {'header': header(rig, frame)}
    rig.show(0, rig.now_ns(), topic=topic, **changes)
    rig.spin_until(lambda: node.calibrations, 'an image is mapped')
    return node.calibrations[0]


@pytest.mark.parametrize('frame', ['', 'map', '/map'])
def test_images_of_no_frame_of_a_camera_are_refused_and_nothing_is_sent_for_them(
    rig, start, frame
):
    start(**ALONE)
    transforms = rig.collect(TFMessage, '/tf', 100)
    rig.wait_for_log('the network is loaded')

    rig.show(0, rig.now_ns(), header=header(rig, frame))

    rig.wait_for_count('dropped: images without a frame', 1)
    rig.wait_for_log('camera_optical_frame')
    assert [t.child_frame_id for m in transforms for t in m.transforms] == []


def test_a_parameter_names_the_frame_of_images_that_have_none(rig, start):
    start(camera_optical_frame='eye', **ALONE)
    transforms = rig.collect(TFMessage, '/tf', 100)
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')

    rig.show(0, rig.now_ns(), header=header(rig, ''))

    rig.spin_until(lambda: poses and transforms, 'it is mapped')
    assert {t.child_frame_id for m in transforms for t in m.transforms} == {'eye'}


@pytest.mark.parametrize(
    'frames', [('map', 'odom', 'map'), ('odom', 'odom', 'base_link'), ('', 'odom', 'base_link')]
)
def test_frames_of_one_name_are_refused_before_anything_is_sent(rig, frames):
    names = dict(zip(('map_frame', 'odom_frame', 'base_frame'), frames))
    node = rig.start(activate=False, **names)

    assert not node.start()

    rig.wait_for_log('must be different frames')


@pytest.mark.parametrize(
    ('of_info', 'of_images'), [('', 'cam'), ('cam', ''), ('/cam', 'cam'), ('cam', 'cam')]
)
def test_a_calibration_without_a_frame_is_that_of_the_images(rig, start, of_info, of_images):
    node = start(camera_optical_frame='cam', **ALONE)

    camera = map_one(rig, node, calibration(rig, of_info), frame=of_images)

    assert camera == CAMERA


@pytest.mark.parametrize(
    ('remaps', 'topic', 'info_topic'),
    [
        (['image:=/front/image_raw'], '/front/image_raw', '/front/camera_info'),
        (['image:=/image_raw'], '/image_raw', '/camera_info'),
        (
            ['image:=/front/image_raw', 'camera_info:=/calibrated'],
            '/front/image_raw',
            '/calibrated',
        ),
        ([], '/image', '/camera_info'),
    ],
)
def test_the_calibration_is_looked_for_beside_the_images(rig, start, remaps, topic, info_topic):
    node = start(*remaps, **ALONE)

    assert map_one(rig, node, calibration(rig), topic, info_topic) == CAMERA


def test_compressed_images_are_looked_for_below_the_remapped_ones(rig, start):
    node = start('image:=/front/image_raw', image_transport='compressed', **ALONE)
    jpeg = messages.jpeg_image(rig.picture(0), header(rig, 'cam'), 90)

    rig.publisher(CompressedImage, '/front/image_raw/compressed').publish(jpeg)

    rig.spin_until(lambda: node.calibrations, 'it is mapped')


@pytest.mark.parametrize(
    ('name', 'focal', 'model'),
    [
        ('image_rect', 50.0, 'none'),
        ('image_rect_color', 50.0, 'none'),
        ('image', 70.0, 'plumb_bob'),
    ],
)
def test_p_counts_for_rectified_images(rig, start, name, focal, model):
    node = start(f'image:=/front/{name}', **ALONE)
    p = [50.0, 0.0, 31.0, 0.0, 0.0, 50.0, 24.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    info = calibration(rig, p=p, d=[0.1, 0.0, 0.0, 0.0, 0.0])

    camera = map_one(rig, node, info, f'/front/{name}', '/front/camera_info')

    assert (camera.fx, camera.distortion_model) == (focal, model)


def test_an_image_that_comes_before_its_calibration_is_mapped_with_it(rig, start):
    node = start(**ALONE)
    infos = rig.publisher(CameraInfo, '/camera_info')
    rig.spin_until(lambda: node.count_publishers('/camera_info'), 'its publisher is known')

    rig.show(0, rig.now_ns())
    rig.spin_for(0.3)
    assert node.calibrations == []
    infos.publish(calibration(rig))

    rig.spin_until(lambda: node.calibrations, 'it is mapped')
    assert node.calibrations == [CAMERA]
