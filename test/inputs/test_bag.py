# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import io
from pathlib import Path
import shutil

import numpy as np
from PIL import Image
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores

from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.inputs.source import BadFrame, InputError, InputFrame
from ttt3r_ros.intrinsics import CameraIntrinsics

CASES = Path(__file__).parents[1] / 'cases'
TYPES = get_typestore(Stores.ROS2_HUMBLE)
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
INFO = 'sensor_msgs/msg/CameraInfo'
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


def write_bag(path, messages, storage=StoragePlugin.SQLITE3):
    """Write (topic, type, message) rows, recorded a second apart from second 100."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
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


def test_a_header_without_a_stamp_takes_the_time_of_recording(tmp_path):
    source = open_source(str(write_bag(tmp_path / 'bag', [('/image', IMAGE, image(0, 9))])))

    assert [f.stamp_ns for f in source.frames(1)] == [100 * 10**9]


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


def test_a_bag_without_metadata_says_how_to_mend_it(tmp_path):
    path = write_bag(tmp_path / 'bag', [('/image', IMAGE, image(1, 0))])
    (path / 'metadata.yaml').unlink()

    with pytest.raises(InputError, match='ros2 bag reindex'):
        open_source(str(path))


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


def test_a_calibration_without_a_size_has_that_of_the_images(tmp_path):
    info = camera_info()
    info.width = info.height = 0
    messages = [('/cam/camera_info', INFO, info), ('/cam/image', IMAGE, image(1, 0))]

    camera = open_source(str(write_bag(tmp_path / 'bag', messages))).intrinsics

    assert camera == CameraIntrinsics(64, 48, 60.0, 61.0, 31.5, 23.5)
