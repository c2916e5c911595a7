# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Whatever bytes a file holds, its reader returns a value or raises one UserError.

Never another exception, never a hang, never more than MOST_BYTES of memory. `make test` runs the
same few examples each time; TTT3R_FUZZ=100 runs a hundred times as many, each time others.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
import faulthandler
import io
import json
import os
from pathlib import Path
import re
import resource
import signal
import tempfile
from typing import Any

from backports import zstd
import cv2
from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
import lz4.frame
import numpy as np
from numpy.typing import NDArray
from PIL import Image
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from safetensors.torch import load, save
import torch
from torch import Tensor

from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import Similarity
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.stored_graph import BACK, BY_WHEELS, FORTH, from_arrays, PARTS, VISUAL
from ttt3r_ros.inputs.bag_messages import BagMessages
from ttt3r_ros.inputs.calibration_files import read_intrinsics, read_mount
from ttt3r_ros.inputs.odometry import OdometryChoice
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.mapping.cloud_files import read_ply, write_ply
from ttt3r_ros.mapping.occupancy import Occupancy
from ttt3r_ros.mapping.occupancy_files import (
    DESCRIPTION,
    PICTURE,
    read_occupancy,
    write_description,
    write_picture,
)
from ttt3r_ros.mapping.storage import read_map, StoredMap, StoredTrack, write_map
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.model import Architecture, Network
from ttt3r_ros.model.checkpoint import load_network, save_checkpoint
from ttt3r_ros.model.published.names import with_aliases
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.model.tensor_hash import hash_tensors
from ttt3r_ros.trajectory import read_trajectory

CASES = Path(__file__).parent / 'cases'
TYPES = get_typestore(Stores.ROS2_HUMBLE)
PLAN = Occupancy(np.zeros((2, 3), np.int8), 0.05, 0.0, 0.0)
TIMES_AS_MANY = int(os.environ.get('TTT3R_FUZZ', '1'))

MOST_BYTES = 2 * 2**30  # an image of the largest allowed size has 0.24 GB, four times while read
MOST_SECONDS = 10  # of the processor; usual are milliseconds

# Values that stand where another one stood.
BYTES = (b'', b'\0', b'\xff', b'\xff\xff\xff\x7f', b'\xff' * 8, b'\0' * 8, b'\x80\0\0\0', b'\n')
WORDS = (
    *('0', '-1', 'nan', '-inf', '1e999', '1e308', '9' * 30, '.5', '1,5', '1_0', '٣', '²', 'true'),
    *('null', '""', '[]', '{}', '[[]]', '{a: 1}', '&a [*a, *a]', '*a', '!!binary x', '- ', ': '),
    *('\0', '\x85', '\ufeff', '\udcff', '2020-01-01', '#', "'", '<<: 1', '0x7f', '1:1:1', '%'),
)


class Hang(BaseException):
    """A reader took longer than MOST_SECONDS; no reader catches it."""


@contextmanager
def bounded() -> Iterator[None]:
    """Bound the memory and the time of a reader."""

    def on_alarm(number: int, frame: object) -> None:
        raise Hang

    used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, limits[1]))
    before = signal.signal(signal.SIGVTALRM, on_alarm)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    # Where no signal is heard, or nothing is computed; other programs may keep the machine busy.
    faulthandler.dump_traceback_later(60 * MOST_SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


# ---- damage


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw a file with a few bytes or words replaced, removed, doubled or cut off."""
    data = whole
    for _ in range(draw(st.integers(1, 4))):
        edit = draw(st.sampled_from((_replaced, _removed, _doubled, _cut, _reworded, _reworded)))
        near_end = draw(st.booleans())
        offset = draw(st.integers(0, min(len(data), 4000)))
        place = len(data) - offset if near_end else offset
        data = edit(draw, data, place)
    return data


def _replaced(draw: st.DrawFn, data: bytes, place: int) -> bytes:
    value = draw(st.one_of(st.sampled_from(BYTES), st.binary(min_size=1, max_size=4)))
    return data[:place] + value + data[place + len(value) :]


def _removed(draw: st.DrawFn, data: bytes, place: int) -> bytes:
    return data[:place] + data[place + draw(st.integers(1, 64)) :]


def _doubled(draw: st.DrawFn, data: bytes, place: int) -> bytes:
    size = draw(st.integers(1, 64))
    return data[: place + size] + data[place:]


def _cut(draw: st.DrawFn, data: bytes, place: int) -> bytes:
    return data[:place]


def _reworded(draw: st.DrawFn, data: bytes, place: int) -> bytes:
    words = list(re.finditer(rb'[-+.\w]+', data[place : place + 200]))
    if not words:
        return data
    word = draw(st.sampled_from(words))
    value = draw(st.sampled_from(WORDS)).encode(errors='surrogateescape')
    return data[: place + word.start()] + value + data[place + word.end() :]


# ---- whole files


@dataclass(frozen=True)
class Kind:
    """
    A kind of file.

    file: its name, in a folder. wholes: files that are right. read: reads it; is called with its
    path. beside: other files of the folder. wrap: makes the file from what was damaged.
    examples: number of damaged files.
    """

    file: str
    wholes: Sequence[bytes]
    read: Callable[[Path], object]
    beside: Mapping[str, bytes] = field(default_factory=dict)
    wrap: Callable[[bytes], bytes] = bytes
    examples: int = 100


def encoded(form: str, mode: str = 'RGB', **options: object) -> bytes:
    """Return an image file."""
    file = io.BytesIO()
    values = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    if mode == 'I;16':
        picture = Image.fromarray(values[..., 0].astype(np.uint16) * 255)
    else:
        picture = Image.fromarray(values).convert(mode)
    picture.save(file, form, **options)
    return file.getvalue()


def turned_photo() -> bytes:
    """Return a JPEG with EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded('JPEG', exif=exif)


def video(suffix: str, code: str) -> bytes:
    """Return a video file of a few small images."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f'video{suffix}'
        size = 32, 16
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 10.0, size)
        for value in range(4):
            writer.write(np.full((size[1], size[0], 3), 60 * value, np.uint8))
        writer.release()
        return path.read_bytes()


def map_tensors() -> dict[str, Tensor]:
    """Return the tensors of a map with all its parts."""
    return load(written(write_map, whole_map()))


def whole_map() -> StoredMap:
    """Return a map with all its parts."""
    ones = np.ones((3, 3), np.float32)
    state = RecurrentState(torch.zeros(1, 4, 8), torch.zeros(1, 2, 3), (torch.zeros(1, 4),), 3)
    track = StoredTrack(state, Similarity(np.eye(4), 1.0), 0, 3)
    cloud = VoxelCloud(ones, ones.astype(np.uint8), ones[0])
    return StoredMap(cloud, 'weights', track, PLAN, from_arrays(graph_arrays()))


def graph_arrays() -> dict[str, NDArray[Any]]:
    """Return the arrays of a graph of three key frames: two steps by images, one by wheels."""
    keys, features, words = 3, 2, 4
    sizes = {'keys': keys, 'all features': keys * features, 'words': words}
    sizes |= {'motions': 5, 'steps': 3, 'fixes': 1}
    arrays = {
        name: np.ones([sizes[n] if isinstance(n, str) else n for n in shape], kind)
        for name, (kind, shape) in PARTS.items()
    }
    for name in ('number', 'stamp_ns'):
        arrays[name] = np.arange(keys)
    arrays |= {name: np.zeros(keys, np.int64) for name in ('track', 'piece')}
    for name in ('track_T_camera', 'pose', 'motion_pose', 'start'):
        arrays[name][:] = np.eye(4)
    arrays['camera'][:] = np.eye(3)
    arrays['motion_covariance'][:] = np.eye(6)
    arrays['features'][:] = features
    arrays['fix_number'][:] = 0
    arrays['next_number'][:] = keys
    arrays['motion_kind'] = np.array([VISUAL, VISUAL, BY_WHEELS, FORTH, BACK])
    arrays['motion_pair'] = np.array([[0, 1], [1, 2], [0, 1], [0, 2], [2, 0]])
    arrays['step_pair'] = np.array([[0, 1], [1, 2], [0, 2]])
    return arrays


def written(write: Callable[..., None], value: object) -> bytes:
    """Return what a function writes into a file."""
    file = io.BytesIO()
    write(file, value)
    return file.getvalue()


def checkpoint(suffix: str) -> bytes:
    """Return a checkpoint of a tiny network."""
    torch.manual_seed(0)
    network = Network(Architecture.tiny())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f'tiny{suffix}'
        if suffix == '.safetensors':
            save_checkpoint(path, network, Architecture.tiny(), {})
        else:
            tensors = with_aliases(network.state_dict())
            torch.save({'model': tensors, 'args': Namespace(model='Model(Config())')}, path)
        return path.read_bytes()


def checkpoint_of(architecture: bytes) -> bytes:
    """Return a checkpoint without tensors, of an architecture in JSON."""
    return save({}, {'architecture': architecture.decode(errors='replace')})


def recorded() -> dict[tuple[str, str], bytes]:
    """Return a message of each kind that is read of a bag, by topic and type."""
    made = TYPES.types
    stamp = made['builtin_interfaces/msg/Time'](5, 0)
    camera, base, odom = (
        made['std_msgs/msg/Header'](stamp, name) for name in ('camera', 'base_link', 'odom')
    )
    pixels, photo = np.zeros(6 * 8 * 3, np.uint8), np.frombuffer(encoded('JPEG'), np.uint8)
    k, region = [8.0, 0, 4, 0, 8, 3, 0, 0, 1], made['sensor_msgs/msg/RegionOfInterest']
    numbers = np.zeros(5), np.array(k), np.eye(3).ravel(), np.zeros(12)
    place = made['geometry_msgs/msg/Vector3'](0.0, 0.0, 0.0)
    turn = made['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, 1.0)
    moved = made['geometry_msgs/msg/Transform'](place, turn)
    link = made['geometry_msgs/msg/TransformStamped']
    point = made['geometry_msgs/msg/Point'](0.0, 0.0, 0.0)
    pose = made['geometry_msgs/msg/PoseWithCovariance'](
        made['geometry_msgs/msg/Pose'](point, turn), np.zeros(36)
    )
    twist = made['geometry_msgs/msg/TwistWithCovariance'](
        made['geometry_msgs/msg/Twist'](place, place), np.zeros(36)
    )
    messages: dict[tuple[str, str], tuple[object, ...]] = {
        ('/camera_info', 'sensor_msgs/msg/CameraInfo'): (
            *(camera, 6, 8, 'plumb_bob', *numbers, 0, 0, region(0, 0, 0, 0, False)),
        ),
        ('/image', 'sensor_msgs/msg/Image'): (camera, 6, 8, 'rgb8', 0, 24, pixels),
        ('/image/compressed', 'sensor_msgs/msg/CompressedImage'): (camera, 'jpeg', photo),
        ('/tf_static', 'tf2_msgs/msg/TFMessage'): ([link(base, 'camera', moved)],),
        ('/tf', 'tf2_msgs/msg/TFMessage'): ([link(odom, 'base_link', moved)],),
        ('/odom', 'nav_msgs/msg/Odometry'): (odom, 'base_link', pose, twist),
    }
    return {
        (topic, kind): bytes(TYPES.serialize_cdr(made[kind](*fields), kind))
        for (topic, kind), fields in messages.items()
    }


COMPRESSORS = {'zstd': zstd.compress, 'lz4': lz4.frame.compress}


def bag(
    storage: StoragePlugin, rows: Mapping[tuple[str, str], bytes], compression: str = ''
) -> bytes:
    """Return a bag's file with two of each message, in chunks of a compression."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'bag'
        with Writer(path, version=9, storage_plugin=storage) as writer:
            if compression:
                chunks: Any = writer.storage
                chunks.compression, chunks.compressor = compression, COMPRESSORS[compression]
            for i, ((topic, kind), data) in enumerate(rows.items()):
                connection = writer.add_connection(topic, kind, typestore=TYPES)
                for time_ns in (i, i + 10**9):
                    writer.write(connection, time_ns, data)
        return next(f for f in path.iterdir() if f.suffix != '.yaml').read_bytes()


def of_messages(damaged_row: tuple[str, str]) -> Kind:
    """Return the kind of bags whose messages of one topic are damaged."""
    return Kind(
        'bag.mcap',
        [RECORDED[damaged_row]],
        read_bag,
        wrap=lambda data: bag(StoragePlugin.MCAP, {**RECORDED, damaged_row: data}),
        examples=15,
    )


# ---- readers


def read_source(path: Path) -> None:
    """Read every image of an input, with its odometry."""
    list(open_source(str(path), odometry=OdometryChoice()).frames(1))


def read_bag(path: Path) -> None:
    """Read a bag as images of both kinds, and as messages."""
    for topic in ('/image', '/image/compressed'):
        with suppress(UserError):
            list(open_source(str(path), topic, odometry=OdometryChoice()).frames(1))
    messages = BagMessages(path)
    list(messages.messages([topic.name for topic in messages.topics]))


def case_files(*names: str) -> list[bytes]:
    """Return the beginnings of files of the cases."""
    return [(CASES / name).read_bytes()[:2000] for name in names]


def read_ply_file(path: Path) -> None:
    """Read a cloud."""
    with path.open('rb') as file:
        read_ply(file)


def read_network(path: Path) -> None:
    """Load a checkpoint."""
    load_network(path, 'cpu', 'strict')


CALIBRATIONS = [
    b'{"width": 64, "height": 48, "fx": 60, "fy": 61, "cx": 31, "cy": 23,\n'
    b'"distortion_model": "plumb_bob", "distortion": [0.1, 0, 0, 0], "base_T_camera":\n'
    b'[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}',
    b'%YAML:1.0\n---\nimage_width: 64\nimage_height: 48\nfisheye_model: 1\n'
    b'camera_matrix: !!opencv-matrix\n   rows: 3\n   data: [60, 0, 31, 0, 61, 23, 0, 0, 1]\n'
    b'distortion_coefficients: !!opencv-matrix\n   data: [0.1, 0.2, 0.3, 0.4]\n'
    b'projection_matrix: {data: [60, 0, 31, 0, 0, 61, 23, 0, 0, 0, 1, 0]}\n',
    b'height: 48\nwidth: 64\ndistortion_model: plumb_bob\nd: [0.1, 0, 0, 0, 0]\n'
    b'k: [60, 0, 31, 0, 61, 23, 0, 0, 1]\nbinning_x: 2\nbinning_y: 2\n'
    b'roi: {x_offset: 2, y_offset: 2, width: 32, height: 24}\n---\n',
    b'camera_model: pinhole\nresolution: [64, 48]\nintrinsics: [60, 61, 31, 23]\n'
    b'distortion_model: radial-tangential\ndistortion_coefficients: [0.1, 0.2, 0.3, 0.4]\n',
    b'1 OPENCV 64 48 60 61 31 23 0.1 0.2 0.01 0.02\n',
    b'{"camera_angle_x": 0.9, "w": 64, "h": 48, "camera_model": "OPENCV", "frames": []}',
    b'{"intrinsic": {"width": 64, "height": 48, "intrinsic_matrix":\n'
    b'[60, 0, 0, 0, 61, 0, 31, 23, 1]}}',
    b'Camera.type: "KannalaBrandt8"\nCamera.fx: 60\nCamera.fy: 61\nCamera.cx: 31\n'
    b'Camera.cy: 23\nCamera.k1: 0.1\nCamera.width: 64\nCamera.height: 48\n',
    b'{"frames": [{"fl_x": 60, "cx": 31, "cy": 23, "w": 64, "h": 48, "file_path": "0.png"}]}',
    b'{"parameters": [{"intrinsic": {"width": 64, "height": 48, "intrinsic_matrix":\n'
    b'[60, 0, 0, 0, 61, 0, 31, 23, 1]}}]}',
    b'# of the robot\n%YAML:1.0\nCamera: {model: fisheye, fx: 60, fy: 61, cx: 31, cy: 23,\n'
    b'  k1: 0.1, k2: 0, k3: 0, k4: 0, cols: 64, rows: 48}\n',
    *case_files('calib/camchain.yaml', 'calib/orbslam3.yaml', 'calib/transforms.json'),
]
CUT = (CASES / 'video/cut.mp4').read_bytes()
FRAMES = {'frames/0.png': encoded('PNG'), 'frames/1.png': encoded('PNG')}
RECORDED = recorded()
SQLITE, MCAP = (bag(plugin, RECORDED) for plugin in (StoragePlugin.SQLITE3, StoragePlugin.MCAP))
METADATA = (CASES / 'kzero_p/bag/metadata.yaml').read_bytes()
WHOLE_PLAN = {PICTURE: written(write_picture, PLAN), DESCRIPTION: written(write_description, PLAN)}
KINDS = {
    'photo': Kind(
        'a/0.jpg',
        [
            turned_photo(),
            *(encoded(form) for form in ('PNG', 'BMP', 'TIFF', 'WEBP', 'PPM', 'GIF')),
            encoded('PNG', 'I;16'),
            cv2.imencode('.png', np.full((6, 8, 3), 999, np.uint16))[1].tobytes(),
            encoded('PNG', 'P'),
            encoded('TIFF', 'F'),
            encoded('TIFF', compression='tiff_lzw'),
        ],
        lambda path: read_source(path.parent),
        examples=300,
    ),
    'mp4': Kind('video.mp4', [video('.mp4', 'mp4v'), CUT], read_source, examples=40),
    'avi': Kind('video.avi', [video('.avi', 'MJPG')], read_source, examples=40),
    'calibration': Kind('camera.yaml', CALIBRATIONS, read_intrinsics, examples=400),
    'mount': Kind('camera.json', CALIBRATIONS[:1], read_mount, examples=50),
    'trajectory': Kind(
        'trajectory.txt',
        [*case_files('traj/gt.txt', 'traj/gt_ns.txt', 'traj/comma2.txt', 'traj/kitti_turn.txt')],
        read_trajectory,
        examples=150,
    ),
    'timestamps': Kind(
        'timestamps.txt',
        [b'0 0.0\n1 0.1\n', b'"index","s"\n"0","0,0"\n1;0,1\n'],
        lambda p: read_source(p.parent),
        FRAMES,
    ),
    'rgb.txt': Kind(
        'rgb.txt',
        [b'# time\n5.0 frames/0.png\n5.1 frames/1.png\n'],
        lambda path: read_source(path.parent),
        FRAMES,
    ),
    'odometry': Kind(
        'odometry.txt',
        case_files('traj/gt.txt'),
        lambda path: read_source(path.parent),
        {**FRAMES, 'timestamps.txt': b'0 0.0\n1 0.1\n', 'camera.json': CALIBRATIONS[0]},
        examples=50,
    ),
    'sqlite': Kind('bag.db3', [SQLITE], read_bag, examples=60),
    'mcap': Kind('bag.mcap', [MCAP], read_bag, examples=80),
    **{
        f'chunks of {name}': Kind(
            'bag.mcap', [bag(StoragePlugin.MCAP, RECORDED, name)], read_bag, examples=40
        )
        for name in COMPRESSORS
    },
    'zstd': Kind('bag.mcap.zstd', [zstd.compress(MCAP)], read_bag, examples=20),
    'metadata': Kind(
        'metadata.yaml',
        [METADATA],
        lambda path: read_bag(path.parent),
        {'bag.mcap': MCAP},
        examples=25,
    ),
    **{topic: of_messages((topic, kind)) for topic, kind in RECORDED},
    'map': Kind('map', [written(write_map, whole_map())], read_map),
    'checkpoint': Kind(
        'tiny.safetensors', [checkpoint('.safetensors')], read_network, examples=60
    ),
    'published': Kind('tiny.pth', [checkpoint('.pth')], read_network, examples=60),
    'architecture': Kind(
        'tiny.safetensors',
        [json.dumps(Architecture.tiny().to_record()).encode()],
        read_network,
        wrap=checkpoint_of,
        examples=200,
    ),
    'cloud': Kind('map.ply', [written(write_ply, whole_map().cloud)], read_ply_file),
    'plan': Kind(PICTURE, [WHOLE_PLAN[PICTURE]], lambda p: read_occupancy(p.parent), WHOLE_PLAN),
    'description': Kind(
        DESCRIPTION, [WHOLE_PLAN[DESCRIPTION]], lambda p: read_occupancy(p.parent), WHOLE_PLAN
    ),
}


# ---- the tests


def fuzzed(examples: int) -> settings:
    """Return how many examples are tried; the same ones each time unless more are asked for."""
    return settings(
        max_examples=examples * TIMES_AS_MANY,
        derandomize=TIMES_AS_MANY == 1,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def assert_a_value_or_one_line(read: Callable[[Path], object], path: Path) -> None:
    """Read a file; fail at anything but a value or a UserError of one line."""
    said = 'a value'
    with bounded():
        try:
            read(path)
        except UserError as error:
            said = str(error)
    assert said.strip()
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize('name', KINDS)
def test_any_bytes_are_a_value_or_one_error_of_the_user(tmp_path, name):
    kind = KINDS[name]
    path = tmp_path / kind.file
    for other, data in {**kind.beside, kind.file: b''}.items():
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).write_bytes(data)

    @fuzzed(kind.examples)
    @given(st.one_of(*[damaged(whole) for whole in kind.wholes], st.binary(max_size=100)))
    def check(data: bytes) -> None:
        path.write_bytes(kind.wrap(data))
        assert_a_value_or_one_line(kind.read, path)

    check()


@fuzzed(200)
@given(st.data())
def test_any_tensors_of_a_map_are_a_value_or_one_error_of_the_user(tmp_path_factory, data):
    tensors = map_tensors()
    for name in data.draw(st.lists(st.sampled_from(sorted(tensors)), min_size=1, max_size=2)):
        shape = data.draw(st.lists(st.integers(0, 4), max_size=4))
        kind = data.draw(st.sampled_from((torch.float32, torch.int64, torch.uint8, torch.bool)))
        value = data.draw(st.sampled_from((0.0, 1.0, -1.0, float('nan'), float('inf'))))
        tensors[name] = (
            torch.full(shape, 1).to(kind) if value != value else torch.full(shape, value).to(kind)
        )
        if data.draw(st.booleans()):
            del tensors[name]
    metadata = {
        'format': 'ttt3r_map',
        'version': '1',
        'network': '',
        'sha256': hash_tensors(tensors),
    }
    path = tmp_path_factory.getbasetemp() / 'map'
    path.write_bytes(save(tensors, metadata))

    assert_a_value_or_one_line(read_map, path)


ODD = (0.0, 1.0, -1.0, 7.0, 1e300, -1e300, 2.0**62, -(2.0**63), float('nan'), float('inf'))


def _some_changed(draw: st.DrawFn, array: NDArray[Any]) -> NDArray[Any]:
    changed = array.astype(np.float64) if draw(st.booleans()) else array.copy()
    with np.errstate(invalid='ignore', over='ignore'):
        for _ in range(draw(st.integers(1, 3)) if array.size else 0):
            place = draw(st.integers(0, array.size - 1))
            changed.flat[place] = np.float64(draw(st.sampled_from(ODD))).astype(changed.dtype)
        return changed if draw(st.integers(0, 9)) == 0 else changed.astype(array.dtype)


def _other_shape(draw: st.DrawFn, array: NDArray[Any]) -> NDArray[Any]:
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    kind = draw(st.sampled_from((array.dtype, np.float32, np.int64, np.uint8, np.bool_)))
    return np.full(shape, draw(st.sampled_from((0, 1, 3)))).astype(kind)


def _rows_repeated(draw: st.DrawFn, array: NDArray[Any]) -> NDArray[Any]:
    rows = draw(st.lists(st.integers(0, max(len(array) - 1, 0)), max_size=6))
    return array[rows] if len(array) else array


@fuzzed(150)
@given(st.data())
def test_any_arrays_of_a_graph_are_a_map_to_go_on_in_or_one_error(tmp_path_factory, data):
    tensors = map_tensors()
    names = data.draw(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3))
    for name in names:
        changes = (_some_changed, _some_changed, _some_changed, _rows_repeated, _other_shape)
        change = st.composite(data.draw(st.sampled_from(changes)))
        array = data.draw(change(tensors[f'graph.{name}'].numpy()))
        # Empty arrays of NumPy have strides that torch does not write.
        tensors[f'graph.{name}'] = (
            torch.from_numpy(np.array(array))
            if array.size
            else (torch.empty(array.shape, dtype=torch.from_numpy(array).dtype))
        )
    if data.draw(st.integers(0, 19)) == 0:
        del tensors[f'graph.{names[0]}']
    metadata = {'format': 'ttt3r_map', 'version': '2', 'network': ''}
    metadata['sha256'] = hash_tensors(tensors)
    path = tmp_path_factory.getbasetemp() / 'map_with_graph'
    path.write_bytes(save(tensors, metadata))

    assert_a_value_or_one_line(read_and_go_on, path)


def read_and_go_on(path: Path) -> None:
    """Read a map, and begin to localize in it; what cannot be used has to show before that."""
    stored = read_map(path)
    if stored.graph is not None:
        KeyFrameGraph.resumed(stored.graph).stored()
