# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The tables of what users see of the node: topics, services, states, diagnostics, drops.

The node makes its publishers, subscriptions and services from them, and scripts/node_page.py the
tables of docs/node.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import MarkerArray

from ttt3r_ros.node.qos import image_qos, LATCHED, NEWEST, NEWEST_RELIABLE, RELIABLE
from ttt3r_ros.settings import NodeSettings

# ---- topics


@dataclass(frozen=True)
class Topic:
    """
    A topic of the node.

    name: before remapping. kind: type of its messages. qos: quality of service; None: that of
    the parameter image_qos. meaning: for the user. form: encoding of an image.
    """

    name: str
    kind: type[Any]
    qos: QoSProfile | None
    meaning: str
    form: str = ''

    def profile(self, settings: NodeSettings) -> QoSProfile:
        """Return the quality of service with these settings."""
        return self.qos or image_qos(settings.image_qos)


IMAGE = Topic(
    'image',
    Image,
    None,
    'colour, grey, Bayer or YUV 4:2:2, 8 or 16 bit; with `cameras` `NAME/image`, and so on',
)
COMPRESSED_IMAGE = Topic(
    'image/compressed',
    CompressedImage,
    None,
    'JPEG or PNG, with `image_transport: compressed`',
)
CALIBRATION = Topic(
    'camera_info',
    CameraInfo,
    None,
    'calibration of the images, with their size and frame_id; by default beside `image`; of '
    '`image_rect` P counts. Images wait 2 s for its first message; without it the focal length '
    'is estimated',
)
INITIAL_POSE = Topic(
    'initialpose',
    PoseWithCovarianceStamped,
    NEWEST_RELIABLE,
    'pose of `base_frame` in `map_frame` at the newest image, which moves the map; while the '
    'camera is lost, where to look for it',
)
SUBSCRIBED = (IMAGE, COMPRESSED_IMAGE, CALIBRATION, INITIAL_POSE)

POINTS = Topic(
    '~/points',
    PointCloud2,
    NEWEST,
    'points of this image in the camera frame, for Nav2',
)
MAP_CLOUD = Topic(
    '~/map_cloud',
    PointCloud2,
    LATCHED,
    'the map in `map_frame`, a point a voxel, every `outputs.map_cloud_period` while it changes, '
    'and within a second after',
)
MAP_UPDATES = Topic(
    '~/map_updates',
    PointCloud2,
    RELIABLE,
    'the [parts](#map-updates) of the map that have changed',
)
DEPTH = Topic(
    '~/depth',
    Image,
    NEWEST,
    "metres along z (REP 118), at the size of the network's input",
    '32FC1',
)
DEPTH_CALIBRATION = Topic('~/camera_info', CameraInfo, NEWEST, 'calibration of `~/depth`')
POSE = Topic(
    '~/pose',
    PoseWithCovarianceStamped,
    RELIABLE,
    '`base_frame` in `map_frame` for each image, with [covariance](slam.md#how-sure-it-is)',
)
ODOMETRY = Topic('~/odometry', Odometry, RELIABLE, 'only with `publish_odom_to_base_tf`')
PATH = Topic(
    '~/path',
    Path,
    RELIABLE,
    'the path by the newest estimate, once a second',
)
LOOP_CLOSURES = Topic(
    '~/loop_closures',
    MarkerArray,
    LATCHED,
    'key frames, the path between them, and loops, once a second',
)
OCCUPANCY = Topic(
    'map',
    OccupancyGrid,
    LATCHED,
    '[grid](#occupancy-grid): 0 free, 100 occupied, -1 unknown',
)
DIAGNOSTICS = Topic(
    '/diagnostics',
    DiagnosticArray,
    NEWEST_RELIABLE,
    '[state](#diagnostics), twice a second',
)
PUBLISHED = (
    POINTS,
    MAP_CLOUD,
    MAP_UPDATES,
    DEPTH,
    DEPTH_CALIBRATION,
    POSE,
    ODOMETRY,
    PATH,
    LOOP_CLOSURES,
    OCCUPANCY,
    DIAGNOSTICS,
)


# ---- services


@dataclass(frozen=True)
class Service:
    """
    A service of the node.

    name: before remapping. kind: its type. effect: for the user.
    """

    name: str
    kind: type[Any]
    effect: str


RESET = Service('~/reset', Trigger, 'delete the map; start again at the next image')
PAUSE = Service('~/pause', SetBool, 'true: drop images, keep map and state')
SET_LOCALIZATION_MODE = Service(
    '~/set_localization_mode',
    SetBool,
    'true: compute the pose only; neither state nor map is written',
)
SAVE_MAP = Service(
    '~/save_map', Trigger, "write voxels, occupancy grid and the network's state to `map_file`"
)
LOAD_MAP = Service('~/load_map', Trigger, 'read them from `map_file`')
EXPORT_CLOUD = Service(
    '~/export_cloud', Trigger, 'write the points to `export_file` (.ply, .pcd or .las)'
)
SERVICES = (RESET, PAUSE, SET_LOCALIZATION_MODE, SAVE_MAP, LOAD_MAP, EXPORT_CLOUD)


# ---- diagnostics

# The message of a node that waits for a lifecycle manager.
NOT_ACTIVE = 'the node is not active'


class State(Enum):
    """
    How the node is doing; messages hold the name.

    level_name: of the level in diagnostic_msgs. when: for the user.
    """

    OK = 'OK', 'images are mapped'
    DEGRADED = (
        'WARN',
        'mapped, but images or odometry are missing, it is too slow, TF has a second parent, ...; '
        'or located only, while the server of the network is away',
    )
    LOST = (
        'ERROR',
        'no image can be mapped, the camera recognises nothing of the map, or the network cannot '
        'be loaded',
    )
    STALE = (
        'STALE',
        'no image: no publisher, quality of service, `/clock`, paused, loading',
    )

    def __init__(self, level_name: str, when: str) -> None:
        """Set the attributes."""
        self.level_name, self.when = level_name, when

    @property
    def level(self) -> bytes:
        """Return the level of a DiagnosticStatus."""
        return bytes(getattr(DiagnosticStatus, self.level_name))


class DiagnosticKey(Enum):
    """
    Name of a value of the diagnostics.

    text: in messages, with the unit. meaning: for the user.
    """

    STATE = 'state', 'as above'
    RECEIVED = 'images received', 'since the node was configured'
    MAPPED = 'images mapped', 'since the node was configured'
    INPUT_RATE = 'input rate (Hz)', 'over the last 5 s'
    MAP_RATE = 'map rate (Hz)', 'over the last 5 s'
    POSE_RATE = 'pose rate (Hz)', 'over the last 5 s'
    STAMP_AGE = 'stamp age (s)', 'of the newest image at its arrival'
    LATENCY_MEDIAN = 'latency median (s)', 'from arrival to points, over the last 120 images'
    LATENCY_MAX = 'latency max (s)', 'the largest of the same'
    POSE_LATENCY = 'pose latency median (s)', 'from arrival to the pose, over the last 120'
    MISSING = 'missing images (%)', 'estimated from gaps between stamps'
    STARVED = (
        'waiting for a core (%)',
        'time in which other programs kept the mapping from running',
    )
    CHECKPOINT = 'checkpoint', 'name of the weights, once loaded'
    CALIBRATION = 'calibration', 'camera_info or estimated focal length'
    GATE_MEAN = 'gate mean', "share of the network's state that the newest image rewrote"
    SCALE = 'scale', 'metres of the map per unit of the network'
    KEY_FRAMES = 'key frames', 'of the map, at most 500'
    LOOPS = 'loops', 'pairs compared, accepted, thrown out again'
    MEMORY_PEAK = 'memory peak (MB)', 'of the process'
    GPU_MEMORY = 'GPU memory (MB)', 'of the network'

    def __init__(self, text: str, meaning: str) -> None:
        """Set the attributes."""
        self.text, self.meaning = text, meaning


# The counts of drops follow, a key for each cause that occurred.
DROPPED_KEY = 'dropped: {}'


class Cause(Enum):
    """
    Why an image is not mapped.

    text: in diagnostics. remedy: for the user.
    """

    NEWER_IMAGE = (
        'a newer image came',
        'none needed: the camera is faster than the network',
    )
    NOT_ACTIVE = 'node not active', 'activate the node'
    PAUSED = 'paused', 'call `~/pause` with false'
    NOT_LOADED = 'network not loaded', 'wait, or see the log'
    AWAITS_CALIBRATION = 'waiting for camera_info', 'wait; at most 2 s'
    REPEATED_STAMP = 'stamp came before', 'a second publisher or a faulty driver'
    LATE_STAMP = 'stamp out of order', 'a second publisher or a faulty driver'
    BAD_STAMP = (
        'stamp too far from the clock',
        '`use_sim_time`, the clocks of the machines, or `inputs.bad_stamps`',
    )
    NO_FRAME = (
        'images without a frame',
        '`frame_id` is empty or that of the map: set it, or `camera_optical_frame`',
    )
    UNDECODABLE = 'image cannot be decoded', 'see the log'
    BAD_CALIBRATION = (
        'calibration',
        'it does not fit the image, and `inputs.require_camera_info` is set',
    )
    NO_TRANSFORM = 'transform missing', 'see the log'
    NO_GRAVITY = 'no gravity', 'check `imu_topic` and the stamps of the IMU'
    NOT_FINITE = (
        'network gave no finite numbers',
        'try `model.precision: strict`',
    )
    REFUSED_IMAGE = (
        'image refused',
        'black, white, blurred, frozen: see the log',
    )
    REFUSED_PREDICTION = (
        'prediction refused',
        'no confidence or an impossible motion: check the calibration, or `~/reset`',
    )
    NO_NETWORK = (
        'network is away',
        'see the log: the server of `model.device` cannot be reached, or refuses',
    )
    OUT_OF_MEMORY = (
        'out of memory',
        'a smaller checkpoint, `model.precision: int8` or `fast`, or `model.device: cpu`',
    )
    REFUSED = 'refused by the mapper', 'see the log'
    INTERNAL = 'internal error', 'a bug: the log has the trace'

    def __init__(self, text: str, remedy: str) -> None:
        """Set the attributes."""
        self.text, self.remedy = text, remedy
