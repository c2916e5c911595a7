# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Measure whether poses wait for loop closures, and how many images of a fast camera have a pose.

A camera, the mapping node and this subscriber of ~/pose run as separate processes on DDS. The
network is the true depth of the film. Every few seconds the thread of the graph closes loops of a
graph of 500 key frames, or does not (benchmark/speed/closing_node.py): both latencies, from the
stamp of an image to its pose, are of one run.

Examples:
  python -m benchmark.speed.closures --seconds 60
  python -m benchmark.speed.closures --seconds 60 --network 0.5

"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
import os
from pathlib import Path
import shlex
import sys
import tempfile
import time
from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from benchmark.speed.camera_process import FIELD_OF_VIEW
from benchmark.speed.node_latency import (
    CloudSubscriber,
    LatencyError,
    START_TIMEOUT_S,
    WARM_UP_IMAGES,
)
from ttt3r_ros.arrays import Array
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.node import messages
from ttt3r_ros.node.qos import NEWEST, RELIABLE
from ttt3r_ros.players.processes import NodeProcesses, private_ros
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.tools.options import positive_float, positive_int
from ttt3r_ros.units import NANOSECONDS

FILM_S, WIDTH, HEIGHT = 5.0, 320, 240
NODE, CAMERA = 'mapping node', 'camera'
HEAD = ['', 'images', 'poses', 'located [%]', 'median [ms]', '90 % [ms]', '99 % [ms]', 'cores']


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print, and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(words)
    try:
        _run(arguments, shlex.join(['python', '-m', 'benchmark.speed.closures', *words]))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.closures',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('--seconds', type=positive_float, default=60.0, help='measured (default: %(default)s)')
    add('--rate', type=positive_float, default=30.0, help='of the camera (default: %(default)s)')
    add('--keys', type=positive_int, default=500, help='key frames (default: %(default)s)')
    add(
        '--network',
        type=positive_float,
        default=0.2,
        help='seconds of a step, in which the thread sleeps as for a GPU (default: %(default)s)',
    )
    return parser


def _run(arguments: argparse.Namespace, command: str) -> None:
    environment = private_ros(1 + os.getpid() % 100)
    environment['OMP_NUM_THREADS'] = '1'
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, part in zip(('images', 'depth'), _film(arguments.rate)):
            np.save(folder / f'{name}.npy', part)
        poses, clouds, begin_ns = _listen(arguments, folder, environment)
        found = json.loads((folder / 'phases.json').read_text())
    phases = [phase for phase in found['phases'] if phase['begin_ns'] >= begin_ns]
    offset_s = time.time() - time.monotonic()
    latencies = {
        stamp_ns: arrival + offset_s - stamp_ns / NANOSECONDS
        for stamp_ns, arrival in poses.arrivals.items()
    }
    table = _table(latencies, phases, arguments.rate)
    cores = len(os.sched_getaffinity(0))
    print(f'`{command}`\n')
    closure_ms = 1e3 * np.median(found['closures_s'])
    print(
        f'{WIDTH}x{HEIGHT} at {arguments.rate:g} Hz; a step of the network takes '
        f'{arguments.network:g} s; {cores} cores, load {os.getloadavg()[0]:.1f}; a closure takes '
        f'{closure_ms:.0f} ms; clouds at {len(clouds.arrivals) / arguments.seconds:.1f} Hz\n'
    )
    print(table.markdown())


def _film(rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Render the path of a robot through a flat, (T, height, width, 3) uint8, and its depth."""
    world = build_world('S', 7)
    path = robot_path(world, 7, FILM_S, rate)
    camera = CameraIntrinsics.from_field_of_view(WIDTH, HEIGHT, FIELD_OF_VIEW)
    return render_clip(world, camera, path.world_T_camera)


def _listen(
    arguments: argparse.Namespace, folder: Path, environment: dict[str, str]
) -> tuple[CloudSubscriber, CloudSubscriber, int]:
    """Run all processes; return the arrivals of poses and clouds, and when that began."""
    os.environ.update(environment)
    rclpy.init()
    node, executor = Node('pose_subscriber'), SingleThreadedExecutor()
    executor.add_node(node)
    poses, clouds = CloudSubscriber('/ttt3r/pose'), CloudSubscriber('/ttt3r/points')

    def on_pose(message: PoseWithCovarianceStamped) -> None:
        poses.arrivals[messages.nanoseconds(message.header.stamp)] = time.monotonic()

    node.create_subscription(PoseWithCovarianceStamped, poses.topic, on_pose, RELIABLE)
    node.create_subscription(PointCloud2, clouds.topic, clouds.on_cloud, NEWEST)
    try:
        with NodeProcesses(environment) as nodes:
            _start(nodes, arguments, folder)
            begin = time.monotonic()
            while len(clouds.arrivals) < WARM_UP_IMAGES:
                executor.spin_once(timeout_sec=0.1)
                nodes.ended(CAMERA)
                if time.monotonic() - begin > START_TIMEOUT_S:
                    raise LatencyError(f'no clouds arrived within {START_TIMEOUT_S:g} s')
            poses.arrivals.clear()
            clouds.arrivals.clear()
            begin_ns = time.time_ns()
            end = time.monotonic() + arguments.seconds
            while time.monotonic() < end:
                executor.spin_once(timeout_sec=0.1)
            for name in (CAMERA, NODE):
                nodes.stop(name)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return poses, clouds, begin_ns


def _start(nodes: NodeProcesses, arguments: argparse.Namespace, folder: Path) -> None:
    mapping = {'base_frame': '', 'odom_frame': '', 'camera.height': 0.8}
    options = {'film': folder, 'keys': arguments.keys, 'network': arguments.network}
    words = [word for name, value in options.items() for word in (f'--{name}', str(value))]
    module = ['benchmark.speed.closing_node', str(folder / 'phases.json'), *words]
    nodes.start(NODE, mapping, {}, module)
    module = ['benchmark.speed.camera_process', str(folder / 'images.npy'), str(arguments.rate)]
    nodes.start(CAMERA, {}, {}, module)


def _table(latencies: dict[int, float], phases: list[dict[str, Any]], rate: float) -> Table:
    """Compare the latencies of both kinds of phases."""
    rows, tails = [], []
    for closes, label in ((False, 'without closures'), (True, 'with closures')):
        chosen = [phase for phase in phases if bool(phase['closed']) == closes]
        taken = _within(latencies, chosen)
        if not len(taken):
            raise LatencyError('no pose of a whole phase arrived: take more --seconds')
        tails.append(float(np.percentile(taken, 99)))
        rows.append(_row(label, taken, chosen, rate))
    rows.append(['ratio of the 99 %', '', '', '', '', '', f'{tails[1] / tails[0]:.2f}', ''])
    return Table('From the stamp of an image to its pose; bar: ratio 1.2', HEAD, rows)


def _within(latencies: dict[int, float], phases: list[dict[str, Any]]) -> Array:
    return np.array(
        [
            latency
            for stamp_ns, latency in latencies.items()
            if any(phase['begin_ns'] <= stamp_ns < phase['end_ns'] for phase in phases)
        ]
    )


def _row(label: str, taken: Array, phases: list[dict[str, Any]], rate: float) -> list[str]:
    seconds = sum(phase['end_ns'] - phase['begin_ns'] for phase in phases) / NANOSECONDS
    cpu_s = sum(phase['cpu_s'] for phase in phases)
    images = round(seconds * rate)
    times = [f'{1e3 * cell:.1f}' for cell in np.percentile(taken, [50, 90, 99])]
    share = f'{100 * len(taken) / images:.0f}'
    return [label, str(images), str(len(taken)), share, *times, f'{cpu_s / seconds:.2f}']


if __name__ == '__main__':
    sys.exit(main())
