# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Every knob of the program, once: default, sentence, unit, range."""

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

    :param default: the value that works for most; its type is the setting's type.
    :param sentence: what the setting does, one sentence for people.
    :param unit: physical unit, empty where there is none.
    :param low: smallest value allowed, or None.
    :param high: largest value allowed, or None.
    :param choices: the only strings allowed; empty means any.
    :param live: whether a running node may change it.
    :returns: a dataclass field that carries all of it as metadata.
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
            name, value, wanted = self.full_name(field), getattr(self, field.name), field.default
            kind = type(wanted)
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise SettingsError(
                    f'{name} must be {kind.__name__}, not {value!r} ({type(value).__name__})'
                )
            _check_range(name, field, value)


def _check_range(name: str, field: dataclasses.Field[Any], value: Any) -> None:
    low, high = field.metadata['low'], field.metadata['high']
    choices, unit = field.metadata['choices'], field.metadata['unit']
    if choices and value not in choices:
        raise SettingsError(f'{name} must be one of {", ".join(choices)}, not {value!r}')
    # Written so that NaN, which compares false with everything, is refused too.
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        allowed = f'{"-inf" if low is None else low} to {"inf" if high is None else high}'
        raise SettingsError(f'{name} is {value}, allowed is {allowed} {unit}'.rstrip())


def own_knobs(kind: type[Checked]) -> list[dataclasses.Field[Any]]:
    """Return the fields of a class of settings that are knobs."""
    return [field for field in dataclasses.fields(kind) if 'sentence' in field.metadata]


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


@dataclass(frozen=True)
class ModelSettings(Checked):
    """How the network is loaded and how its state is written."""

    room = 'model'

    checkpoint: str = knob(
        '',
        'Checkpoint: a file (.safetensors, .pth) or a name (small, 512, 224); empty: best here.',
    )
    device: str = knob('auto', 'Where the network runs: auto, cpu, cuda or cuda:N.')
    precision: str = knob(
        'auto',
        'Arithmetic: strict is float32 throughout, fast uses bfloat16 where it is exact enough, '
        'int8 stores most weights as int8, for small GPUs and large networks on CPUs; '
        'auto picks fast where the device has fast bfloat16.',
        choices=('auto', 'strict', 'fast', 'int8'),
    )
    update_rule: str = knob(
        'ttt3r',
        'How a frame is written into the recurrent state.',
        choices=('cut3r', 'ttt3r', 'brake', 'filt3r'),
    )
    gain_scale: float = knob(
        -1.0,
        'Factor on the gain of the update rule; negative: what the maker of the checkpoint '
        'advises for this rule (mostly 1).',
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
        'Start a new segment after this many frames; 0 never does, -1 does what the maker of the '
        'checkpoint advises (mostly never).',
        'frames',
        -1,
        1_000_000,
    )
    overlap_frames: int = knob(
        1, 'Frames of the old segment that are fed again to the new one.', 'frames', 1, 16
    )
    segment_scale: str = knob(
        'auto',
        'Scale between segments: auto estimates it and keeps 1 unless the evidence is strong, '
        'fixed always keeps 1, free always applies the estimate.',
        choices=('auto', 'fixed', 'free'),
    )


@dataclass(frozen=True)
class MapSettings(Checked):
    """Which points the map keeps."""

    room = 'map'

    confidence_threshold: float = knob(
        1.5,
        'Points of a lower confidence stay out of the map.',
        '',
        1.0,
        1000.0,
        live=True,
    )
    voxel_size: float = knob(0.05, 'Edge of one voxel of the map.', 'm', 0.001, 10.0)
    max_voxels: int = knob(
        2_000_000,
        'Most voxels kept; beyond it the oldest are dropped.',
        'voxels',
        1000,
        100_000_000,
    )
    max_range: float = knob(
        20.0,
        'Points farther from the camera stay out of the map.',
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
        True, 'Keep an occupancy grid: what is free, occupied and unknown. The node publishes it.'
    )
    resolution: float = knob(0.05, 'Edge of one of its cells.', 'm', 0.02, 1.0)
    min_height: float = knob(
        0.2, 'What is lower counts as floor, above the floor or below it.', 'm', 0.02, 0.5
    )
    max_height: float = knob(
        1.8, 'What is higher is no obstacle: the robot passes below.', 'm', 0.5, 10.0
    )
    range: float = knob(
        4.0, 'Farther from the camera nothing is marked or cleared.', 'm', 0.5, 20.0
    )
    max_side: float = knob(
        100.0,
        'Longest side of the grid; beyond it the side that the robot left is forgotten.',
        'm',
        50.0,
        200.0,
    )


@dataclass(frozen=True)
class CameraSettings(Checked):
    """Where a camera is that no robot carries."""

    room = 'camera'
    flat_with_room = True

    height: float = knob(
        0.0,
        'Of a camera alone (no base_frame) above a level floor; 0: not known, so there is no '
        'occupancy grid. With a base_frame the floor is its plane z = 0.',
        'm',
        0.0,
        100.0,
    )


@dataclass(frozen=True)
class OdometrySettings(Checked):
    """How the map follows the odometry of the robot."""

    room = 'odometry'
    flat_with_room = True

    scale: str = knob(
        'auto',
        "The map's unit of length where somebody else is the odometry: auto takes over that of "
        'the odometry when it differs clearly, report only says so in the diagnostics.',
        choices=('auto', 'report'),
        live=True,
    )


@dataclass(frozen=True)
class MappingSettings(Checked):
    """How images become a map: what a mapper takes."""

    tracking: TrackingSettings = dataclasses.field(default_factory=TrackingSettings)
    map: MapSettings = dataclasses.field(default_factory=MapSettings)
    occupancy: OccupancySettings = dataclasses.field(default_factory=OccupancySettings)
    camera: CameraSettings = dataclasses.field(default_factory=CameraSettings)
    odometry: OdometrySettings = dataclasses.field(default_factory=OdometrySettings)


@dataclass(frozen=True)
class InputSettings(Checked):
    """Which images the node accepts."""

    room = 'inputs'

    require_camera_info: bool = knob(
        False,
        'Drop images without a usable calibration; false maps them with an estimated focal '
        'length and says so.',
        live=True,
    )
    bad_stamps: str = knob(
        'refuse',
        'What happens to an image whose stamp is 0 or farther from the clock than '
        'stamp_tolerance: refuse drops it, restamp gives it the time of its arrival, accept '
        'trusts it.',
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
        'when a bag starts again: the map starts anew. Up to this it is only out of order.',
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

    rate: float = knob(30.0, 'How often map_frame to odom_frame is sent.', 'Hz', 1.0, 100.0)
    timeout: float = knob(
        0.2,
        'How long an image waits for the transforms of its stamp.',
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
        'Every so many rows and columns of the image give a point of ~/points.',
        '',
        1,
        32,
        live=True,
    )
    map_cloud_period: float = knob(
        1.0,
        'Least time between two clouds of the whole map.',
        's',
        0.05,
        3600.0,
        live=True,
    )
    map_cloud_max_points: int = knob(
        500_000,
        'Most points of ~/map_cloud; a larger map is thinned evenly.',
        '',
        1,
        10_000_000,
        live=True,
    )
    occupancy_period: float = knob(
        1.0, 'Least time between two occupancy grids.', 's', 0.05, 3600.0, live=True
    )
    path_step: float = knob(0.05, 'The path gets a pose after moving so far.', 'm', 0.0, 100.0)
    path_max_poses: int = knob(
        5000,
        'Most poses of the path; beyond it the oldest go.',
        '',
        2,
        1_000_000,
        live=True,
    )
    position_deviation: float = knob(
        0.1,
        'Standard deviation that ~/pose and ~/odometry state, per axis.',
        'm',
        0.0,
        100.0,
        live=True,
    )
    rotation_deviation: float = knob(
        0.05,
        'Standard deviation that ~/pose and ~/odometry state, per axis.',
        'rad',
        0.0,
        4.0,
        live=True,
    )


@dataclass(frozen=True)
class DiagnosticsSettings(Checked):
    """What the node reports as a fault."""

    room = 'diagnostics'

    min_image_rate: float = knob(
        1.0,
        'Fewer mapped images than this are reported as a fault.',
        'Hz',
        0.0,
        1000.0,
        live=True,
    )
    stale_timeout: float = knob(
        2.0,
        'Without a mapped image for so long the pose counts as stale.',
        's',
        0.1,
        3600.0,
        live=True,
    )


@dataclass(frozen=True)
class NodeSettings(Checked):
    """How the ROS 2 node meets the robot: topics, frames, stamps, rates and files."""

    autostart: bool = knob(
        True, 'Configure and activate by itself; false waits for a lifecycle manager.'
    )
    image_transport: str = knob(
        'raw',
        'Which topic brings images: raw is image, compressed is image/compressed.',
        choices=('raw', 'compressed'),
    )
    image_qos: str = knob(
        'sensor_data',
        'Quality of service for images and camera_info: sensor_data is best effort and hears '
        'every publisher, reliable asks for lost images again.',
        choices=('sensor_data', 'reliable'),
    )
    map_frame: str = knob('map', 'Frame of the map, z up.')
    odom_frame: str = knob('odom', 'Frame of the odometry; empty: there is none.')
    base_frame: str = knob('base_link', 'Frame of the robot.')
    camera_optical_frame: str = knob(
        '', 'Optical frame of the camera; empty: the frame_id of the images.'
    )
    publish_map_to_odom_tf: bool = knob(
        True,
        "Broadcast map_frame to odom_frame (to base_frame without one); needs somebody's "
        'odom_frame to base_frame, or publish_odom_to_base_tf.',
    )
    publish_odom_to_base_tf: bool = knob(
        False, 'Be the odometry: broadcast odom_frame to base_frame and publish ~/odometry.'
    )
    transform_tolerance: float = knob(
        0.3,
        'How far map_frame to odom_frame is dated ahead.',
        's',
        0.0,
        10.0,
        live=True,
    )
    map_directory: str = knob(
        '~/.ros/ttt3r_maps', 'The only folder in which maps are saved and looked for.'
    )
    map_file: str = knob(
        'map.ttt3r',
        'File of ~/save_map and ~/load_map, a path inside map_directory.',
        live=True,
    )
    export_file: str = knob(
        'map.ply',
        'File of ~/export_cloud (.ply or .pcd), a path inside map_directory.',
        live=True,
    )

    inputs: InputSettings = dataclasses.field(default_factory=InputSettings)
    tf: TransformSettings = dataclasses.field(default_factory=TransformSettings)
    outputs: OutputSettings = dataclasses.field(default_factory=OutputSettings)
    diagnostics: DiagnosticsSettings = dataclasses.field(default_factory=DiagnosticsSettings)


@dataclass(frozen=True)
class ReplaySettings(Checked):
    """How a recorded or simulated time passes."""

    rate: float = knob(1.0, 'Speed of the time that is played, 2 is twice as fast.', '', 0.01, 100)
    loop: bool = knob(False, 'Begin again at the end; false ends the node there.')
    loop_time: str = knob(
        'restart',
        'What the stamps do when a loop begins again, given publish_clock: restart jumps back as '
        '`ros2 bag play --loop` does, continue lets them grow.',
        choices=('restart', 'continue'),
    )
    publish_clock: bool = knob(
        False,
        'Publish /clock, for nodes with use_sim_time, and stamp with it; false stamps with the '
        "system's time at which a message is due.",
    )
    wait_for_subscriber: bool = knob(
        True, 'Let time begin when somebody subscribes to the images, so that none is lost.'
    )
    wait_for_recorder: float = knob(
        0.0,
        'Let time begin when a recorder, too, hears the mapping node and this one, so that it '
        'misses nothing; after so long without one time begins all the same. 0: wait for none.',
        's',
        0.0,
        3600.0,
    )


@dataclass(frozen=True)
class RobotSettings(ReplaySettings):
    """Where the simulated robot drives, and what it carries."""

    family: str = knob('S', 'Kind of building.', choices=('S', 'M', 'L'))
    seed: int = knob(7, 'Chooses the building, the way and the noise.', '', 0, 1_000_000)
    seconds: float = knob(60.0, 'How long it drives.', 's', 1.0, 86400.0)
    speed: float = knob(0.6, 'Its largest speed.', 'm/s', 0.05, 3.0)
    image_rate: float = knob(10.0, 'Images a second.', 'Hz', 0.1, 120.0)
    odometry_per_image: int = knob(
        4, 'Odometry and TF are sent so often for each image.', '', 1, 50
    )
    width: int = knob(320, 'Columns of an image.', 'pixels', 16, 4096)
    height: int = knob(240, 'Rows of an image.', 'pixels', 16, 4096)
    field_of_view: float = knob(70.0, 'From the left edge to the right.', 'degrees', 10.0, 150.0)
    camera_height: float = knob(0.8, 'Of the camera above the floor.', 'm', 0.2, 1.7)
    camera_tilt: float = knob(0.0, 'Of the camera, positive looks up.', 'rad', -1.0, 1.0)
    smooth: bool = knob(False, 'Smooth the edges in the images; takes longer.')
    image_noise: float = knob(2.0, 'Noise of the camera, of 255 grey levels.', '', 0.0, 50.0)
    odometry_noise: float = knob(
        1.0, 'Factor on the usual drift of wheels, about 1 %; 0 is exact.', '', 0.0, 100.0
    )
    odom_frame: str = knob('odom', 'Frame in which the odometry is.')
    base_frame: str = knob('base_link', 'Frame of the robot.')
    camera_optical_frame: str = knob('camera_optical_frame', 'Frame of the images.')


@dataclass(frozen=True)
class PlayerSettings(ReplaySettings):
    """Which recording is played."""

    publish_clock: bool = knob(
        True,
        'Publish /clock, for nodes with use_sim_time, and keep the stamps of the recording; false '
        "stamps images with the system's time at which they are due.",
    )
    input: str = knob('', 'A video, a folder of images, a recorded sequence or a rosbag2.')
    seconds: float = knob(0.0, 'Play so much of it, in its own time; 0: all.', 's', 0.0, 86400.0)
    fps: float = knob(
        0.0, 'Images a second, of a folder or in place of the clock of a video; 0: its own.', 'Hz',
        0.0, 1000.0,
    )  # fmt: skip
    camera_optical_frame: str = knob(
        'camera_optical_frame', 'Frame of the images; a bag brings its own.'
    )


@dataclass(frozen=True)
class RecorderSettings(Checked):
    """What the recorder of the demo writes, and how often it speaks."""

    output: str = knob('demo', 'Folder for the files, made if missing.')
    report_period: float = knob(5.0, 'Between two lines in the log.', 's', 0.1, 3600.0)
