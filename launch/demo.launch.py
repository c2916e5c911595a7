# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Map the drive of a simulated robot. The arguments of mapping.launch.py may be given too.

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

MAPPING = Path(__file__).resolve().with_name('mapping.launch.py')

ARGUMENTS = [
    ('rviz', 'true', 'open RViz'),
    ('family', 'S', 'of the building: S, M or L'),
    ('seed', '7', 'chooses the building, the way and the noise'),
    ('seconds', '60.0', 'how long the robot drives'),
    ('loop', 'true', 'begin the drive again at its end; false ends the launch there'),
    ('record', '', 'folder for the trajectory, the truth and the map, written at the end'),
]


def start(context):
    """Make the robot and the recorder, now that the arguments are known."""
    chosen = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    robot = Node(
        package='ttt3r_ros',
        executable='simulated_robot',
        parameters=[
            {
                'family': chosen['family'],
                'seed': int(chosen['seed']),
                'seconds': float(chosen['seconds']),
                'loop': chosen['loop'] == 'true',
                'wait_for_recorder': 120.0 if chosen['record'] else 0.0,
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
    """Declare the arguments; the mapping node hears the robot on `image`."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in ARGUMENTS
    ]
    mapping = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(MAPPING)),
        launch_arguments={'image_topic': 'image', 'rviz': LaunchConfiguration('rviz')}.items(),
    )
    return LaunchDescription([*arguments, mapping, OpaqueFunction(function=start)])
