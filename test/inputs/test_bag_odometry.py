# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from itertools import chain
import math
from operator import itemgetter
import re

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores

from ttt3r_ros.geometry import BODY_T_OPTICAL, rotation_about, transform
from ttt3r_ros.inputs import bag_transforms
from ttt3r_ros.inputs.bag_transforms import read_motion
from ttt3r_ros.inputs.odometry import NONE, OdometryChoice
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.inputs.pose_series import PoseSeries
from ttt3r_ros.inputs.source import BadFrame, InputError, InputFrame
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.tools.bag_file import BagFile

TYPES = get_typestore(Stores.ROS2_HUMBLE)
IMAGE, TF, ODOMETRY = (
    'sensor_msgs/msg/Image',
    'tf2_msgs/msg/TFMessage',
    'nav_msgs/msg/Odometry',
)
AUTO = OdometryChoice()
START = 1_700_000_000 * 10**9
MS = 10**6

RADIUS, TURN = 2.0, 0.5  # metres, radians a second
TF_STEP = 20 * MS
# The height of the arc between two stamps of TF: what a straight line between them misses.
HEIGHT = RADIUS * (1 - math.cos(TURN * TF_STEP / 1e9 / 2))

BASE_T_MAST = transform(rotation_about([0, 1, 0], 0.1), [0.2, 0.0, 0.9])
MAST_T_CAMERA = transform(BODY_T_OPTICAL[:3, :3], [0.05, 0.02, 0.0])


def on_circle(ns):
    """Return odom_T_base of a robot that drives in a circle, ns after the start."""
    heading = TURN * ns / 1e9
    place = [RADIUS * math.sin(heading), RADIUS * (1 - math.cos(heading)), 0.0]
    return transform(rotation_about([0, 0, 1], heading), place)


def make(kind, **fields):
    return TYPES.types[kind](**fields)


def header(ns, frame):
    seconds, rest = divmod(ns, 10**9)
    stamp = make('builtin_interfaces/msg/Time', sec=seconds, nanosec=rest)
    return make('std_msgs/msg/Header', stamp=stamp, frame_id=frame)


def parts(pose):
    """Return translation and quaternion; all rotations here are less than half a turn."""
    r = pose[:3, :3]
    w = math.sqrt(1 + np.trace(r)) / 2
    quaternion = [(r[2, 1] - r[1, 2]) / 4 / w, (r[0, 2] - r[2, 0]) / 4 / w]
    quaternion += [(r[1, 0] - r[0, 1]) / 4 / w, w]
    return [float(v) for v in pose[:3, 3]], [float(v) for v in quaternion]


def tf(ns, parent, child, pose, quaternion=None):
    """Create a TFMessage of one transform."""
    translation, rotation = parts(pose)
    moved = make(
        'geometry_msgs/msg/Transform',
        translation=make('geometry_msgs/msg/Vector3', **dict(zip('xyz', translation))),
        rotation=make('geometry_msgs/msg/Quaternion', **dict(zip('xyzw', quaternion or rotation))),
    )
    stamped = make(
        'geometry_msgs/msg/TransformStamped',
        header=header(ns, parent),
        child_frame_id=child,
        transform=moved,
    )
    return make(TF, transforms=[stamped])


def odometry(ns, parent, child, pose, speed=0.0, variance=0.0):
    translation, rotation = parts(pose)
    at = make(
        'geometry_msgs/msg/Pose',
        position=make('geometry_msgs/msg/Point', **dict(zip('xyz', translation))),
        orientation=make('geometry_msgs/msg/Quaternion', **dict(zip('xyzw', rotation))),
    )
    zero = make('geometry_msgs/msg/Vector3', x=0.0, y=0.0, z=0.0)
    ahead = make('geometry_msgs/msg/Vector3', x=speed, y=0.0, z=0.0)
    twist = make('geometry_msgs/msg/Twist', linear=ahead, angular=zero)
    covariance = np.diag([variance, variance, 1e6, 1e6, 1e6, 1e3]).ravel()
    return make(
        ODOMETRY,
        header=header(ns, parent),
        child_frame_id=child,
        pose=make('geometry_msgs/msg/PoseWithCovariance', pose=at, covariance=covariance),
        twist=make('geometry_msgs/msg/TwistWithCovariance', twist=twist, covariance=np.zeros(36)),
    )


def images(stamps, topic='/camera/image_raw', frame='camera', size=(6, 8)):
    height, width = size
    data = np.zeros(height * width * 3, np.uint8)
    return [
        (
            START + ns,
            topic,
            IMAGE,
            make(
                IMAGE,
                header=header(START + ns, frame),
                height=height,
                width=width,
                encoding='rgb8',
                is_bigendian=0,
                step=3 * width,
                data=data,
            ),
        )
        for ns in stamps
    ]


def driving(end, parent='odom', child='base_link', topic='/tf', begin=0, pose=on_circle):
    """Record a drive on TF, from begin to end."""
    return [
        (START + ns, topic, TF, tf(START + ns, parent, child, pose(ns)))
        for ns in range(begin, end + 1, TF_STEP)
    ]


def driving_odometry(end, topic='/odom', parent='odom', child='base_link', pose=on_circle):
    return [
        (START + ns, topic, ODOMETRY, odometry(START + ns, parent, child, pose(ns)))
        for ns in range(0, end + 1, TF_STEP)
    ]


def static(parent, child, pose, topic='/tf_static', recorded=0):
    return [(START + recorded, topic, TF, tf(START, parent, child, pose))]


def mount(base='base_link', camera='camera', recorded=0, topic='/tf_static'):
    return [
        *static(base, 'mast', BASE_T_MAST, topic, recorded),
        *static('mast', camera, MAST_T_CAMERA, topic, recorded),
    ]


def write_bag(path, *recorded, storage=StoragePlugin.SQLITE3):
    """Write (time of recording, topic, type, message) rows."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {}
        for recorded_ns, topic, kind, message in sorted(chain(*recorded), key=itemgetter(0)):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
            data = message if isinstance(message, bytes) else TYPES.serialize_cdr(message, kind)
            writer.write(connections[topic], recorded_ns, data)
    return str(path)


def near_circle(frame, pose=on_circle):
    """Compare an image's odometry with where the robot was."""
    expected = pose(frame.stamp_ns - START)
    np.testing.assert_allclose(frame.odom_T_base[:3, :3], expected[:3, :3], atol=1e-9)
    return float(np.linalg.norm(frame.odom_T_base[:3, 3] - expected[:3, 3]))


STAMPS = [0, 7 * MS, 50 * MS, 333 * MS, 990 * MS]


@pytest.mark.parametrize('storage', StoragePlugin)
def test_images_come_with_the_tf_at_their_stamps(tmp_path, storage):
    path = write_bag(
        tmp_path / 'bag', images(STAMPS), driving(1000 * MS), mount(), storage=storage
    )

    source = open_source(path, odometry=AUTO)
    frames = list(source.frames(1))

    assert source.odometry == 'odometry: TF odom -> base_link'
    assert source.images_without_odometry == 0
    assert source.length == len(frames) == len(STAMPS)
    for frame in frames:
        assert near_circle(frame) <= HEIGHT + 1e-9
        np.testing.assert_allclose(frame.base_T_camera, BASE_T_MAST @ MAST_T_CAMERA, atol=1e-9)
    # In the middle between two stamps it is all of the height.
    assert near_circle(frames[2]) == pytest.approx(HEIGHT, abs=1e-9)


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_a_simulated_bag_gives_back_the_odometry_that_was_written(tmp_path, storage):
    poses = [on_circle(k * 100 * MS) for k in range(4)]
    camera = CameraIntrinsics.from_field_of_view(8, 6, 70.0)
    with BagFile(tmp_path / 'bag', storage, camera, MAST_T_CAMERA) as bag:
        for k, pose in enumerate(poses):
            bag.write(START + k * 100 * MS, np.zeros((6, 8, 3), np.uint8), pose, np.zeros(6))

    frames = list(open_source(str(tmp_path / 'bag'), odometry=AUTO).frames(2))

    assert [frame.index for frame in frames] == [0, 2]
    for frame in frames:
        np.testing.assert_allclose(frame.odom_T_base, poses[frame.index], atol=1e-9)
        np.testing.assert_allclose(frame.base_T_camera, MAST_T_CAMERA, atol=1e-9)


def test_a_static_transform_at_the_end_of_an_mcap_counts_from_its_beginning(tmp_path):
    stamps = range(0, 500 * MS, 100 * MS)
    path = write_bag(
        tmp_path / 'bag',
        images(stamps, size=(480, 640)),  # 0.9 MB each: chunks end at 1 MiB
        driving(500 * MS),
        mount(recorded=10**9),
        storage=StoragePlugin.MCAP,
    )

    frames = list(open_source(path, odometry=AUTO).frames(1))

    np.testing.assert_allclose(frames[0].base_T_camera, BASE_T_MAST @ MAST_T_CAMERA, atol=1e-9)


def test_the_last_of_several_static_transforms_holds(tmp_path):
    wrong = transform(np.eye(3), [9, 9, 9])
    path = write_bag(
        tmp_path / 'bag',
        images([0]),
        driving(100 * MS),
        static('mast', 'camera', wrong, recorded=-5),
        mount(),
    )

    (frame,) = open_source(path, odometry=AUTO).frames(1)

    np.testing.assert_allclose(frame.base_T_camera, BASE_T_MAST @ MAST_T_CAMERA, atol=1e-9)


def test_a_mount_that_moves_is_that_of_the_stamp(tmp_path):
    def lifted(ns):
        return transform(np.eye(3), [0.0, 0.0, 1.0 + ns / 1e9])

    path = write_bag(
        tmp_path / 'bag',
        images([0, 250 * MS]),
        driving(1000 * MS),
        driving(1000 * MS, 'base_link', 'camera', pose=lifted),
    )

    frames = list(open_source(path, odometry=AUTO).frames(1))

    heights = [frame.base_T_camera[2, 3] for frame in frames]
    np.testing.assert_allclose(heights, [1.0, 1.25], atol=1e-9)


def test_each_robot_of_a_bag_has_the_tf_of_its_namespace(tmp_path):
    def still_elsewhere(ns):
        return transform(np.eye(3), [50.0, ns / 1e9, 0.0])

    path = write_bag(
        tmp_path / 'bag',
        images(STAMPS, '/robot1/camera/image_raw'),
        images(STAMPS, '/robot2/camera/image_raw'),
        driving(1000 * MS, topic='/robot1/tf'),
        mount(topic='/robot1/tf_static'),
        driving(1000 * MS, topic='/robot2/tf', pose=still_elsewhere),
        static('base_link', 'camera', MAST_T_CAMERA, '/robot2/tf_static'),
    )

    first, second = (
        list(open_source(path, f'/robot{k}/camera/image_raw', odometry=AUTO).frames(1))
        for k in (1, 2)
    )

    for frame in first:
        assert near_circle(frame) <= HEIGHT + 1e-9
        np.testing.assert_allclose(frame.base_T_camera, BASE_T_MAST @ MAST_T_CAMERA, atol=1e-9)
    for frame in second:
        assert near_circle(frame, still_elsewhere) == pytest.approx(0, abs=1e-9)
        np.testing.assert_allclose(frame.base_T_camera, MAST_T_CAMERA, atol=1e-9)


def test_names_with_a_leading_slash_are_the_same_frames(tmp_path):
    path = write_bag(
        tmp_path / 'bag',
        images([0], frame='/camera'),
        driving(100 * MS, '/odom', '/base_link'),
        mount('base_link', '/camera'),
    )

    source = open_source(path, odometry=OdometryChoice('auto', '/odom', '/base_link'))

    assert near_circle(next(source.frames(1))) == pytest.approx(0, abs=1e-9)


def test_without_tf_of_the_base_an_odometry_topic_is_used(tmp_path):
    path = write_bag(
        tmp_path / 'bag', images(STAMPS), driving_odometry(1000 * MS, '/wheels'), mount()
    )

    source = open_source(path, odometry=AUTO)
    frames = list(source.frames(1))

    assert source.odometry == 'odometry: /wheels (odom -> base_link)'
    for frame in frames:
        assert near_circle(frame) <= HEIGHT + 1e-9
        np.testing.assert_allclose(frame.base_T_camera, BASE_T_MAST @ MAST_T_CAMERA, atol=1e-9)


def test_of_several_odometry_topics_the_one_in_the_odometry_frame_is_used(tmp_path):
    def true(ns):
        return transform(np.eye(3), [0.0, ns / 1e9, 0.0])

    path = write_bag(
        tmp_path / 'bag',
        images(STAMPS),
        driving_odometry(1000 * MS, '/a', parent='world', pose=true),
        driving_odometry(1000 * MS, '/b'),
        mount(),
    )

    source = open_source(path, odometry=AUTO)

    assert source.odometry == 'odometry: /b (odom -> base_link)'
    assert max(near_circle(frame) for frame in source.frames(1)) <= HEIGHT + 1e-9


def test_a_named_odometry_topic_goes_before_the_tf(tmp_path):
    def wrong(ns):
        return transform(np.eye(3), [0.0, ns / 1e9, 0.0])

    path = write_bag(
        tmp_path / 'bag',
        images(STAMPS),
        driving(1000 * MS, pose=wrong),
        driving_odometry(1000 * MS, '/wheels'),
        mount(),
    )

    frames = list(open_source(path, odometry=OdometryChoice('/wheels')).frames(1))

    assert max(near_circle(frame) for frame in frames) <= HEIGHT + 1e-9


def test_an_odometry_of_another_frame_of_the_robot_is_taken_to_its_base(tmp_path):
    footprint_T_base = transform(np.eye(3), [0.1, 0.0, 0.3])
    path = write_bag(
        tmp_path / 'bag',
        images([0, 400 * MS]),
        driving_odometry(1000 * MS, child='base_footprint'),
        static('base_footprint', 'base_link', footprint_T_base),
        mount(),
    )

    source = open_source(path, odometry=OdometryChoice('/odom'))
    frames = list(source.frames(1))

    assert source.odometry == 'odometry: /odom (odom -> base_footprint)'
    for frame in frames:
        expected = on_circle(frame.stamp_ns - START) @ footprint_T_base
        np.testing.assert_allclose(frame.odom_T_base, expected, atol=1e-9)


def test_a_named_tf_topic_is_the_one_that_is_used(tmp_path):
    def wrong(ns):
        return transform(np.eye(3), [0.0, ns / 1e9, 0.0])

    path = write_bag(
        tmp_path / 'bag',
        images(STAMPS),
        driving(1000 * MS, pose=wrong),
        driving(1000 * MS, topic='/filtered/tf'),
        mount(),
    )

    frames = list(open_source(path, odometry=OdometryChoice('/filtered/tf')).frames(1))

    assert max(near_circle(frame) for frame in frames) <= HEIGHT + 1e-9


def test_the_camera_may_be_the_base(tmp_path):
    path = write_bag(tmp_path / 'bag', images(STAMPS), driving(1000 * MS, child='camera'))

    frames = list(open_source(path, odometry=OdometryChoice('auto', base_frame='')).frames(1))

    assert [frame.base_T_camera for frame in frames] == [None] * len(STAMPS)
    assert max(near_circle(frame) for frame in frames) <= HEIGHT + 1e-9


def test_images_that_the_odometry_does_not_cover_come_without_it_and_are_counted(tmp_path):
    # Silent before 0.5 s and after 1 s, each time with 0.1 s of tolerance.
    stamps = [0, 399 * MS, 401 * MS, 1000 * MS, 1099 * MS, 1101 * MS, 5000 * MS]
    path = write_bag(tmp_path / 'bag', images(stamps), driving(1000 * MS, begin=500 * MS), mount())

    source = open_source(path, odometry=AUTO)

    for _ in range(2):  # a second reading counts anew
        frames = list(source.frames(1))
        covered = [frame.odom_T_base is not None for frame in frames]
        assert covered == [False, False, True, True, True, False, False]
        assert source.images_without_odometry == 4
        assert all(frame.base_T_camera is not None for frame in frames)


def test_an_image_without_its_mount_is_a_bad_one(tmp_path):
    path = write_bag(
        tmp_path / 'bag',
        images([0, 5000 * MS]),
        driving(5000 * MS),
        driving(1000 * MS, 'base_link', 'camera'),
    )

    frames = list(open_source(path, odometry=AUTO).frames(1))

    assert [type(frame) for frame in frames] == [InputFrame, BadFrame]
    assert "image 1: no transform from 'base_link' to 'camera'" in frames[1].reason


def test_the_frame_of_the_camera_is_that_of_the_first_image_that_can_be_read(tmp_path):
    first, *others = images([0, 20 * MS])
    cut_off = bytes(TYPES.serialize_cdr(first[3], IMAGE)[:30])
    path = write_bag(tmp_path / 'bag', [(*first[:3], cut_off)], others, driving(100 * MS), mount())

    frames = list(open_source(path, odometry=AUTO).frames(1))

    assert isinstance(frames[0], BadFrame)
    np.testing.assert_allclose(frames[1].base_T_camera, BASE_T_MAST @ MAST_T_CAMERA, atol=1e-9)


def test_a_bag_without_tf_says_so_and_its_images_come_alone(tmp_path):
    path = write_bag(tmp_path / 'bag', images(STAMPS))

    source = open_source(path, odometry=AUTO)
    frames = list(source.frames(1))

    assert source.odometry == ("no odometry: no transform from 'odom' to 'base_link' in the bag")
    assert source.images_without_odometry == 0
    assert {(f.base_T_camera, f.odom_T_base) for f in frames} == {(None, None)}
    assert [f.stamp_ns - START for f in frames] == STAMPS


@pytest.mark.parametrize('choice', [None, OdometryChoice(NONE)])
def test_odometry_that_is_not_asked_for_is_not_read(tmp_path, monkeypatch, choice):
    path = write_bag(tmp_path / 'bag', images([0]), driving(100 * MS), mount())
    monkeypatch.setattr(bag_transforms, 'BagReader', None)

    source = open_source(path, odometry=choice) if choice else open_source(path)

    assert source.odometry == 'no odometry: not asked for'
    assert next(source.frames(1)).odom_T_base is None


@pytest.mark.parametrize(
    ('recorded', 'why'),
    [
        (
            [driving(100 * MS)],
            r"no transform from 'base_link' to 'camera' in the bag; it has odom -> base_link",
        ),
        (
            [driving(100 * MS, 'odom', 'base_footprint'), mount()],
            r"no transform from 'odom' to 'base_link' in the bag; it has base_link -> mast, "
            r'mast -> camera, odom -> base_footprint',
        ),
        (
            [driving_odometry(100 * MS, child='base_footprint'), mount()],
            r"no transform from 'odom' to 'base_link' in the bag; it has .*"
            r'odom -> base_footprint on /odom',
        ),
        (
            [static('odom', 'base_link', np.eye(4)), mount()],
            r"the transform from 'odom' to 'base_link' is static",
        ),
        (
            [driving_odometry(100 * MS, '/a'), driving_odometry(100 * MS, '/b'), mount()],
            r'there are several Odometry topics, choose one: /a, /b',
        ),
    ],
)
def test_a_bag_without_a_usable_odometry_says_what_is_missing(tmp_path, recorded, why):
    path = write_bag(tmp_path / 'bag', images([0]), *recorded)

    source = open_source(path, odometry=AUTO)
    (frame,) = source.frames(1)

    assert re.fullmatch(f'no odometry: {why}', source.odometry)
    assert frame.base_T_camera is frame.odom_T_base is None


@pytest.mark.parametrize(
    ('wanted', 'recorded', 'why'),
    [
        ('/wheels', [driving(100 * MS), mount()], r'no odometry on /wheels; .*: /tf, /tf_static'),
        ('/wheels', [], r'no odometry on /wheels; .*: none'),
        ('/camera/image_raw', [mount()], r'no odometry on /camera/image_raw; .*: /tf_static'),
        ('/odom', [driving_odometry(100 * MS)], r"from 'base_link' to 'camera' .*on /odom"),
        (
            '/odom',
            [driving_odometry(100 * MS, child='base_footprint'), mount()],
            r"from 'base_footprint' to 'base_link' .*; it has base_link -> mast, .*on /odom",
        ),
        ('/tf', [driving(100 * MS, 'map'), mount()], r"from 'odom' to 'base_link' .*map -> base"),
        ('/tf', [driving(100 * MS)], r"from 'base_link' to 'camera' .*odom -> base_link"),
    ],
)
def test_a_topic_that_is_asked_for_must_have_the_odometry(tmp_path, wanted, recorded, why):
    path = write_bag(tmp_path / 'bag', images([0]), *recorded)

    with pytest.raises(InputError, match=why):
        open_source(path, odometry=OdometryChoice(wanted))


def test_images_without_a_frame_have_no_odometry(tmp_path):
    path = write_bag(tmp_path / 'bag', images([0], frame=''), driving(100 * MS), mount())

    source = open_source(path, odometry=AUTO)

    assert source.odometry == 'no odometry: the images have no frame_id'


def standing_odometry(end, speed, variance=0.0, pose=lambda ns: np.eye(4)):
    """Record an odometry whose twist drives ahead, whatever its poses do."""
    return [
        (START + ns, '/odom', ODOMETRY, odometry(START + ns, 'odom', 'base_link', at, *rest))
        for ns in range(0, end + 1, TF_STEP)
        for at, rest in [(pose(ns), (speed, variance))]
    ]


VELOCITIES = '/odom measures velocities alone'


@pytest.mark.parametrize(
    ('variance', 'pose'),
    [
        (0.0, lambda ns: np.eye(4)),
        (0.0, lambda ns: on_circle(10**9)),  # constant, but not zero
        (-1.0, on_circle),
        (1e9, on_circle),
    ],
)
def test_an_odometry_of_velocities_alone_is_named_and_not_taken_for_poses(
    tmp_path, variance, pose
):
    drive = standing_odometry(1000 * MS, 0.8, variance, pose)
    path = write_bag(tmp_path / 'bag', images([500 * MS]), drive, mount())

    source = open_source(path, odometry=AUTO)
    (frame,) = source.frames(1)

    assert VELOCITIES in source.odometry
    assert frame.odom_T_base is None
    with pytest.raises(InputError, match=VELOCITIES):
        open_source(path, odometry=OdometryChoice('/odom'))


@pytest.mark.parametrize(
    ('speed', 'variance', 'pose'),
    [
        (0.0, 0.0, lambda ns: np.eye(4)),  # a parked robot
        (0.01, 0.0, lambda ns: np.eye(4)),  # and the noise of its sensor
        (0.8, 0.0, on_circle),
        (0.8, 100.0, on_circle),  # after a long drive
        (0.8, math.nan, on_circle),  # of MAVLink: the covariance is not known
    ],
)
def test_poses_beside_velocities_are_poses(tmp_path, speed, variance, pose):
    drive = standing_odometry(1000 * MS, speed, variance, pose)
    path = write_bag(tmp_path / 'bag', images([500 * MS]), drive, mount())

    source = open_source(path, odometry=AUTO)
    (frame,) = source.frames(1)

    assert source.odometry == 'odometry: /odom (odom -> base_link)'
    np.testing.assert_allclose(frame.odom_T_base, pose(500 * MS), atol=1e-9)


def test_poses_that_are_unknown_for_a_while_are_left_out_and_counted(tmp_path):
    known = [standing_odometry(1000 * MS, 0.8, 0.01, on_circle)[k] for k in (0, 1, 49, 50)]
    lost = standing_odometry(1000 * MS, 0.8, 9999.0)[2:49]
    path = write_bag(tmp_path / 'bag', images([0, 500 * MS, 1000 * MS]), known, lost, mount())

    source = open_source(path, odometry=AUTO)
    found = list(source.frames(1))

    assert '47 transforms in the bag cannot be used' in source.odometry
    np.testing.assert_allclose(found[0].odom_T_base, on_circle(0), atol=1e-9)
    np.testing.assert_allclose(found[2].odom_T_base, on_circle(1000 * MS), atol=1e-9)


def test_transforms_that_are_no_numbers_are_left_out_and_counted(tmp_path):
    nan = transform(np.eye(3), [np.nan, 0, 0])
    broken = [
        (START + 10 * MS, '/tf', TF, tf(START + 10 * MS, 'odom', 'base_link', nan)),
        (
            START + 30 * MS,
            '/tf',
            TF,
            tf(START + 30 * MS, 'odom', 'base_link', np.eye(4), [0.0, 0.0, 0.0, 0.0]),
        ),
        (START + 30 * MS, '/tf', TF, tf(START + 30 * MS, 'odom', 'odom', np.eye(4))),
    ]
    path = write_bag(tmp_path / 'bag', images(STAMPS), driving(1000 * MS), mount(), broken)

    source = open_source(path, odometry=AUTO)
    frames = list(source.frames(1))

    assert source.odometry == (
        'odometry: TF odom -> base_link; 3 transforms in the bag cannot be used'
    )
    assert max(near_circle(frame) for frame in frames) <= HEIGHT + 1e-9


def test_quaternions_of_another_length_are_made_units(tmp_path):
    # From no turn to one radian, in quaternions that are 1 and 2 long.
    double = [0.0, 0.0, 2 * math.sin(0.5), 2 * math.cos(0.5)]
    record = [
        (START + ns, '/tf', TF, tf(START + ns, 'odom', 'base_link', np.eye(4), quaternion))
        for ns, quaternion in ((0, None), (100 * MS, double))
    ]
    path = write_bag(tmp_path / 'bag', images([50 * MS]), record, mount())

    (frame,) = open_source(path, odometry=AUTO).frames(1)

    half = rotation_about([0, 0, 1], 0.5)
    np.testing.assert_allclose(frame.odom_T_base[:3, :3], half, atol=1e-9)


def test_messages_without_a_stamp_have_the_time_of_their_recording(tmp_path):
    unstamped = [
        (recorded, topic, kind, tf(0, 'odom', 'base_link', on_circle(recorded - START)))
        for recorded, topic, kind, _ in driving(1000 * MS)
    ]
    path = write_bag(tmp_path / 'bag', images(STAMPS), unstamped, mount())

    frames = list(open_source(path, odometry=AUTO).frames(1))

    assert max(near_circle(frame) for frame in frames) <= HEIGHT + 1e-9


def test_a_bag_of_too_many_poses_keeps_every_second_of_the_longest_link(tmp_path, monkeypatch):
    monkeypatch.setattr(bag_transforms, 'MOST_POSES', 100)
    wheel = driving(1000 * MS, 'base_link', 'wheel', begin=600 * MS)
    path = write_bag(tmp_path / 'bag', images(STAMPS), driving(4000 * MS), wheel, mount())

    motion = read_motion(tmp_path / 'bag')
    frames = list(open_source(path, odometry=AUTO).frames(1))

    kept = {
        link.child: len(link.poses._stamps_ns)
        for link in motion.transforms
        if isinstance(link.poses, PoseSeries)
    }
    # Of 201 every fourth: every second one of them would be 101, and 21 of the wheel beside it.
    assert kept == {'base_link': 51, 'wheel': 21}
    height = RADIUS * (1 - math.cos(TURN * 4 * TF_STEP / 1e9 / 2))
    assert max(near_circle(frame) for frame in frames) <= height + 1e-9


@pytest.mark.parametrize('storage', StoragePlugin)
def test_whatever_is_damaged_every_image_is_accounted_for(tmp_path, storage):
    stamps = range(0, 240 * MS, 20 * MS)
    write_bag(tmp_path / 'bag', images(stamps), driving(240 * MS), mount(), storage=storage)
    file = next(p for p in (tmp_path / 'bag').iterdir() if p.suffix in ('.db3', '.mcap'))
    good = file.read_bytes()
    rng = np.random.default_rng(8)
    located = 0
    for _ in range(30):
        bad = bytearray(good)
        at, length = int(rng.integers(len(bad))), int(rng.choice([1, 8, 500]))
        bad[at : at + length] = rng.bytes(len(bad[at : at + length]))
        file.write_bytes(bad)
        try:
            source = open_source(str(tmp_path / 'bag'), odometry=AUTO)
        except InputError:
            continue
        items = list(source.frames(1))
        counted = sum(i.count if isinstance(i, BadFrame) else 1 for i in items)
        assert counted >= source.length
        located += source.odometry.startswith('odometry: ')
    assert located >= 10
