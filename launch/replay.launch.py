# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Map a recording. Takes the arguments of mapping.launch.py, too.

    ros2 launch ttt3r_ros replay.launch.py bag:=drive/ image_topic:=/camera/image_raw
    ros2 launch ttt3r_ros replay.launch.py bag:=video.mp4 odom_frame:=none base_frame:=none
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

from ttt3r_ros.players.launch_arguments import parameters, REPLAY

MAPPING_FILE = Path(__file__).resolve().with_name('mapping.launch.py')


def start(context):
    """Return the player node, once the values of the arguments are known."""
    chosen = {each.name: LaunchConfiguration(each.name).perform(context) for each in REPLAY}
    player = Node(
        package='ttt3r_ros',
        executable='dataset_player',
        parameters=[parameters(REPLAY, chosen)],
        output='screen',
        on_exit=[Shutdown(reason='the recording has ended')],
    )
    return [player]


def generate_launch_description():
    """Declare the arguments; the mapping node follows the clock of the player."""
    arguments = [DeclareLaunchArgument(**each.declaration()) for each in REPLAY]
    mapping = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(MAPPING_FILE)),
        launch_arguments={'use_sim_time': 'true'}.items(),
    )
    return LaunchDescription([*arguments, mapping, OpaqueFunction(function=start)])
