# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Compare the speed of the network with that of the same network as published.

Fast and slow steps alternate, so that other load on the machine affects both alike. Both get the
same images, and each has its own state. With --against torch the slow steps are those of the
product in float32 with the runtime torch. On a machine with other load, --busy measures processor
time instead; set OMP_NUM_THREADS=1 for it.

Examples:
  python -m benchmark.speed.against_published
  python -m benchmark.speed.against_published --precision fast
  python -m benchmark.speed.against_published --random published_512 --resolution 512x288

"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
import io
import json
from pathlib import Path
import sys
import time
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmark.speed.slow_twin import published_arithmetic, SlowTwin
from ttt3r_ros.arrays import Pixels
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.memory import peak_resident, resident, restart_peak
from ttt3r_ros.bench.network import NetworkChoice
from ttt3r_ros.bench.run import render_images
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.image_formats import rgb_from_encoded
from ttt3r_ros.model import Network, RecurrentState
from ttt3r_ros.model.predictor import chosen_rule, compiled_step, Predictor, step_recorder
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.settings import ModelSettings
from ttt3r_ros.tools.bench import PRESETS
from ttt3r_ros.tools.options import add_settings, image_size, positive_int, read_settings

Step = Callable[..., tuple[Any, RecurrentState]]

WARM_UP = 1
PUBLISHED, TORCH = 'published', 'torch'


@dataclass(frozen=True)
class Comparison:
    """
    The times of alternating steps.

    fast_ms, slow_ms: milliseconds of each pair. growth_mb: peak memory of a step on the device,
    less the memory that was allocated before the step.
    """

    fast_ms: list[float]
    slow_ms: list[float]
    fast_growth_mb: float
    slow_growth_mb: float

    @property
    def ratio(self) -> float:
        """Return the median time of the slow steps over that of the fast ones."""
        return float(np.median(self.slow_ms) / np.median(self.fast_ms))

    @property
    def quartiles(self) -> tuple[float, float]:
        """Return the quartiles of the ratio of each pair."""
        low, high = np.percentile(np.divide(self.slow_ms, self.fast_ms), [25, 75])
        return float(low), float(high)

    def table(self, what: str, slow: str = 'as published') -> Table:
        """
        Return the table of the comparison.

        :param what: the network and the images, for the caption.
        :param slow: name of the slow steps.
        """
        rows = [
            [name, f'{np.median(ms):.1f}', f'{np.percentile(ms, 99):.1f}', f'{growth:.0f}', ratio]
            for name, ms, growth, ratio in (
                (slow, self.slow_ms, self.slow_growth_mb, '1'),
                ('product', self.fast_ms, self.fast_growth_mb, f'{self.ratio:.2f}'),
            )
        ]
        low, high = self.quartiles
        caption = (
            f'{what}; {len(self.fast_ms)} pairs, half of their ratios {low:.2f} to {high:.2f}'
        )
        return Table(
            caption, ['', 'median [ms]', 'p99 [ms]', 'memory of a step [MB]', 'times faster'], rows
        )

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return asdict(self) | {'ratio': self.ratio, 'quartiles': self.quartiles}


def compare(
    choice: NetworkChoice,
    resolution: tuple[int, int],
    pairs: int,
    clock: Callable[[], float] = time.perf_counter,
    against: str = PUBLISHED,
) -> Comparison:
    """
    Time alternating fast and slow steps.

    :param choice: the network; its precision is that of the fast steps.
    :param resolution: width and height of the camera images, pixels.
    :param pairs: number of timed pairs.
    :param clock: returns seconds; time.process_time on a CPU with other load.
    :param against: PUBLISHED or TORCH, the slow steps.
    """
    strict, info = choice.load_whole()
    network, _ = choice.load()
    rule = chosen_rule(choice.settings, info)
    recorder = step_recorder(choice.device)
    compiled = compiled_step(choice.settings, network, choice.precision, rule, info)
    fast = Predictor(
        network, device=choice.device, rule=rule, recorder=recorder, compiled=compiled
    )
    images = _fitted(render_images(*resolution), fast)

    plain = Predictor(strict, device=choice.device, rule=rule)
    slow = {PUBLISHED: _published_step(strict), TORCH: plain.step}[against]
    steps: dict[str, Step] = {'fast': fast.step, 'slow': slow}
    states = {name: fast.initial_state() for name in steps}
    times: dict[str, list[float]] = {name: [] for name in steps}
    growth = dict.fromkeys(steps, 0.0)
    for number in tqdm(range(WARM_UP + pairs), unit='pair'):
        for name, step in steps.items():
            before = _restart(choice.device)
            begin = clock()
            # Each copies its outputs to the host before it returns.
            _, states[name] = step(images[number % len(images)], states[name])
            taken = clock() - begin
            if number >= WARM_UP:
                times[name].append(taken * 1e3)
                growth[name] = max(growth[name], (_peak(choice.device) - before) / 2**20)
    return Comparison(times['fast'], times['slow'], growth['fast'], growth['slow'])


def _published_step(network: Network) -> Step:
    twin = SlowTwin(network)

    def step(image: Pixels, state: RecurrentState) -> tuple[Any, RecurrentState]:
        with published_arithmetic():
            return twin.step(image, state)

    return step


def _restart(device: torch.device) -> int:
    """Restart the peak memory statistics; return the memory in use, bytes."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    restart_peak()
    return resident()


def _peak(device: torch.device) -> int:
    """Return the peak memory since `_restart`, bytes."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    return peak_resident()


def _fitted(encoded: list[bytes], network: Predictor) -> list[Pixels]:
    images = [rgb_from_encoded(io.BytesIO(image)) for image in encoded]
    height, width = images[0].shape[:2]
    fit = network.fit(width, height)
    return [fit.apply(image, resize_on_host) for image in images]


def add_pairs(parser: argparse.ArgumentParser) -> None:
    """Add the options of a comparison of alternating steps."""
    add = parser.add_argument
    add('--random', choices=PRESETS, default='', help='random weights of these sizes')
    add('--resolution', type=image_size, default=(640, 480), metavar='WxH', help='(640x480)')
    add('--pairs', type=positive_int, default=50, metavar='N', help='(default 50)')
    add('--busy', action='store_true', help='measure processor time (machine with other load)')
    add_settings(parser, ModelSettings)


def read_pairs(arguments: argparse.Namespace) -> tuple[NetworkChoice, Callable[[], float]]:
    """
    Read the options of add_pairs.

    :returns: the network; the clock, which returns seconds.
    :raises UserError: when --busy is combined with a GPU.
    """
    choice = NetworkChoice(read_settings(arguments, ModelSettings), arguments.random)
    if arguments.busy and choice.device.type != 'cpu':
        raise UserError('--busy measures processor time: use it with --device cpu')
    return choice, time.process_time if arguments.busy else time.perf_counter


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.against_published',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='JSON file for the numbers')
    parser.add_argument(
        '--against', choices=(PUBLISHED, TORCH), default=PUBLISHED, help='slow steps (published)'
    )
    add_pairs(parser)
    arguments = parser.parse_args(argv)
    try:
        choice, clock = read_pairs(arguments)
        against = arguments.against
        comparison = compare(choice, arguments.resolution, arguments.pairs, clock, against)
        what = f'{choice}, processor time' if arguments.busy else str(choice)
        print(comparison.table(what, 'torch' if against == TORCH else 'as published').markdown())
        if arguments.json:
            with atomic_file(arguments.json) as file:
                file.write((json.dumps(comparison.to_json(), indent=1) + '\n').encode())
    except UserError as error:
        print(f'speed: error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
