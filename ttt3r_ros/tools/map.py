# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Compute a map and a trajectory from images."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ttt3r_ros.arrays import Array
from ttt3r_ros.atomic import output_folder
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.inputs.calibration_files import read_intrinsics
from ttt3r_ros.inputs.odometry import AUTO, OdometryChoice
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.settings import MappingSettings, ModelSettings
from ttt3r_ros.tools.options import (
    add_settings,
    named_path,
    positive_float,
    positive_int,
    read_settings,
)
from ttt3r_ros.tools.published import switch_off
from ttt3r_ros.tools.stop import stop_on_signal
from ttt3r_ros.tools.terminal import print_next
from ttt3r_ros.viewer.optional import PAGE
from ttt3r_ros.viewer.showing import started, wait_for_interrupt

if TYPE_CHECKING:
    from ttt3r_ros.viewer.viewer import Viewer

EXAMPLES = """examples:
  ttt3r map video.mp4 --output out
  ttt3r map photos/ --output out --fps 2 --intrinsics camera.json
  ttt3r map bag/ --output out --topic /camera/image_raw --frame-step 3
  ttt3r map drive.mp4 --output out --camera-height 0.8 --overwrite
  ttt3r map drive.mp4 --output out --config config/mapping.yaml
  ttt3r map drive.mp4 --output out --view    watch the map grow in the browser
  ttt3r map 0 --output out                   the first camera, until Ctrl-C
  ttt3r map monday/ --output out --save-map house.ttt3r
  ttt3r map tuesday/ --output out --load-map house.ttt3r --localize --start-pose 1.5 0 90

The odometry of a bag (TF odom -> base_link, else an Odometry topic) or a sequence (odometry.txt)
determines the pose and the scale of the map.

writes into the output folder
  trajectory.txt  stamp tx ty tz qx qy qz qw of each frame (map_T_camera, TUM format)
  map.ply         points with colour and confidence, metres, x forward, y left, z up
  summary.json    frames, speed, memory, checkpoint, settings and versions
  gate.npz        how much of each state token each image rewrote
  map.html        the map in 3D, for any browser; needs the extra viewer
  view.npz        what `ttt3r view` shows besides: small images, key frames, loops
  preview.png     the map with the cameras, from above, some images with their depth
  before_jump_1/  all this of the images before the clock was set back, where it was
  map.pgm, .yaml  where the floor is found: occupancy grid for map_server

Ctrl-C ends the run after the current frame and writes all files; the exit code is then 130, or
0 for a camera, whose run has no other end."""


# Any of these shows that a run has written into a folder.
RESULTS = ('trajectory.txt', 'map.ply', 'summary.json')

FILE_LOST = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    parser.add_argument(
        'input',
        metavar='INPUT',
        help='a video, a folder of images, a recorded sequence (timestamps.txt beside video.mp4 '
        'or frames/), a rosbag2 or the number of a camera',
    )
    parser.add_argument(
        '--output',
        type=named_path,
        required=True,
        metavar='DIR',
        help='output folder, created if missing',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the results of an earlier run in DIR'
    )
    parser.add_argument(
        '--config',
        type=named_path,
        metavar='FILE',
        help='parameters of the node in YAML, such as config/mapping.yaml; the options of the '
        'command line go before them',
    )
    odometry = add_reading(parser)
    odometry.add_argument(
        '--start-pose',
        type=float,
        nargs=3,
        metavar=('X', 'Y', 'YAW'),
        help='of the robot at the first image, metres and degrees in the map',
    )
    saved = parser.add_argument_group('saved maps')
    saved.add_argument('--save-map', type=named_path, metavar='FILE', help='written at the end')
    saved.add_argument('--load-map', type=named_path, metavar='FILE', help='map that is extended')
    saved.add_argument(
        '--localize',
        action='store_true',
        help='localize the camera in the loaded map, which is not changed',
    )
    parser.add_argument(
        '--gates',
        action='store_true',
        help='draw gate.png, too: how much of the state each image rewrote, over time and over '
        'some images',
    )
    parser.add_argument(
        '--depth',
        action='store_true',
        help='write depth/NNNNNN.png too: 16 bit, millimetres, at the size of the images '
        '(undistorted where the camera is calibrated)',
    )
    parser.add_argument(
        '--view',
        action='store_true',
        help='show the map in the browser while it grows, and afterwards until Ctrl-C',
    )
    add_settings(parser, ModelSettings)
    add_settings(parser, MappingSettings)


def add_reading(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """
    Add the options of images, calibration and odometry.

    :param parser: parser of the command.
    :returns: the group of the odometry.
    """
    parser.add_argument('--topic', default='', help='topic of the images, where a bag has several')
    parser.add_argument(
        '--fps',
        type=positive_float,
        metavar='X',
        help='images per second: of a folder (default 1), of a video in place of its clock, '
        'requested from a camera',
    )
    parser.add_argument(
        '--frame-step', type=positive_int, default=1, metavar='N', help='read every N-th image'
    )
    parser.add_argument(
        '--max-frames', type=positive_int, metavar='N', help='stop after N mapped images'
    )
    calibration = parser.add_mutually_exclusive_group()
    calibration.add_argument(
        '--intrinsics',
        type=named_path,
        metavar='FILE',
        help='camera.json, or the calibration of ROS, OpenCV, Kalibr, '
        'ORB-SLAM, COLMAP, Nerfstudio or Open3D',
    )
    calibration.add_argument(
        '--no-intrinsics', action='store_true', help='ignore the calibration found in the input'
    )
    odometry = parser.add_argument_group('odometry', 'of the robot, in a bag or sequence')
    odometry.add_argument(
        '--odometry',
        default=AUTO,
        metavar='TOPIC',
        help='auto (the default): that of the input; none; or a topic of TF or Odometry',
    )
    odometry.add_argument('--odom-frame', default='odom', metavar='FRAME')
    odometry.add_argument(
        '--base-frame', default='base_link', metavar='FRAME', help='of the robot'
    )
    parser.add_argument(
        '--as-published',
        action='store_true',
        help='switch everything off that the published demo does not have: segments, features, '
        'key frames and loops, the guard, calibration and odometry; other options stay as given',
    )
    return odometry


def run(arguments: argparse.Namespace) -> int:
    """
    Map the input and write the results.

    :param arguments: the parsed options.
    :returns: 0, 1 when a file could not be written, or 130 when Ctrl-C cut a recording short.
    """
    with started() if arguments.view else nullcontext() as viewer:
        code = _map(arguments, viewer)
        if viewer is not None and code == 0:
            wait_for_interrupt()
    return code


def _map(arguments: argparse.Namespace, viewer: Viewer | None) -> int:
    if arguments.as_published:
        switch_off(arguments)
    model_settings = read_settings(arguments, ModelSettings)
    mapping_settings = read_settings(arguments, MappingSettings)
    own_intrinsics = not (arguments.no_intrinsics or arguments.intrinsics)
    if arguments.localize and not arguments.load_map:
        raise UserError('--localize needs a map: --load-map FILE')
    odometry = OdometryChoice(arguments.odometry, arguments.odom_frame, arguments.base_frame)
    refuse_output(arguments.input, arguments.output)
    if not arguments.overwrite:
        refuse_results(arguments.output)
    source = open_source(arguments.input, arguments.topic, arguments.fps, own_intrinsics, odometry)
    calibration, calibration_note = source.intrinsics, source.calibration
    if arguments.intrinsics:
        calibration = read_intrinsics(arguments.intrinsics)
        calibration_note = f'read from {arguments.intrinsics}'
    with output_folder(arguments.output) as folder, stop_on_signal() as stop:
        # Here, not at the top: errors above are reported before torch is loaded.
        from ttt3r_ros.tools.depth_images import DepthFolder
        from ttt3r_ros.tools.mapping_run import MappingRun
        from ttt3r_ros.tools.truth import simulated_drive

        mapping = MappingRun(model_settings, mapping_settings, calibration, calibration_note)
        mapping.compare_with(simulated_drive(Path(arguments.input)))
        mapping.begin(arguments.load_map, arguments.localize, start_pose(arguments.start_pose))
        if arguments.gates:
            mapping.draw_gates()
        if viewer is not None:
            from ttt3r_ros.viewer.live import LiveView

            mapping.watch(LiveView(viewer).show)
        depth = DepthFolder(folder / 'depth') if arguments.depth else None
        mapping.map(source, arguments.frame_step, arguments.max_frames, depth, folder, stop)
        scene = mapping.write(folder, source.name, stop)
        if viewer is not None:
            viewer.take(lambda: scene)
        print(mapping.report(), f'-> {folder}')
        if arguments.save_map:
            print(mapping.save(arguments.save_map))
        print_next(what_to_open(folder))
    if mapping.failed:
        return FILE_LOST
    if stop.signal_number and not source.live:
        return 128 + stop.signal_number
    return 0


def what_to_open(folder: Path) -> str:
    """
    Return the advice to open the pictures of a run.

    :param folder: with preview.png, and map.html where the extra viewer is installed; the files
        that could not be written are missing.
    """
    files = [path for name in ('preview.png', PAGE) if (path := folder / name).is_file()]
    return f'open {", ".join(map(str, files)) or folder}'


def refuse_output(name: str, output: Path) -> None:
    """
    Refuse to write among the images that are read: another run would read the results.

    :param name: of the input.
    :param output: folder of the results.
    :raises UserError: naming it.
    """
    read = Path(os.path.realpath(name))  # Path.resolve fails at a loop of links
    if read.is_dir() and Path(os.path.realpath(output)) in (read, read / 'frames', read / 'rgb'):
        raise UserError(f'--output {output} is the input itself: choose another folder')


def refuse_results(output: Path) -> None:
    """
    Refuse to replace what an earlier run has written.

    :param output: folder of the results.
    :raises UserError: naming the option that allows it.
    """
    if any((output / name).is_file() for name in RESULTS):
        raise UserError(
            f'{output} has the results of an earlier run: choose another --output, or replace '
            'them with --overwrite'
        )


def start_pose(numbers: list[float] | None) -> Array | None:
    """
    Return the pose of --start-pose.

    :param numbers: x and y, metres, and yaw, degrees, in the map; or None.
    :returns: (4, 4) map_T_base, or None.
    """
    if numbers is None:
        return None
    x, y, yaw = numbers
    return transform(rotation_about([0, 0, 1], math.radians(yaw)), [x, y, 0.0])
