# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Measure the network beside other busy programs.

Programs that compute without end are started: 0, 1, 2 and 4 of them. Beside them several
processes run the steps of the network in turns, each with another way to wait for its threads. The
fair share is the part of the cores that the scheduler owes to a process: with as many busy threads
of other programs as the network has, one half.

Examples:
  python -m benchmark.speed.under_load
  python -m benchmark.speed.under_load --hogs 0 2 --rounds 5 --json under_load.json

"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, ExitStack
from dataclasses import asdict, dataclass
import io
import json
import os
from pathlib import Path
import subprocess
import sys
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.image_formats import rgb_from_encoded
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.settings import ModelSettings
from ttt3r_ros.tools.options import add_settings, image_size, positive_int, read_settings

HOGS = (0, 1, 2, 4)
WARM_UP_STEPS = 3
LEAST_STEPS = 3
CHILD = '--child'
PRODUCT = 'the product'
TORCH = '--runtime', 'torch'
# Variables and options; libgomp spins so often unless it is configured otherwise.
WAYS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    PRODUCT: ({}, ()),
    'torch': ({}, TORCH),
    'torch, one thread': ({'OMP_NUM_THREADS': '1'}, TORCH),
    'torch, spinning': ({'GOMP_SPINCOUNT': '300000'}, TORCH),
}
GOALS = 'goals: of the fair share at least 0.7, p99 at most 3 medians'


@dataclass(frozen=True)
class Steps:
    """
    The steps of one process beside a number of busy programs.

    milliseconds: of each step. quiet_ms: mean of the same process beside none.
    """

    way: str
    hogs: int
    threads: int
    milliseconds: list[float]
    quiet_ms: float

    @property
    def of_fair_share(self) -> float:
        """Return the rate over that of the fair share of the cores."""
        share = fair_share(len(os.sched_getaffinity(0)), self.threads, self.hogs)
        return self.quiet_ms / float(np.mean(self.milliseconds)) / share

    def row(self) -> list[str]:
        """Return the cells of a table."""
        median, p99 = np.percentile(self.milliseconds, [50, 99])
        return [
            self.way,
            str(self.hogs),
            str(self.threads),
            f'{median:.1f}',
            f'{p99 / median:.2f}',
            f'{1e3 / np.mean(self.milliseconds):.1f}',
            f'{self.of_fair_share:.2f}',
        ]


def fair_share(cores: int, threads: int, hogs: int) -> float:
    """
    Return the part of its rate beside no other program that a process may expect.

    :param cores: of the machine.
    :param threads: of the process, all busy.
    :param hogs: busy threads of other programs.
    """
    alone = min(threads, cores)
    return min(alone, cores * threads / (threads + hogs)) / alone


@contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """
    Run programs that compute without end.

    :param count: how many, of one thread each.
    """
    command = [sys.executable, '-c', 'while True: pass']
    hogs = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


class NetworkProcess:
    """A process that runs steps of the network when it is asked to."""

    def __init__(self, environment: dict[str, str], words: list[str]) -> None:
        """
        Start it, and wait until it is ready.

        :param environment: variables on top of those of this process; they alone decide how
            threads are used.
        :param words: options of the network.
        :raises UserError: when it ends.
        """
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(('OMP_', 'GOMP_', 'KMP_'))
        }
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'benchmark.speed.under_load', CHILD, *words],
            env={**inherited, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.threads = int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise UserError('a process of the network has ended')
        return line

    def run(self, seconds: float) -> list[float]:
        """
        Return the milliseconds of each step.

        :param seconds: duration, about.
        :raises UserError: when the process ends.
        """
        assert self._process.stdin
        print(seconds, file=self._process.stdin, flush=True)
        return [float(word) for word in self._answer().split()]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def serve(settings: ModelSettings, resolution: tuple[int, int]) -> None:
    """
    Run steps for as many seconds as each line of the input names, and print their milliseconds.

    :param settings: of the network.
    :param resolution: width and height of the camera images, pixels.
    """
    import torch

    from ttt3r_ros.bench.run import render_images
    from ttt3r_ros.model.predictor import load_predictor

    predictor = load_predictor(settings)
    fit = predictor.fit(*resolution)
    decoded = [rgb_from_encoded(io.BytesIO(i)) for i in render_images(*resolution, 8)]
    images = [fit.apply(rgb, resize_on_host) for rgb in decoded]
    state = predictor.initial_state()
    for image in images[:WARM_UP_STEPS]:
        _, state = predictor.step(image, state)
    print(torch.get_num_threads(), flush=True)
    for line in sys.stdin:
        taken: list[float] = []
        end = time.perf_counter() + float(line)
        while len(taken) < LEAST_STEPS or time.perf_counter() < end:
            begin = time.perf_counter()
            _, state = predictor.step(images[len(taken) % len(images)], state)
            taken.append((time.perf_counter() - begin) * 1e3)
        print(*taken, flush=True)


def measure(words: list[str], hogs: Sequence[int], rounds: int, seconds: float) -> list[Steps]:
    """
    Measure each way to wait beside each number of busy programs.

    :param words: options of the network.
    :param hogs: numbers of busy programs; 0 comes first in any case.
    :param rounds: how many times the processes take their turn.
    :param seconds: of a turn, about.
    :raises UserError: when a process cannot load the network.
    """
    measured: list[Steps] = []
    quiet: dict[str, float] = {}
    with ExitStack() as stack:
        processes = {}
        for way, (environment, options) in WAYS.items():
            processes[way] = NetworkProcess(environment, [*words, *options])
            stack.callback(processes[way].close)
        for count in tqdm(sorted({0, *hogs}), unit='load'):
            taken: dict[str, list[float]] = {way: [] for way in WAYS}
            with busy_programs(count):
                for _ in range(rounds):
                    for way, process in processes.items():
                        taken[way] += process.run(seconds)
            for way, process in processes.items():
                quiet.setdefault(way, float(np.mean(taken[way])))
                measured.append(Steps(way, count, process.threads, taken[way], quiet[way]))
    return measured


def table(measured: list[Steps]) -> Table:
    """
    Return the measurement as a table.

    :param measured: from `measure`.
    """
    head = ['', 'busy programs', 'threads', 'median [ms]', 'p99 / median', 'steps/s', 'of share']
    caption = f'{len(os.sched_getaffinity(0))} cores; {GOALS}'
    return Table(caption, head, [steps.row() for steps in measured])


def _network_words(arguments: argparse.Namespace) -> list[str]:
    """Return the options that a process of the network gets."""
    words = ['--resolution', 'x'.join(map(str, arguments.resolution))]
    for name in ('checkpoint', 'device', 'precision', 'runtime'):
        value = getattr(read_settings(arguments, ModelSettings), name)
        words += [f'--{name}', value] if value else []
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.under_load',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('--hogs', type=int, nargs='+', default=HOGS, metavar='N', help='(default 0 1 2 4)')
    add('--rounds', type=positive_int, default=4, metavar='N', help='(default 4)')
    add('--seconds', type=float, default=2.0, metavar='X', help='of a turn (default 2)')
    add('--resolution', type=image_size, default=(640, 480), metavar='WxH', help='(640x480)')
    add('--json', type=Path, metavar='FILE', help='JSON file for the numbers')
    add(CHILD, action='store_true', help=argparse.SUPPRESS)
    add_settings(parser, ModelSettings)
    arguments = parser.parse_args(argv)
    try:
        if arguments.child:
            serve(read_settings(arguments, ModelSettings), arguments.resolution)
            return 0
        measured = measure(
            _network_words(arguments), arguments.hogs, arguments.rounds, arguments.seconds
        )
        print(table(measured).markdown())
        if arguments.json:
            record: list[dict[str, Any]] = [
                asdict(steps) | {'of_fair_share': steps.of_fair_share} for steps in measured
            ]
            with atomic_file(arguments.json) as file:
                file.write((json.dumps(record, indent=1) + '\n').encode())
    except UserError as error:
        print(f'speed: error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
