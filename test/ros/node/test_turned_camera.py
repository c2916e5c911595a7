# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A camera that hangs upside down or on its side: its pictures are turned, its frame is not."""

from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Path
import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from sensor_msgs_py import point_cloud2
from tf2_msgs.msg import TFMessage

from ttt3r_ros.geometry import BODY_T_OPTICAL, rotation_about, transform, transform_points
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.node import messages

CAMERA = 'camera_optical_frame'
MAST = transform(BODY_T_OPTICAL[:3, :3], [0.2, 0.0, 0.5])  # of an upright camera


def mounted(degrees):
    """Return the pose of a camera that is turned clockwise in that of an upright one."""
    return transform(rotation_about([0, 0, 1], np.radians(degrees)), [0, 0, 0])


def show(rig, poses, number, degrees):
    """Show what such a camera sees of an image; return the stamp and the pose."""
    stamp_ns = rig.now_ns()
    stored = np.rot90(rig.picture(number), degrees // 90)
    height, width = stored.shape[:2]
    fields = {'width': width, 'height': height, 'step': 3 * width, 'data': stored.tobytes()}
    rig.show(number, stamp_ns, **fields)
    pose = rig.wait_for_stamp(poses, stamp_ns)
    return stamp_ns, messages.matrix_from_pose(pose.pose.pose)


@pytest.mark.parametrize('degrees', [180, 90])
def test_points_and_depth_of_a_turned_camera_are_in_its_own_frame(rig, degrees):
    rig.start(**{'outputs.points_stride': 1, 'odom_frame': '', 'camera.rotation': degrees})
    clouds = rig.collect(PointCloud2, '/ttt3r/points', qos_profile_sensor_data)
    depths = rig.collect(Image, '/ttt3r/depth', qos_profile_sensor_data)
    infos = rig.collect(CameraInfo, '/ttt3r/camera_info', qos_profile_sensor_data)
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    base_T_stored = MAST @ mounted(degrees)
    rig.mount_camera(base_T_stored)

    show(rig, poses, 0, degrees)
    stamp_ns, map_T_base = show(rig, poses, 1, degrees)

    np.testing.assert_allclose(map_T_base, transform(np.eye(3), [0.1, 0, 0]), atol=1e-6)
    cloud = rig.wait_for_stamp(clouds, stamp_ns)
    assert cloud.header.frame_id == CAMERA
    points = point_cloud2.read_points_numpy(cloud, ['x', 'y', 'z'])
    rays = CameraIntrinsics.from_field_of_view(64, 48, 60.0).rays().reshape(-1, 3)
    in_base = transform_points(base_T_stored, points)
    np.testing.assert_allclose(in_base, transform_points(MAST, 2.0 * rays), atol=1e-5)
    depth, info = (rig.wait_for_stamp(heard, stamp_ns) for heard in (depths, infos))
    stored = (48, 64) if degrees == 180 else (64, 48)
    assert (depth.height, depth.width) == (info.height, info.width) == stored
    # Each point is on the ray that camera_info gives its pixel of the depth image.
    camera = messages.intrinsics_from(info, info.width, info.height)
    expected = camera.rays() * np.frombuffer(depth.data, np.float32).reshape(*stored, 1)
    off = np.abs(expected.reshape(-1, 1, 3)[::97] - points[None]).max(axis=2).min(axis=1)
    assert off.max() < 0.01


def test_a_turned_camera_alone_has_the_pose_of_the_frame_of_its_images(rig):
    rig.start(odom_frame='', base_frame='', **{'camera.rotation': 180})
    transforms = rig.collect(TFMessage, '/tf', 100)
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    paths = rig.collect(Path, '/ttt3r/path')

    show(rig, poses, 0, 180)
    _, map_T_camera = show(rig, poses, 1, 180)

    # Its x looks to the left of an upright camera: along the y of the map.
    expected = transform(BODY_T_OPTICAL[:3, :3], [0.1, 0, 0]) @ mounted(180)
    np.testing.assert_allclose(map_T_camera, expected, atol=1e-6)
    np.testing.assert_allclose(map_T_camera[:3, 0], [0, 1, 0], atol=1e-6)
    rig.spin_until(lambda: transforms, 'TF is sent')
    sent = messages.matrix_from_transform(transforms[-1].transforms[-1].transform)
    np.testing.assert_allclose(sent, expected, atol=1e-6)
    rig.spin_until(lambda: paths, 'the path comes')
    first = messages.matrix_from_pose(paths[-1].poses[0].pose)
    np.testing.assert_allclose(first, BODY_T_OPTICAL @ mounted(180), atol=1e-6)


def test_an_angle_that_is_no_quarter_is_refused_by_name(rig):
    with pytest.raises(Exception, match=r'camera\.rotation must be one of 0, 90, 180, 270'):
        rig.start(**{'camera.rotation': 45})
