# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""replay.launch.py as `ros2 launch` runs it: the first image of a bag is mapped."""

import importlib.util
import os
import subprocess
import sys

from geometry_msgs.msg import PoseWithCovarianceStamped
import pytest

from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.node import messages
from ttt3r_ros.players.processes import NODES
from ttt3r_ros.tools.main import main

RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

source = PythonLaunchDescriptionSource(sys.argv[1])
given = [tuple(text.split(':=', 1)) for text in sys.argv[2:]]
service = LaunchService()
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=given)])
)
raise SystemExit(service.run())
"""

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec('launch') and importlib.util.find_spec('launch_ros')),
    reason='launch and launch_ros are not importable: they have no wheels, only apt has them',
)


@pytest.fixture
def installation(tmp_path):
    """Return a prefix in which `launch_ros` finds the executables of the package."""
    prefix = tmp_path / 'prefix'
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    programs = prefix / 'lib' / 'ttt3r_ros'
    for folder in (index, programs):
        folder.mkdir(parents=True)
    (index / 'ttt3r_ros').touch()
    for name, module in NODES.items():
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        program.chmod(0o755)
    return prefix


def test_the_launch_file_maps_a_bag_from_its_first_image_on(
    rig, domain, repository, installation, tmp_path
):
    drive = tmp_path / 'drive'
    bag = drive / 'bag'
    size = ['--width', '96', '--height', '64', '--image-rate', '4', '--seconds', '2']
    assert main(['simulate', '--output', str(drive), '--bag', *size]) == 0
    stamps = [frame.stamp_ns for frame in open_source(str(bag)).frames(1)]
    poses = []
    rig.robot.create_subscription(PoseWithCovarianceStamped, '/ttt3r/pose', poses.append, 100)
    environment = {
        **os.environ,
        'ROS_DOMAIN_ID': str(domain),
        'AMENT_PREFIX_PATH': f'{installation}:{os.environ.get("AMENT_PREFIX_PATH", "")}',
        'ROS_LOG_DIR': str(tmp_path / 'log'),
    }
    launch_file = repository / 'launch' / 'replay.launch.py'
    given = [f'bag:={bag}', 'image_topic:=/camera/image_raw', 'checkpoint:=small']
    with (tmp_path / 'output').open('w+') as output:
        process = subprocess.Popen(
            [sys.executable, '-c', RUN, str(launch_file), *given],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            rig.spin_until(lambda: process.poll() is not None, 'the launch ends', seconds=120.0)
        finally:
            process.terminate()
        output.seek(0)
        told = output.read()

    assert process.returncode == 0, told
    mapped = [messages.nanoseconds(pose.header.stamp) for pose in poses]
    assert mapped[:1] == stamps[:1], told
    assert 'Traceback' not in told
