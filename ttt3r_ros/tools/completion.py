# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Print a script with which a shell completes the commands and options of ttt3r.

Examples:
  eval "$(ttt3r completion bash)"                                     this terminal
  ttt3r completion bash > ~/.local/share/bash-completion/completions/ttt3r
  ttt3r completion zsh > ~/.zfunc/_ttt3r                              with fpath+=~/.zfunc

It needs the extra `completion`: pip install shtab

"""

from __future__ import annotations

import argparse
import importlib

from ttt3r_ros.errors import UserError
from ttt3r_ros.tools.main import COMMANDS

SHELLS = ('bash', 'zsh', 'tcsh')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.add_argument('shell', choices=SHELLS)


def run(arguments: argparse.Namespace) -> int:
    """
    Print the script.

    :param arguments: the parsed options.
    :returns: exit status 0.
    :raises UserError: when shtab is not installed.
    """
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise UserError('completion needs the Python package shtab: pip install shtab') from error
    print(shtab.complete(whole_parser(), arguments.shell))
    return 0


def whole_parser() -> argparse.ArgumentParser:
    """Return one parser of all commands, which are imported for it."""
    parser = argparse.ArgumentParser(prog='ttt3r')
    commands = parser.add_subparsers()
    for name, sentence in COMMANDS.items():
        command = commands.add_parser(name, help=sentence)
        importlib.import_module(f'ttt3r_ros.tools.{name}').add_arguments(command)
    return parser
