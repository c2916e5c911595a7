# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Colours of a terminal, and the line at the end that names what to open next."""

from __future__ import annotations

import os
import sys
from typing import TextIO

RED, YELLOW, GREEN = 31, 33, 32


def colored(text: str, color: int, stream: TextIO) -> str:
    """
    Return a text in bold colour, where the stream is a terminal and colour is wanted.

    :param text: one line.
    :param color: number of the colour, as terminals count them.
    :param stream: that it will be written to.
    """
    plain = os.environ.get('NO_COLOR') or os.environ.get('TERM') == 'dumb'  # no-color.org
    return text if plain or not stream.isatty() else f'\x1b[1;{color}m{text}\x1b[0m'


def print_next(text: str) -> None:
    """
    Print, as the last line of a command, what to open or run next.

    :param text: what follows `next:`.
    """
    print(f'{colored("next:", GREEN, sys.stdout)} {text}')


def print_error(program: str, text: str) -> None:
    """
    Print why a command failed.

    :param program: its name.
    :param text: one line.
    """
    one_line = text.replace('\n', '\\n')  # a name of a file may have any character
    print(f'{program}: {colored("error:", RED, sys.stderr)} {one_line}', file=sys.stderr)


def print_note(kind: str, text: str) -> None:
    """
    Print what a user should know of a run.

    :param kind: warning or note.
    :param text: one line.
    """
    print(f'{colored(f"{kind}:", YELLOW, sys.stderr)} {text}', file=sys.stderr)
