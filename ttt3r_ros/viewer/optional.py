# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What of the viewer is known without its library, which is an option."""

from __future__ import annotations

from importlib.util import find_spec

from ttt3r_ros.errors import UserError

PAGE = 'map.html'
HOW_TO_INSTALL = 'pip install -r requirements/viewer.txt'


def is_installed() -> bool:
    """Return whether this Python has viser."""
    return find_spec('viser') is not None


def require_viser() -> None:
    """
    Check that this Python has viser.

    :raises UserError: naming the command that installs it.
    """
    if not is_installed():
        raise UserError(f'the viewer needs the package viser: {HOW_TO_INSTALL}')
