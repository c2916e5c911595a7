# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Measure the speed of mapping on this machine: stages, memory, and the cost of a long run."""

from __future__ import annotations

import argparse
import json

from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.errors import UserError
from ttt3r_ros.settings import MappingSettings, ModelSettings
from ttt3r_ros.tools.options import (
    add_settings,
    image_size,
    named_path,
    positive_float,
    positive_int,
    read_settings,
)
from ttt3r_ros.tools.terminal import print_next

EXAMPLES = """examples:
  ttt3r bench                                the shipped checkpoint with automatic settings
  ttt3r bench --precision fast --json bench.json
  ttt3r bench --random published_512 --resolution 512x288 --precision fast --seconds 60
  ttt3r bench --long --resolution 128x96     does frame 10,000 cost what frame 100 costs?

The images are those of a simulated world, repeated. Half of the frames are mapped as the
product does it, the others stage by stage. The peak is that of a matrix product on this
machine, in the same precision and the same run. Other programs that run meanwhile slow it."""

FRAMES, LONG_FRAMES = 1_000, 10_000
SECONDS, LONG_SECONDS = 60.0, 3_600.0
PRESETS = ('published_512', 'published_224', 'base', 'small', 'tiny')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    add = parser.add_argument
    add('--random', choices=PRESETS, help='random weights of these sizes instead of a checkpoint')
    add(
        '--resolution',
        type=image_size,
        default=(640, 480),
        metavar='WxH',
        help='of the camera images (default 640x480), from which that of the network follows',
    )
    add('--frames', type=positive_int, metavar='N', help=f'at most (default {FRAMES})')
    add(
        '--seconds',
        type=positive_float,
        metavar='X',
        help=f'of measuring, at most (default {SECONDS:g})',
    )
    add('--long', action='store_true', help=f'{LONG_FRAMES} frames, however long they take')
    add('--json', type=named_path, metavar='FILE', help='JSON file for the numbers')
    add_settings(parser, ModelSettings)
    add_settings(parser, MappingSettings)


def run(arguments: argparse.Namespace) -> int:
    """
    Measure and print.

    :param arguments: the parsed options.
    :returns: exit status 0.
    """
    model = read_settings(arguments, ModelSettings)
    mapping = read_settings(arguments, MappingSettings)
    if arguments.random and model.checkpoint:
        raise UserError('use --random or --checkpoint, not both')

    # Here, not at the top: errors above are reported before torch is loaded.
    import torch

    from ttt3r_ros.bench.network import NetworkChoice
    from ttt3r_ros.bench.run import measure
    from ttt3r_ros.tools.mapping_run import versions

    choice = NetworkChoice(model, arguments.random or '')
    frames = arguments.frames or (LONG_FRAMES if arguments.long else FRAMES)
    seconds = arguments.seconds or (LONG_SECONDS if arguments.long else SECONDS)
    measured = measure(choice, mapping, arguments.resolution, frames, seconds)
    print('\n'.join(table.markdown() for table in measured.tables(str(choice))))
    if arguments.json:
        record = {
            'network': str(choice),
            'device': str(choice.device),
            'precision': choice.precision,
            'runtime': choice.runtime,
            'threads': torch.get_num_threads(),
            'versions': versions(),
            **measured.to_json(),
        }
        with atomic_file(arguments.json) as file:
            file.write((json.dumps(record, indent=1) + '\n').encode())
    print_next('docs/performance.md has the figures of other machines, and what makes it faster')
    return 0
