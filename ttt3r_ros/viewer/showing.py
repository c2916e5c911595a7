# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A finished run or a saved map in the browser."""

from __future__ import annotations

from pathlib import Path

from ttt3r_ros.errors import UserError


def show(run_folder_or_map: Path, *, open_browser: bool = True) -> None:
    """
    Show a finished run or a saved map in the browser, until Ctrl-C.

    :param run_folder_or_map: folder that `ttt3r map` or `ttt3r demo` wrote, or a saved map file.
    :param open_browser: whether to open the page; its address is printed in any case.
    :raises UserError: when there is nothing to show, or the extra `viewer` is not installed.
    """
    raise UserError('not written yet')
