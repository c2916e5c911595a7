# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Compare loading what points and pose need of a network with loading all of it.

Each is loaded from the same file by processes of their own, in turns. Resident memory includes
what was read of the file, which the system may take back; private memory does not.

Examples:
  OMP_NUM_THREADS=1 python -m benchmark.speed.loading
  OMP_NUM_THREADS=1 python -m benchmark.speed.loading --random tiny --precision fast

"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
from pathlib import Path
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

from ttt3r_ros.bench.memory import peak_resident, private
from ttt3r_ros.bench.network import random_weights
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.model import Architecture
from ttt3r_ros.model.checkpoint import load_network, load_network_of_images, save_checkpoint
from ttt3r_ros.tools.bench import PRESETS
from ttt3r_ros.tools.options import positive_int

LOADERS = {'whole': load_network, 'of images': load_network_of_images}
HEAD = ['', 'parameters', 'private [MB]', 'peak [MB]', 'processor time [s]']
CHILD = '--child'


def print_cost(loader: str, path: Path, precision: str) -> None:
    """
    Load a network and print, as JSON, what it cost.

    :param loader: key of LOADERS.
    :param path: checkpoint.
    :param precision: see load_network.
    """
    before, begin = private(), time.process_time()
    network, _ = LOADERS[loader](path, 'cpu', precision)
    spent = time.process_time() - begin
    parameters = sum(tensor.numel() for tensor in network.state_dict().values())
    print(json.dumps([parameters, (private() - before) / 1e6, peak_resident() / 1e6, spent]))


def cost(loader: str, path: Path, precision: str) -> list[float]:
    """
    Measure loading in a new process.

    :returns: parameters, private MB, peak MB, seconds.
    :raises UserError: when the process fails.
    """
    command = [sys.executable, '-m', 'benchmark.speed.loading', CHILD, loader, str(path)]
    done = subprocess.run(
        [*command, '--precision', precision], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f'loading failed: {done.stderr.strip().splitlines()[-1]}')
    measured: list[float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def compare(path: Path, precision: str, rounds: int) -> Table:
    """
    Measure each way of loading in turns.

    :param path: checkpoint.
    :param precision: see load_network.
    :param rounds: of each; the median counts.
    """
    measured: dict[str, list[list[float]]] = {name: [] for name in LOADERS}
    for _ in range(rounds):
        for name, found in measured.items():
            found.append(cost(name, path, precision))
    whole, part = (np.median(found, axis=0) for found in measured.values())
    rows = [
        [name, f'{numbers[0]:,.0f}', *(f'{number:.2f}' for number in numbers[1:])]
        for name, numbers in zip(LOADERS, (whole, part))
    ]
    rows.append(['ratio', *(f'{ratio:.3f}' for ratio in part / whole)])
    return Table(f'Loading in precision {precision}', HEAD, rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.loading',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--random', choices=PRESETS, default='published_512', help='sizes')
    parser.add_argument('--precision', choices=('strict', 'fast', 'int8'), default='strict')
    parser.add_argument('--rounds', type=positive_int, default=3)
    parser.add_argument(CHILD, nargs=2, metavar=('HOW', 'FILE'), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        print_cost(options.child[0], Path(options.child[1]), options.precision)
        return 0
    architecture: Architecture = getattr(Architecture, options.random)()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'random.safetensors'
        network = random_weights(architecture, torch.device('cpu'), 'strict')
        save_checkpoint(path, network, architecture, {})
        del network
        print(compare(path, options.precision, options.rounds).markdown())
    return 0


if __name__ == '__main__':
    sys.exit(main())
