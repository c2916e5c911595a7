# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Drive a simulated robot with Nav2 on the map of its camera. Takes those of mapping.launch.py, too.

    ros2 launch ttt3r_ros nav2_demo.launch.py
    ros2 launch ttt3r_ros nav2_demo.launch.py seed:=3 rviz:=false

Then set a goal with "2D Goal Pose" in RViz. Nav2 has no other sensor and no other localization.
"""

import os
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from ttt3r_ros.players.launch_arguments import is_true, NAV2_DEMO, parameters

MAPPING_FILE = Path(__file__).resolve().with_name('mapping.launch.py')
CONFIG = Path(__file__).resolve().parent.parent / 'config'
PARAMS_FILE = str(CONFIG / 'nav2_demo.yaml')

# Package and executable of the nodes of Nav2, in the order in which they are started. Not
# nav2_bringup: what it starts, and needs parameters for, is another set in each distribution.
NAV2 = (
    ('nav2_planner', 'planner_server'),
    ('nav2_controller', 'controller_server'),
    ('nav2_behaviors', 'behavior_server'),
    ('nav2_bt_navigator', 'bt_navigator'),
)

# Plugins that have these names until Iron, and :: between the words since Jazzy.
UNTIL_IRON = {
    'planner_server': {'GridBased.plugin': 'nav2_navfn_planner/NavfnPlanner'},
    'behavior_server': {
        'spin.plugin': 'nav2_behaviors/Spin',
        'backup.plugin': 'nav2_behaviors/BackUp',
        'wait.plugin': 'nav2_behaviors/Wait',
    },
}


def start(context):
    """Return the robot, the nodes of Nav2, their manager and RViz."""
    chosen = {each.name: LaunchConfiguration(each.name).perform(context) for each in NAV2_DEMO}
    params_file = chosen['nav2_params_file'] or PARAMS_FILE
    old = UNTIL_IRON if os.environ.get('ROS_DISTRO') in ('humble', 'iron') else {}
    nodes = [
        Node(
            package='ttt3r_ros',
            executable='driven_robot',
            parameters=[parameters(NAV2_DEMO, chosen)],
            output='screen',
        )
    ]
    nodes += [
        Node(
            package=package,
            executable=executable,
            name=executable,
            parameters=[params_file, old.get(executable, {})],
            output='screen',
        )
        for package, executable in NAV2
    ]
    nodes.append(
        Node(
            package='nav2_lifecycle_manager',
            executable='lifecycle_manager',
            name='lifecycle_manager_navigation',
            parameters=[{'autostart': True, 'node_names': [executable for _, executable in NAV2]}],
            output='screen',
        )
    )
    if is_true(chosen['rviz']):
        nodes.append(
            Node(
                package='rviz2',
                executable='rviz2',
                arguments=['-d', str(CONFIG / 'nav2_demo.rviz')],
            )
        )
    return nodes


def generate_launch_description():
    """Declare the arguments; the mapping node subscribes to `image` of the robot."""
    arguments = [DeclareLaunchArgument(**each.declaration()) for each in NAV2_DEMO]
    mapping = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(MAPPING_FILE)),
        launch_arguments={'image_topic': 'image', 'rviz': 'false'}.items(),
    )
    return LaunchDescription([*arguments, mapping, OpaqueFunction(function=start)])
