# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Show a finished run or a saved map in the browser."""

from __future__ import annotations

import argparse

from ttt3r_ros.tools.options import named_path
from ttt3r_ros.viewer.showing import show

EXAMPLES = """examples:
  ttt3r view out                 what `ttt3r map ... --output out` or `ttt3r demo` wrote
  ttt3r view house.ttt3r         a map of --save-map, or of the node
  ttt3r view out --no-browser    only print the address

The page is served to this machine only. Over SSH: ssh -L 8080:localhost:8080 robot, and open
http://localhost:8080 here; or copy map.html of the output folder, which needs no server."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    parser.add_argument(
        'shown',
        type=named_path,
        metavar='OUTPUT_OR_MAP',
        help='folder of ttt3r map or demo, or a saved map',
    )
    parser.add_argument('--no-browser', action='store_true', help='do not open the page')


def run(arguments: argparse.Namespace) -> int:
    """
    Show the map until Ctrl-C.

    :param arguments: the parsed options.
    :returns: exit status 0.
    """
    show(arguments.shown, open_browser=not arguments.no_browser)
    return 0
