# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Arguments of the launch files; those that set a parameter are made from its knob."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import dataclasses
from dataclasses import dataclass, replace
from typing import Any

from ttt3r_ros.settings import (
    CameraSettings,
    Checked,
    DrivenRobotSettings,
    DriveSettings,
    ModelSettings,
    NodeSettings,
    own_knob,
    PlayerSettings,
    RobotSettings,
    SettingsError,
    why_refused,
)

BOOLEANS = ('true', 'false', 'True', 'False')
FROM_FILE = 'Empty: as in params_file.'
CAMERA_NAME = '{camera}'  # in a topic
NONE = 'none'  # as a value: an empty text, for an empty value leaves the parameter to the file


@dataclass(frozen=True)
class LaunchArgument:
    """
    An argument of a launch file.

    default: None where the user must set a value. choices: the allowed values; empty where any is
    allowed. parameter: name of the parameter that it sets, or empty. knob: of that parameter.
    """

    name: str
    default: str | None
    description: str
    choices: tuple[str, ...] = ()
    parameter: str = ''
    knob: dataclasses.Field[Any] | None = None

    def declaration(self) -> dict[str, Any]:
        """Return the keyword arguments of launch's DeclareLaunchArgument."""
        return {
            'name': self.name,
            'default_value': self.default,
            'description': self.description,
            'choices': list(self.choices) or None,
        }

    def value(self, text: str) -> Any:
        """
        Return the value of the parameter.

        :param text: the text of the argument.
        :raises SettingsError: when it is not allowed.
        """
        assert self.knob is not None
        kind: Any = type(self.knob.default)
        try:
            value = is_true(text) if kind is bool else kind(text)
        except ValueError:
            raise SettingsError(f'{self.name} must be {kind.__name__}, not {text!r}') from None
        if reason := why_refused(self.knob, value):
            raise SettingsError(f'{self.name} {reason}')
        return value


def of_knob(room: type[Checked], name: str) -> LaunchArgument:
    """
    Return the argument that sets a parameter and has its default.

    :param room: the settings class with the field.
    :param name: of the field.
    """
    field = own_knob(room, name)
    is_bool = isinstance(field.default, bool)
    return LaunchArgument(
        name=room.flat_name(field),
        default=str(field.default).lower() if is_bool else str(field.default),
        description=field.metadata['sentence'],
        choices=BOOLEANS if is_bool else tuple(map(str, field.metadata['choices'])),
        parameter=room.full_name(field),
        knob=field,
    )


def over_file(room: type[Checked], name: str) -> LaunchArgument:
    """
    Return the argument that sets a parameter unless it is empty; then the file applies.

    :param room: the settings class with the field.
    :param name: of the field.
    """
    argument = of_knob(room, name)
    choices = ('', *argument.choices) if argument.choices else ()
    sentence = argument.description.replace('empty:', f'{NONE}:')
    return replace(argument, default='', description=f'{sentence} {FROM_FILE}', choices=choices)


def parameters(arguments: Iterable[LaunchArgument], given: Mapping[str, str]) -> dict[str, Any]:
    """
    Return the parameters that launch arguments set.

    :param arguments: of the launch file; those without a parameter are skipped.
    :param given: text of each argument by name; an empty text sets nothing.
    :returns: values by name of the parameter.
    :raises SettingsError: when a value is not allowed.
    """
    return {
        argument.parameter: argument.value('' if given[argument.name] == NONE else text)
        for argument in arguments
        if argument.parameter and (text := given[argument.name])
    }


def camera_remappings(cameras: str, image_topic: str, info_topic: str) -> list[tuple[str, str]]:
    """
    Return from where to where the topics of the images and calibrations lead.

    :param cameras: their names, see NodeSettings; empty: one camera.
    :param image_topic: of the images, with CAMERA_NAME where there are several cameras.
    :param info_topic: of the calibration, alike; empty: camera_info beside the images.
    :raises SettingsError: when cameras would share a topic.
    """
    names = [word.partition('=')[0] for word in cameras.split()]
    if names and image_topic == 'image':
        return []
    if len(names) > 1 and not all(
        CAMERA_NAME in topic for topic in (image_topic, info_topic or CAMERA_NAME)
    ):
        raise SettingsError(f'with cameras, the topics contain {CAMERA_NAME}, not {image_topic!r}')
    remappings = []
    for name in names or ['']:
        own = f'{name}/' if name else ''
        images = image_topic.replace(CAMERA_NAME, name)
        info = info_topic.replace(CAMERA_NAME, name) or _beside(images)
        remappings += [
            (f'{own}image', images),
            (f'{own}image/compressed', f'{images}/compressed'),
            (f'{own}camera_info', info),
        ]
    return remappings


def _beside(image_topic: str) -> str:
    """Return the topic of the calibration that belongs to images."""
    return image_topic.rpartition('/')[0] + '/camera_info' if '/' in image_topic else 'camera_info'


def is_true(text: str) -> bool:
    """
    Return the value of a Boolean argument.

    :param text: one of BOOLEANS.
    """
    return text.lower() == 'true'


def switch(name: str, default: str, description: str) -> LaunchArgument:
    """Return a Boolean argument that sets no parameter of this package."""
    return LaunchArgument(name, default, description, BOOLEANS)


MAPPING = (
    LaunchArgument(
        'image_topic',
        'image',
        'Topic of the images; compressed: IMAGE_TOPIC/compressed. With cameras it contains '
        f'{CAMERA_NAME}, which stands for the name of each.',
    ),
    LaunchArgument(
        'camera_info_topic', '', 'Topic of the calibration; empty: camera_info beside the images.'
    ),
    over_file(NodeSettings, 'cameras'),
    over_file(NodeSettings, 'image_transport'),
    over_file(NodeSettings, 'image_qos'),
    over_file(NodeSettings, 'map_frame'),
    over_file(NodeSettings, 'odom_frame'),
    over_file(NodeSettings, 'base_frame'),
    over_file(CameraSettings, 'rotation'),
    over_file(ModelSettings, 'checkpoint'),
    over_file(ModelSettings, 'device'),
    over_file(ModelSettings, 'update_rule'),
    over_file(NodeSettings, 'autostart'),
    LaunchArgument('params_file', '', 'File of parameters; empty: config/mapping.yaml.'),
    LaunchArgument('namespace', '', 'Namespace of the node and of its tf.'),
    switch('use_sim_time', 'false', 'Use the time of /clock.'),
    switch('respawn', 'false', 'Start the node again when it ends.'),
    switch('rviz', 'false', 'Open RViz.'),
    switch('viewer', 'false', 'Show the map in the browser, at http://127.0.0.1:8080.'),
    switch(
        'foxglove',
        'false',
        'Open a bridge for Foxglove at port 8765; its layout is config/foxglove_layout.json.',
    ),
    LaunchArgument(
        'log_level', 'info', 'Least severity in the log: debug, info, warn, error or fatal.'
    ),
)

DEMO = (
    switch('rviz', 'true', 'Open RViz.'),
    of_knob(DriveSettings, 'family'),
    of_knob(DriveSettings, 'seed'),
    of_knob(DriveSettings, 'seconds'),
    replace(of_knob(RobotSettings, 'loop'), default='true'),
    LaunchArgument(
        'record', '', 'Folder for the trajectory, the truth and the map, written at the end.'
    ),
)

NAV2_DEMO = (
    switch('rviz', 'true', 'Open RViz; its "2D Goal Pose" sends the robot somewhere.'),
    of_knob(DrivenRobotSettings, 'family'),
    of_knob(DrivenRobotSettings, 'seed'),
    LaunchArgument('nav2_params_file', '', 'File of parameters; empty: config/nav2_demo.yaml.'),
)

REPLAY = (
    replace(of_knob(PlayerSettings, 'input'), name='bag', default=None),
    of_knob(PlayerSettings, 'rate'),
    of_knob(PlayerSettings, 'loop'),
    replace(of_knob(PlayerSettings, 'wait_for_mapping'), default='300.0'),
)
