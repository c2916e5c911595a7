# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Measure a checkpoint on simulated worlds that are not in its training, and on recorded video.

parts, in the order of `--part all`:
  short     8 frames: depth, poses and points, with the baselines
  choose    update rules and segment lengths at 30, 15, 7.5 and 2 Hz, on separate paths
  rates     the same on the paths that are reported
  long      every update rule, with and without segments, against the length of the sequence
  real      the recordings of the shared folder, where it exists
  pictures  images, depth and paths of a long sequence of each family
  slam      the back end: final and live paths against the targets, parked robots; only by name
  relocalisation  robots in a saved map, two drives in one map; only by name
  merge     saved maps of two drives become one; only by name
  traps     two rooms that look the same, false loops; only by name
  covariance  errors of live poses against their predicted sigmas; only by name
  slow_network  live poses of the images that a slow network has no time for; only by name
  lost      when a camera counts as carried away, for each threshold; only by name
  rig       three cameras of one robot against one; only by name
  rules     update rules and segments, alone and with the back end; only by name
  map       points, cells and ghosts of the map against the true surfaces; only by name
  curve     validation errors against training frames, extrapolated
  targets   the targets and the measured values, from short, long and choose

Each part prints its tables and writes PART.md, PART.json and its pictures into --out, so that
parts can run in parallel; targets only reads what the others wrote. PART.details.md contains
the tables that are printed but not shown in the documentation.
`python -m benchmark.accuracy.docs` copies PART.md into the documentation.

Examples:
  python -m benchmark.accuracy --part short
  python -m benchmark.accuracy --part long --families S --lengths 100 200 500 --sequences 4
  python -m benchmark.accuracy --checkpoint runs/small/best.safetensors --quick
  python -m benchmark.accuracy --part curve --log runs/small/log.jsonl

"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import json
import os
from pathlib import Path
import shlex
import sys
import time

from benchmark.accuracy import (
    covariance,
    curve,
    frame_rates,
    long_sequences,
    lost,
    map_bars,
    merging,
    pictures,
    recordings,
    relocalisation,
    rigs,
    rules,
    short_sequences,
    slam,
    slow_network,
    targets,
    traps,
)
from benchmark.accuracy.estimates import default_method
from benchmark.accuracy.setup import Experiment, Report
from ttt3r_ros.atomic import atomic_file, output_folder
from ttt3r_ros.errors import UserError
from ttt3r_ros.model import Architecture
from ttt3r_ros.model.checkpoint import (
    CheckpointInfo,
    load_network,
    read_info,
    resolve_checkpoint,
)
from ttt3r_ros.model.precision import choose_precision
from ttt3r_ros.model.predictor import (
    choose_device,
    RANDOM_CHECKPOINT,
    random_network,
)
from ttt3r_ros.tools.options import positive_float, positive_int

OUT = Path('runs/accuracy')
PARTS: dict[str, Callable[[Experiment], Report]] = {
    'short': short_sequences.measure,
    'choose': frame_rates.choose,
    'rates': frame_rates.measure,
    'long': long_sequences.measure,
    'real': recordings.measure,
    'pictures': pictures.measure,
    'slam': slam.measure,
    'relocalisation': relocalisation.measure,
    'merge': merging.measure,
    'traps': traps.measure,
    'covariance': covariance.measure,
    'slow_network': slow_network.measure,
    'lost': lost.measure,
    'rig': rigs.measure,
    'rules': rules.measure,
    'map': map_bars.measure,
    'curve': curve.measure,
    'targets': targets.measure,
}
# They film a quarter of an hour of drives first.
ALONE = {
    'slam', 'relocalisation', 'merge', 'traps', 'covariance', 'slow_network', 'lost', 'rig', 'map',
    'rules',
}  # fmt: skip
QUICK = {'sequences': 1, 'lengths': [6, 12], 'intervals': [5], 'seconds': 0.4, 'frames': 12}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the chosen parts, and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(words)
    if arguments.quick:
        vars(arguments).update(QUICK)
    every = [part for part in PARTS if part not in ALONE]
    parts = every if arguments.part == 'all' else [arguments.part]
    try:
        device = choose_device(arguments.device)
        info: CheckpointInfo | None = None
        if arguments.checkpoint == RANDOM_CHECKPOINT:
            precision = choose_precision('auto', device, Architecture.tiny())
            network = random_network(device, precision).eval()
        else:
            path = resolve_checkpoint(arguments.checkpoint)
            precision = choose_precision('auto', device, read_info(path).architecture)
            network, info = load_network(path, device, precision)
        shipped = default_method(network, info)
        with output_folder(arguments.out) as out:
            experiment = Experiment(
                network,
                _weights(info),
                shipped,
                arguments.families,
                arguments.sequences,
                sorted(arguments.lengths),
                sorted({shipped.interval, *arguments.intervals} - {0}),
                arguments.rate,
                arguments.seconds,
                arguments.frames,
                arguments.shared,
                arguments.log,
                out,
            )
            for part in parts:
                _measure(part, experiment, words, info.name if info else RANDOM_CHECKPOINT)
    except UserError as error:
        print(f'accuracy: error: {error}', file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.accuracy',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('--checkpoint', default='', help='file or name; "random": random weights, as a test')
    add('--part', choices=[*PARTS, 'all'], default='all')
    add('--out', type=Path, default=OUT, help='folder (default: %(default)s)')
    add(
        '--families',
        type=_families,
        default='SML',
        help='letters; a repeated letter gets that many times the sequences',
    )
    add(
        '--sequences',
        type=positive_int,
        help='of each family and kind of path '
        f'(default: {short_sequences.SEQUENCES} short ones, '
        f'{long_sequences.SEQUENCES} long ones, {frame_rates.SEQUENCES} at several rates)',
    )
    add('--lengths', type=_length, nargs='+', default=[100, 200, 500], metavar='FRAMES')
    add('--intervals', type=positive_int, nargs='+', default=[3, 10], metavar='FRAMES')
    add('--rate', type=positive_float, default=15.0, help='Hz of short and long sequences')
    add(
        '--seconds',
        type=positive_float,
        default=10.0,
        help='of a sequence of the part rates',
    )
    add(
        '--frames',
        type=positive_int,
        default=1_000_000,
        help='of a recording, at most',
    )
    shared = Path(os.environ.get('TTT3R_SHARED', Path(__file__).parents[3] / 'shared'))
    add('--shared', type=Path, default=shared, help='folder that contains data/ with recordings')
    add('--log', type=Path, help='log.jsonl of the training run, for the part curve')
    add('--device', default='auto', help='auto, cpu or cuda')
    add('--quick', action='store_true', help='a few short sequences, as a test')
    return parser


def _families(text: str) -> str:
    if not text or set(text) - set('SML'):
        raise argparse.ArgumentTypeError(f'{text!r}: expected letters of S, M, L')
    return text


def _length(text: str) -> int:
    frames = positive_int(text)
    if frames < long_sequences.LEAST_FRAMES:
        raise argparse.ArgumentTypeError(
            f'a path has at least {long_sequences.LEAST_FRAMES} frames'
        )
    return frames


def _weights(info: CheckpointInfo | None) -> str:
    """Return the hash of the tensors, which does not change with the metadata."""
    return info.metadata.get('tensors_sha256') or info.sha256 if info else RANDOM_CHECKPOINT


def _measure(part: str, experiment: Experiment, words: list[str], name: str) -> None:
    """Run one part; print and write its report."""
    begin = time.monotonic()
    report = PARTS[part](experiment)
    seconds = time.monotonic() - begin
    if not report.tables and not report.pictures:
        return
    command = shlex.join(['python', '-m', 'benchmark.accuracy', *words])
    head = f'`{command}`\n\nCheckpoint {name}, tensors {experiment.weights[:12]}.\n'
    pictures = [f'![{caption}]({file})\n' for file, caption in report.pictures.items()]
    text = '\n'.join([head, *(table.markdown() for table in report.tables), *pictures])
    details = '\n'.join([head, *(table.markdown() for table in report.details)])
    print(f'\n{text}\n{details if report.details else ""}\n{part}: {seconds:.0f} s')
    record = {
        'command': command,
        'part': part,
        'checkpoint': name,
        'weights': experiment.weights,
        'seconds': round(seconds, 1),
        'records': [record.to_json() for record in report.records],
    }
    contents = {'md': text, 'json': json.dumps(record, indent=1) + '\n'}
    if report.details:
        contents['details.md'] = details
    for suffix, content in contents.items():
        with atomic_file(experiment.out / f'{part}.{suffix}') as file:
            file.write(content.encode())


if __name__ == '__main__':
    sys.exit(main())
