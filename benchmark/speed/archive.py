# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Measure what `ttt3r archive` costs over a plain loop of `ttt3r map`, and how it scales.

Simulated recordings are mapped by one process after the other, then by an archive of this machine
with one worker and with more. Each map has one thread. Two numbers show the overhead of one
worker: the ratio of both walls, in which other load of the machine shows, and the part of the
archive's own wall in which no recording was worked on, in which it does not. Most of it is the
start of Ray, once a run, so that it falls with the number of recordings; the pause between two
recordings does not.

Examples:
  python -m benchmark.speed.archive
  python -m benchmark.speed.archive --recordings 4 --image-rate 3 --json archive.json

"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
import json
import os
from pathlib import Path
from statistics import median
import subprocess
import sys
import tempfile
import time

from ttt3r_ros.archive.results import MANIFEST, read_result, RECORDINGS, RESULT, State
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.tools.options import positive_float, positive_int

TTT3R = (sys.executable, '-m', 'ttt3r_ros.tools.main')
MOST_OVERHEAD = 0.03


def timed(*words: str) -> float:
    """
    Run `ttt3r` with one thread.

    :returns: seconds.
    :raises UserError: when it fails.
    """
    began = time.perf_counter()
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    process = subprocess.run(
        [*TTT3R, *words], env=environment, capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise UserError(f'ttt3r {" ".join(words)}: {process.stderr[-500:]}')
    return time.perf_counter() - began


def simulate(folder: Path, count: int, seconds: float, image_rate: float) -> list[Path]:
    """
    Render recordings in one building, with different paths.

    :param folder: gets a folder for each.
    """
    recordings = [folder / f'drive{seed}' for seed in range(count)]
    for seed, recording in enumerate(recordings):
        sizes = (f'--seconds={seconds}', f'--image-rate={image_rate}')
        timed('simulate', f'--output={recording}', f'--seed={seed}', '--depth-every=1000', *sizes)
    return recordings


def one_after_the_other(recordings: Sequence[Path], output: Path) -> float:
    """
    Map recordings in a plain loop.

    :returns: seconds.
    """
    return sum(timed('map', str(path), f'--output={output / path.name}') for path in recordings)


def archived(recordings: Path, output: Path, workers: int) -> dict[str, float]:
    """
    Map recordings as an archive.

    :param recordings: their folder.
    :returns: workers; wall_s from begin to end; worked_s, the sum of the seconds of all
        recordings; pause_s, the median between the end of one and the begin of the next, of one
        worker.
    :raises UserError: when one was not mapped.
    """
    wall = timed('archive', str(recordings), f'--output={output}', f'--workers={workers}')
    lines = (output / MANIFEST).read_text(encoding='utf-8').splitlines()
    results = [read_result(line) for line in lines]
    if any(result.state is not State.DONE for result in results):
        raise UserError(f'a recording was not mapped: see {output / MANIFEST}')
    places = ((output / RECORDINGS / result.name / RESULT, result.seconds) for result in results)
    ends = sorted((path.stat().st_mtime, seconds) for path, seconds in places)
    pauses = [end - before - seconds for (before, _), (end, seconds) in pairwise(ends)]
    return {
        'workers': workers,
        'wall_s': wall,
        'worked_s': sum(result.seconds for result in results),
        'pause_s': median(pauses) if pauses else 0.0,
    }


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """
    Measure the loop and the archives.

    :param folder: empty, for recordings and results.
    """
    source = folder / 'recordings'
    source.mkdir()
    paths = simulate(source, arguments.recordings, arguments.seconds, arguments.image_rate)
    loop = one_after_the_other(paths, folder / 'loop')
    runs = [archived(source, folder / f'archive{n}', n) for n in arguments.workers]
    return {
        'recordings': arguments.recordings,
        'seconds': arguments.seconds,
        'image_rate': arguments.image_rate,
        'processors': os.cpu_count(),
        'load': os.getloadavg()[0],
        'loop_s': loop,
        'runs': runs,
    }


def table(record: dict[str, object]) -> Table:
    """Return the runs, each relative to the loop."""
    loop, runs = record['loop_s'], record['runs']
    assert isinstance(loop, float)
    assert isinstance(runs, list)
    rows = [['`ttt3r map`, one after the other', f'{loop:.0f}', '1.00', '', '']]
    for run in runs:
        idle = (run['wall_s'] - run['worked_s']) / run['worked_s']
        rows.append(
            [
                f'`ttt3r archive --workers {run["workers"]}`',
                f'{run["wall_s"]:.0f}',
                f'{loop / run["wall_s"]:.2f}',
                f'{100 * idle:.1f} %' if run['workers'] == 1 else '',
                f'{run["pause_s"]:.2f} s' if run['workers'] == 1 else '',
            ]
        )
    return Table(
        f'{record["recordings"]} recordings of {record["seconds"]:.0f} s, '
        f'{record["image_rate"]:g} images per second, {record["processors"]} processors, '
        f'load {record["load"]:.1f}',
        ['run', 'seconds', 'speed', 'not mapping', 'pause'],
        rows,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """
    Print the table.

    :param argv: options; by default those of the command line.
    :returns: 1 when one worker is idle for more than 3 % of its time, else 0.
    """
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.archive',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--recordings', type=positive_int, default=8, metavar='N')
    parser.add_argument('--seconds', type=positive_float, default=60.0, metavar='S')
    parser.add_argument('--image-rate', type=positive_float, default=10.0, metavar='HZ')
    parser.add_argument('--workers', type=positive_int, nargs='+', default=[1, 2, 4], metavar='N')
    parser.add_argument('--json', type=Path, metavar='FILE', help='JSON file for the numbers')
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix='archive_') as folder:
        record = measure(arguments, Path(folder))
    print(table(record).markdown())
    if arguments.json:
        with atomic_file(arguments.json) as file:
            file.write((json.dumps(record, indent=2) + '\n').encode())
    single = [run for run in record['runs'] if run['workers'] == 1]  # type: ignore[attr-defined]
    return int(any(run['wall_s'] > (1 + MOST_OVERHEAD) * run['worked_s'] for run in single))


if __name__ == '__main__':
    sys.exit(main())
