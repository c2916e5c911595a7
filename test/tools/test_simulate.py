# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import math
import resource
import sqlite3
import subprocess
import sys

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Writer

from ttt3r_ros.geometry import invert, rotation_about, rotation_from_quaternion, transform
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.settings import knobs, SimulationSettings
from ttt3r_ros.simulation.building import build_world, FAMILIES
from ttt3r_ros.simulation.camera_path import body_T_camera, hand_path, robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.tools import simulate
from ttt3r_ros.tools.bag_file import STORAGES
from ttt3r_ros.tools.main import main
from ttt3r_ros.tools.simulate import velocities
from ttt3r_ros.trajectory import read_trajectory

SIZE = ('--width', '64', '--height', '48', '--field-of-view', '80')
SMALL = ('--seconds', '2', '--image-rate', '5', *SIZE)
INTRINSICS = CameraIntrinsics.from_field_of_view(64, 48, 80.0)


def run_simulate(output, *options):
    return main(['simulate', '--output', str(output), *SMALL, *options])


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Simulate a robot for two seconds."""
    folder = tmp_path_factory.mktemp('video') / 'drive'
    assert run_simulate(folder, '--image-noise', '0', '--seed', '3') == 0
    return folder


@pytest.fixture(scope='module')
def drive():
    """Return the path and the views that the robot of `video` has."""
    world = build_world('S', 3)
    path = robot_path(world, 3, 2.0, 5.0, speed=0.6, camera_height=0.8, tilt=0.0)
    return path, *render_clip(world, INTRINSICS, path.world_T_camera, smooth=True)


def test_ground_truth_is_the_path_of_the_camera(video, drive):
    truth = read_trajectory(video / 'groundtruth.txt')

    np.testing.assert_array_equal(truth.stamps_ns, drive[0].stamps_ns)
    np.testing.assert_allclose(truth.poses, drive[0].world_T_camera, atol=1e-7)


def test_the_video_shows_what_the_camera_saw(video, drive):
    capture = cv2.VideoCapture(str(video / 'video.mp4'))
    frames = [capture.read()[1][..., ::-1].astype(float) for _ in range(10)]

    assert not capture.read()[0]
    assert np.abs(np.stack(frames) - drive[1]).mean() < 8  # lossy


def test_every_fifth_depth_is_written_in_millimetres(video, drive):
    listed = [line.split() for line in (video / 'depth.txt').read_text().splitlines()[2:]]

    assert [(int(index), float(stamp)) for index, stamp, _ in listed] == [(0, 0.0), (5, 1.0)]
    for index, _, name in listed:
        depth = cv2.imread(str(video / name), cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16
        np.testing.assert_allclose(depth / 1000, drive[2][int(index)], atol=0.00051)


def test_the_camera_is_recorded(video):
    record = json.loads((video / 'camera.json').read_text())

    assert CameraIntrinsics.from_record(record) == INTRINSICS
    assert (record['fps'], record['frames'], record['depth_scale_per_m']) == (5.0, 10, 1000)


def test_a_recording_is_an_input_of_the_mapper(video):
    source = open_source(str(video))

    frames = list(source.frames(1))

    assert source.intrinsics == INTRINSICS
    assert [frame.stamp_ns for frame in frames] == [k * 200_000_000 for k in range(10)]


def read_bag(folder):
    with AnyReader([folder]) as reader:
        messages = {}
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            messages.setdefault(connection.topic, []).append(message)
    return messages


def pose_of(rotation, translation):
    matrix = rotation_from_quaternion([rotation.x, rotation.y, rotation.z, rotation.w])
    return transform(matrix, [translation.x, translation.y, translation.z])


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_a_bag_holds_what_a_robot_publishes(tmp_path, drive, storage):
    options = ('--bag', '--storage', storage, '--image-noise', '0', '--seed', '3')
    assert run_simulate(tmp_path / 'drive', *options) == 0

    messages = read_bag(tmp_path / 'drive' / 'bag')

    path, rgb, _ = drive
    images = messages['/camera/image_raw']
    seen = [image.data.reshape(image.height, image.width, 3) for image in images]
    np.testing.assert_array_equal(seen, rgb)
    assert {image.encoding for image in images} == {'rgb8'}
    stamps = [image.header.stamp.sec * 10**9 + image.header.stamp.nanosec for image in images]
    truth = read_trajectory(tmp_path / 'drive' / 'groundtruth.txt')
    assert stamps == truth.stamps_ns.tolist()
    info = messages['/camera/camera_info'][0]
    np.testing.assert_allclose(info.k.reshape(3, 3), INTRINSICS.matrix, atol=1e-9)
    # odom -> base_link -> camera_optical_frame moves as the camera does, but for the drift.
    mount = messages['/tf_static'][0].transforms[0]
    assert (mount.header.frame_id, mount.child_frame_id) == ('base_link', 'camera_optical_frame')
    base_T_camera = pose_of(mount.transform.rotation, mount.transform.translation)
    np.testing.assert_allclose(base_T_camera, body_T_camera(0.8), atol=1e-9)
    moved = [message.transforms[0] for message in messages['/tf']]
    assert {(m.header.frame_id, m.child_frame_id) for m in moved} == {('odom', 'base_link')}
    odom_T_base = np.stack([pose_of(m.transform.rotation, m.transform.translation) for m in moved])
    world_T_base = path.world_T_camera @ invert(body_T_camera(0.8))
    true_steps = invert(world_T_base[:1]) @ world_T_base
    off = np.linalg.norm((odom_T_base - true_steps)[:, :3, 3], axis=1)
    length = np.linalg.norm(np.diff(world_T_base[:, :3, 3], axis=0), axis=1).sum()
    assert 0 < off.max() < 0.15 * length
    odometry = messages['/odom']
    poses = [pose_of(o.pose.pose.orientation, o.pose.pose.position) for o in odometry]
    np.testing.assert_allclose(poses, odom_T_base, atol=1e-9)
    assert len(odometry) == len(moved) == 10


def test_a_hand_held_bag_moves_as_its_ground_truth(tmp_path):
    assert (
        run_simulate(
            tmp_path / 'walk', '--bag', '--path', 'hand', '--family', 'M', '--speed', '0.5'
        )
        == 0
    )

    truth = read_trajectory(tmp_path / 'walk' / 'groundtruth.txt').poses

    expected = hand_path(build_world('M', 7), 7, 2.0, 5.0, speed=0.5).world_T_camera
    np.testing.assert_allclose(truth, expected, atol=1e-7)
    assert len(read_bag(tmp_path / 'walk' / 'bag')['/camera/image_raw']) == 10


def test_velocities_are_those_of_a_steady_curve():
    times = np.arange(20) / 10.0
    turns = np.stack([rotation_about([0, 0, 1], 0.5 * t) for t in times])
    # A circle of radius 2 at half a radian a second: 1 m/s forwards.
    places = np.stack([2 * np.sin(0.5 * times), 2 - 2 * np.cos(0.5 * times), 0 * times], axis=1)

    measured = velocities(transform(turns, places), 10.0)

    expected = np.array([1.0, 0, 0, 0, 0, 0.5])
    np.testing.assert_allclose(measured[1:], np.tile(expected, (19, 1)), atol=0.03)


def test_a_seed_always_gives_the_same_images(tmp_path, video):
    assert run_simulate(tmp_path / 'again', '--image-noise', '0', '--seed', '3') == 0

    for name in ('groundtruth.txt', 'depth/000005.png', 'camera.json', 'timestamps.txt'):
        assert (tmp_path / 'again' / name).read_bytes() == (video / name).read_bytes()


def test_a_folder_with_something_in_it_is_refused(tmp_path, capsys):
    (tmp_path / 'mine').write_text('precious')

    assert run_simulate(tmp_path) == 1

    assert 'not an empty folder' in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ['mine']


@pytest.mark.parametrize('options', [(), ('--bag',)])
def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch, options):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate, 'render_clip', interrupted)

    assert run_simulate(tmp_path / 'deep' / 'drive', *options) == 130

    assert list(tmp_path.iterdir()) == []


def test_the_families_and_storages_that_may_be_chosen_are_those_that_there_are():
    choices = {
        name: field.metadata['choices'] for name, field in knobs(SimulationSettings).items()
    }

    assert choices['family'] == tuple(FAMILIES)
    assert choices['storage'] == tuple(STORAGES)


def test_a_tilt_in_degrees_turns_the_camera_by_so_much(tmp_path):
    assert run_simulate(tmp_path / 'drive', '--bag', '--camera-tilt-degrees', '30') == 0

    mount = read_bag(tmp_path / 'drive' / 'bag')['/tf_static'][0].transforms[0].transform
    view = pose_of(mount.rotation, mount.translation)[:3, 2]  # of the camera, in base_link
    np.testing.assert_allclose(view, [math.sqrt(0.75), 0.0, 0.5], atol=1e-9)


@pytest.mark.parametrize(
    'wrong',
    [
        ('--width', '8'),
        ('--field-of-view', '200'),
        ('--camera-height', '5'),
        ('--camera-tilt-degrees', '61'),
    ],
)
def test_impossible_cameras_are_refused(tmp_path, capsys, wrong):
    assert main(['simulate', '--output', str(tmp_path / 'out'), *wrong]) == 1

    assert f'error: {wrong[0]} is {wrong[1]}' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_the_contact_sheet_shows_three_families(tmp_path):
    assert main(['simulate', '--contact-sheet', str(tmp_path / 'sheet.png')]) == 0

    sheet = cv2.imread(str(tmp_path / 'sheet.png'))
    assert sheet.shape == (3 * 162, 5 * 216, 3)


def test_a_bag_in_a_folder_that_sqlite_would_misread_is_refused_before_filming(tmp_path, capsys):
    assert run_simulate(tmp_path / 'a#b', '--bag', '--storage', 'sqlite3') == 1

    assert 'choose a folder without # ? %' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_bag_on_a_full_disk_is_one_line(tmp_path, monkeypatch, capsys):
    def refuse(self, *arguments):
        raise sqlite3.OperationalError('database or disk is full')

    monkeypatch.setattr(Writer, 'write', refuse)

    assert run_simulate(tmp_path / 'drive', '--bag', '--storage', 'sqlite3') == 1

    assert 'disk is full' in capsys.readouterr().err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_the_disk_cannot_hold_is_one_line(tmp_path):
    size = ['--width', '224', '--height', '160', '--seconds', '2', '--image-rate', '4']
    command = [
        sys.executable,
        '-m',
        'ttt3r_ros.tools.main',
        'simulate',
        '--output',
        'drive',
        *size,
    ]

    def limit():  # the texts have room, the video of 50 KB has not; OpenCV does not tell
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    options = {'cwd': tmp_path, 'preexec_fn': limit, 'capture_output': True, 'text': True}
    run = subprocess.run([*command, '--image-noise', '0'], check=False, **options)

    assert run.returncode == 1
    last = run.stderr.splitlines()[-1]
    assert last.startswith('ttt3r simulate: error: ')
    assert 'video.mp4 is not whole: is the disk full?' in last or 'File too large' in last
    assert list(tmp_path.iterdir()) == []
