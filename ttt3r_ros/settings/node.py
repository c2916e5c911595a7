# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How the mapping node meets the robot: topics, frames, transforms, files."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ttt3r_ros.settings.declaration import Checked, knob


@dataclass(frozen=True)
class InputSettings(Checked):
    """Which images the node accepts."""

    room = 'inputs'

    require_camera_info: bool = knob(
        False,
        'Drop images without a usable calibration, in place of estimating the focal length.',
        live=True,
    )
    bad_stamps: str = knob(
        'refuse',
        'Treatment of stamps that are 0 or beyond stamp_tolerance.',
        choices=('refuse', 'restamp', 'accept'),
        live=True,
    )
    stamp_tolerance: float = knob(
        10.0,
        'Largest difference between stamp and clock.',
        's',
        0.01,
        1e6,
        live=True,
    )
    backward_jump: float = knob(
        0.4,
        'An image older than the newest by more than this resets the map, by less is dropped.',
        's',
        0.0,
        3600.0,
        live=True,
    )


@dataclass(frozen=True)
class TransformSettings(Checked):
    """How the node reads and sends transforms."""

    room = 'tf'
    flat_with_room = True

    rate: float = knob(30.0, 'Rate of map_frame to odom_frame.', 'Hz', 1.0, 100.0)
    timeout: float = knob(
        0.2,
        'Longest time that an image waits for its transforms.',
        's',
        0.0,
        10.0,
        live=True,
    )


@dataclass(frozen=True)
class OutputSettings(Checked):
    """What the node publishes, how much of it and how often."""

    room = 'outputs'

    points_stride: int = knob(
        2,
        'Step in rows and columns between the points of ~/points.',
        '',
        1,
        32,
        live=True,
    )
    map_cloud_period: float = knob(
        1.0,
        'Least time between two messages of ~/map_cloud.',
        's',
        0.05,
        3600.0,
        live=True,
    )
    map_cloud_max_points: int = knob(
        500_000,
        'Most points of ~/map_cloud; a larger map is subsampled.',
        '',
        1,
        10_000_000,
        live=True,
    )
    occupancy_period: float = knob(
        1.0, 'Least time between two grids.', 's', 0.05, 3600.0, live=True
    )
    path_step: float = knob(0.05, 'Distance between two poses of ~/path.', 'm', 0.0, 100.0)
    path_max_poses: int = knob(
        5000,
        'Most poses of ~/path; the oldest are removed.',
        '',
        2,
        1_000_000,
        live=True,
    )


@dataclass(frozen=True)
class DiagnosticsSettings(Checked):
    """What the node reports as a fault."""

    room = 'diagnostics'

    min_image_rate: float = knob(
        1.0,
        'Rate of mapped images below which the state is DEGRADED.',
        'Hz',
        0.0,
        1000.0,
        live=True,
    )
    stale_timeout: float = knob(
        2.0,
        'Time without a mapped image after which the state is STALE.',
        's',
        0.1,
        3600.0,
        live=True,
    )


@dataclass(frozen=True)
class NodeSettings(Checked):
    """The interface between node and robot: topics, frames, transforms and files."""

    autostart: bool = knob(
        True, 'Configure and activate at the start; false: a lifecycle manager does.'
    )
    image_transport: str = knob(
        'raw',
        'Topic of the images: image, or image/compressed.',
        choices=('raw', 'compressed'),
    )
    image_qos: str = knob(
        'sensor_data',
        'Quality of service of images; reliable has lost messages sent again.',
        choices=('sensor_data', 'reliable'),
    )
    map_frame: str = knob('map', 'Frame of the map, z up.')
    odom_frame: str = knob('odom', 'Frame of the odometry; empty: no odometry.')
    base_frame: str = knob('base_link', 'Frame of the robot; empty: a camera alone.')
    camera_optical_frame: str = knob(
        '', 'Optical frame of the camera; empty: the frame_id of the images.'
    )
    cameras: str = knob(
        '',
        'Names of several cameras, like front back: each has NAME/image and NAME/camera_info, '
        'and NAME=FRAME sets its optical frame; empty: one camera.',
    )
    imu_topic: str = knob(
        '',
        'IMU (sensor_msgs/Imu) whose gravity levels a map without odometry; empty: none.',
    )
    publish_map_to_odom_tf: bool = knob(
        True,
        'Publish map_frame to odom_frame, or to base_frame without odometry.',
    )
    publish_odom_to_base_tf: bool = knob(
        False, 'Be the odometry: publish odom_frame to base_frame and ~/odometry.'
    )
    transform_tolerance: float = knob(
        0.3,
        'Time by which map_frame to odom_frame is dated ahead.',
        's',
        0.0,
        10.0,
        live=True,
    )
    map_directory: str = knob(
        '~/.ros/ttt3r_maps', 'Folder of saved maps; no other is written or read.'
    )
    map_file: str = knob(
        'map.ttt3r',
        'File of ~/save_map and ~/load_map in map_directory.',
        live=True,
    )
    autoload: bool = knob(False, 'Load map_file at the start where it exists.')
    autosave_period: float = knob(
        0.0,
        'Time between two savings while the map changes; 0: never.',
        's',
        0.0,
        86400.0,
        live=True,
    )
    export_file: str = knob(
        'map.ply',
        'File of ~/export_cloud (.ply, .pcd, .las) in map_directory.',
        live=True,
    )

    inputs: InputSettings = dataclasses.field(default_factory=InputSettings)
    tf: TransformSettings = dataclasses.field(default_factory=TransformSettings)
    outputs: OutputSettings = dataclasses.field(default_factory=OutputSettings)
    diagnostics: DiagnosticsSettings = dataclasses.field(default_factory=DiagnosticsSettings)
