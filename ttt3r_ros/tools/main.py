# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The `ttt3r` command, which imports only the chosen subcommand."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import importlib
import os
import sys

from ttt3r_ros.errors import UserError
from ttt3r_ros.tools.streams import lossy_streams
from ttt3r_ros.tools.terminal import print_error

# Each is a module of this folder with `add_arguments(parser)` and `run(arguments) -> int`.
COMMANDS = {
    'map': 'turn a video, images, a rosbag2 or a camera into a map and a trajectory',
    'compare': 'map one recording with several update rules, side by side',
    'archive': 'map all recordings of a folder, bucket or list, on a cluster too',
    'merge': 'join saved maps of one building',
    'serve': 'serve the network to several robots, from one GPU',
    'view': 'show a finished run or a saved map in the browser',
    'evaluate': 'measure a trajectory, and depth, against ground truth',
    'export': 'write a map, its images and poses in formats of other programs',
    'demo': 'map a simulated robot, or a recording, live on ROS 2',
    'doctor': 'check a running system: missing images, unmarked obstacles',
    'simulate': 'render a procedural indoor world with exact depth and poses',
    'bench': 'measure the speed of mapping on this machine, stage by stage',
    'weights': 'fetch, convert, show and verify checkpoints',
    'completion': 'print a script with which a shell completes commands and options',
}

# OpenCV and its FFmpeg print many lines of their own about a damaged file, unless switched off
# before they are loaded.
QUIET = {'OPENCV_LOG_LEVEL': 'ERROR', 'OPENCV_FFMPEG_LOGLEVEL': '-8'}

# The option of a command whose file holds defaults of its other options.
CONFIG = 'config'

USER_ERROR = 1
INTERRUPTED = 130
NOBODY_LISTENS = 141


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one command.

    :param argv: the words after `ttt3r`; by default those of the command line.
    :returns: the exit code: 0 success, 1 an error that the user can correct, 130 interrupted;
        wrong options exit with 2.
    """
    for name, level in QUIET.items():
        os.environ.setdefault(name, level)
    with lossy_streams() as output:
        code = _run(sys.argv[1:] if argv is None else list(argv))
    return USER_ERROR if output.lost and code == 0 else code


def _run(argv: list[str]) -> int:
    name = _chosen_command(argv)
    command = importlib.import_module(f'ttt3r_ros.tools.{name}')
    parser = argparse.ArgumentParser(
        prog=f'ttt3r {name}',
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    arguments = parser.parse_args(argv[1:])
    try:
        if getattr(arguments, CONFIG, None) is not None:
            # Here, not at the top: it loads YAML. The command line goes before the file.
            from ttt3r_ros.tools.config_file import config_defaults

            parser.set_defaults(**config_defaults(arguments.config))
            arguments = parser.parse_args(argv[1:])
        return int(command.run(arguments))
    except BrokenPipeError:
        # Whoever reads what is printed has seen enough, `| head` for example. Python's own last
        # flush shall not fail as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_LISTENS
    except UserError as error:
        print_error(parser.prog, str(error))
        return USER_ERROR
    except OSError as error:
        # What no reader or writer expects of the system: a name that is too long, for example.
        place = f': {error.filename}' if error.filename else ''
        print_error(parser.prog, f'{error.strerror or error}{place}')
        return USER_ERROR
    except KeyboardInterrupt:
        print(f'{parser.prog}: interrupted', file=sys.stderr)
        return INTERRUPTED


def _chosen_command(argv: list[str]) -> str:
    """Return the command; --help, --version and unknown commands exit here."""
    parser = argparse.ArgumentParser(
        prog='ttt3r',
        description='One camera in, a metric map and a trajectory out.',
        epilog='commands:\n'
        + ''.join(f'  {name:<10} {sentence}\n' for name, sentence in COMMANDS.items())
        + '\n`ttt3r COMMAND --help` explains one.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='store_true', help='print the version and exit')
    parser.add_argument('command', nargs='?', choices=list(COMMANDS), metavar='COMMAND')
    arguments = parser.parse_args(argv[:1])
    if arguments.version:
        from importlib.metadata import version

        print(f'ttt3r_ros {version("ttt3r_ros")}')
        parser.exit()
    if arguments.command is None:
        parser.error(f'a command is needed: {", ".join(COMMANDS)}')
    return str(arguments.command)


if __name__ == '__main__':
    sys.exit(main())
