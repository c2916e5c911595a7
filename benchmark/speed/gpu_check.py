# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Check everything that runs on a GPU, and compare its speed with the goals for an H100.

Equality of CPU and CUDA in strict and fast precision, and of CUDA graphs; the tests marked `gpu`;
the benchmark of the published 512 network and of the shipped checkpoint; the speed relative to
the published implementation; time and memory over a long run. No ROS is needed.

Exit code: 0 all passed, 1 a check failed, 2 there is no GPU.

Examples:
  python -m benchmark.speed.gpu_check
  python -m benchmark.speed.gpu_check --json gpu.json
  python -m benchmark.speed.gpu_check --device cpu --quick      a test without goals

"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.speed.against_published import compare
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.network import NetworkChoice
from ttt3r_ros.bench.report import Measured
from ttt3r_ros.bench.run import measure
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.bench.timed_predictor import WHOLE
from ttt3r_ros.errors import UserError
from ttt3r_ros.model import HeadSelection, Network, update_rule
from ttt3r_ros.model.checkpoint import load_network, resolve_checkpoint
from ttt3r_ros.model.predictor import (
    choose_device,
    DeviceError,
    Predictor,
    random_network,
    step_recorder,
)
from ttt3r_ros.settings import MappingSettings, ModelSettings

NO_GPU = 2
REPOSITORY = Path(__file__).parents[2]
CPU = torch.device('cpu')

# The goals: an H100, 512x288, points and pose, bfloat16.
MOST_MS = 4.0
LEAST_TIMES_FASTER = 5.0
MOST_DEVICE_MB = 2.5e9 / 2**20
MOST_DRIFT = 1.05  # of time and memory, late over early

# Largest difference between two devices, after some frames, over the largest number of each
# output. Other orders of summation in float32; in bfloat16 each rounding may fall otherwise.
MOST_DIFFERENCE = {'strict': 1e-3, 'fast': 5e-2}
EQUALITY_FRAMES = 5


@dataclass(frozen=True)
class Effort:
    """
    The extent of the measurement.

    preset, resolution: of the large network. frames: of its benchmark. long_frames: of the run
    that tests for constant cost. pairs: of fast and slow steps. seconds: longest run.
    """

    preset: str
    resolution: tuple[int, int]
    frames: int
    long_frames: int
    pairs: int
    seconds: float


FULL = Effort('published_512', (512, 288), 1_000, 10_000, 50, 600.0)
QUICK = Effort('tiny', (64, 48), 20, 120, 4, 30.0)


@dataclass(frozen=True)
class Goal:
    """One check with its result; passed is None where there is no limit to compare with."""

    name: str
    wanted: str
    found: str
    passed: bool | None

    def row(self) -> list[str]:
        """Return the cells of the table row."""
        verdict = {True: 'PASS', False: 'FAIL', None: 'not judged'}[self.passed]
        return [self.name, self.wanted, self.found, verdict]


@torch.inference_mode()
def largest_difference(network: Network, other: Network, images: Tensor) -> float:
    """
    Run two networks on the same images, each with its own states.

    :param images: (T, 3, H, W) in [-1, 1].
    :returns: largest difference of any output or state, over the largest value in that tensor.
    """
    rule, worst = update_rule('ttt3r'), 0.0
    a = network.architecture
    outputs = HeadSelection(world_points=a.world_head, rgb=a.rgb_head)
    state, other_state = network.initial_state(), other.initial_state()
    device, other_device = (next(n.parameters()).device for n in (network, other))
    for image in images:
        one, state = network.step(image[None].to(device), state, rule=rule, outputs=outputs)
        two, other_state = other.step(
            image[None].to(other_device), other_state, rule=rule, outputs=outputs
        )
        pairs = [(getattr(one, field.name), getattr(two, field.name)) for field in fields(one)]
        pairs += [(state.tokens, other_state.tokens), (state.memory, other_state.memory)]
        for x, y in pairs:
            if x is not None and x.numel():
                x, y = x.cpu(), y.cpu()
                worst = max(worst, ((x - y).abs().max() / x.abs().max().clamp_min(1)).item())
    return worst


def equality(device: torch.device) -> list[Goal]:
    """Compare the CPU with a device: every part of a tiny network, and the shipped one."""
    images = np.random.default_rng(0).uniform(-1, 1, (EQUALITY_FRAMES, 3, 160, 224))
    tensor = torch.from_numpy(images.astype(np.float32))
    goals = []
    for precision, bound in MOST_DIFFERENCE.items():
        tiny = [random_network(CPU, 'strict').eval() for _ in range(2)]
        small = [load_network(resolve_checkpoint('small'), CPU, 'strict')[0] for _ in range(2)]
        for name, (here, there) in (('tiny', tiny), ('small', small)):
            if precision == 'fast':
                here, there = here.use_bfloat16(), there.use_bfloat16()
            worst = largest_difference(here, there.to(device), tensor)
            goals.append(
                Goal(
                    f'CPU and {device.type} agree: {name}, {precision}',
                    f'at most {bound:g}',
                    f'{worst:.2g}',
                    worst <= bound,
                )
            )
    return goals


def graphs(device: torch.device) -> Goal:
    """Compare steps from a CUDA graph with the same steps, operation by operation."""
    network, info = load_network(resolve_checkpoint('small'), device, 'fast')
    recorder = step_recorder(device)
    plain = Predictor(network, info, device=device)
    replayed = Predictor(network, info, device=device, recorder=recorder)
    images = np.random.default_rng(0).integers(0, 256, (EQUALITY_FRAMES, 160, 224, 3), np.uint8)
    state, other, worst = plain.initial_state(), replayed.initial_state(), 0.0
    for rgb in images:
        one, state = plain.step(rgb, state)
        two, other = replayed.step(rgb, other)
        apart = np.abs(one.points_camera - two.points_camera).max()
        worst = max(worst, float(apart / np.abs(one.points_camera).max()))
    recorded = replayed.recorded
    return Goal(
        'steps from a graph equal steps operation by operation',
        f'recorded, at most {MOST_DIFFERENCE["fast"]:g}',
        f'{worst:.2g}' + ('' if recorded else ', not recorded'),
        None if recorder is None else recorded and worst <= MOST_DIFFERENCE['fast'],
    )


def run_gpu_tests() -> Goal:
    """Run the tests that need a GPU, including those of the renderer."""
    command = [sys.executable, '-m', 'pytest', '-q', '-m', 'gpu', 'test/model', 'test/simulation']
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines() or ['no output']
    if done.returncode:
        print(done.stdout)
    # Without a device they are skipped, which shows nothing.
    judged = None if 'passed' not in lines[-1] and not done.returncode else not done.returncode
    return Goal('tests marked gpu', 'pass', lines[-1].strip('= '), judged)


def check(device: torch.device, effort: Effort, record: dict[str, Any]) -> list[Goal]:
    """
    Check and measure everything, and print the tables.

    :param effort: the extent of the measurement.
    :param record: dictionary that the numbers are added to.
    """
    on_gpu = device.type == 'cuda'
    goals = [*equality(device), graphs(device), run_gpu_tests()]
    where = ModelSettings(device=str(device), precision='fast')
    large, small = NetworkChoice(where, effort.preset), NetworkChoice(where)
    comparison = compare(large, effort.resolution, effort.pairs)
    print(comparison.table(str(large)).markdown())

    measured: dict[str, Measured] = {}
    for name, choice, resolution, frames in (
        ('large', large, effort.resolution, effort.frames),
        ('small', small, (640, 480), effort.frames),
        ('long', large, effort.resolution, effort.long_frames),
    ):
        measured[name] = measure(choice, MappingSettings(), resolution, frames, effort.seconds)
        tables = measured[name].tables(str(choice))
        print('\n'.join(table.markdown() for table in tables))
    record['speed'] = comparison.to_json()
    record |= {name: numbers.to_json() for name, numbers in measured.items()}
    goals += [
        *_speed_goals(measured['large'], comparison.ratio, on_gpu),
        *_constant_goals(measured['long'], on_gpu),
    ]
    return goals


def _speed_goals(large: Measured, ratio: float, on_gpu: bool) -> list[Goal]:
    median = large.stages[WHOLE].median
    peak = large.memory.device_peak_mb
    return [
        Goal(
            'network, upload to download, median',
            f'at most {MOST_MS:g} ms',
            f'{median:.2f} ms',
            median <= MOST_MS if on_gpu else None,
        ),
        Goal(
            'times faster than the published way',
            f'at least {LEAST_TIMES_FASTER:g}',
            f'{ratio:.2f}',
            ratio >= LEAST_TIMES_FASTER if on_gpu else None,
        ),
        Goal(
            'peak device memory',
            f'at most {MOST_DEVICE_MB:.0f} MB',
            '-' if peak is None else f'{peak:.0f} MB',
            None if peak is None else peak <= MOST_DEVICE_MB,
        ),
    ]


def _constant_goals(long: Measured, on_gpu: bool) -> list[Goal]:
    goals = []
    costs = {cost.frame: cost for cost in long.costs}
    late, early = long.costs[-1], costs.get(100)
    wanted = f'at most {MOST_DRIFT:g}'
    if long.fork is not None:
        goals.append(
            Goal(
                f'a step after {long.fork.frames[1]} frames over one after {long.fork.frames[0]}',
                wanted,
                f'{long.fork.ratio:.3f}',
                long.fork.ratio <= MOST_DRIFT if on_gpu else None,
            )
        )
    if early and early.device_mb and late.device_mb:
        drift = late.device_mb / early.device_mb
        name = f'device memory at frame {late.frame} over that at frame 100'
        goals.append(Goal(name, wanted, f'{drift:.3f}', drift <= MOST_DRIFT))
    return goals


def main(argv: Sequence[str] | None = None) -> int:
    """Check and print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.gpu_check',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--device', default='cuda', help='default cuda')
    parser.add_argument('--quick', action='store_true', help='a tiny network and few frames')
    parser.add_argument('--json', type=Path, metavar='FILE', help='JSON file for the numbers')
    arguments = parser.parse_args(argv)
    try:
        device = choose_device(arguments.device)
    except DeviceError as error:
        print(f'gpu_check: {error}', file=sys.stderr)
        return NO_GPU
    record: dict[str, Any] = {'device': str(device), 'torch': torch.__version__}
    if device.type == 'cuda':
        record['name'] = torch.cuda.get_device_name(device)
    try:
        goals = check(device, QUICK if arguments.quick else FULL, record)
    except UserError as error:
        print(f'gpu_check: error: {error}', file=sys.stderr)
        return 1
    failed = [goal.name for goal in goals if goal.passed is False]
    head = ['goal', 'wanted', 'found', '']
    print(Table('Goals', head, [goal.row() for goal in goals]).markdown())
    print(f'FAIL: {", ".join(failed)}' if failed else 'PASS')
    if arguments.json:
        record['goals'] = [asdict(goal) for goal in goals]
        with atomic_file(arguments.json) as file:
            file.write((json.dumps(record, indent=1) + '\n').encode())
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
