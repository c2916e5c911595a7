# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import io
from pathlib import Path
import shutil
import sqlite3
import struct

from backports import zstd
import lz4.frame
import numpy as np
from PIL import Image
import pytest
from rosbags.rosbag2 import (
    CompressionFormat,
    CompressionMode,
    storage_mcap,
    StoragePlugin,
    Writer,
)
from rosbags.typesys import get_typestore, Stores

from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.inputs.source import BadFrame, InputError, InputFrame
from ttt3r_ros.intrinsics import CameraIntrinsics

CASES = Path(__file__).parents[1] / 'cases'
TYPES = get_typestore(Stores.ROS2_HUMBLE)
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
INFO = 'sensor_msgs/msg/CameraInfo'
TOPIC_OF_INFO = '/camera_info'
K = [60.0, 0, 31.5, 0, 61.0, 23.5, 0, 0, 1]


def header(stamp_ns):
    stamp = TYPES.types['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
    return TYPES.types['std_msgs/msg/Header'](stamp, 'camera')


def image(stamp_ns, value, encoding='rgb8'):
    data = np.full(48 * 64 * 3, value, np.uint8)
    return TYPES.types[IMAGE](header(stamp_ns), 48, 64, encoding, 0, 64 * 3, data)


def compressed(stamp_ns, value):
    file = io.BytesIO()
    Image.new('RGB', (64, 48), (value,) * 3).save(file, 'JPEG', quality=95)
    data = np.frombuffer(file.getvalue(), np.uint8)
    return TYPES.types[COMPRESSED](header(stamp_ns), 'jpeg', data)


def camera_info(d=(), p0=70.0):
    types = TYPES.types
    roi = types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    p = np.array([p0, 0, 30, 0, 0, 71, 20, 0, 0, 0, 1, 0])
    model = 'plumb_bob' if len(d) else ''
    return types[INFO](
        header(0), 48, 64, model, np.array(d, float), np.array(K), np.eye(3).ravel(), p, 0, 0, roi
    )


def write_bag(path, messages, storage=StoragePlugin.SQLITE3, compression=CompressionMode.NONE):
    """Write (topic, type, message) rows, recorded a second apart from second 100."""
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for i, (topic, kind, message) in enumerate(messages):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
            data = message if isinstance(message, bytes) else TYPES.serialize_cdr(message, kind)
            writer.write(connections[topic], (100 + i) * 10**9, data)
    return path


@pytest.mark.parametrize('bare', [False, True])
@pytest.mark.parametrize('storage', StoragePlugin)
def test_a_bag_gives_its_images_with_the_stamps_of_their_headers(tmp_path, storage, bare):
    messages = [('/cam/image', IMAGE, image(1305031229528748123 + i, 50 * i)) for i in range(3)]
    path = write_bag(tmp_path / 'bag', messages, storage)
    if bare:
        path = next(p for p in path.iterdir() if p.suffix in ('.db3', '.mcap'))

    source = open_source(str(path))
    frames = list(source.frames(1))

    assert source.length == 3
    assert [f.stamp_ns for f in frames] == [1305031229528748123 + i for i in range(3)]
    assert [int(f.rgb[0, 0, 0]) for f in frames] == [0, 50, 100]
    assert frames[0].rgb.shape == (48, 64, 3)


def test_compressed_images_are_decoded(tmp_path):
    messages = [('/cam/image/compressed', COMPRESSED, compressed(i, 40 * i)) for i in (1, 2, 3)]

    frames = list(open_source(str(write_bag(tmp_path / 'bag', messages))).frames(2))

    assert [f.index for f in frames] == [0, 2]
    assert np.abs(frames[1].rgb.astype(int) - 120).max() <= 2


def test_a_compressed_image_stays_in_the_frame_of_its_calibration_whatever_exif_says(tmp_path):
    message, exif, file = compressed(1, 0), Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new('RGB', (64, 48)).save(file, 'JPEG', exif=exif)
    message.data = np.frombuffer(file.getvalue(), np.uint8)
    path = write_bag(tmp_path / 'bag', [('/image/compressed', COMPRESSED, message)])

    (frame,) = open_source(str(path)).frames(1)

    assert frame.rgb.shape == (48, 64, 3)
    assert frame.orientation == 1


def test_a_header_without_a_stamp_takes_the_time_of_recording(tmp_path):
    source = open_source(str(write_bag(tmp_path / 'bag', [('/image', IMAGE, image(0, 9))])))

    assert [f.stamp_ns for f in source.frames(1)] == [100 * 10**9]


@pytest.mark.parametrize(
    'headers',
    [
        [0, 10**18, 0, 10**18 + 10**9, 0, 10**18 + 2 * 10**9],  # every second one has no stamp
        [10**18, 10**18, 10**18, 10**18 + 10**9, 10**18 + 10**9],  # whole seconds
        [10**18] * 5,
    ],
)
def test_headers_whose_times_are_no_clock_take_that_of_the_recording(tmp_path, headers):
    messages = [('/image', IMAGE, image(stamp, 9)) for stamp in headers]

    source = open_source(str(write_bag(tmp_path / 'bag', messages)))

    assert [f.stamp_ns for f in source.frames(1)] == [
        (100 + i) * 10**9 for i in range(len(headers))
    ]
    assert 'those of the recording count' in source.notes[0]


@pytest.mark.parametrize('topic', ['/cam/image_raw', '/cam/image_raw/compressed'])
def test_the_camera_info_of_the_same_namespace_is_used(tmp_path, topic):
    kind, message = (
        (IMAGE, image(1, 0)) if topic.endswith('raw') else (COMPRESSED, compressed(1, 0))
    )
    messages = [
        ('/other/camera_info', INFO, camera_info()),
        ('/cam/camera_info', INFO, camera_info((0.1, 0, 0, 0, 0))),
        (topic, kind, message),
    ]

    source = open_source(str(write_bag(tmp_path / 'bag', messages)))

    assert source.intrinsics == CameraIntrinsics(
        64, 48, 60.0, 61.0, 31.5, 23.5, 'plumb_bob', (0.1, 0.0, 0.0, 0.0, 0.0)
    )


def test_a_rectified_image_uses_the_projection_without_distortion(tmp_path):
    messages = [
        ('/cam/camera_info', INFO, camera_info((0.1, 0, 0, 0, 0))),
        ('/cam/image_rect', IMAGE, image(1, 0)),
    ]

    source = open_source(str(write_bag(tmp_path / 'bag', messages)))

    assert source.intrinsics == CameraIntrinsics(64, 48, 70.0, 71.0, 30.0, 20.0)


def test_several_image_topics_are_listed_and_one_can_be_chosen(tmp_path):
    messages = [('/left', IMAGE, image(1, 10)), ('/right', IMAGE, image(2, 20))]
    path = str(write_bag(tmp_path / 'bag', messages))

    with pytest.raises(InputError, match=r'--topic: /left, /right'):
        open_source(path)
    with pytest.raises(InputError, match=r'no image topic /up; its image topics: /left, /right'):
        open_source(path, '/up')
    assert [f.stamp_ns for f in open_source(path, '/right').frames(1)] == [2]


def test_a_bag_without_images_lists_its_topics(tmp_path):
    path = write_bag(tmp_path / 'bag', [('/cam/camera_info', INFO, camera_info())])

    with pytest.raises(InputError, match=r'no image topic; its topics: /cam/camera_info'):
        open_source(str(path))


def test_a_bad_message_in_the_middle_is_reported_in_its_place(tmp_path):
    messages = [
        ('/image', IMAGE, image(1, 0)),
        ('/image', IMAGE, bytes(TYPES.serialize_cdr(image(2, 0), IMAGE)[:60])),
        ('/image', IMAGE, image(3, 0, encoding='nonsense')),
        ('/image', IMAGE, image(4, 0)),
    ]

    frames = list(open_source(str(write_bag(tmp_path / 'bag', messages))).frames(1))

    assert [type(f) for f in frames] == [InputFrame, BadFrame, BadFrame, InputFrame]
    assert 'nonsense' in frames[2].reason


@pytest.mark.parametrize('storage', StoragePlugin)
@pytest.mark.parametrize('part', [0.05, 0.5, 0.95])
def test_a_truncated_bag_is_refused(tmp_path, storage, part):
    messages = [('/image', IMAGE, image(i, i)) for i in range(1, 40)]
    path = write_bag(tmp_path / 'bag', messages, storage)
    file = next(p for p in path.iterdir() if p.suffix in ('.db3', '.mcap'))
    content = file.read_bytes()
    file.write_bytes(content[: int(part * len(content))])

    with pytest.raises(InputError, match='cannot read the bag'):
        open_source(str(path))


@pytest.mark.parametrize('storage', StoragePlugin)
def test_whatever_is_damaged_in_a_bag_every_image_is_accounted_for(tmp_path, storage):
    count = 12
    messages = [('/image', IMAGE, image(i + 1, i)) for i in range(count)]
    path = write_bag(tmp_path / 'bag', messages, storage)
    file = next(p for p in path.iterdir() if p.suffix in ('.db3', '.mcap'))
    good = file.read_bytes()
    rng = np.random.default_rng(5)
    opened = 0
    for _ in range(60):
        bad = bytearray(good)
        at, length = int(rng.integers(len(bad))), int(rng.choice([1, 8, 5000]))
        bad[at : at + length] = rng.bytes(len(bad[at : at + length]))
        file.write_bytes(bad)
        try:
            source = open_source(str(path))
        except InputError:
            continue
        items = list(source.frames(1))
        counted = sum(i.count if isinstance(i, BadFrame) else 1 for i in items)
        assert counted >= source.length
        opened += 1
    assert opened >= 10  # the others were refused as a whole


@pytest.mark.parametrize('storage', StoragePlugin)
def test_a_bag_without_metadata_is_read_and_told(tmp_path, storage):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 0))], storage)
    (path / 'metadata.yaml').unlink()

    source = open_source(str(path))

    assert [f.stamp_ns for f in source.frames(1)] == [1]
    assert 'ros2 bag reindex' in source.notes[0]


def test_files_of_several_bags_are_not_taken_for_one(tmp_path):
    for name in ('monday', 'tuesday'):
        path = write_bag(tmp_path / name, [('/image', IMAGE, image(1, 0))])
        shutil.move(path / f'{name}.db3', tmp_path / f'{name}.db3')
        shutil.rmtree(path)

    with pytest.raises(InputError, match=r'several bags: .*monday\.db3, tuesday\.db3'):
        open_source(str(tmp_path))


@pytest.mark.parametrize('suffix', ['.db3', '.mcap'])
def test_a_file_that_is_no_bag_is_refused(tmp_path, suffix):
    path = tmp_path / f'no{suffix}'
    path.write_bytes(b'nothing of the kind')

    with pytest.raises(InputError, match='cannot read the bag'):
        open_source(str(path))


def test_a_bag_whose_file_is_gone_is_refused(tmp_path):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 0))])
    for file in path.glob('*.db3'):
        shutil.move(file, tmp_path / 'elsewhere')

    with pytest.raises(InputError, match='cannot read the bag'):
        open_source(str(path))


def test_the_calibration_cases_of_bags_are_read():
    region = open_source(str(CASES / 'roi/bag')).intrinsics
    assert (region.width, region.height, region.fx) == (64, 48, 120.0)
    many = open_source(str(CASES / 'plumb8_info/bag')).intrinsics
    assert (many.distortion_model, len(many.distortion)) == ('plumb_bob', 5)
    projected = open_source(str(CASES / 'kzero_p/bag'))
    assert projected.intrinsics.distortion_model == 'none'
    assert 'K is zero, P is used' in projected.calibration


def test_none_all_zero_and_not_understood_are_three_values(tmp_path):
    pictures = ('/cam/image', IMAGE, image(1, 0))
    none = write_bag(tmp_path / 'none', [pictures])
    zero, odd = camera_info(), camera_info((0.1, 0, 0, 0, 0))
    zero.k[:], zero.p[:] = 0, 0
    odd.distortion_model = 'fish_bowl'
    all_zero = write_bag(tmp_path / 'zero', [('/cam/camera_info', INFO, zero), pictures])
    strange = write_bag(tmp_path / 'odd', [('/cam/camera_info', INFO, odd), pictures])

    assert open_source(str(none)).calibration == 'none was given'
    assert 'all zero' in open_source(str(all_zero)).calibration
    assert open_source(str(all_zero)).intrinsics is None
    with pytest.raises(InputError, match=r'camera_info is not understood: .*fish_bowl'):
        open_source(str(strange))
    assert open_source(str(strange), with_intrinsics=False).intrinsics is None


def scaled_info(focal, shape=(48, 64)):
    info = camera_info()
    info.height, info.width = shape
    info.k = np.array([focal, 0, 31.5, 0, focal, 23.5, 0, 0, 1.0])
    return info


def test_a_calibration_that_comes_after_zeros_is_used(tmp_path):
    messages = [(TOPIC_OF_INFO, INFO, scaled_info(0.0))] * 3
    messages[0][2].k[:], messages[0][2].p[:] = 0, 0
    messages += [(TOPIC_OF_INFO, INFO, scaled_info(61.0)), ('/image', IMAGE, image(1, 0))]

    source = open_source(str(write_bag(tmp_path / 'bag', messages)))

    assert source.intrinsics.fx == 61.0
    assert source.calibration == 'read from /camera_info'


@pytest.mark.parametrize('storage', StoragePlugin)
def test_images_have_the_calibration_that_is_in_force_when_it_changes_on_the_way(
    tmp_path, storage
):
    unusable = scaled_info(float('nan'))
    infos = [scaled_info(60.0), scaled_info(60.0), scaled_info(90.0), unusable, scaled_info(60.0)]
    messages = []
    for i, info in enumerate(infos):
        messages += [(TOPIC_OF_INFO, INFO, info), ('/image', IMAGE, image(1 + i, 0))]
    path = str(write_bag(tmp_path / 'bag', messages, storage))

    source = open_source(path)
    frames = list(source.frames(1))

    used = [(frame.intrinsics or source.intrinsics).fx for frame in frames]
    assert used == [60.0, 60.0, 90.0, 90.0, 60.0]
    assert [frame.index for frame in frames] == list(range(5))
    alone = open_source(path, with_intrinsics=False)
    assert [frame.intrinsics for frame in alone.frames(1)] == [None] * 5


def test_a_calibration_without_a_size_has_that_of_the_images(tmp_path):
    info = camera_info()
    info.width = info.height = 0
    messages = [('/cam/camera_info', INFO, info), ('/cam/image', IMAGE, image(1, 0))]

    camera = open_source(str(write_bag(tmp_path / 'bag', messages))).intrinsics

    assert camera == CameraIntrinsics(64, 48, 60.0, 61.0, 31.5, 23.5)


@pytest.mark.parametrize(
    'text', ['compression_mode: 5', 'relative_file_paths: &a [*a]', '[' * 100_000, '\0', '- 1']
)
def test_metadata_of_no_sense_is_like_none(tmp_path, text):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(7, 9))])
    (path / 'metadata.yaml').write_text(f'rosbag2_bagfile_information:\n  {text}\n')

    source = open_source(str(path))

    assert [f.stamp_ns for f in source.frames(1)] == [7]
    assert 'metadata.yaml' in source.notes[0]


@pytest.mark.parametrize('case', ['emptydef', 'qosedit_mcap'])
def test_topics_and_metadata_of_others_do_not_matter(case):
    items = list(open_source(str(CASES / case / 'bag')).frames(1))

    assert [type(item) for item in items] == [InputFrame] * 6


@pytest.mark.parametrize('name', ['killed', 'killed/killed.mcap'])
def test_whole_chunks_of_a_killed_recorder_are_read_and_the_rest_is_counted(name):
    whole = [f.rgb for f in open_source(str(CASES / 'mcapkill/ok/ok.mcap')).frames(1)]

    source = open_source(str(CASES / 'mcapkill' / name))
    frames = list(source.frames(1))

    assert source.length == len(frames) == 8
    assert all((f.rgb == rgb).all() for f, rgb in zip(frames, whole))
    assert '8 messages are whole, its last 32229 bytes are not' in source.notes[-1]


@pytest.mark.parametrize('storage', StoragePlugin)
@pytest.mark.parametrize(
    'line', ['offered_qos_profiles', 'message_count', 'type_description_hash']
)
def test_metadata_that_was_edited_by_hand_costs_nothing(tmp_path, storage, line):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(i, 0)) for i in (1, 2)], storage)
    metadata = path / 'metadata.yaml'
    lines = metadata.read_text().splitlines()
    edited = [t.partition(':')[0] + ': 7' if line in t else t for t in lines]
    metadata.write_text('\n'.join(t for t in edited if 'RIHS01' not in t))

    assert [f.stamp_ns for f in open_source(str(path)).frames(1)] == [1, 2]


@pytest.mark.parametrize('name', ['a#b', 'a?b=c', '100%25', 'caf\udce9'])
def test_a_bag_in_a_folder_of_any_name_is_read(tmp_path, name):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 0))])
    (tmp_path / name).mkdir()
    moved = path.rename(tmp_path / name / 'bag')

    assert [f.stamp_ns for f in open_source(str(moved)).frames(1)] == [1]


def test_the_write_ahead_log_of_a_killed_recorder_is_read(tmp_path):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(i, 0)) for i in (1, 2)])
    written = sqlite3.connect(path / 'bag.db3')
    written.execute('PRAGMA journal_mode=WAL')
    written.execute('PRAGMA wal_autocheckpoint=0')
    more = bytes(TYPES.serialize_cdr(image(3, 0), IMAGE))
    written.execute('INSERT INTO messages VALUES (9, 1, ?, ?)', (10**12, more))
    written.commit()
    killed = tmp_path / 'killed'
    shutil.copytree(path, killed)  # as it is while the recorder still has it open
    written.close()

    source = open_source(str(killed))

    assert [f.stamp_ns for f in source.frames(1)] == [1, 2, 3]
    assert 'write-ahead log' in source.notes[0]


def test_a_foreign_topic_in_another_language_does_not_matter(tmp_path):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 0))], StoragePlugin.MCAP)
    file = path / 'bag.mcap'
    # Words of one length, so that no size in the file changes.
    content = file.read_bytes()
    assert content.count(b'ros2msg') >= 1
    file.write_bytes(content.replace(b'ros2msg', b'jschema'))

    assert [f.stamp_ns for f in open_source(str(path)).frames(1)] == [1]


def test_a_topic_without_messages_is_no_choice(tmp_path):
    path = tmp_path / 'bag'
    with Writer(path, version=9) as writer:
        for topic in ('/left', '/right'):
            connection = writer.add_connection(topic, IMAGE, typestore=TYPES)
        writer.write(connection, 10**9, TYPES.serialize_cdr(image(5, 0), IMAGE))

    assert open_source(str(path)).topic == '/right'
    with pytest.raises(InputError, match=r'no message of /left; its image topics: /right'):
        open_source(str(path), '/left')


@pytest.mark.parametrize('form', ['h264', 'jpeg'])
def test_a_video_in_compressed_images_is_refused_by_name(tmp_path, form):
    message = compressed(1, 0)
    message.format = form
    message.data = np.frombuffer(b'\0\0\0\1\x67\x42' + bytes(20), np.uint8)
    path = write_bag(tmp_path / 'bag', [('/image/compressed', COMPRESSED, message)])

    with pytest.raises(InputError, match=r"is 'h264' video, which is not read: republish"):
        open_source(str(path))


@pytest.mark.parametrize('name', ['my drive.bag', 'drive', 'in/drive.bag'])
def test_a_bag_of_ros_1_names_the_command_that_converts_it(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b'#ROSBAG V2.0\n')
    given = path.parent if '/' in name else path

    with pytest.raises(InputError, match=r'rosbags-convert --src .*drive.* --dst .*drive_ros2'):
        open_source(str(given))


def test_a_bag_of_ros_1_that_was_not_closed_is_told(tmp_path):
    (tmp_path / 'drive.bag.active').write_bytes(b'#ROSBAG V2.0\n')

    with pytest.raises(InputError, match='rosbag reindex'):
        open_source(str(tmp_path / 'drive.bag.active'))


def test_an_image_topic_of_another_type_is_listed_with_it(tmp_path):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 0))])
    (file,) = path.glob('*.db3')
    with sqlite3.connect(file) as database:
        database.execute("UPDATE topics SET type = 'sensor_msgs/Image'")

    with pytest.raises(InputError, match=r'/image \(sensor_msgs/Image, 1 messages\)'):
        open_source(str(path))


@pytest.mark.parametrize('storage', StoragePlugin)
def test_a_file_that_a_killed_recorder_had_just_opened_is_left_out_and_told(tmp_path, storage):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 0))], storage)
    (file,) = (f for f in path.iterdir() if f.suffix != '.yaml')
    (path / f'bag_1{file.suffix}').write_bytes(b'')
    (path / 'metadata.yaml').unlink()

    source = open_source(str(path))

    assert [f.stamp_ns for f in source.frames(1)] == [1]
    assert any(f'bag_1{file.suffix} is left out' in note for note in source.notes)


def test_a_damaged_file_among_several_is_named(tmp_path):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 0))])
    (path / 'bag_1.db3').write_bytes(b'no database at all' * 99)
    (path / 'metadata.yaml').unlink()

    with pytest.raises(InputError, match=r'bag_1\.db3: file is not a database'):
        open_source(str(path))


def test_without_metadata_the_numbers_tell_which_files_are_missing(tmp_path):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 0))])
    (path / 'bag.db3').rename(path / 'bag_2.db3')
    (path / 'metadata.yaml').unlink()

    assert open_source(str(path)).notes[0].endswith('number 0, 1 is missing')


def test_a_file_that_metadata_lists_twice_is_read_once(tmp_path):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 0))])
    metadata = path / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('- bag.db3', '- bag.db3\n  - bag.db3'))

    assert open_source(str(path)).length == 1


def test_a_bag_that_the_program_zstd_compressed_is_read(tmp_path):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 0))])
    packed = tmp_path / 'bag.db3.zst'
    packed.write_bytes(zstd.compress((path / 'bag.db3').read_bytes()))

    assert open_source(str(packed)).length == 1


def test_raw_images_of_12_bits_use_the_whole_range_and_say_so(tmp_path):
    def raw(stamp_ns, brightest):
        values = np.linspace(0, brightest, 48 * 64).astype('<u2')
        pixels = np.frombuffer(values.tobytes(), np.uint8)
        return TYPES.types[IMAGE](header(stamp_ns), 48, 64, 'mono16', 0, 128, pixels)

    path = write_bag(
        tmp_path / 'bag', [('/i', IMAGE, raw(i, v)) for i, v in ((1, 4095), (2, 2047))]
    )

    source = open_source(str(path))

    assert [int(f.rgb.max()) for f in source.frames(1)] == [255, 127]
    assert source.notes == ['16 bit images: 0 to 4095 become 0 to 255 in all of them']


def test_compressed_images_of_a_thermal_camera_have_one_range(tmp_path):
    def png(stamp_ns):
        values = np.random.default_rng(stamp_ns).integers(7000, 7400, (48, 64)).astype(np.uint16)
        file = io.BytesIO()
        Image.fromarray(values).save(file, 'PNG')
        data = np.frombuffer(file.getvalue(), np.uint8)
        return TYPES.types[COMPRESSED](header(stamp_ns), 'mono16; png compressed ', data)

    source = open_source(str(write_bag(tmp_path / 'bag', [('/i', COMPRESSED, png(1))])))

    (frame,) = source.frames(1)
    # 400 values with a quarter more on each side, in 256 levels.
    assert int(frame.rgb.max()) - int(frame.rgb.min()) == pytest.approx(170, abs=4)
    assert '16 bit images' in source.notes[-1]


def test_a_file_that_was_renamed_by_hand_is_read(tmp_path):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 0))])
    (file,) = path.glob('*.db3')
    file.rename(path / 'monday.db3')

    source = open_source(str(path))

    assert [f.stamp_ns for f in source.frames(1)] == [1]
    assert 'all are read' in source.notes[-1]


COMPRESSIONS = [
    (StoragePlugin.SQLITE3, CompressionMode.FILE),
    (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    (StoragePlugin.MCAP, CompressionMode.FILE),
    (StoragePlugin.MCAP, CompressionMode.MESSAGE),
    (StoragePlugin.MCAP, CompressionMode.STORAGE),
]


@pytest.mark.parametrize('without', ['', 'metadata', 'folder'])
@pytest.mark.parametrize(('storage', 'compression'), COMPRESSIONS)
def test_a_compressed_bag_is_read_whatever_its_metadata_says(
    tmp_path, storage, compression, without
):
    messages = [('/image', IMAGE, image(1 + i, 50 * i)) for i in range(3)]
    path = write_bag(tmp_path / 'bag', messages, storage, compression)
    if without:
        (path / 'metadata.yaml').unlink()
    if without == 'folder':
        (path,) = path.iterdir()

    frames = list(open_source(str(path)).frames(1))

    assert [f.stamp_ns for f in frames] == [1, 2, 3]
    assert [int(f.rgb[0, 0, 0]) for f in frames] == [0, 50, 100]


def test_a_file_that_was_decompressed_by_hand_is_found(tmp_path):
    path = write_bag(
        tmp_path / 'bag', [('/image', IMAGE, image(1, 5))], compression=CompressionMode.FILE
    )
    packed = path / 'bag.db3.zstd'
    packed.with_suffix('').write_bytes(zstd.decompress(packed.read_bytes()))
    packed.unlink()

    assert open_source(str(path)).length == 1


def test_a_compressed_message_that_is_damaged_costs_one_image(tmp_path):
    whole = zstd.compress(bytes(TYPES.serialize_cdr(image(2, 9), IMAGE)))
    messages = [
        ('/image', IMAGE, whole),
        ('/image', IMAGE, whole[:-9]),
        ('/image', IMAGE, image(3, 9)),
    ]

    frames = list(open_source(str(write_bag(tmp_path / 'bag', messages))).frames(1))

    assert [type(frame) for frame in frames] == [InputFrame, BadFrame, InputFrame]


def test_of_a_compressed_file_that_is_cut_what_is_whole_is_read(tmp_path):
    rng = np.random.default_rng(0)  # noise, so that it fills several compressed blocks
    messages = [('/image', IMAGE, image(1 + i, 0)) for i in range(300)]
    for _, _, message in messages:
        message.data[:] = rng.integers(0, 256, message.data.size, np.uint8)
    path = write_bag(tmp_path / 'bag', messages, StoragePlugin.MCAP)
    packed = tmp_path / 'cut.mcap.zstd'
    whole = zstd.compress((path / 'bag.mcap').read_bytes())
    packed.write_bytes(whole[: len(whole) * 3 // 4])

    source = open_source(str(packed))

    # A chunk of MCAP, 1 MB or less, ends with the last image that is whole.
    assert 0 < source.length < 300
    assert [f.stamp_ns for f in source.frames(1)] == list(range(1, source.length + 1))


def write_chunks(path, monkeypatch, compression, compressor=lz4.frame.compress):
    """Write a bag of 300 images of noise, some MB, whose chunks are compressed."""
    begin = storage_mcap.McapWriter.__init__

    def begin_compressed(writer, *arguments):
        begin(writer, *arguments)
        writer.compression, writer.compressor = compression, compressor

    monkeypatch.setattr(storage_mcap.McapWriter, '__init__', begin_compressed)
    rng = np.random.default_rng(0)
    messages = [('/image', IMAGE, image(1 + i, 0)) for i in range(300)]
    for _, _, message in messages:
        message.data[:] = rng.integers(0, 256, message.data.size, np.uint8)
    return write_bag(path, messages, StoragePlugin.MCAP) / f'{path.name}.mcap'


@pytest.mark.parametrize('share', [1.0, 0.6])
def test_chunks_of_lz4_are_read_whole_or_cut(tmp_path, monkeypatch, share):
    file = write_chunks(tmp_path / 'bag', monkeypatch, 'lz4')
    data = file.read_bytes()
    file.write_bytes(data[: round(share * len(data))])

    source = open_source(str(file))

    assert source.length == 300 if share == 1.0 else 100 < source.length < 200
    assert [f.stamp_ns for f in source.frames(1)] == list(range(1, source.length + 1))
    assert any('was not closed' in note for note in source.notes) == (share < 1.0)


def test_a_chunk_of_lz4_that_is_damaged_ends_the_bag_in_one_line(tmp_path, monkeypatch):
    file = write_chunks(tmp_path / 'bag', monkeypatch, 'lz4')
    data = bytearray(file.read_bytes())
    chunk = data.index(b'\x03\0\0\0lz4', len(data) // 2)
    data[chunk + 15 : chunk + 40] = b'\xff' * 25
    file.write_bytes(data)

    *frames, lost = open_source(str(file)).frames(1)

    assert [f.stamp_ns for f in frames] == list(range(1, len(frames) + 1))
    assert len(frames) + lost.count == 300
    assert 'a chunk cannot be decompressed' in lost.reason


@pytest.mark.parametrize('cut', [0, 100])
def test_chunks_of_an_unknown_compression_are_refused_by_name(tmp_path, monkeypatch, cut):
    file = write_chunks(tmp_path / 'bag', monkeypatch, 'brotli')
    file.write_bytes(file.read_bytes()[: -cut or None])

    with pytest.raises(InputError, match="compression 'brotli' is not one of zstd and lz4: `mcap"):
        open_source(str(file))


def test_chunks_without_an_index_of_their_messages_are_read(tmp_path, monkeypatch):
    write_record = storage_mcap.write_record

    def without_index(file, kind, record):
        if kind == 0x08:  # of a chunk: its index names no messages
            whole = record.getvalue()
            (size,) = struct.unpack_from('<I', whole, 32)
            record = io.BytesIO(whole[:32] + bytes(12) + whole[36 + size + 8 :])
            record.seek(0, io.SEEK_END)
        if kind != 0x07:
            write_record(file, kind, record)

    monkeypatch.setattr(storage_mcap, 'write_record', without_index)
    messages = [('/image', IMAGE, image(1 + i, 50 * i)) for i in range(3)]
    path = write_bag(tmp_path / 'bag', messages, StoragePlugin.MCAP)

    source = open_source(str(path))

    assert source.notes == []
    assert [f.stamp_ns for f in source.frames(1)] == [1, 2, 3]


@pytest.mark.parametrize('language', ['ros2msg', 'ros1msg'])
def test_a_short_name_of_a_type_is_of_ros_2_or_refused_as_of_ros_1(
    tmp_path, monkeypatch, language
):
    write_schema, write_channel = storage_mcap.write_schema, storage_mcap.write_channel

    def short(file, schema):
        name = schema.name.replace('/msg/', '/')
        write_schema(file, schema._replace(name=name, encoding=language))

    def encoded(file, channel, schemas):
        encoding = 'cdr' if language == 'ros2msg' else 'ros1'
        write_channel(file, channel._replace(message_encoding=encoding), schemas)

    monkeypatch.setattr(storage_mcap, 'write_schema', short)
    monkeypatch.setattr(storage_mcap, 'write_channel', encoded)
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 9))], StoragePlugin.MCAP)

    if language == 'ros2msg':
        assert [f.stamp_ns for f in open_source(str(path)).frames(1)] == [1]
    else:
        with pytest.raises(InputError, match=r'has messages of ROS 1: .* `rosbags-convert --src'):
            open_source(str(path))


def test_compressed_images_of_an_unknown_format_are_told_by_how_they_begin(tmp_path):
    message = compressed(1, 0)
    message.data, message.format = np.frombuffer(b'\xff\x0a1234', np.uint8), 'jxl'

    path = write_bag(tmp_path / 'bag', [('/image/compressed', COMPRESSED, message)])
    (frame,) = open_source(str(path)).frames(1)

    begin = r"b'\xff\n12'"
    assert frame.reason == (
        f'image 0: not a readable image: it begins with {begin} as none that is known does'
    )
