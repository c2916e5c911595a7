# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How images become a map: tracking, map, occupancy grid, camera, odometry."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ttt3r_ros.settings.declaration import Checked, knob


@dataclass(frozen=True)
class TrackingSettings(Checked):
    """How frames become a trajectory."""

    room = 'tracking'

    reset_interval: int = knob(
        -1,
        'Frames after which a new segment starts; 0: never, -1: as the checkpoint recommends.',
        'frames',
        -1,
        1_000_000,
    )
    overlap_frames: int = knob(
        1,
        'Frames that the new segment processes again.',
        'frames',
        1,
        16,
    )
    segment_scale: str = knob(
        'auto',
        'Scale between segments: fixed is 1, free estimated, sure estimated where that is sure, '
        'auto fixed with features and sure with the network alone.',
        choices=('auto', 'fixed', 'free', 'sure'),
    )
    front_end: str = knob(
        'features',
        'Poses from features, key frames and loops, or from the network alone.',
        choices=('features', 'network'),
    )
    guard: bool = knob(
        True,
        'Refuse images that show nothing, frozen images and impossible motion.',
    )
    max_speed: float = knob(
        20.0,
        'Speed of the camera above which an image is refused.',
        'm/s',
        0.1,
        1000.0,
    )
    max_turn_rate: float = knob(
        400.0,
        'Turn rate of the camera above which an image is refused.',
        'degrees/s',
        1.0,
        1e5,
    )


@dataclass(frozen=True)
class MapSettings(Checked):
    """Which points enter the map, and its size."""

    room = 'map'

    confidence_threshold: float = knob(
        1.5,
        'Confidence above which points enter clouds and map.',
        '',
        1.0,
        1000.0,
        live=True,
    )
    voxel_size: float = knob(0.05, 'Edge of a voxel of the map.', 'm', 0.001, 10.0)
    max_voxels: int = knob(
        2_000_000,
        'Largest map; above it the key frames seen longest ago are removed.',
        'voxels',
        1000,
        100_000_000,
    )
    max_range: float = knob(
        20.0,
        'Distance up to which points enter the clouds.',
        'm',
        0.1,
        1e4,
        live=True,
    )
    fused_range: float = knob(
        6.0,
        'Distance up to which points enter the map, max_range at most: errors grow with it.',
        'm',
        0.1,
        1e4,
        live=True,
    )


@dataclass(frozen=True)
class OccupancySettings(Checked):
    """How points become an occupancy grid."""

    room = 'occupancy'
    flat_with_room = True

    enabled: bool = knob(True, 'Compute the occupancy grid.')
    resolution: float = knob(0.05, 'Edge of a cell.', 'm', 0.02, 1.0)
    min_height: float = knob(
        0.2,
        'Least height of an obstacle; below it is floor.',
        'm',
        0.02,
        0.5,
    )
    max_height: float = knob(
        1.8, 'Largest height of an obstacle; the robot passes below.', 'm', 0.5, 10.0
    )
    range: float = knob(4.0, 'Distance up to which cells are marked and cleared.', 'm', 0.5, 20.0)
    max_side: float = knob(
        100.0,
        'Longest side of the grid; above it the far side is removed.',
        'm',
        50.0,
        200.0,
    )


@dataclass(frozen=True)
class CameraSettings(Checked):
    """How the camera is mounted."""

    room = 'camera'
    flat_with_room = True

    height: float = knob(
        0.0,
        'Height of a camera without a robot (no base_frame) above the floor; 0: found in the '
        'images.',
        'm',
        0.0,
        100.0,
    )
    rotation: int = knob(
        0,
        'By how much pictures are turned clockwise, 180 for a camera that hangs upside down.',
        'degrees',
        choices=(0, 90, 180, 270),
    )


@dataclass(frozen=True)
class OdometrySettings(Checked):
    """How the map follows the odometry of the robot."""

    room = 'odometry'
    flat_with_room = True

    wheels: str = knob(
        'usual',
        'How good the odometry is: good errs by 0.1 % of the path, usual by 2 %, bad by 5 %.',
        choices=('good', 'usual', 'bad'),
    )
    planar: str = knob(
        'auto',
        'Keep the robot level where the odometry is planar; off: for ramps.',
        choices=('auto', 'off'),
        live=True,
    )
    correction_speed: float = knob(
        0.5,
        'Speed at which map_frame to odom_frame follows corrections, at most 5 cm a step; 0: '
        'at once.',
        'm/s',
        0.0,
        100.0,
        live=True,
    )


@dataclass(frozen=True)
class MappingSettings(Checked):
    """How images become a map: the settings of a mapper."""

    tracking: TrackingSettings = dataclasses.field(default_factory=TrackingSettings)
    map: MapSettings = dataclasses.field(default_factory=MapSettings)
    occupancy: OccupancySettings = dataclasses.field(default_factory=OccupancySettings)
    camera: CameraSettings = dataclasses.field(default_factory=CameraSettings)
    odometry: OdometrySettings = dataclasses.field(default_factory=OdometrySettings)


# Switches everything off that the published demo does not have, so that its network and update
# rule are left.
AS_PUBLISHED: dict[str, Any] = {
    'model.gain_scale': 1.0,
    'tracking.reset_interval': 0,
    'tracking.front_end': 'network',
    'tracking.guard': False,
}
