# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Map the drive of a simulated robot. Takes the arguments of mapping.launch.py, too.

    ros2 launch ttt3r_ros demo.launch.py
    ros2 launch ttt3r_ros demo.launch.py rviz:=false record:=demo loop:=false
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from ttt3r_ros.players.launch_arguments import DEMO, parameters

MAPPING_FILE = Path(__file__).resolve().with_name('mapping.launch.py')
RECORDER_TIMEOUT_S = 120.0


def start(context):
    """Return the robot and recorder nodes, once the values of the arguments are known."""
    chosen = {each.name: LaunchConfiguration(each.name).perform(context) for each in DEMO}
    robot = Node(
        package='ttt3r_ros',
        executable='simulated_robot',
        parameters=[
            {
                **parameters(DEMO, chosen),
                'wait_for_recorder': RECORDER_TIMEOUT_S if chosen['record'] else 0.0,
            }
        ],
        output='screen',
        on_exit=[Shutdown(reason='the drive has ended')],
    )
    if not chosen['record']:
        return [robot]
    recorder = Node(
        package='ttt3r_ros',
        executable='recorder',
        parameters=[{'output': chosen['record']}],
        output='screen',
    )
    return [recorder, robot]


def generate_launch_description():
    """Declare the arguments; the mapping node subscribes to `image` of the robot."""
    arguments = [DeclareLaunchArgument(**each.declaration()) for each in DEMO]
    mapping = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(MAPPING_FILE)),
        launch_arguments={'image_topic': 'image', 'rviz': LaunchConfiguration('rviz')}.items(),
    )
    return LaunchDescription([*arguments, mapping, OpaqueFunction(function=start)])
