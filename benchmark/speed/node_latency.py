# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Measure the latency of each stage between the stamp of an image and the reception of its cloud.

A camera and the mapping node run as separate processes, connected by DDS; this process subscribes
to ~/points. The camera stamps an image when it sends it, as a driver does. The node is the one
that `ros2 launch` starts, with a timer around the functions that process an image
(benchmark/speed/timed_node.py). It maps without TF, so it waits for no transform.

Examples:
  python -m benchmark.speed.node_latency --seconds 20
  python -m benchmark.speed.node_latency --seconds 20 --calibrated --json latency.json
  python -m benchmark.speed.node_latency --free 512   images of the published size, no network
  python -m benchmark.speed.node_latency --cameras 2  two nodes in two namespaces

"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import shlex
import sys
import tempfile
import time
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2

from benchmark.speed.camera_process import FIELD_OF_VIEW
from benchmark.speed.timed_node import STAGES
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.node import messages
from ttt3r_ros.players.processes import NodeProcesses, private_ros
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.tools.options import positive_float, positive_int
from ttt3r_ros.units import NANOSECONDS

SEQUENCE_FRAMES, FILM_RATE_HZ = 24, 5.0
WARM_UP_IMAGES = 10
START_TIMEOUT_S = 60.0
PERCENTILES = {'median': 50, '90 %': 90, '99 %': 99}

NEXT = 'next segment'
AFTER = ('merge into the map', 'occupancy grid', 'map cloud', NEXT)
WAIT, REST, OUT = 'wait for the worker', 'all else in the node', 'out through DDS'
ARRIVAL = 'in through DDS'


class LatencyError(UserError):
    """The latency cannot be measured."""


@dataclass
class CloudSubscriber:
    """
    Records when clouds arrive.

    topic: resolved name. arrivals: monotonic seconds by stamp, nanoseconds. points: number of
    points of the newest cloud.
    """

    topic: str
    arrivals: dict[int, float] = field(default_factory=dict)
    points: int = 0

    def on_cloud(self, message: PointCloud2) -> None:
        """Record the arrival of a cloud."""
        self.arrivals[messages.nanoseconds(message.header.stamp)] = time.monotonic()
        self.points = message.width


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print, and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(words)
    try:
        _run(arguments, shlex.join(['python', '-m', 'benchmark.speed.node_latency', *words]))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.node_latency',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        '--seconds',
        type=positive_float,
        default=20.0,
        help='measured (default: %(default)s)',
    )
    add('--width', type=positive_int, default=640, help='of the images (default: %(default)s)')
    add('--height', type=positive_int, default=480, help='of the images (default: %(default)s)')
    add(
        '--rate', type=positive_float, default=5.0, help='images per second (default: %(default)s)'
    )
    add('--calibrated', action='store_true', help='publish camera_info, with distortion')
    add('--checkpoint', default='', help='file or name (default: the best one found)')
    add('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    add(
        '--free',
        type=positive_int,
        metavar='SIZE',
        help='no network: longest side of the images',
    )
    add('--cameras', type=positive_int, default=1, help='number of nodes, each with a camera')
    add('--threads', type=positive_int, help='of each network (default: all cores but one)')
    add('--json', type=Path, metavar='FILE', help='JSON file for the numbers')
    return parser


def _run(arguments: argparse.Namespace, command: str) -> None:
    domain = 1 + os.getpid() % 100
    environment = private_ros(domain)
    cores = len(os.sched_getaffinity(0))
    # A core is left to those who talk; a network that fights for it takes far longer.
    threads = arguments.threads or max(1, (cores - 1) // arguments.cameras)
    environment['OMP_NUM_THREADS'] = str(threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        np.save(folder / 'images.npy', _render(arguments.width, arguments.height))
        load = os.getloadavg()[0]
        subscribers = _listen(arguments, folder, environment)
        records = [
            json.loads(_records(folder, subscriber).read_text()) for subscriber in subscribers
        ]
    # Both clocks are slewed alike, so that their difference stays.
    offset_s = time.time() - time.monotonic()
    machine = f'{cores} cores, load {load:.1f} before, {threads} thread(s) for each network'
    camera = f'{arguments.width}x{arguments.height} at {arguments.rate:g} Hz'
    print(f'`{command}`\n\n{camera}, {machine}\n')
    results = []
    for subscriber, images in zip(subscribers, records):
        spans = _spans(images, subscriber, offset_s)
        print(_table(f'{subscriber.topic}, {len(spans)} images', spans).markdown())
        print(f'clouds of about {subscriber.points} points\n')
        results.append({'topic': subscriber.topic, 'points': subscriber.points, 'images': spans})
    if arguments.json:
        content = {'command': command, 'machine': machine, 'cameras': results}
        with atomic_file(arguments.json) as file:
            file.write((json.dumps(content, indent=1) + '\n').encode())


def _render(width: int, height: int) -> np.ndarray:
    """Render the path of a robot through a flat, (T, height, width, 3) uint8."""
    world = build_world('S', 7)
    path = robot_path(world, 7, SEQUENCE_FRAMES / FILM_RATE_HZ, FILM_RATE_HZ)
    camera = CameraIntrinsics.from_field_of_view(width, height, FIELD_OF_VIEW)
    return render_clip(world, camera, path.world_T_camera)[0]


def _records(folder: Path, subscriber: CloudSubscriber) -> Path:
    return folder / f'{subscriber.topic.split("/")[1]}.json'


def _listen(
    arguments: argparse.Namespace, folder: Path, environment: dict[str, str]
) -> list[CloudSubscriber]:
    """Run all processes for the duration of the measurement; return the subscribers."""
    os.environ.update(environment)
    rclpy.init()
    node, executor = Node('cloud_subscriber'), SingleThreadedExecutor()
    executor.add_node(node)
    subscribers = []
    for number in range(arguments.cameras):
        subscribers.append(CloudSubscriber(f'/camera{number + 1}/ttt3r/points'))
        node.create_subscription(
            PointCloud2, subscribers[-1].topic, subscribers[-1].on_cloud, qos_profile_sensor_data
        )
    try:
        with NodeProcesses(environment) as nodes:
            names = _start(nodes, arguments, folder, subscribers)
            begin = time.monotonic()
            while any(len(subscriber.arrivals) < WARM_UP_IMAGES for subscriber in subscribers):
                executor.spin_once(timeout_sec=0.1)
                nodes.ended(names[0])
                if time.monotonic() - begin > START_TIMEOUT_S:
                    raise LatencyError(f'no clouds arrived within {START_TIMEOUT_S:g} s')
            for subscriber in subscribers:
                subscriber.arrivals.clear()
            end = time.monotonic() + arguments.seconds
            while time.monotonic() < end:
                executor.spin_once(timeout_sec=0.1)
            for name in names:
                nodes.stop(name)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return subscribers


def _start(
    nodes: NodeProcesses,
    arguments: argparse.Namespace,
    folder: Path,
    subscribers: list[CloudSubscriber],
) -> list[str]:
    """Start a node and a camera for each subscriber; return the names of the processes."""
    mapping = {
        'base_frame': '',
        'odom_frame': '',
        'camera.height': 0.8,  # so there is an occupancy grid
        'model.checkpoint': arguments.checkpoint,
        'model.device': arguments.device,
    }
    free = ['--free', str(arguments.free)] if arguments.free else []
    calibrated = ['--calibrated'] if arguments.calibrated else []
    names = []
    for subscriber in subscribers:
        namespace = {'__ns': f'/{subscriber.topic.split("/")[1]}'}
        module = ['benchmark.speed.timed_node', str(_records(folder, subscriber)), *free]
        nodes.start(f'node of {subscriber.topic}', mapping, namespace, module)
        images, rate = str(folder / 'images.npy'), str(arguments.rate)
        module = ['benchmark.speed.camera_process', images, rate, *calibrated]
        nodes.start(f'camera of {subscriber.topic}', {}, namespace, module)
        names += [f'camera of {subscriber.topic}', f'node of {subscriber.topic}']
    return names


def _spans(
    images: list[dict[str, Any]], subscriber: CloudSubscriber, offset_s: float
) -> list[dict[str, list[float]]]:
    """
    Divide the latency of each image into consecutive stages.

    :param images: the records of the node.
    :param subscriber: the arrivals of the clouds.
    :param offset_s: system clock, which the stamps are in, less monotonic clock.
    :returns: for each image, by stage: [milliseconds, CPU milliseconds of the worker thread].
    """
    spans = []
    for image in images:
        arrival = subscriber.arrivals.get(image['stamp_ns'])
        if arrival is None:
            continue
        before, after = (
            {stage: np.array(taken) for stage, taken in image[part].items()}
            for part in ('before', 'after')
        )
        # A segment begins with a step of the network.
        after[NEXT] = sum((after[s] for s in (NEXT, 'network') if s in after), np.zeros(2))
        stamp, published = image['stamp_ns'] / NANOSECONDS - offset_s, image['published']
        waited = image['waited']
        in_worker = np.array([published - image['begun'], image['cpu']])
        ahead, behind = (
            np.array([seconds, 0.0]) for seconds in (image['begun'] - stamp, arrival - published)
        )
        own = ahead + in_worker - before['network']
        taken = {
            ARRIVAL: np.array([image['arrived'] - stamp, 0.0]),
            WAIT: np.array([image['begun'] - image['arrived'] + waited, 0.0]),
            **{stage: before[stage] for stage in [*STAGES, 'publish'] if stage in before},
            REST: in_worker - sum(before.values()) - [waited, 0.0],
            OUT: behind,
            'stamp to published': ahead + in_worker,
            'published, less the network': own,
            'received, less the network': own + behind,
            **{stage: after.get(stage, np.zeros(2)) for stage in AFTER},
        }
        spans.append({stage: (1e3 * seconds).tolist() for stage, seconds in taken.items()})
    if not spans:
        raise LatencyError(f'no cloud of {subscriber.topic} arrived after the first ones')
    return spans


def _table(caption: str, spans: list[dict[str, list[float]]]) -> Table:
    rows = []
    for stage in spans[0]:
        taken = np.array([span.get(stage, [0.0, 0.0]) for span in spans])
        cells = [*np.percentile(taken[:, 0], [*PERCENTILES.values()]), np.median(taken[:, 1])]
        rows.append([stage, *(f'{cell:.1f}' for cell in cells)])
    return Table(caption, ['stage (ms)', *PERCENTILES, 'median CPU'], rows)


if __name__ == '__main__':
    sys.exit(main())
