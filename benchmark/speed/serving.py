# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Measure what it costs that the network is on a server: latency and bytes, over several links.

The network of the server answers at once, always with its first prediction, so that only the way
is measured: encode, send, receive and decode, of images of a simulated drive. A link has its delay
and loss by `tc netem` in a network namespace of its own; where the kernel does not allow that, by
a TCP proxy (slow_link), and the table says so.

Examples:
  python -m benchmark.speed.serving
  python -m benchmark.speed.serving --checkpoint 512 --images 100

"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, ExitStack
from dataclasses import asdict, dataclass, replace
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
from threading import Event
import time

import numpy as np
from tqdm import tqdm

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.model.predictor import HostPrediction, load_predictor, Predictor
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.serving.access import ACCESS_FILE, read_access
from ttt3r_ros.serving.address import Address, ENCRYPTED, PLAIN
from ttt3r_ros.serving.choice import connected
from ttt3r_ros.serving.client import Connection
from ttt3r_ros.serving.identity import open_identity
from ttt3r_ros.serving.leases import Leases
from ttt3r_ros.serving.offered import offer_of
from ttt3r_ros.serving.server import Server
from ttt3r_ros.serving.service import Service
from ttt3r_ros.settings import ModelSettings
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.tools.options import add_option, positive_int

WARM = 3  # steps that do not count
IMAGE_RATE = 10  # for the bandwidth, images a second
NETEM = 'ip link set lo up && tc qdisc add dev lo root netem {} && exec "$@"'
HEAD = [
    'link',
    'transfer',
    'fastest [ms]',
    'median [ms]',
    '95 % [ms]',
    'up [kB]',
    'down [kB]',
    f'at {IMAGE_RATE} Hz [Mbit/s]',
]


@dataclass(frozen=True)
class Link:
    """
    A way to a server.

    delay_ms: each way. loss: part of the segments.
    """

    delay_ms: float = 0.0
    loss: float = 0.0
    plain: bool = False
    transfer: str = 'compact'

    def __str__(self) -> str:
        """Return it in words."""
        words = 'plain' if self.plain else 'TLS'
        if self.delay_ms:
            words += f', {self.delay_ms:g} ms each way'
        return words + (f', {100 * self.loss:g} % lost' if self.loss else '')

    @property
    def netem(self) -> str:
        """Return the words for tc."""
        return f'delay {self.delay_ms}ms loss {100 * self.loss}%'


LINKS = (
    Link(plain=True),
    Link(),
    Link(transfer='exact'),
    Link(delay_ms=10),
    Link(delay_ms=10, loss=0.01),
    Link(delay_ms=50),
    Link(delay_ms=50, loss=0.01),
    Link(delay_ms=50, loss=0.01, transfer='exact'),
)


@dataclass
class Cost:
    """
    What steps cost over one link, without the network.

    step_ms: of each step. sent, received: bytes of each image.
    """

    step_ms: list[float]
    sent: list[int]
    received: list[int]


class InstantPredictor(Predictor):
    """A network that computes its first prediction, and gives it for all images."""

    known: HostPrediction | None = None

    def step(
        self, rgb: Pixels, state: RecurrentState, write: bool = True
    ) -> tuple[HostPrediction, RecurrentState]:
        """Return the first prediction, and the state as it is."""
        if self.known is None:
            self.known, _ = super().step(rgb, state, write)
        return self.known, state


def serve(settings: ModelSettings, address: Address, identity: Path) -> None:
    """
    Serve an instant network until the process is killed.

    :param identity: folder of the server.
    """
    loaded = load_predictor(settings)
    predictor = InstantPredictor(loaded._network, loaded.checkpoint)
    service = Service(predictor, offer_of(predictor, settings), Leases(1, 60.0))
    server = Server(service, address, open_identity(identity), 1)
    server.start()
    print(server.address.port, flush=True)
    Event().wait()


class CountedConnection:
    """A connection whose messages are counted."""

    def __init__(self, connection: Connection) -> None:
        """Count nothing yet."""
        self._connection, self.address = connection, connection.address
        self.sent: list[int] = []
        self.received: list[int] = []

    def call(self, method: str, message: bytes, timeout_s: float) -> bytes:
        """Return the answer of the server."""
        answer = self._connection.call(method, message, timeout_s)
        self.sent.append(len(message))
        self.received.append(len(answer))
        return answer

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def film(count: int) -> list[Pixels]:
    """Return images of a robot that drives through a building, (480, 640, 3)."""
    world = build_world('S', 7)
    path = robot_path(world, 7, count / IMAGE_RATE, IMAGE_RATE)
    camera = CameraIntrinsics.from_field_of_view(640, 480, 70.0)
    return list(render_clip(world, camera, path.world_T_camera)[0])


def measure(settings: ModelSettings, transfer: str, images: Sequence[Pixels]) -> Cost:
    """
    Measure one link.

    :param settings: their device is the server, or the proxy before it.
    :param images: (H, W, 3) uint8 each, of one size.
    """
    remote = connected(replace(settings, transfer=transfer), read_access(settings.server_access))
    counted = CountedConnection(remote.connection)
    remote.connection = counted  # type: ignore[assignment]
    cost = Cost([], counted.sent, counted.received)
    fit = remote.fit(*images[0].shape[1::-1])
    state = remote.initial_state()
    for image in images:
        fitted = fit.apply(image, remote.resize)
        begin = time.perf_counter()
        _, state = remote.step(fitted, state)
        cost.step_ms.append(1e3 * (time.perf_counter() - begin))
    return cost


@contextmanager
def program(*words: str) -> Iterator[str]:
    """Run a module until the block ends; return the first line that it prints."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen(
        [sys.executable, '-m', *words], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        process.terminate()
        process.wait(10)


def has_netem() -> bool:
    """Return whether links can be made by tc netem, in a network namespace."""
    words = ['unshare', '-rn', 'sh', '-c', NETEM.format('delay 1ms'), 'sh', 'true']
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def over(link: Link, arguments: argparse.Namespace, images: Path) -> Cost:
    """
    Measure one link in a process of its own, and in a namespace where that is possible.

    :param images: file with them.
    :raises UserError: when it fails.
    """
    words = [sys.executable, '-m', 'benchmark.speed.serving', *sys.argv[1:]]
    words += ['--only', json.dumps(asdict(link)), '--film', str(images)]
    if arguments.netem and link.delay_ms:
        words = ['unshare', '-rn', 'sh', '-c', NETEM.format(link.netem), 'sh', *words]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise UserError(f'{link}: {done.stderr[-2000:]}')
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def only(arguments: argparse.Namespace, link: Link) -> Cost:
    """Start a server, and measure one link to it."""
    images = list(np.load(arguments.film))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        identity = Path(folder) / 'identity'
        words = ['benchmark.speed.serving', f'--checkpoint={arguments.checkpoint}']
        words += ['--serve', PLAIN if link.plain else ENCRYPTED, '--folder', str(identity)]
        port = int(stack.enter_context(program(*words)))
        if link.delay_ms and not arguments.netem:
            slow = [f'--to={port}', f'--delay-ms={link.delay_ms}', f'--loss={link.loss}']
            port = int(stack.enter_context(program('benchmark.speed.slow_link', *slow)))
        settings = ModelSettings(
            checkpoint=arguments.checkpoint,
            device=str(Address('127.0.0.1', port, link.plain)),
            server_access=str(identity / ACCESS_FILE),
        )
        return measure(settings, link.transfer, images)


def row(link: Link, cost: Cost) -> list[str]:
    """Return the cells of one link."""
    steps = np.array(cost.step_ms[WARM:])
    sent, received = np.mean(cost.sent[WARM:]), np.mean(cost.received[WARM:])
    return [
        str(link),
        link.transfer,
        *(f'{np.percentile(steps, part):.0f}' for part in (0, 50, 95)),
        f'{sent / 1e3:.0f}',
        f'{received / 1e3:.0f}',
        f'{8 * IMAGE_RATE * (sent + received) / 1e6:.1f}',
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.serving',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_option(parser, ModelSettings, 'checkpoint')
    parser.add_argument('--images', type=positive_int, default=60, metavar='N', help='(60)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='JSON file for the numbers')
    for name in ('--only', '--film', '--serve', '--folder'):  # of its own processes
        parser.add_argument(name, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    arguments.checkpoint = getattr(arguments, 'model.checkpoint')
    try:
        if arguments.serve:
            settings = ModelSettings(checkpoint=arguments.checkpoint)
            address = Address('127.0.0.1', 0, arguments.serve == PLAIN)
            serve(settings, address, Path(arguments.folder))
        arguments.netem = has_netem()
        if arguments.only:
            link = Link(**json.loads(arguments.only))
            print(json.dumps(asdict(only(arguments, link))))
            return 0
        _measure_all(arguments)
    except UserError as error:
        print(f'serving: error: {error}', file=sys.stderr)
        return 1
    return 0


def _measure_all(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / 'images.npy'
        np.save(images, np.stack(film(arguments.images)))
        costs = {link: over(link, arguments, images) for link in tqdm(LINKS, unit='link')}
    means = 'tc netem' if arguments.netem else 'a delaying proxy: no tc netem here'
    caption = (
        f'{arguments.images} images of 640x480, checkpoint {arguments.checkpoint or "small"}, '
        f'{os.cpu_count()} processors, load {os.getloadavg()[0]:.0f}; links by {means}'
    )
    print(Table(caption, HEAD, [row(link, cost) for link, cost in costs.items()]).markdown())
    if arguments.json:
        record = [{**asdict(link), **asdict(cost)} for link, cost in costs.items()]
        with atomic_file(arguments.json) as file:
            file.write((json.dumps(record, indent=1) + '\n').encode())


if __name__ == '__main__':
    sys.exit(main())
