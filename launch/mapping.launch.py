# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Start the node on a camera topic.

    ros2 launch ttt3r_ros mapping.launch.py image_topic:=/camera/image_raw
"""

import os
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from ttt3r_ros.players.processes import profile_variable

# Installed or in a checkout, config/ lies beside launch/. Behind links (--symlink-install) that is
# the checkout: Fast DDS reads a file twice, and complains, when it is given by a link.
SHARE = Path(__file__).resolve().parent.parent
PROFILE = str(SHARE / 'config' / 'fastdds_large_messages.xml')

# Name, default, description. Empty: as in params_file.
PARAMETERS = [
    ('image_transport', '', 'raw or compressed'),
    ('image_qos', '', 'sensor_data or reliable'),
    ('map_frame', '', 'frame of the map'),
    ('odom_frame', '', 'frame of the odometry; none: there is no odometry'),
    ('base_frame', '', 'frame of the robot; none: a camera alone'),
    ('checkpoint', '', 'small, 512, 224 or a file'),
    ('device', '', 'auto, cpu, cuda or cuda:N'),
    ('update_rule', '', 'cut3r, ttt3r, brake or filt3r'),
]
MODEL = {name: f'model.{name}' for name in ('checkpoint', 'device', 'update_rule')}
ARGUMENTS = [
    ('image_topic', 'image', 'images; compressed ones are at IMAGE_TOPIC/compressed'),
    ('camera_info_topic', '', 'calibration; empty: camera_info beside the images'),
    *PARAMETERS,
    ('namespace', '', 'of the node, and of its tf'),
    ('use_sim_time', 'false', 'follow /clock'),
    ('autostart', 'true', 'false waits for a lifecycle manager'),
    ('respawn', 'false', 'start the node again when it ends'),
    ('rviz', 'false', 'open RViz'),
    ('viewer', 'false', 'open a bridge for Foxglove at port 8765'),
    ('log_level', 'info', 'debug, info, warn, error'),
    ('params_file', str(SHARE / 'config' / 'mapping.yaml'), 'parameters of the node'),
]


def beside(image_topic):
    """Give the topic of the calibration that belongs to images."""
    return image_topic.rpartition('/')[0] + '/camera_info' if '/' in image_topic else 'camera_info'


def start(context):
    """Make the processes, now that the arguments are known."""
    chosen = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    overrides = {
        MODEL.get(name, name): '' if chosen[name] == 'none' else chosen[name]
        for name, _, _ in PARAMETERS
        if chosen[name]
    }
    overrides['use_sim_time'] = chosen['use_sim_time'] == 'true'
    overrides['autostart'] = chosen['autostart'] == 'true'
    image_topic = chosen['image_topic']
    tf = [('/tf', 'tf'), ('/tf_static', 'tf_static')]
    mapping = LifecycleNode(
        package='ttt3r_ros',
        executable='mapping_node',
        name='ttt3r',
        namespace=chosen['namespace'],
        parameters=[chosen['params_file'], overrides],
        remappings=[
            ('image', image_topic),
            ('image/compressed', f'{image_topic}/compressed'),
            ('camera_info', chosen['camera_info_topic'] or beside(image_topic)),
            *tf,
        ],
        arguments=['--ros-args', '--log-level', chosen['log_level']],
        respawn=chosen['respawn'] == 'true',
        output='screen',
    )
    nodes = [mapping]
    simulated = [{'use_sim_time': overrides['use_sim_time']}]
    if chosen['rviz'] == 'true':
        layout = SHARE / 'config' / 'mapping.rviz'
        nodes.append(
            Node(
                package='rviz2',
                executable='rviz2',
                namespace=chosen['namespace'],
                arguments=['-d', str(layout)] if layout.is_file() else [],
                parameters=simulated,
                remappings=tf,
            )
        )
    if chosen['viewer'] == 'true':
        nodes.append(
            Node(package='foxglove_bridge', executable='foxglove_bridge', parameters=simulated)
        )
    return nodes


def generate_launch_description():
    """Declare the arguments; large messages travel by the profile unless another one is set."""
    variable = profile_variable()
    profile = [] if variable in os.environ else [SetEnvironmentVariable(variable, PROFILE)]
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in ARGUMENTS
    ]
    return LaunchDescription([*profile, *arguments, OpaqueFunction(function=start)])
