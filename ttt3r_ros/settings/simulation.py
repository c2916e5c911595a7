# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is simulated: a drive, the robots, `ttt3r simulate`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ttt3r_ros.settings.declaration import Checked, knob, like
from ttt3r_ros.settings.players import ReplaySettings


@dataclass(frozen=True)
class DriveSettings(Checked):
    """Which building is simulated, and how the camera moves through it."""

    family: str = knob('S', 'Family of buildings.', choices=('S', 'M', 'L'))
    seed: int = knob(7, 'Seed of building, path and noise.', '', 0, 1_000_000)
    seconds: float = knob(60.0, 'Duration of the drive.', 's', 1.0, 86400.0)
    speed: float = knob(0.6, 'Largest speed.', 'm/s', 0.05, 3.0)
    image_rate: float = knob(10.0, 'Rate of the images.', 'Hz', 0.1, 120.0)
    width: int = knob(320, 'Width of the images.', 'pixels', 16, 4096)
    height: int = knob(240, 'Height of the images.', 'pixels', 16, 4096)
    field_of_view: float = knob(70.0, 'Horizontal field of view.', 'degrees', 10.0, 150.0)
    camera_height: float = knob(0.8, 'Height of the camera above the floor.', 'm', 0.2, 1.7)
    camera_tilt_degrees: float = knob(
        0.0, 'Tilt of the camera; positive looks up.', 'degrees', -60.0, 60.0
    )
    image_noise: float = knob(2.0, 'Noise of the images, in grey levels of 255.', '', 0.0, 50.0)


@dataclass(frozen=True)
class RobotSettings(ReplaySettings):
    """The simulated robot: where it drives, how time passes and what it publishes."""

    drive: DriveSettings = dataclasses.field(default_factory=DriveSettings)
    odometry_per_image: int = knob(4, 'Messages of odometry and TF an image.', '', 1, 50)
    smooth: bool = knob(False, 'Smooth the edges in the images; takes longer.')
    odometry_noise: float = knob(
        1.0, 'Factor on the usual drift of wheels, about 1 %.', '', 0.0, 100.0
    )
    odom_frame: str = knob('odom', 'Frame of the odometry.')
    base_frame: str = knob('base_link', 'Frame of the robot.')
    camera_optical_frame: str = knob('camera_optical_frame', 'Frame of the images.')


@dataclass(frozen=True)
class DrivenRobotSettings(Checked):
    """The simulated robot that is driven by cmd_vel: where it is and what it publishes."""

    family: str = like(DriveSettings, 'family', 'S')
    seed: int = like(DriveSettings, 'seed', 7)
    speed: float = like(DriveSettings, 'speed', 0.5)
    image_rate: float = like(DriveSettings, 'image_rate', 8.0)
    width: int = like(DriveSettings, 'width', 320)
    height: int = like(DriveSettings, 'height', 240)
    field_of_view: float = like(DriveSettings, 'field_of_view', 70.0)
    camera_height: float = like(DriveSettings, 'camera_height', 0.8)
    camera_tilt_degrees: float = like(DriveSettings, 'camera_tilt_degrees', 0.0)
    image_noise: float = like(DriveSettings, 'image_noise', 2.0)
    odometry_noise: float = like(RobotSettings, 'odometry_noise', 1.0)
    odom_frame: str = like(RobotSettings, 'odom_frame', 'odom')
    base_frame: str = like(RobotSettings, 'base_frame', 'base_link')
    camera_optical_frame: str = like(RobotSettings, 'camera_optical_frame', 'camera_optical_frame')


@dataclass(frozen=True)
class SimulationSettings(DriveSettings):
    """Which building is simulated, how the camera moves through it and what is written."""

    image_rate: float = like(DriveSettings, 'image_rate', 15.0)
    path: str = knob('robot', 'Carrier of the camera.', choices=('robot', 'hand'))
    depth_every: int = knob(5, 'Step between the images whose depth is written.', '', 1, 1_000_000)
    bag: bool = knob(False, 'Write a rosbag2 in place of a video.')
    storage: str = knob('sqlite3', 'Storage of the rosbag2.', choices=('sqlite3', 'mcap'))
