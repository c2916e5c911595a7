# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Measure the time from start to first result, of `ttt3r map` and of the node.

Both are started several times as processes, as a user starts them; the median is printed. Files
are in the page cache. When the node starts, a camera already publishes ten images per second;
without ROS 2 the table of the node is left out.

Examples:
  python -m benchmark.speed.start_up
  python -m benchmark.speed.start_up --checkpoint 512 --rounds 1 --json start_up.json

"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
import itertools
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image
from tqdm import tqdm

from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.tools.options import positive_int
from ttt3r_ros.units import NANOSECONDS

SIZE = (640, 480)
PERIOD_NS = 100_000_000
CHILD = '--child'
DEADLINE_S = 120.0
PICTURE_PERIOD_S = 0.1
LOADED = 'the network is loaded'

Times = dict[str, float]  # seconds since the start of a process, by what has happened until then


class StartUpError(UserError):
    """A measured process produced no result."""


def picture(number: int) -> np.ndarray:
    """Return an image of its own for each number, (H, W, 3) uint8."""
    coarse = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize(SIZE, Image.Resampling.NEAREST))


# ---- ttt3r map


def print_steps(checkpoint: str) -> None:
    """
    Run the steps of `ttt3r map` one by one, and print the time after each.

    :param checkpoint: file or name.
    """
    moments = {'Python': time.time()}
    from ttt3r_ros.mapping.mapper import Mapper
    from ttt3r_ros.model.predictor import load_predictor
    from ttt3r_ros.settings import MappingSettings, ModelSettings
    from ttt3r_ros.tracking.guard import OpenGuard
    from ttt3r_ros.tracking.observation import Observation

    moments['imports'] = time.time()
    predictor = load_predictor(ModelSettings(checkpoint=checkpoint))
    mapper = Mapper(predictor, MappingSettings(), OpenGuard)
    moments['checkpoint'] = time.time()
    for number, name in enumerate(('first frame', 'second frame', 'third frame')):
        mapper.observe(Observation(picture(number), number * PERIOD_NS))
        mapper.integrate()
        moments[name] = time.time()
    print(json.dumps(moments))


def start_steps(checkpoint: str) -> Times:
    """
    Measure the steps of `ttt3r map` in a new process.

    :param checkpoint: file or name.
    """
    command = [sys.executable, '-m', 'benchmark.speed.start_up', CHILD, '--checkpoint', checkpoint]
    begin = time.time()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StartUpError(f'the process has ended: {done.stderr.strip().splitlines()[-1]}')
    moments = json.loads(done.stdout.splitlines()[-1])
    return {name: moment - begin for name, moment in moments.items()}


def start_map(checkpoint: str) -> Times:
    """
    Measure `ttt3r map` on one image, until the process ends.

    :param checkpoint: file or name.
    """
    with tempfile.TemporaryDirectory() as folder:
        Image.fromarray(picture(0)).save(Path(folder) / '0.png')
        words = ['map', folder, '--output', f'{folder}/out', '--checkpoint', checkpoint]
        begin = time.time()
        done = subprocess.run(
            [sys.executable, '-m', 'ttt3r_ros.tools.main', *words],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StartUpError(f'ttt3r map has ended: {done.stderr.strip().splitlines()[-1]}')
        return {'files written, process ended': time.time() - begin}


# ---- the node


def start_node(checkpoint: str) -> Times:
    """
    Measure the node with a running camera, until its first cloud.

    :param checkpoint: file or name.
    """
    from ttt3r_ros.players.processes import NodeProcesses, private_ros

    environment = private_ros(1 + os.getpid() % 100)
    os.environ.update(environment)
    from rcl_interfaces.msg import Log
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import qos_profile_sensor_data, QoSProfile
    from sensor_msgs.msg import PointCloud2

    from ttt3r_ros.players.camera_topics import CameraTopics

    times: Times = {}
    rclpy.init()
    with ExitStack() as held:
        held.callback(rclpy.shutdown)
        nodes = held.enter_context(NodeProcesses(environment))
        node = rclpy.create_node('stopwatch')
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        camera = CameraTopics(node, 'camera_optical_frame', calibrated=False)
        numbers = itertools.count()

        def show() -> None:
            if camera.has_subscriber():
                times.setdefault('subscribed to the camera', time.time() - begin)
                camera.publish(camera.picture(picture(next(numbers)), None), time.time_ns())

        def read(message: Log) -> None:
            if LOADED in message.msg:
                stamp = message.stamp
                times.setdefault(LOADED, stamp.sec + stamp.nanosec / NANOSECONDS - begin)

        def receive(_: PointCloud2) -> None:
            times.setdefault('first cloud', time.time() - begin)

        node.create_subscription(PointCloud2, '/ttt3r/points', receive, qos_profile_sensor_data)
        node.create_subscription(Log, '/rosout', read, QoSProfile(depth=100))
        node.create_timer(PICTURE_PERIOD_S, show)
        begin = time.time()
        nodes.start(
            'mapping_node', {'model.checkpoint': checkpoint, 'base_frame': '', 'odom_frame': ''}
        )
        while 'first cloud' not in times:
            executor.spin_once(timeout_sec=0.1)
            nodes.ended('mapping_node')
            if time.time() - begin > DEADLINE_S:
                raise StartUpError(f'no cloud arrived within {DEADLINE_S:g} s')
        node.destroy_node()
    return times


# ---- all of it


def medians(rounds: list[Times]) -> Times:
    """Return the median of each time, in the same order."""
    names = {name: None for times in rounds for name in times}
    found = {
        name: float(np.median([times[name] for times in rounds if name in times]))
        for name in names
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def table(caption: str, times: Times) -> Table:
    """
    Return a table of the times and their differences.

    :param times: ascending.
    """
    before, rows = 0.0, []
    for name, moment in times.items():
        rows.append([name, f'{moment - before:.2f}', f'{moment:.2f}'])
        before = moment
    return Table(caption, ['until', 'took [s]', 'since the start [s]'], rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.start_up',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--checkpoint', default='', help='default: the shipped checkpoint')
    parser.add_argument('--rounds', type=positive_int, default=3, metavar='N', help='default 3')
    parser.add_argument('--json', type=Path, metavar='FILE', help='JSON file for the numbers')
    parser.add_argument(CHILD, action='store_true', help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    checkpoint = arguments.checkpoint
    try:
        if arguments.child:
            print_steps(checkpoint)
            return 0
        measured: dict[str, Callable[[str], Times]] = {
            'ttt3r map, step by step': start_steps,
            'ttt3r map of one picture': start_map,
        }
        if find_spec('rclpy') is not None:
            measured['The mapping node'] = start_node
        found: dict[str, list[Times]] = {name: [] for name in measured}
        with tqdm(total=arguments.rounds * len(measured), unit='start') as progress:
            for _ in range(arguments.rounds):
                for name, start in measured.items():
                    found[name].append(start(checkpoint))
                    progress.update()
    except UserError as error:
        print(f'start_up: error: {error}', file=sys.stderr)
        return 1
    for name, rounds in found.items():
        caption = f'{name}, checkpoint {checkpoint or "small"}, median of {len(rounds)} starts'
        print(table(caption, medians(rounds)).markdown())
    if arguments.json:
        with atomic_file(arguments.json) as file:
            file.write((json.dumps(found, indent=1) + '\n').encode())
    return 0


if __name__ == '__main__':
    sys.exit(main())
