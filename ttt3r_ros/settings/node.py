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
        'Drop images without a usable calibration; false maps them with an estimated focal '
        'length and logs it.',
        live=True,
    )
    bad_stamps: str = knob(
        'refuse',
        'Treatment of images whose stamp is 0 or farther from the clock than stamp_tolerance: '
        'refuse drops them, restamp stamps them with the time of arrival, accept uses the stamp.',
        choices=('refuse', 'restamp', 'accept'),
        live=True,
    )
    stamp_tolerance: float = knob(
        10.0,
        'Largest difference between the stamp of an image and the clock.',
        's',
        0.01,
        1e6,
        live=True,
    )
    backward_jump: float = knob(
        0.4,
        'An image older than the newest one by more than this means that time went back, as '
        'when a bag starts again, and resets the map; one older by less is out of order and is '
        'dropped.',
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

    rate: float = knob(
        30.0, 'Rate at which map_frame to odom_frame is published.', 'Hz', 1.0, 100.0
    )
    timeout: float = knob(
        0.2,
        'Longest time that an image waits for the transforms at its stamp.',
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
        'Step in rows and columns between the pixels that become points of ~/points.',
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
        'Largest number of points of ~/map_cloud; a larger map is subsampled evenly.',
        '',
        1,
        10_000_000,
        live=True,
    )
    occupancy_period: float = knob(
        1.0, 'Least time between two messages of the occupancy grid.', 's', 0.05, 3600.0, live=True
    )
    path_step: float = knob(0.05, 'Distance between two poses of ~/path.', 'm', 0.0, 100.0)
    path_max_poses: int = knob(
        5000,
        'Largest number of poses of ~/path; above it the oldest are removed.',
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
        'Least rate of mapped images; a lower one is reported as DEGRADED.',
        'Hz',
        0.0,
        1000.0,
        live=True,
    )
    stale_timeout: float = knob(
        2.0,
        'Time without a mapped image after which the pose is reported as STALE.',
        's',
        0.1,
        3600.0,
        live=True,
    )


@dataclass(frozen=True)
class NodeSettings(Checked):
    """The interface between node and robot: topics, frames, transforms and files."""

    autostart: bool = knob(
        True, 'Configure and activate at the start; false waits for a lifecycle manager.'
    )
    image_transport: str = knob(
        'raw',
        'Topic of the images: raw is image, compressed is image/compressed.',
        choices=('raw', 'compressed'),
    )
    image_qos: str = knob(
        'sensor_data',
        'Quality of service for images and camera_info: sensor_data is best effort and receives '
        'from every publisher, reliable has lost images sent again.',
        choices=('sensor_data', 'reliable'),
    )
    map_frame: str = knob('map', 'Frame of the map, z up.')
    odom_frame: str = knob('odom', 'Frame of the odometry; empty: no odometry.')
    base_frame: str = knob('base_link', 'Frame of the robot; empty: a camera alone.')
    camera_optical_frame: str = knob(
        '', 'Optical frame of the camera; empty: the frame_id of the images.'
    )
    imu_topic: str = knob(
        '',
        'Topic of an IMU (sensor_msgs/Imu) whose gravity levels the map where there is no '
        'odometry; empty: none.',
    )
    publish_map_to_odom_tf: bool = knob(
        True,
        'Publish map_frame to odom_frame (to base_frame where there is no odom_frame); needs '
        'odom_frame to base_frame from another node, or publish_odom_to_base_tf.',
    )
    publish_odom_to_base_tf: bool = knob(
        False, 'Be the odometry: publish odom_frame to base_frame and ~/odometry.'
    )
    transform_tolerance: float = knob(
        0.3,
        'Time by which the stamp of map_frame to odom_frame is ahead of the clock.',
        's',
        0.0,
        10.0,
        live=True,
    )
    map_directory: str = knob(
        '~/.ros/ttt3r_maps', 'Folder of saved maps; files outside it are neither written nor read.'
    )
    map_file: str = knob(
        'map.ttt3r',
        'File of ~/save_map and ~/load_map, relative to map_directory.',
        live=True,
    )
    autoload: bool = knob(
        False, 'Load map_file at the start where there is one, and continue with it.'
    )
    autosave_period: float = knob(
        0.0,
        'Save to map_file so often while the map changes, and at the end; 0: never. No image is '
        'mapped meanwhile.',
        's',
        0.0,
        86400.0,
        live=True,
    )
    export_file: str = knob(
        'map.ply',
        'File of ~/export_cloud (.ply, .pcd or .las), relative to map_directory.',
        live=True,
    )

    inputs: InputSettings = dataclasses.field(default_factory=InputSettings)
    tf: TransformSettings = dataclasses.field(default_factory=TransformSettings)
    outputs: OutputSettings = dataclasses.field(default_factory=OutputSettings)
    diagnostics: DiagnosticsSettings = dataclasses.field(default_factory=DiagnosticsSettings)
