# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Every setting of the program, declared once: default, description, unit, range."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from ttt3r_ros.errors import UserError


class SettingsError(UserError):
    """A setting has the wrong type or lies outside its range."""


def knob(
    default: Any,
    sentence: str,
    unit: str = '',
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """
    Declare one setting of a dataclass.

    :param default: its type is the type of the setting.
    :param sentence: description of the setting, one sentence.
    :param unit: physical unit, empty where there is none.
    :param low: smallest value allowed, or None.
    :param high: largest value allowed, or None.
    :param choices: the only strings allowed; empty means any.
    :param live: whether it may be changed in a running node.
    :returns: a dataclass field with all of it as metadata.
    """
    return dataclasses.field(
        default=default,
        metadata={
            'sentence': sentence,
            'unit': unit,
            'low': low,
            'high': high,
            'choices': choices,
            'live': live,
        },
    )


def like(kind: type[Any], name: str, default: Any) -> Any:
    """
    Declare a setting of another class with another default.

    :param kind: the other class.
    :param name: of the setting.
    :returns: a dataclass field with the metadata of the other one.
    """
    (field,) = (field for field in dataclasses.fields(kind) if field.name == name)
    return dataclasses.field(default=default, metadata=field.metadata)


@dataclass(frozen=True)
class Checked:
    """
    Base of all settings: a wrong value fails in the constructor.

    A field is a knob or other settings, whose default is what their class gives.

    room: the first part of the full names of the knobs, empty where they are known without.
    flat_with_room: whether a knob needs it, too, where names have no dots; see flat_name.
    """

    room: ClassVar[str] = ''
    flat_with_room: ClassVar[bool] = False

    @classmethod
    def full_name(cls, field: dataclasses.Field[Any]) -> str:
        """
        Return the name of a knob in messages and as a ROS parameter, like map.voxel_size.

        :param field: of this class.
        """
        return f'{cls.room}.{field.name}' if cls.room else field.name

    @classmethod
    def flat_name(cls, field: dataclasses.Field[Any]) -> str:
        """
        Return the name of a knob as an option and as an argument of a launch file.

        Like voxel_size, or occupancy_range where the room is needed to understand it.

        :param field: of this class.
        """
        return f'{cls.room}_{field.name}' if cls.flat_with_room else field.name

    def __post_init__(self) -> None:
        """
        Check the type and the range of every knob.

        :raises SettingsError: naming the first bad one, its value and what is allowed.
        """
        for field in own_knobs(type(self)):
            reason = why_refused(field, getattr(self, field.name))
            if reason:
                raise SettingsError(f'{self.full_name(field)} {reason}')


def why_refused(field: dataclasses.Field[Any], value: Any) -> str:
    """
    Return what is wrong with the value of a knob, empty when nothing is.

    :param field: made by `knob`.
    :returns: a phrase that continues the name of the knob.
    """
    kind = type(field.default)
    if type(value) is not kind and not (kind is float and type(value) is int):
        return f'must be {kind.__name__}, not {value!r} ({type(value).__name__})'
    low, high = field.metadata['low'], field.metadata['high']
    choices, unit = field.metadata['choices'], field.metadata['unit']
    if choices and value not in choices:
        return f'must be one of {", ".join(choices)}, not {value!r}'
    # Written so that NaN, which compares false with everything, is refused too.
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        allowed = f'{"-inf" if low is None else low} to {"inf" if high is None else high}'
        return f'is {value}, allowed is {allowed} {unit}'.rstrip()
    return ''


def own_knobs(kind: type[Checked]) -> list[dataclasses.Field[Any]]:
    """Return the fields of a class of settings that are knobs."""
    return [field for field in dataclasses.fields(kind) if 'sentence' in field.metadata]


def own_knob(kind: type[Checked], name: str) -> dataclasses.Field[Any]:
    """
    Return one field of a class of settings that is a knob.

    :param name: of the field.
    """
    (field,) = (field for field in own_knobs(kind) if field.name == name)
    return field


def rooms(kind: type[Checked]) -> list[type[Checked]]:
    """Return a class of settings, if it has knobs of its own, and those that its fields hold."""
    own = own_knobs(kind)
    held: list[Any] = [
        field.default_factory for field in dataclasses.fields(kind) if field not in own
    ]
    below = [room for other in held for room in rooms(other)]
    return [kind, *below] if own else below


def knobs(kind: type[Checked]) -> dict[str, dataclasses.Field[Any]]:
    """Return all knobs of a class of settings and of what its fields hold, by full name."""
    return {room.full_name(field): field for room in rooms(kind) for field in own_knobs(room)}


def values(settings: Checked) -> dict[str, Any]:
    """Return the values of all knobs of settings and of what their fields hold, by full name."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Checked):
            found |= values(value)
        else:
            found[settings.full_name(field)] = value
    return found


Kind = TypeVar('Kind', bound=Checked)


def changed(settings: Kind, given: dict[str, Any]) -> Kind:
    """
    Return settings with other values.

    :param given: by full name; names of other settings are left alone.
    :raises SettingsError: when one is wrong.
    """
    new = {}
    for field in dataclasses.fields(settings):
        old = getattr(settings, field.name)
        if isinstance(old, Checked):
            new[field.name] = changed(old, given)
        else:
            new[field.name] = given.get(settings.full_name(field), old)
    return type(settings)(**new)


def named(settings: Kind, given: dict[str, Any]) -> tuple[Kind, dict[str, Any]]:
    """
    Return settings with other values, and what is left: names of other settings.

    :param given: by names without dots, as in options: voxel_size, occupancy_range.
    :raises SettingsError: when a value is wrong.
    """
    full = {
        room.flat_name(field): room.full_name(field)
        for room in rooms(type(settings))
        for field in own_knobs(room)
    }
    chosen = {full[name]: value for name, value in given.items() if name in full}
    left = {name: value for name, value in given.items() if name not in full}
    return changed(settings, chosen), left


@dataclass(frozen=True)
class ModelSettings(Checked):
    """How the network is loaded and how its state is written."""

    room = 'model'

    checkpoint: str = knob(
        '',
        'Weights: a file (.safetensors, .pth) or a name (small, 512, 224); empty: small, which '
        'is part of the package.',
    )
    device: str = knob(
        'auto',
        'Device of the network: auto, cpu, cuda or cuda:N; auto is cuda where there is a GPU.',
    )
    precision: str = knob(
        'auto',
        'Arithmetic: strict is float32, fast is bfloat16 where it is exact enough, int8 stores '
        'most weights as int8, for small GPUs and for large networks on CPUs; auto is fast where '
        'bfloat16 is faster, else strict: on a CPU large networks are timed once, small ones are '
        'strict.',
        choices=('auto', 'strict', 'fast', 'int8'),
    )
    runtime: str = knob(
        'auto',
        'Library that computes the network: torch or openvino (CPUs, precision strict); auto is '
        'openvino where it is installed and faster, else torch.',
        choices=('auto', 'torch', 'openvino'),
    )
    update_rule: str = knob(
        'ttt3r',
        'Rule that writes a frame into the recurrent state.',
        choices=('cut3r', 'ttt3r', 'brake', 'filt3r'),
    )
    gain_scale: float = knob(
        -1.0,
        'Factor on the gain of the update rule; negative: the value that the checkpoint '
        'recommends for this rule (mostly 1).',
        '',
        -1.0,
        1.0,
    )


@dataclass(frozen=True)
class TrackingSettings(Checked):
    """How frames become a trajectory."""

    room = 'tracking'

    reset_interval: int = knob(
        -1,
        'Number of frames after which a new segment starts; 0: never, -1: the value that the '
        'checkpoint recommends (mostly never).',
        'frames',
        -1,
        1_000_000,
    )
    overlap_frames: int = knob(
        1,
        'Number of frames of the old segment that are processed again in the new one.',
        'frames',
        1,
        16,
    )
    segment_scale: str = knob(
        'auto',
        'Scale between segments: auto applies the estimate where the evidence is strong and '
        'else 1, fixed is always 1, free always applies the estimate.',
        choices=('auto', 'fixed', 'free'),
    )
    front_end: str = knob(
        'features',
        'What the pose of an image follows from: features with the depth of the network, key '
        'frames and loops; or the network alone, as in the published demo.',
        choices=('features', 'network'),
    )
    guard: bool = knob(
        True,
        'Refuse images that show nothing, frozen images and impossible motion; false maps all '
        'images.',
    )
    max_speed: float = knob(
        20.0,
        'Speed of the camera above which an image is refused as an error of the network.',
        'm/s',
        0.1,
        1000.0,
    )
    max_turn_rate: float = knob(
        400.0,
        'Turn rate of the camera above which an image is refused as an error of the network.',
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
        'Confidence above which points enter the clouds and the map.',
        '',
        1.0,
        1000.0,
        live=True,
    )
    voxel_size: float = knob(0.05, 'Edge of one voxel of the map.', 'm', 0.001, 10.0)
    max_voxels: int = knob(
        2_000_000,
        'Largest number of voxels; above it the key frames seen longest ago are removed.',
        'voxels',
        1000,
        100_000_000,
    )
    max_range: float = knob(
        20.0,
        'Distance from the camera up to which points enter the clouds and the map.',
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

    enabled: bool = knob(
        True, 'Compute the occupancy grid: which cells are free, occupied and unknown.'
    )
    resolution: float = knob(0.05, 'Edge of one cell.', 'm', 0.02, 1.0)
    min_height: float = knob(
        0.2,
        'Least height of an obstacle; points from this height down to the same depth below the '
        'floor are floor.',
        'm',
        0.02,
        0.5,
    )
    max_height: float = knob(
        1.8, 'Largest height of an obstacle; the robot passes below higher points.', 'm', 0.5, 10.0
    )
    range: float = knob(
        4.0, 'Distance from the camera up to which cells are marked and cleared.', 'm', 0.5, 20.0
    )
    max_side: float = knob(
        100.0,
        'Longest side of the grid; above it the side that the robot left is removed.',
        'm',
        50.0,
        200.0,
    )


@dataclass(frozen=True)
class CameraSettings(Checked):
    """Where the camera is mounted."""

    room = 'camera'
    flat_with_room = True

    height: float = knob(
        0.0,
        'Height above a level floor of a camera without a robot (no base_frame); 0: unknown, so '
        'the floor is where the images show it. With a base_frame it is the plane z = 0 of that '
        'frame.',
        'm',
        0.0,
        100.0,
    )


@dataclass(frozen=True)
class OdometrySettings(Checked):
    """How the map follows the odometry of the robot."""

    room = 'odometry'
    flat_with_room = True

    wheels: str = knob(
        'usual',
        'How good the odometry is: good errs by 0.1 % of the way, usual by 2 % and 3 % of each '
        'turn, bad by 5 %; images correct it by so much.',
        choices=('good', 'usual', 'bad'),
    )
    planar: str = knob(
        'auto',
        'Where the odometry stays in a plane, auto keeps height, roll and pitch of the robot in '
        'the map as the odometry has them; off does not, for robots that drive up ramps.',
        choices=('auto', 'off'),
        live=True,
    )
    correction_speed: float = knob(
        0.5,
        'Speed at which map_frame to odom_frame follows corrections, in steps of 5 cm at most; '
        '0: at once.',
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


@dataclass(frozen=True)
class ReplaySettings(Checked):
    """How recorded or simulated time passes."""

    rate: float = knob(1.0, 'Speed of the replay; 2 is twice as fast.', '', 0.01, 100)
    loop: bool = knob(False, 'Start again at the end; false ends the node there.')
    loop_time: str = knob(
        'restart',
        'Stamps of a repetition, with publish_clock: restart jumps back as `ros2 bag play --loop` '
        'does, continue goes on.',
        choices=('restart', 'continue'),
    )
    publish_clock: bool = knob(
        False,
        'Publish /clock, for nodes with use_sim_time, and stamp with it; false stamps with the '
        'system time at which a message is due.',
    )
    wait_for_subscriber: bool = knob(
        True, 'Start when a node subscribes to the images, so that none is lost.'
    )
    wait_for_mapping: float = knob(
        0.0,
        'Longest time to wait, before the start, for a mapping node that is active and has loaded '
        'its network; 0: none is expected.',
        's',
        0.0,
        3600.0,
    )
    wait_for_recorder: float = knob(
        0.0,
        'Longest time to wait, before the start, for a recorder that is connected to the mapping '
        'node and to this one; 0: no recorder is expected.',
        's',
        0.0,
        3600.0,
    )


@dataclass(frozen=True)
class DriveSettings(Checked):
    """Which building is simulated, and how the camera moves through it."""

    family: str = knob('S', 'Family of buildings.', choices=('S', 'M', 'L'))
    seed: int = knob(7, 'Seed of the building, the path and the noise.', '', 0, 1_000_000)
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
    odometry_per_image: int = knob(
        4, 'Number of messages of odometry and TF for each image.', '', 1, 50
    )
    smooth: bool = knob(False, 'Smooth the edges in the images; takes longer.')
    odometry_noise: float = knob(
        1.0, 'Factor on the usual drift of wheels, about 1 %; 0: no drift.', '', 0.0, 100.0
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


@dataclass(frozen=True)
class PlayerSettings(ReplaySettings):
    """The dataset player: which recording it plays."""

    publish_clock: bool = knob(
        True,
        'Publish /clock, for nodes with use_sim_time, and keep the stamps of the recording; false '
        'stamps images with the system time at which they are due.',
    )
    input: str = knob('', 'A video, a folder of images, a recorded sequence or a rosbag2.')
    seconds: float = knob(
        0.0, 'Duration that is played, in the time of the recording; 0: all.', 's', 0.0, 86400.0
    )
    fps: float = knob(
        0.0,
        'Rate of the images of a folder, or in place of the clock of a video; 0: its own.',
        'Hz',
        0.0,
        1000.0,
    )
    camera_optical_frame: str = knob(
        'camera_optical_frame', 'Frame of the images; a bag brings its own.'
    )


@dataclass(frozen=True)
class RecorderSettings(Checked):
    """The recorder of the demo: what it writes and how often it reports."""

    output: str = knob('demo', 'Folder of the files, made if missing.')
    report_period: float = knob(5.0, 'Time between two lines in the log.', 's', 0.1, 3600.0)
    progress: bool = knob(
        False, 'Write progress.json twice a second, for a program that shows a bar.'
    )


@dataclass(frozen=True)
class ViewerSettings(Checked):
    """The viewer: where its page is, and which images it shows."""

    port: int = knob(8080, 'Port of the page on 127.0.0.1, or the next free one.', '', 1024, 65535)
    open_browser: bool = knob(False, 'Open the page in the browser.')
    image_transport: str = like(NodeSettings, 'image_transport', 'raw')
    voxel_size: float = like(MapSettings, 'voxel_size', 0.05)
