# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Finds the files that are installed with the code."""

from __future__ import annotations

import os
from pathlib import Path
import sys

from ttt3r_ros.errors import UserError


def config_file(name: str) -> Path:
    """
    Return the path of a file of the folder config, in a checkout or an installation.

    :param name: file name.
    :raises UserError: when it does not exist.
    """
    checkout = Path(__file__).resolve().parents[2]
    prefixes = [*filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(':')), sys.prefix]
    folders = [checkout, *(Path(prefix) / 'share' / 'ttt3r_ros' for prefix in prefixes)]
    for folder in folders:
        if (folder / 'config' / name).is_file():
            return (folder / 'config' / name).resolve()  # Fast DDS reads a link twice
    raise UserError(
        f'config/{name} is in none of {", ".join(map(str, folders))}: install ttt3r_ros again'
    )
