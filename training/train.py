# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Train a small network from scratch on the simulated world.

Examples:
  python -m training.train --family SML --minutes 40 --out runs/small
  python -m training.train --family SML --minutes 40 --out runs/small --resume

All families first, then one family alone, under one schedule of the learning rate:
  python -m training.train --family SSML --minutes 40 --until 30 --out runs/small
  python -m training.train --family S --minutes 40 --out runs/small --resume

Small images first, whose steps take a third of the time, then larger ones:
  python -m training.train --resolution 128x96 --minutes 60 --until 30 --out runs/small
  python -m training.train --minutes 60 --resume --out runs/small

On from the checkpoint that ships, on a GPU; best.safetensors is written where it is better:
  python -m training.train --preset more --begin-with small --minutes 8 --workers 8 --out runs/more

The larger network, for a GPU:
  python -m training.train --preset base --minutes 40 --out runs/base

"""

from __future__ import annotations

import argparse
from pathlib import Path
import shlex
import signal
import sys

import torch

from training.presets import PRESETS
from training.process_group import own_device
from training.run import Run
from ttt3r_ros.errors import UserError
from ttt3r_ros.model.checkpoint import resolve_checkpoint
from ttt3r_ros.model.predictor import choose_device
from ttt3r_ros.tools.options import image_size


def main(argv: list[str] | None = None) -> int:
    """Start or resume training, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m training.train',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--preset', choices=sorted(PRESETS), default='small')
    parser.add_argument(
        '--family',
        default='SML',
        help='families of the simulated worlds, repeated for weight, for example SSL',
    )
    parser.add_argument(
        '--resolution', type=image_size, metavar='WxH', help='image size, for example 128x96'
    )
    parser.add_argument('--minutes', type=float, required=True, help='duration of the whole run')
    parser.add_argument('--until', type=float, help='minutes of the run at which to stop early')
    parser.add_argument('--out', type=Path, required=True, help='folder of the run')
    parser.add_argument(
        '--begin-with', metavar='FILE', help='checkpoint to train on from: a file, or small'
    )
    parser.add_argument('--resume', action='store_true', help='resume the run in --out')
    parser.add_argument('--device', default='auto', help='auto, cpu or cuda')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--threads', type=int, default=1, help='CPU threads of the network')
    parser.add_argument('--workers', type=int, default=1, help='processes that render clips')
    parser.add_argument(
        '--check-every', type=float, default=300.0, help='seconds between validations'
    )
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        preset = PRESETS[arguments.preset]
        run = Run(
            preset.at(*arguments.resolution) if arguments.resolution else preset,
            arguments.family,
            arguments.minutes,
            arguments.out,
            own_device(choose_device(arguments.device)),
            arguments.seed,
            f'python -m training.train {shlex.join(sys.argv[1:] if argv is None else argv)}',
        )
        if arguments.begin_with:
            run.begin_with(resolve_checkpoint(arguments.begin_with))
        if arguments.resume:
            run.load()
        before = signal.signal(signal.SIGTERM, lambda *_: run.stop())
        try:
            run.train(arguments.check_every, arguments.workers, arguments.until)
        finally:
            signal.signal(signal.SIGTERM, before)
    except UserError as error:
        print(f'training: error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
