# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import io
import os
import sys
import threading

from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
import numpy as np
from PIL import Image as Picture
import pytest
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from sensor_msgs_py import point_cloud2
from tf2_msgs.msg import TFMessage

from ttt3r_ros.geometry import BODY_T_OPTICAL, invert, rotation_about, transform, transform_points
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.node import messages
from ttt3r_ros.node.mapping_node import GRAPH_NICENESS, graph_thread

MAST = transform(BODY_T_OPTICAL[:3, :3], [0.2, 0.0, 0.5])  # base_T_camera
START = transform(rotation_about([0, 0, 1], 0.5), [3.0, -1.0, 0.0])  # odom_T_base
CAMERA = 'camera_optical_frame'
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def ahead(distance):
    return transform(np.eye(3), [distance, 0, 0])


def drive(rig, steps, odom_T_base=None):
    """Show images 0, 1, ..., each a decimetre further; the odometry is odom_T_base(n)."""
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    rig.mount_camera(MAST)
    stamps = []
    for number in range(steps):
        stamp_ns = rig.now_ns()
        if odom_T_base is not None:
            rig.send_transform('odom', 'base_link', odom_T_base(number), stamp_ns)
        rig.show(number, stamp_ns)
        rig.wait_for_stamp(poses, stamp_ns)
        stamps.append(stamp_ns)
    return poses, stamps


def sent(heard, parent, child):
    """Return (stamp, parent_T_child) of all transforms received between two frames."""
    return [
        (messages.nanoseconds(t.header.stamp), messages.matrix_from_transform(t.transform))
        for message in heard
        for t in message.transforms
        if (t.header.frame_id, t.child_frame_id) == (parent, child)
    ]


@pytest.mark.smoke
def test_with_foreign_odometry_the_error_of_odometry_goes_into_map_to_odom(rig):
    rig.start()
    transforms = rig.collect(TFMessage, '/tf', 100)
    rig.spin_until(lambda: transforms, 'TF is sent')
    np.testing.assert_array_equal(sent(transforms, 'map', 'odom')[0][1], np.eye(4))

    # From the third image on the odometry is far off: the images count.
    jump = ahead(500.0)
    poses, stamps = drive(
        rig, 4, lambda n: (jump if n > 1 else np.eye(4)) @ START @ ahead(0.1 * n)
    )

    for number, (pose, stamp) in enumerate(zip(poses, stamps)):
        assert messages.nanoseconds(pose.header.stamp) == stamp
        assert pose.header.frame_id == 'map'
        map_T_base = messages.matrix_from_pose(pose.pose.pose)
        np.testing.assert_allclose(map_T_base, START @ ahead(0.1 * number), atol=0.02)
    last = messages.matrix_from_pose(poses[-1].pose.pose)
    expected = last @ invert(jump @ START @ ahead(0.3))
    rig.spin_until(
        lambda: np.allclose(sent(transforms, 'map', 'odom')[-1][1], expected, atol=1e-6),
        'map to odom holds the correction',
    )
    rig.wait_for_log('the odometry moved otherwise than the images')
    children = {(t.header.frame_id, t.child_frame_id) for m in transforms for t in m.transforms}
    assert children == {('map', 'odom'), ('odom', 'base_link')}


def test_map_to_odom_is_sent_from_activation_on_dated_ahead_while_the_network_loads(rig):
    started = rig.predictor.go
    started.clear()

    def load_slowly(settings):
        started.wait(60)
        raise AssertionError('not reached before the test ends')

    transforms, heard_ns = [], []

    def on_tf(message):
        transforms.append(message)
        heard_ns.append(rig.now_ns())

    def goes_on():
        stamps = [stamp for stamp, _ in sent(transforms[-26:], 'map', 'odom')]
        return len(stamps) == 26 and abs(np.median(np.diff(stamps)) * 1e-9 - 0.04) < 0.01

    rig.start(build_mapper=load_slowly, **{'tf.rate': 25.0}, transform_tolerance=0.5)
    rig.robot.create_subscription(TFMessage, '/tf', on_tf, 100)
    rig.spin_until(goes_on, 'TF goes on at its rate')

    stamps = np.array([stamp for stamp, _ in sent(transforms, 'map', 'odom')])
    assert 0.2e9 < (stamps - heard_ns).max() <= 0.5e9
    for _, map_T_odom in sent(transforms, 'map', 'odom'):
        np.testing.assert_array_equal(map_T_odom, np.eye(4))
    started.set()


def test_as_the_odometry_it_sends_odom_to_base_at_the_stamps_of_the_images(rig):
    rig.start(publish_odom_to_base_tf=True)
    transforms = rig.collect(TFMessage, '/tf', 100)
    odometry = rig.collect(Odometry, '/ttt3r/odometry')

    _, stamps = drive(rig, 4)

    rig.wait_for_stamp(odometry, stamps[-1])
    rig.spin_until(lambda: len(sent(transforms, 'odom', 'base_link')) == 4, 'TF is sent')
    found = sent(transforms, 'odom', 'base_link')
    assert [stamp for stamp, _ in found] == stamps
    for number, (_, odom_T_base) in enumerate(found):
        np.testing.assert_allclose(odom_T_base, ahead(0.1 * number), atol=1e-6)
    last = odometry[-1]
    assert (last.header.frame_id, last.child_frame_id) == ('odom', 'base_link')
    np.testing.assert_allclose(messages.matrix_from_pose(last.pose.pose), ahead(0.3), atol=1e-6)
    seconds = (stamps[-1] - stamps[-2]) * 1e-9
    assert last.twist.twist.linear.x == pytest.approx(0.1 / seconds, abs=1e-4)
    rig.spin_until(lambda: sent(transforms, 'map', 'odom'), 'map to odom is sent')
    np.testing.assert_allclose(sent(transforms, 'map', 'odom')[-1][1], np.eye(4), atol=1e-9)


def test_without_odometry_it_sends_map_to_base(rig):
    rig.start(odom_frame='')
    transforms = rig.collect(TFMessage, '/tf', 100)

    _, stamps = drive(rig, 3)

    rig.spin_until(lambda: len(sent(transforms, 'map', 'base_link')) == 3, 'TF is sent')
    found = sent(transforms, 'map', 'base_link')
    assert [stamp for stamp, _ in found] == stamps
    np.testing.assert_allclose(found[-1][1], ahead(0.2), atol=1e-6)
    assert sent(transforms, 'map', 'odom') == []


def test_a_camera_alone_needs_no_transform_and_its_map_is_upright(rig):
    rig.start(odom_frame='', base_frame='')
    transforms = rig.collect(TFMessage, '/tf', 100)
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    for number in range(2):
        stamp_ns = rig.now_ns()
        rig.show(number, stamp_ns)
        rig.wait_for_stamp(poses, stamp_ns)

    # A decimetre along the optical axis is one along the map's x.
    expected = transform(BODY_T_OPTICAL[:3, :3], [0.1, 0, 0])
    np.testing.assert_allclose(sent(transforms, 'map', CAMERA)[-1][1], expected, atol=1e-6)


@pytest.mark.smoke
def test_clouds_depth_and_camera_info_describe_the_wall_in_front_of_the_camera(rig):
    rig.start(**{'outputs.points_stride': 1})
    clouds = rig.collect(PointCloud2, '/ttt3r/points', qos_profile_sensor_data)
    depths = rig.collect(Image, '/ttt3r/depth', qos_profile_sensor_data)
    infos = rig.collect(CameraInfo, '/ttt3r/camera_info', qos_profile_sensor_data)
    maps = rig.collect(PointCloud2, '/ttt3r/map_cloud', LATCHED)
    paths = rig.collect(Path, '/ttt3r/path')

    _, stamps = drive(rig, 2, lambda n: START @ ahead(0.1 * n))

    cloud = rig.wait_for_stamp(clouds, stamps[-1])
    assert cloud.header.frame_id == CAMERA
    layout = [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields]
    assert layout == [
        (name, 4 * i, 7, 1) for i, name in enumerate(['x', 'y', 'z', 'rgb', 'confidence'])
    ]
    assert cloud.is_dense
    points = point_cloud2.read_points_numpy(cloud, ['x', 'y', 'z', 'confidence'])
    rays = CameraIntrinsics.from_field_of_view(64, 48, 60.0).rays().reshape(-1, 3)
    np.testing.assert_allclose(points[:, :3], 2.0 * rays, atol=1e-6)
    assert set(points[:, 3]) == {5.0}
    packed = point_cloud2.read_points_numpy(cloud, ['rgb']).copy().view(np.uint32)
    sent = rig.picture(1).astype(np.uint32) @ [1 << 16, 1 << 8, 1]
    np.testing.assert_array_equal(packed.reshape(48, 64)[:-1], sent[:-1])

    depth = rig.wait_for_stamp(depths, stamps[-1])
    assert (depth.encoding, depth.width, depth.height) == ('32FC1', 64, 48)
    np.testing.assert_array_equal(np.frombuffer(depth.data, np.float32), np.float32(2.0))
    info = rig.wait_for_stamp(infos, stamps[-1])
    focal = 32 / np.tan(np.radians(30))
    assert info.k[0] == pytest.approx(focal, abs=0.03)
    assert (info.width, info.height) == (64, 48)

    rig.spin_until(lambda: maps and paths, 'the map comes')
    on_map = point_cloud2.read_points_numpy(maps[-1], ['x', 'y', 'z'])
    assert maps[-1].header.frame_id == 'map'
    wall = transform_points(invert(START @ MAST), on_map)[:, 2]
    assert (np.abs(wall - 2.0) < 0.12).all()
    assert len(paths[-1].poses) >= 1


def test_nothing_is_published_without_a_subscriber(rig, monkeypatch):
    made = []
    monkeypatch.setattr(messages, 'point_cloud', lambda *a: made.append('cloud'))
    monkeypatch.setattr(messages, 'depth_image', lambda *a: made.append('depth'))
    monkeypatch.setattr(messages, 'camera_info', lambda *a: made.append('info'))
    monkeypatch.setattr(messages, 'occupancy_grid', lambda *a: made.append('grid'))
    rig.start()

    drive(rig, 3, lambda n: START)

    assert made == []


def test_without_a_known_floor_there_is_no_occupancy_grid_and_the_log_says_why(rig):
    rig.start(odom_frame='', base_frame='')
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    grids = rig.collect(OccupancyGrid, '/map', LATCHED)

    stamp_ns = rig.now_ns()
    rig.show(0, stamp_ns)
    rig.wait_for_stamp(poses, stamp_ns)

    rig.wait_for_log('camera.height is not set')
    assert grids == []


def test_the_topic_map_can_be_left_to_somebody_else(rig):
    node = rig.start(**{'occupancy.enabled': False})
    drive(rig, 2, lambda n: START)

    assert '/map' not in {publisher.topic_name for publisher in node.publishers}


def test_a_late_hearer_gets_the_map_though_no_image_comes_any_more(rig):
    rig.start()
    drive(rig, 2, lambda n: START)

    maps = rig.collect(PointCloud2, '/ttt3r/map_cloud', LATCHED)

    cloud = rig.spin_until(lambda: maps, 'the map comes')[0]
    assert cloud.width > 100


def test_an_initial_pose_moves_the_map_under_the_robot(rig):
    rig.start()
    poses, _ = drive(rig, 2, lambda n: START @ ahead(0.1 * n))
    wanted = transform(rotation_about([0, 0, 1], -1.0), [7.0, 8.0, 0.0])
    message = PoseWithCovarianceStamped()
    message.header.frame_id = 'map'
    message.pose.pose = messages.pose_message(wanted)
    transforms = rig.collect(TFMessage, '/tf', 100)

    rig.publisher(PoseWithCovarianceStamped, '/initialpose').publish(message)

    expected = wanted @ invert(START @ ahead(0.1))
    rig.spin_until(
        lambda: any(
            np.allclose(found, expected, atol=1e-6) for _, found in sent(transforms, 'map', 'odom')
        ),
        'map to odom jumps',
    )
    stamp_ns = rig.now_ns()
    rig.send_transform('odom', 'base_link', START @ ahead(0.2), stamp_ns)
    rig.show(2, stamp_ns)
    pose = rig.wait_for_stamp(poses, stamp_ns)
    found = messages.matrix_from_pose(pose.pose.pose)
    np.testing.assert_allclose(found, wanted @ ahead(0.1), atol=1e-6)


def test_a_calibrated_camera_is_straightened_and_its_depth_lies_on_the_true_rays(rig):
    rig.start()
    infos = rig.collect(CameraInfo, '/ttt3r/camera_info', qos_profile_sensor_data)
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    rig.mount_camera(MAST)
    info = messages.camera_info(
        CameraIntrinsics(64, 48, 70.0, 71.0, 30.0, 25.0), rig.image(0, 0).header
    )
    info.distortion_model, info.d = 'plumb_bob', [-0.1, 0.0, 0.0, 0.0, 0.0]
    rig.publisher(CameraInfo, '/camera_info').publish(info)

    def mapped_with_calibration():
        stamp_ns = rig.now_ns()
        rig.send_transform('odom', 'base_link', START, stamp_ns)
        rig.show(0, stamp_ns)
        rig.spin_for(0.1)
        return infos and infos[-1].k[0] == 70.0

    rig.spin_until(mapped_with_calibration, 'the calibration is used')
    assert list(infos[-1].k) == [70.0, 0.0, 30.0, 0.0, 71.0, 25.0, 0.0, 0.0, 1.0]
    assert poses


@pytest.mark.parametrize('form', ['JPEG', 'PNG'])
def test_compressed_images_are_mapped_and_damaged_ones_dropped(rig, form):
    rig.start(image_transport='compressed', odom_frame='', base_frame='')
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    images = rig.publisher(CompressedImage, '/image/compressed')
    for number, damaged in ((0, False), (9, True), (3, False)):
        file = io.BytesIO()
        Picture.fromarray(rig.picture(number)).save(file, form)
        data = file.getvalue()[: 60 if damaged else None]
        message = CompressedImage(header=rig.image(0, rig.now_ns()).header, data=data)
        images.publish(message)
        if damaged:
            rig.wait_for_count('dropped: image cannot be decoded', 1)
        else:
            pose = rig.wait_for_stamp(poses, messages.nanoseconds(message.header.stamp))

    assert pose.pose.pose.position.x == pytest.approx(0.3, abs=1e-6)
    assert rig.predictor.seen == [0, 3]


@pytest.mark.skipif(sys.platform != 'linux', reason='elsewhere threads have no priority')
def test_the_thread_of_the_graph_gives_way_to_those_of_images():
    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    with graph_thread() as thread:
        assert thread.submit(niceness).result() == min(niceness() + GRAPH_NICENESS, 19)
