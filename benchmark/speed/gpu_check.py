# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Check everything that runs on a GPU, and compare its speed with the goals for an H100.

Equality of CPU and CUDA, of graphs, of 16 bit and int8; the speed of network and node with the
published sizes; memory; 2000 frames; the published way; batches; the tests marked gpu; compiled
blocks. No ROS is needed. Each row is printed and written when it is known, as one line of JSON:
a run that is cut keeps its rows. After --seconds no further measurement begins.

Exit code: 0 all passed, 1 a row failed, 2 there is no GPU.

Examples:
  python -m benchmark.speed.gpu_check --json gpu.jsonl
  python -m benchmark.speed.gpu_check --only steps node
  python -m benchmark.speed.gpu_check --device cpu --small      a test without goals

"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
import gc
import json
import os
from pathlib import Path
import sys
import time
import traceback
from typing import Any, TextIO

import torch

from benchmark.speed.gpu_rows import FULL, MEASUREMENTS, Row, SMALL, Subject
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.model.predictor import choose_device, DeviceError

NO_GPU = 2
SECONDS = 240.0

Measurement = Callable[[Subject], Iterator[Row]]


def rows_of(
    measurements: Iterable[Measurement], subject: Subject, until: float
) -> Iterator[tuple[str, Row]]:
    """
    Run measurements, of which one that fails does not keep the next from running.

    :param measurements: in this order.
    :param until: moment of time.monotonic() after which none begins.
    :returns: the name of the measurement and each of its rows.
    """
    for measurement in measurements:
        name = measurement.__name__
        if time.monotonic() > until:
            yield name, Row(name, '-', 'not run: no time was left', None)
            continue
        try:
            yield from ((name, row) for row in measurement(subject))
        except Exception as error:  # noqa: BLE001  its trace is among the numbers
            said = f'{type(error).__name__}: {error}'.splitlines()[0]
            yield name, Row(name, 'no error', said, False, {'trace': traceback.format_exc()})
        # What a measurement held on the device is free before the next one.
        gc.collect()
        if subject.on_gpu:
            torch.cuda.empty_cache()


def _write(file: TextIO | None, record: dict[str, Any]) -> None:
    """Append a line of JSON that is on the disk when this returns."""
    if file is not None:
        file.write(json.dumps(record) + '\n')
        file.flush()
        os.fsync(file.fileno())


def check(
    measurements: Iterable[Measurement], subject: Subject, seconds: float, file: TextIO | None
) -> list[Row]:
    """
    Run measurements; print and write each row when it is known.

    :param seconds: after which no measurement begins.
    :param file: for lines of JSON: first what ran where, then one for each row.
    """
    begin = time.monotonic()
    where = {'device': str(subject.device), 'torch': torch.__version__}
    if subject.on_gpu:
        where['name'] = torch.cuda.get_device_name(subject.device)
    _write(file, where)
    rows = []
    for name, row in rows_of(measurements, subject, begin + seconds):
        rows.append(row)
        print(' | '.join(row.cells()), flush=True)
        _write(file, {'part': name, 'at_s': time.monotonic() - begin, **asdict(row)})
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Check and print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.gpu_check',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, names = parser.add_argument, [each.__name__ for each in MEASUREMENTS]
    add('--device', default='cuda', help='default cuda')
    add('--small', action='store_true', help='a tiny network and few frames')
    add('--only', nargs='+', choices=names, metavar='NAME', help=f'some of: {", ".join(names)}')
    add('--seconds', type=float, default=SECONDS, help='after which none begins (default 240)')
    add('--json', type=Path, metavar='FILE', help='file for the rows, a line of JSON each')
    arguments = parser.parse_args(argv)
    try:
        subject = Subject(choose_device(arguments.device), SMALL if arguments.small else FULL)
    except DeviceError as error:
        print(f'gpu_check: {error}', file=sys.stderr)
        return NO_GPU
    chosen = [each for each in MEASUREMENTS if each.__name__ in (arguments.only or names)]
    with arguments.json.open('w') if arguments.json else nullcontext() as file:
        rows = check(chosen, subject, arguments.seconds, file)
    failed = [row.name for row in rows if row.passed is False]
    head = ['goal', 'wanted', 'found', '']
    print(Table('Goals', head, [row.cells() for row in rows]).markdown())
    print(f'FAIL: {", ".join(failed)}' if failed else 'PASS')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
