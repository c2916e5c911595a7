# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The server of the page, for this machine only."""

from __future__ import annotations

import threading

import rich
import viser

HOST = '127.0.0.1'
STOP_TIMEOUT_S = 1.0
TITLE = 'ttt3r_ros'


class LocalServer(viser.ViserServer):
    """A server that only this machine reaches, and that nothing makes public."""

    def __init__(self, port: int) -> None:
        """
        Begin to serve an empty page.

        :param port: the first free one from here on is used; 0: any.
        """
        rich.get_console().quiet = True  # viser draws a box into the output of the program
        super().__init__(HOST, port, label=TITLE, verbose=False)
        self.gui.configure_theme(show_logo=False, show_share_button=False, dark_mode=True)
        self.scene.world_axes.visible = False

    def request_share_url(self, verbose: bool = True) -> None:
        """
        Refuse to open a public tunnel, whoever asks; a page can ask without a button, too.

        :param verbose: has no effect.
        """

    def stop(self) -> None:
        """End it; viser alone waits six seconds for the goodbye of a page that stays open."""
        ending = threading.Thread(target=super().stop, name='viewer end', daemon=True)
        ending.start()
        ending.join(STOP_TIMEOUT_S)

    @property
    def url(self) -> str:
        """Return the address of the page."""
        return f'http://{self.get_host()}:{self.get_port()}'
