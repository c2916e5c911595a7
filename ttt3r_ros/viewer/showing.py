# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A finished run or a saved map in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import os
from pathlib import Path
import sys
import threading
from typing import TYPE_CHECKING
import webbrowser

from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.viewer.optional import is_installed, PAGE, require_viser
from ttt3r_ros.viewer.stored import stored_scene

if TYPE_CHECKING:
    from ttt3r_ros.viewer.viewer import Viewer

PORT = 8080


def show(run_folder_or_map: Path, *, open_browser: bool = True) -> None:
    """
    Show a finished run or a saved map in the browser, until Ctrl-C.

    :param run_folder_or_map: folder that `ttt3r map` or `ttt3r demo` wrote, or a saved map file.
    :param open_browser: whether to open the page; its address is printed in any case.
    :raises UserError: when there is nothing to show, or the extra `viewer` is not installed.
    """
    scene = stored_scene(Path(run_folder_or_map))
    with started(open_browser=open_browser) as viewer:
        viewer.take(lambda: scene)
        wait_for_interrupt()


@contextmanager
def started(*, port: int = PORT, open_browser: bool = True) -> Iterator[Viewer]:
    """
    Serve a page, and print where it is.

    :param port: of 127.0.0.1, or the next free one; 0: any.
    :param open_browser: whether to open it.
    :raises UserError: when the extra `viewer` is not installed.
    """
    require_viser()
    # Here, not at the top: the library is an option.
    from ttt3r_ros.viewer.viewer import Viewer

    with Viewer(port) as viewer:
        sys.stdout.write(f'the view is at {viewer.url}\n')
        sys.stdout.flush()
        if open_browser:
            open_page(viewer.url)
        yield viewer


def leave_page(folder: Path) -> bool:
    """
    Write map.html of a finished run; return whether the extra `viewer` is there for it.

    :param folder: of the run.
    :raises UserError: when the run cannot be read, or the file not be written.
    """
    if not is_installed():
        return False
    from ttt3r_ros.viewer.page import write_page

    with atomic_file(folder / PAGE) as file:
        write_page(file, stored_scene(folder), folder.name)
    return True


def wait_for_interrupt() -> None:
    """Wait until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        sys.stdout.write('Ctrl-C ends the view\n')
        sys.stdout.flush()
        threading.Event().wait()


def open_page(url: str) -> bool:
    """
    Open a page in the browser of the user; return whether there is one with a screen.

    :param url: of the page.
    """
    has_screen = sys.platform in ('darwin', 'win32') or bool(
        os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')
    )
    # Without a screen a browser for text would take over the terminal.
    return has_screen and webbrowser.open(url)
