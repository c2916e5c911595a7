# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Measure what the view in the browser costs `ttt3r map`.

Runs without --view, with --view and no browser, and with a client that reads like a browser
alternate, each in a process of its own; counted is the processor time of that process.

Examples:
  ttt3r simulate --output drive --seconds 30 --image-rate 10
  OMP_NUM_THREADS=1 python -m benchmark.speed.viewer_cost drive --rounds 3

"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
import os
from pathlib import Path
import statistics
import subprocess
import sys
import tempfile
import threading

import msgspec
import viser
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from ttt3r_ros.bench.tables import Table
from ttt3r_ros.tools.options import positive_int

WITHOUT, NO_BROWSER, BROWSER = 'without', 'no browser', 'a browser reads'
MODES = (WITHOUT, NO_BROWSER, BROWSER)

# What a page sends first: from where it looks.
EYE = {
    'type': 'ViewerCameraMessage',
    'wxyz': (1.0, 0.0, 0.0, 0.0),
    'position': (0.0, 0.0, 5.0),
    'fov': 1.0,
    'near': 0.01,
    'far': 1000.0,
    'image_height': 600,
    'image_width': 800,
    'look_at': (0.0, 0.0, 0.0),
    'up_direction': (0.0, 0.0, 1.0),
}


@contextmanager
def reader(url: str) -> Iterator[None]:
    """
    Read all that a page gets, in a thread.

    :param url: of the page.
    """
    protocols = [Subprotocol(f'viser-v{viser.__version__}')]
    address = url.replace('http', 'ws')
    with connect(address, subprotocols=protocols, max_size=None) as client:
        client.send(msgspec.msgpack.encode(EYE))

        def read() -> None:
            try:
                for _ in client:
                    pass
            except ConnectionClosed:
                return

        thread = threading.Thread(target=read)
        thread.start()
        yield
        client.close()
        thread.join()


def processor_time(source: Path, mode: str) -> float:
    """
    Return the processor time of a run, seconds.

    :param source: input of `ttt3r map`.
    :param mode: one of MODES.
    """
    with tempfile.TemporaryDirectory() as folder:
        view = [] if mode == WITHOUT else ['--view']
        command = [sys.executable, '-m', 'ttt3r_ros.tools.main', 'map', str(source)]
        process = subprocess.Popen(
            [*command, '--output', folder, *view],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, 'PYTHONUNBUFFERED': '1'},
            text=True,
        )
        assert process.stdout is not None
        url = process.stdout.readline().rpartition(' ')[2].strip() if view else ''
        with reader(url) if mode == BROWSER else nullcontext():
            while ' frames' not in (line := process.stdout.readline()):
                if not line:
                    raise SystemExit('ttt3r map has failed')
            if view:
                process.terminate()  # a shell's background jobs ignore SIGINT
            process.stdout.read()
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('input', type=Path)
    parser.add_argument('--rounds', type=positive_int, default=3)
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
    for _ in range(arguments.rounds):
        for mode in MODES:
            seconds[mode].append(processor_time(arguments.input, mode))
    base = statistics.median(seconds[WITHOUT])
    middles = {mode: statistics.median(measured) for mode, measured in seconds.items()}
    rows = [[mode, f'{middle:.1f}', f'{middle / base:.2f}'] for mode, middle in middles.items()]
    caption = f'Median of {arguments.rounds} runs of ttt3r map'
    print(Table(caption, ['view', 'processor time [s]', 'ratio'], rows).markdown())


if __name__ == '__main__':
    main()
