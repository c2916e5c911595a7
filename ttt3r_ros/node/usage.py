# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the executables of nodes print for --help, without starting a node."""

from __future__ import annotations

import sys
import textwrap

from ttt3r_ros.settings import Checked, knobs

HELP = {'-h', '--help'}
WIDTH = 99
TEXT = """\
usage: ros2 run ttt3r_ros {name} [--ros-args -p NAME:=VALUE ... -r TOPIC:=TOPIC ...
                                  --params-file FILE.yaml]

{sentence}

parameters, with their defaults
{parameters}
docs/{page} explains topics and parameters."""


def printed_help(
    args: list[str] | None, name: str, sentence: str, kind: type[Checked], page: str
) -> bool:
    """
    Print how an executable is used, where its command line asks for it.

    :param args: the command line; by default that of the process.
    :param name: of the executable.
    :param sentence: what its node does.
    :param kind: of its settings.
    :param page: that documents it.
    :returns: whether it was printed; then there is nothing else to do.
    """
    # Words behind --ros-args are for ROS.
    own = ' '.join(sys.argv[1:] if args is None else args).partition('--ros-args')[0].split()
    if not HELP.intersection(own):
        return False
    text = TEXT.format(name=name, sentence=sentence, parameters=_parameters(kind), page=page)
    sys.stdout.write(f'{text}\n')
    return True


def _parameters(kind: type[Checked]) -> str:
    lines = []
    for name, field in knobs(kind).items():
        default = field.default
        shown = str(default).lower() if isinstance(default, bool) else f'{default!s}' or "''"
        lines.append(f'  {name}: {shown}')
        lines += textwrap.wrap(
            str(field.metadata['sentence']),
            WIDTH,
            initial_indent=' ' * 6,
            subsequent_indent=' ' * 6,
        )
    return '\n'.join(lines) + '\n'
