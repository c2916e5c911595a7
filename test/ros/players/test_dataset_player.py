# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import array
import itertools
import subprocess
import sys
import threading

from builtin_interfaces.msg import Time
import cv2
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from ttt3r_ros.geometry import transform
from ttt3r_ros.inputs.source import InputError
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.node import messages
from ttt3r_ros.players.dataset_player import DatasetPlayer, first_seconds, message_class
from ttt3r_ros.players.replay import Item
from ttt3r_ros.trajectory import seconds_text, Trajectory, write_trajectory

MODULE = 'ttt3r_ros.players.dataset_player'
WIDTH, HEIGHT = 64, 48
SECOND = 1_000_000_000
FIRST = 1_305_031_229_528_748_000
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def stamp_of(message):
    return messages.nanoseconds(message.header.stamp)


def picture(grey):
    """Return an image of one grey above and lines below, for a plain one shows nothing."""
    rgb = np.full((HEIGHT, WIDTH, 3), grey, np.uint8)
    rgb[HEIGHT // 2 :: 4] = 255 - grey
    return rgb


def grey_of(message):
    return round(float(messages.rgb_from_image(message)[: HEIGHT // 2].mean()))


def write_sequence(folder, count, first_ns=0, step_ns=SECOND // 10):
    """Write a sequence of images of grey 0, 10, 20, ... with calibration and true poses."""
    (folder / 'frames').mkdir(parents=True)
    stamps_ns = first_ns + step_ns * np.arange(count)
    for n in range(count):
        cv2.imwrite(str(folder / 'frames' / f'{n:06d}.png'), picture(10 * n))
    lines = [f'{n} {seconds_text(stamp)}' for n, stamp in enumerate(stamps_ns.tolist())]
    (folder / 'timestamps.txt').write_text('\n'.join(lines))
    (folder / 'camera.json').write_text(
        '{"width": 64, "height": 48, "fx": 60, "fy": 61, "cx": 31, "cy": 23,'
        ' "distortion_model": "plumb_bob", "distortion": [0.1, 0.01, 0.0, 0.0, 0.0]}'
    )
    poses = transform(np.tile(np.eye(3), (count, 1, 1)), [[0.1 * n, 0, 0] for n in range(count)])
    with (folder / 'groundtruth.txt').open('wb') as file:
        write_trajectory(file, Trajectory(stamps_ns, poses))
    return folder


def raw_image(stamp_ns, grey, frame='cam'):
    data = array.array('B', picture(grey).tobytes())
    return Image(
        header=Header(stamp=messages.time_message(stamp_ns), frame_id=frame),
        width=WIDTH, height=HEIGHT, step=3 * WIDTH, encoding='rgb8', data=data,
    )  # fmt: skip


def write_bag(path, count, storage=StoragePlugin.SQLITE3, first_s=100):
    """Write a bag of images, 10 a second, headers 5 ms older, with TF and things unknown here."""
    types = get_typestore(Stores.ROS2_KILTED)
    other = types.types['builtin_interfaces/msg/Time'](sec=0, nanosec=0)
    mount = messages.transform_message(transform(np.eye(3), [0, 0, 1]), 'base_link', 'cam', 0)
    with Writer(path, version=9, storage_plugin=storage) as writer:

        def topic(name, kind):
            return writer.add_connection(name, kind, typestore=types)

        images = topic('/camera/image_raw', 'sensor_msgs/msg/Image')
        static = topic('/tf_static', 'tf2_msgs/msg/TFMessage')
        clock = topic('/clock', 'rosgraph_msgs/msg/Clock')
        unknown = topic('/wheels', 'sensor_msgs/msg/JoyFeedbackArray')
        start = first_s * SECOND
        writer.write(static, start, serialize_message(TFMessage(transforms=[mount])))
        writer.write(clock, start, types.serialize_cdr(other, 'builtin_interfaces/msg/Time'))
        writer.write(unknown, start, b'\x00\x01\x00\x00')
        for n in range(count):
            now = start + n * SECOND // 10
            writer.write(images, now, serialize_message(raw_image(now - 5_000_000, 10 * n)))
    return path


@pytest.fixture
def play(rig):
    """Start the player in threads of this process."""
    players = []

    def start(path, **values):
        values = {'input': str(path), **values}
        player = DatasetPlayer(
            context=rig.context,
            parameter_overrides=[Parameter(name, value=v) for name, v in values.items()],
        )
        players.append(player)
        player.replay.start()
        return player

    yield start
    for player in players:
        player.replay.stop()
        player.destroy_node()


def listen(rig, kind, topic, qos=1000):
    received = []
    rig.robot.create_subscription(kind, topic, received.append, qos)
    return received


def test_a_sequence_becomes_topics_with_its_stamps_calibration_and_truth(
    rig, start_process, tmp_path
):
    folder = write_sequence(tmp_path / 'sequence', 8, first_ns=FIRST)
    infos = listen(rig, CameraInfo, '/camera_info')
    truth = listen(rig, PoseStamped, '/ground_truth')
    jpegs = listen(rig, CompressedImage, '/image/compressed', qos_profile_sensor_data)
    clock = listen(rig, Clock, '/clock')
    player = start_process(MODULE, input=str(folder), wait_for_subscriber=False, loop=True)
    images = listen(rig, Image, '/image', qos_profile_sensor_data)

    rig.spin_until(lambda: len(images) >= 12, 'images come')
    player.terminate()
    rig.spin_until(lambda: player.poll() is not None, 'the player ends')

    stamps = [FIRST + n * SECOND // 10 for n in range(8)]
    assert player.returncode == 0
    assert {stamp_of(m) for m in (*images, *jpegs, *infos, *truth)} == set(stamps)
    for image in images:
        assert grey_of(image) == 10 * stamps.index(stamp_of(image))
        assert image.header.frame_id == 'camera_optical_frame'
    for pose in truth:
        assert pose.pose.position.x == pytest.approx(0.1 * stamps.index(stamp_of(pose)), abs=1e-9)
    assert infos[0].distortion_model == 'plumb_bob'
    assert infos[0].d[:2] == pytest.approx([0.1, 0.01], abs=1e-9)
    assert (infos[0].k[0], infos[0].k[4]) == (60.0, 61.0)
    now = [messages.nanoseconds(m.clock) for m in clock]
    assert stamps[0] == min(now)
    assert max(now) == stamps[-1]


def test_images_play_at_the_rate_asked_for_and_the_player_ends(rig, play, tmp_path):
    folder = write_sequence(tmp_path / 'sequence', 20, step_ns=SECOND // 2)
    images = listen(rig, Image, '/image')
    before = rig.now_ns()
    player = play(folder, rate=10.0)
    began = rig.spin_until(lambda: images and rig.now_ns(), 'the first image comes')

    rig.spin_until(player.replay.done.done, 'the recording ends')
    ended = rig.now_ns()
    rig.spin_until(lambda: len(images) >= 19, 'all images are there')

    # 19 steps of half a second; a busy machine takes longer, none takes less.
    assert ended - before >= 0.95 * SECOND
    assert ended - began < 9 * SECOND
    # What begins at 0 begins at 1 s instead: a stamp of 0 would mean "none".
    assert stamp_of(images[-1]) == SECOND + round(9.5 * SECOND)


@pytest.mark.parametrize(('seconds', 'count'), [(2.0, 5), (0.1, 1), (0.0, 20)])
def test_so_many_seconds_of_a_recording_are_played(seconds, count):
    recording = [Item(FIRST + n * SECOND // 2, print) for n in range(20)]

    played = list(first_seconds(lambda: (item for item in recording), seconds))

    assert played == recording[:count]


def test_without_a_clock_images_get_the_time_at_which_they_are_due(rig, play, tmp_path):
    folder = write_sequence(tmp_path / 'sequence', 6, step_ns=SECOND // 5)
    images = listen(rig, Image, '/image')
    before = rig.now_ns()
    player = play(folder, rate=2.0, publish_clock=False)

    rig.spin_until(lambda: player.replay.done.done() and len(images) >= 5, 'images come')

    stamps = np.array([stamp_of(image) for image in images])
    assert (before < stamps).all()
    assert (stamps < rig.now_ns()).all()
    assert (np.diff(stamps) >= 0.999 * SECOND / 10).all()  # 0.2 s at twice the speed


def test_a_folder_with_a_broken_image_plays_on(rig, start_process, tmp_path):
    folder = write_sequence(tmp_path / 'sequence', 6)
    (folder / 'frames' / '000002.png').write_bytes(b'not a png')
    images = listen(rig, Image, '/image', qos_profile_sensor_data)
    player = start_process(MODULE, input=str(folder))

    rig.spin_until(lambda: player.poll() is not None, 'the player ends')

    assert player.returncode == 0
    assert {grey_of(image) for image in images} <= {0, 10, 30, 40, 50}
    assert 'skipped: image 000002.png' in player.output.read_text()


@pytest.mark.parametrize('storage', StoragePlugin)
def test_a_bag_is_published_byte_by_byte_under_its_names(rig, start_process, tmp_path, storage):
    bag = write_bag(tmp_path / 'bag', 6, storage)
    images = listen(rig, Image, '/camera/image_raw')
    static = listen(rig, TFMessage, '/tf_static', LATCHED)
    clock = listen(rig, Clock, '/clock')
    player = start_process(MODULE, input=str(bag))

    rig.spin_until(lambda: player.poll() is not None, 'the player ends')
    # The first may come before its subscriber is ready.
    rig.spin_until(lambda: len(images) >= 5 and static and clock, 'what it sent is taken')

    assert player.returncode == 0
    for image in images:
        number = round((stamp_of(image) + 5_000_000 - 100 * SECOND) / SECOND * 10)
        assert image == raw_image(stamp_of(image), 10 * number)
    assert static[0].transforms[0].child_frame_id == 'cam'
    assert 100 * SECOND <= messages.nanoseconds(clock[0].clock) < 101 * SECOND


def test_a_looping_bag_maps_again_after_time_jumps_back(rig, start_process, tmp_path):
    bag = write_bag(tmp_path / 'bag', 10)
    poses = listen(rig, PoseWithCovarianceStamped, '/ttt3r/pose')
    rig.start(
        use_sim_time=True,
        base_frame='',
        odom_frame='',
        cli_args=['--ros-args', '-r', 'image:=/camera/image_raw'],
    )
    start_process(MODULE, input=str(bag), loop=True)

    def loops():
        return int((np.diff([stamp_of(pose) for pose in poses]) < 0).sum())

    rig.spin_until(lambda: loops() >= 2, 'the third loop is mapped', 120)

    stamps = np.array([stamp_of(pose) for pose in poses])
    firsts = [0, *(np.flatnonzero(np.diff(stamps) < 0) + 1)]
    for first, end in itertools.pairwise(firsts):  # each loop begins a map of its own
        path = [messages.matrix_from_pose(p.pose.pose)[:3, 3] for p in poses[first:end]]
        metres = (stamps[first:end] - stamps[first]) * 10 / SECOND  # one for each image
        np.testing.assert_allclose(path, np.outer(metres, [1, 0, 0]), atol=1e-5)
    assert len(rig.logged('the map is reset')) >= 2


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'input': ''}, 'nothing to play'),
        ({'input': 'nowhere.mp4'}, 'there is no nowhere.mp4'),
        ({'input': 'BAG', 'loop_time': 'continue'}, 'keep their stamps'),
        ({'input': 'BAG', 'publish_clock': False}, 'keep their stamps'),
    ],
)
def test_what_cannot_be_played_is_refused(rig, play, tmp_path, values, said):
    if values['input'] == 'BAG':
        values = {**values, 'input': str(write_bag(tmp_path / 'bag', 1))}

    with pytest.raises(InputError, match=said):
        play(values.pop('input'), **values)


def test_only_messages_that_are_installed_have_a_class():
    assert message_class('builtin_interfaces/msg/Time') is Time
    for name in ('no_such_msgs/msg/Time', 'sensor_msgs/msg/NoSuch', 'os/path/Join', 'os.path'):
        assert message_class(name) is None


@pytest.mark.parametrize('name', ['dataset_player', 'recorder', 'simulated_robot'])
def test_the_nodes_around_do_not_load_torch(name):
    program = f'import sys, ttt3r_ros.players.{name}; sys.exit("torch" in sys.modules)'

    assert subprocess.run([sys.executable, '-c', program]).returncode == 0


@pytest.mark.parametrize('kind', ['sequence', 'bag'])
def test_the_first_image_waits_for_a_node_that_still_loads(rig, play, tmp_path, kind):
    if kind == 'bag':
        path, topic = write_bag(tmp_path / 'bag', 4), '/camera/image_raw'
    else:
        path, topic = write_sequence(tmp_path / 'sequence', 4), '/image'
    loading = threading.Event()

    def build_mapper(settings):
        assert loading.wait(60.0)
        return Mapper(rig.predictor, settings.mapping)

    rig.start(
        build_mapper=build_mapper,
        odom_frame='',
        base_frame='',
        use_sim_time=True,
        cli_args=['--ros-args', '-r', f'image:={topic}', '-r', 'camera_info:=/camera_info'],
    )
    rig.executor.add_node(play(path, wait_for_mapping=3600.0, rate=0.1))
    rig.wait_for_status('the network is being loaded')
    rig.spin_for(1.0)
    assert rig.counts()['images received'] == '0'

    loading.set()

    rig.spin_until(lambda: len(rig.predictor.seen) >= 2, 'images are mapped')
    assert rig.predictor.seen[0] == 0
    assert rig.counts().get('dropped: waiting for camera_info') is None


def test_a_player_that_waited_in_vain_for_a_mapping_node_says_so_and_starts(
    rig, start_process, tmp_path
):
    images = listen(rig, Image, '/image')
    player = start_process(
        MODULE, input=str(write_sequence(tmp_path / 'sequence', 3)), wait_for_mapping=0.5
    )

    rig.spin_until(lambda: images, 'images come')

    assert 'no mapping node was ready within 0.5 s' in player.output.read_text()
