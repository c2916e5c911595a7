# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Start the node on a camera topic.

    ros2 launch ttt3r_ros mapping.launch.py image_topic:=/camera/image_raw
    ros2 launch ttt3r_ros mapping.launch.py cameras:='front back' image_topic:=/{camera}/image_raw
"""

import os
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from ttt3r_ros.players.launch_arguments import camera_remappings, is_true, MAPPING, parameters
from ttt3r_ros.players.processes import profile_variable

# Installed or in a checkout, config/ lies beside launch/. Behind links (--symlink-install) that is
# the checkout: Fast DDS reads a file twice, and complains, when it is given by a link.
SHARE = Path(__file__).resolve().parent.parent
PROFILE = str(SHARE / 'config' / 'fastdds_large_messages.xml')
PARAMS_FILE = str(SHARE / 'config' / 'mapping.yaml')


def first_camera(cameras):
    """Return the remappings of the images of the first camera, for a node that shows one."""
    return list(zip(('image', 'image/compressed'), (topic for _, topic in cameras)))


def start(context):
    """Return the processes, once the values of the arguments are known."""
    chosen = {each.name: LaunchConfiguration(each.name).perform(context) for each in MAPPING}
    simulated = {'use_sim_time': is_true(chosen['use_sim_time'])}
    image_topic = chosen['image_topic']
    cameras = camera_remappings(chosen['cameras'], image_topic, chosen['camera_info_topic'])
    tf = [('/tf', 'tf'), ('/tf_static', 'tf_static')]
    mapping = LifecycleNode(
        package='ttt3r_ros',
        executable='mapping_node',
        name='ttt3r',
        namespace=chosen['namespace'],
        parameters=[
            chosen['params_file'] or PARAMS_FILE,
            {**parameters(MAPPING, chosen), **simulated},
        ],
        remappings=[
            *cameras,
            *tf,
        ],
        arguments=['--ros-args', '--log-level', chosen['log_level']],
        respawn=is_true(chosen['respawn']),
        output='screen',
    )
    nodes = [mapping]
    if is_true(chosen['rviz']):
        layout = SHARE / 'config' / 'mapping.rviz'
        nodes.append(
            Node(
                package='rviz2',
                executable='rviz2',
                namespace=chosen['namespace'],
                arguments=['-d', str(layout)] if layout.is_file() else [],
                parameters=[simulated],
                remappings=tf,
            )
        )
    if is_true(chosen['viewer']):
        transport = {'image_transport': chosen['image_transport'] or 'raw'}
        nodes.append(
            Node(
                package='ttt3r_ros',
                executable='viewer',
                namespace=chosen['namespace'],
                parameters=[{**transport, 'open_browser': True, **simulated}],
                remappings=[*first_camera(cameras), *tf],
                output='screen',
            )
        )
    if is_true(chosen['foxglove']):
        nodes.append(
            Node(package='foxglove_bridge', executable='foxglove_bridge', parameters=[simulated])
        )
    return nodes


def generate_launch_description():
    """Declare the arguments; set the Fast DDS profile for large messages unless one is set."""
    variable = profile_variable()
    profile = [] if variable in os.environ else [SetEnvironmentVariable(variable, PROFILE)]
    arguments = [DeclareLaunchArgument(**each.declaration()) for each in MAPPING]
    return LaunchDescription([*profile, *arguments, OpaqueFunction(function=start)])
