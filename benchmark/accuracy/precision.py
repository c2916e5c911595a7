# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The accuracy of each fast option, relative to strict float32.

On simulated sequences that are not in the training data, two errors are measured. One: the error
of a single step that starts from the state of the strict run. Two: the error of the whole path,
each option with its own states, as the ATE divided by that of strict; in one segment, and in
segments of the length that the checkpoint recommends.

The option "float32, as published" is the same network with another order of summation. Its
difference from strict is the noise of the measurement, as a path feeds back every rounding error.

Examples:
  python -m benchmark.accuracy.precision
  python -m benchmark.accuracy.precision --frames 200 --sequences 3 --families S

"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
import itertools
import json
from pathlib import Path
import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmark.accuracy.errors import Mean, PathErrors, ratio
from benchmark.accuracy.sequences import ImageSequence, PATHS, simulated
from benchmark.accuracy.tables import number
from benchmark.speed.slow_twin import published_network
from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.network import NetworkChoice
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model import FramePrediction, HeadSelection, Network, RecurrentState, update_rule
from ttt3r_ros.model.image_input import normalised
from ttt3r_ros.model.layers import Int8Storage
from ttt3r_ros.model.predictor import Predictor
from ttt3r_ros.settings import MappingSettings, ModelSettings, TrackingSettings
from ttt3r_ros.simulation.building import FAMILIES
from ttt3r_ros.tools.bench import PRESETS
from ttt3r_ros.tools.options import positive_int
from ttt3r_ros.tracking.guard import OpenGuard
from ttt3r_ros.tracking.observation import Observation

RATE_HZ = 15.0
RULE = 'ttt3r'
MOST_COST = 0.02  # of the ATE, of an option that is on by default


def _int8(network: Network) -> Network:
    return network.use_precision('int8', next(network.parameters()).device)


# Each makes its network out of a strict one, which it may change.
OPTIONS: dict[str, Callable[[Network], Network]] = {
    'float32, as published': published_network,
    'bfloat16 (precision fast)': Network.use_bfloat16,
    'int8 (precision int8)': _int8,
    'int8 weights, bfloat16 products': lambda network: network.use_int8(Int8Storage),
}
STRICT = 'float32 strict'


@dataclass(frozen=True)
class StepErrors:
    """
    Errors of one step that starts from the state of the strict run.

    translation: metres. rotation: degrees. points: median over the pixels of the distance between
    the points, divided by their distance from the camera. gain: largest error of all state
    tokens. tokens: root mean square error of the next state.
    """

    translation: float
    rotation: float
    points: float
    gain: float
    tokens: float

    @classmethod
    def of(
        cls,
        exact: tuple[FramePrediction, RecurrentState],
        rough: tuple[FramePrediction, RecurrentState],
    ) -> StepErrors:
        """Compare two steps that predicted points and pose."""
        (a, a_state), (b, b_state) = exact, rough
        (points, _), (rough_points, _) = a.points(), b.points()
        away = (points - rough_points).norm(dim=-1) / points.norm(dim=-1)
        # q and -q are the same rotation. The sine has digits where the cosine has none left.
        (translation, p), (rough_translation, q) = a.pose(), b.pose()
        half = min((p - q).norm().item(), (p + q).norm().item()) / 2
        return cls(
            (translation - rough_translation).norm().item(),
            float(np.degrees(4 * np.arcsin(half))),
            away.median().item(),
            (a.gain - b.gain).abs().max().item(),
            (a_state.tokens - b_state.tokens).square().mean().sqrt().item(),
        )


@dataclass(frozen=True)
class Found:
    """
    The errors of one option on one sequence.

    ate: metres, by frames of a segment, 0 for one segment. steps: one for each frame.
    """

    option: str
    sequence: str
    ate: dict[int, float]
    steps: list[StepErrors]


@torch.inference_mode()
def compare_steps(
    strict: Network, options: dict[str, Network], sequence: ImageSequence, progress: tqdm
) -> dict[str, list[StepErrors]]:
    """
    Compare each step of every option with strict, all from the state of the strict run.

    :param progress: advanced by one for each frame and network.
    :returns: by option, the errors of each frame.
    """
    rule = update_rule(RULE)
    device = next(strict.parameters()).device
    state = strict.initial_state()
    errors: dict[str, list[StepErrors]] = {name: [] for name in options}
    for rgb in sequence.rgb:
        image = _input(rgb).to(device)
        exact = strict.step(image, state, rule=rule, outputs=HeadSelection())
        for name, network in options.items():
            rough = network.step(image, state, rule=rule, outputs=HeadSelection())
            errors[name].append(StepErrors.of(exact, rough))
        state = exact[1]
        progress.update(1 + len(options))
    return errors


def _input(rgb: Pixels) -> Tensor:
    return normalised(torch.from_numpy(rgb)[None])


def map_sequence(
    network: Network, sequence: ImageSequence, interval: int, progress: tqdm
) -> Array:
    """
    Estimate a path with the mapper.

    :param interval: frames of a segment, 0 for one segment.
    :param progress: advanced by one for each frame.
    :returns: (T, 4, 4) world_T_camera.
    """
    device = next(network.parameters()).device
    predictor = Predictor(network, device=device, rule=update_rule(RULE))
    # What one option computes is compared with another: nothing is refused.
    tracking = TrackingSettings(reset_interval=interval)
    mapper = Mapper(predictor, MappingSettings(tracking), OpenGuard)
    poses = []
    for rgb, stamp_ns in zip(sequence.rgb, sequence.stamps_ns.tolist()):
        located = mapper.observe(Observation(rgb, stamp_ns))
        poses.append(located.tracked.network_T_camera)
        progress.update()
    return np.stack(poses)


def measure(
    strict: Network, sequences: list[ImageSequence], intervals: list[int], progress: tqdm
) -> list[Found]:
    """
    Measure strict and every option on every sequence.

    :param intervals: frames of a segment, 0 for one segment.
    :param progress: advanced by one for each frame, network and kind of run.
    """
    options = {name: make(deepcopy(strict)).eval() for name, make in OPTIONS.items()}
    found = []
    for sequence in sequences:
        steps = {STRICT: [], **compare_steps(strict, options, sequence, progress)}
        for name, network in {STRICT: strict, **options}.items():
            ate = {
                interval: PathErrors.of(
                    map_sequence(network, sequence, interval, progress), sequence.world_T_camera
                ).ate
                for interval in intervals
            }
            found.append(Found(name, sequence.name, ate, steps[name]))
    return found


def ate_ratio(found: list[Found], option: str, interval: int) -> Mean:
    """Return the ATE of an option over that of strict, with its standard error."""
    mine, strict = (
        [f.ate[interval] for f in found if f.option == name] for name in (option, STRICT)
    )
    return ratio(mine, strict)


def verdict(ratios: list[Mean]) -> str:
    """
    Return the verdict on an option by its ATE ratios.

    :returns: whether it may be on by default, or that there are too few sequences to decide.
    """
    worst = max(ratios, key=lambda mean: mean.value)
    if worst.value <= 1 + MOST_COST:
        return 'within 2 %'
    if worst.value - 2 * worst.error <= 1 + MOST_COST:
        return 'above 2 %, within twice its error'
    return 'above 2 %: off by default'


def tables(found: list[Found], intervals: list[int], what: str) -> list[Table]:
    """
    Return the tables of the single steps and of the paths.

    :param what: the data, for the captions.
    """
    options = [name for name in OPTIONS if any(f.option == name for f in found)]
    rows = []
    for name in options:
        steps = [step for f in found if f.option == name for step in f.steps]
        columns = np.array([list(asdict(step).values()) for step in steps]).T
        scaled = columns * np.array([1e3, 1, 100, 1, 1])[:, None]
        rows.append([name, *(f'{np.median(c):.2g} / {c.max():.2g}' for c in scaled)])
    head = ['option', 'translation [mm]', 'rotation [deg]', 'points [%]', 'gain', 'state tokens']
    step_table = Table(f'{what}: one step from the same state, median / worst', head, rows)

    rows = []
    for name in (STRICT, *options):
        ratios = [ate_ratio(found, name, interval) for interval in intervals]
        ates = [
            f'{np.mean([f.ate[interval] for f in found if f.option == name]):.3f}'
            for interval in intervals
        ]
        cells = [cell for a, r in zip(ates, ratios) for cell in (a, number(r, 3))]
        rows.append([name, *cells, '-' if name == STRICT else verdict(ratios)])
    names = [f'segments of {i}' if i else 'one segment' for i in intervals]
    head = [f'{kind}, {name}' for name in names for kind in ('ATE [m]', 'ratio')]
    sequences = len({f.sequence for f in found})
    caption = f'{what}: the paths of {sequences} sequences; ratio to strict ± standard error'
    return [step_table, Table(caption, ['option', *head, 'verdict'], rows)]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.accuracy.precision',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('--checkpoint', default='', help='file or name (default: the shipped checkpoint)')
    add('--random', choices=PRESETS, default='', help='random weights, as a test')
    add(
        '--frames',
        type=positive_int,
        default=500,
        metavar='N',
        help='of a sequence (default 500)',
    )
    add(
        '--sequences',
        type=positive_int,
        default=1,
        help='of each kind of path (default 1)',
    )
    add('--families', nargs='+', choices=list(FAMILIES), default=['S', 'M'], help='(default S M)')
    add('--device', default='auto', help='auto, cpu or cuda')
    add('--json', type=Path, metavar='FILE', help='JSON file for the numbers')
    arguments = parser.parse_args(argv)
    settings = ModelSettings(checkpoint=arguments.checkpoint, device=arguments.device)
    choice = NetworkChoice(settings, arguments.random)
    try:
        strict, info = choice.load('strict')
        advised = Predictor(strict, info, device=choice.device).advise(TrackingSettings())
        intervals = sorted({0, advised.reset_interval})
        sequences = _sequences(strict, arguments)
        per_frame = (1 + len(OPTIONS)) * (1 + len(intervals))
        total = len(sequences) * arguments.frames * per_frame
        with tqdm(total=total, unit='step', mininterval=1.0) as progress:
            found = measure(strict, sequences, intervals, progress)
    except UserError as error:
        print(f'precision: error: {error}', file=sys.stderr)
        return 1
    what = f'{info.name if info else arguments.random}, {arguments.frames} frames a sequence'
    print('\n'.join(table.markdown() for table in tables(found, intervals, what)))
    if arguments.json:
        record: dict[str, Any] = {'what': what, 'found': [asdict(f) for f in found]}
        with atomic_file(arguments.json) as file:
            file.write((json.dumps(record) + '\n').encode())
    return 0


def _sequences(network: Network, arguments: argparse.Namespace) -> list[ImageSequence]:
    fit = network.architecture.fit(640, 480)
    return [
        simulated(family, kind, index, arguments.frames, RATE_HZ, fit)
        for family, kind, index in itertools.product(
            arguments.families, PATHS, range(arguments.sequences)
        )
    ]


if __name__ == '__main__':
    sys.exit(main())
