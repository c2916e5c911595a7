# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Paths in the home directory of a user, who may have none, as in many containers."""

from __future__ import annotations

from pathlib import Path

from ttt3r_ros.errors import UserError


class NoHome(UserError):
    """A path needs the home directory, and there is none."""


def expanded(path: str | Path) -> Path:
    """
    Return a path with `~` replaced by the home directory.

    :raises NoHome: when it begins with `~`, and the environment does not define the directory.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise NoHome(
            f'{path}: this user has no home directory: set HOME, or use an absolute path'
        ) from error
