# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The live view: a page of this machine that always shows the newest scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import threading
import time
from types import TracebackType

import numpy as np
import viser

from ttt3r_ros.arrays import Array
from ttt3r_ros.viewer.controls import Controls, PLAY_STEP_S, Request
from ttt3r_ros.viewer.drawing import Drawing, Look, start_camera
from ttt3r_ros.viewer.scene import Scene
from ttt3r_ros.viewer.server import LocalServer

PORT = 8080
# The page is drawn at most so often; what comes faster is left out.
PERIOD_S = 0.1
# And it rests so many times as long as that took.
REST = 1.0

CLOSE_TIMEOUT_S = 5.0


class Viewer:
    """
    Serve a page with the newest scene; a context manager.

    A thread of its own builds and draws scenes, and only while a browser is there. `take` returns
    at once, however slow that is.
    """

    def __init__(self, port: int = PORT, requests: Mapping[str, Request] | None = None) -> None:
        """
        Begin to serve.

        :param port: of 127.0.0.1, or the next free one; 0: any.
        :param requests: of the user, see Controls.
        """
        self._server = LocalServer(port)
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._waiting: Callable[[], Scene] | None = None
        self._closing = False
        self._scene: Scene | None = None
        self._controls = Controls(self._server, self._wake.set, requests or {})
        self._drawing = Drawing(self._server)
        self._place: Array | None = None  # of the camera, at last
        self._had_view = False
        self._server.on_client_connect(lambda _client: self._wake.set())
        self._thread = threading.Thread(target=self._run, name='viewer', daemon=True)
        self._thread.start()

    def __enter__(self) -> Viewer:
        """Return this object."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the server."""
        self.close()

    @property
    def url(self) -> str:
        """Return the address of the page."""
        return self._server.url

    @property
    def watched(self) -> bool:
        """Return whether a browser is there."""
        return bool(self._server.get_clients())

    def take(self, make: Callable[[], Scene]) -> None:
        """
        Show a scene instead of all before, as soon as a browser is there.

        :param make: returns it; called in the thread of the viewer, or never, where a newer one
            comes first.
        """
        with self._lock:
            self._waiting = make
        self._wake.set()

    def close(self) -> None:
        """End the server and its thread."""
        self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_TIMEOUT_S)
        self._server.stop()

    def _run(self) -> None:
        while True:
            self._wake.wait(PLAY_STEP_S if self._controls.plays else None)
            self._wake.clear()
            if self._closing:
                return
            if self.watched:
                began = time.monotonic()
                self._show()
                took = time.monotonic() - began
                time.sleep(max(PERIOD_S - took, REST * took))

    def _show(self) -> None:
        """Draw the newest scene as the user wants to see it."""
        with self._lock:
            make, self._waiting = self._waiting, None
        if make is not None:
            self._scene = make()
            self._controls.offer(self._scene)
        if self._scene is None:
            return
        if self._controls.plays:
            self._controls.step()
        scene = self._scene.until(self._controls.until_s)
        look = self._controls.look(self._scene)
        self._drawing.draw(scene, look)
        self._controls.show(scene, self._drawing.points)
        self._move_eyes(scene, look)

    def _move_eyes(self, scene: Scene, look: Look) -> None:
        """Look at the map when there is one, and along with the camera if the user wants that."""
        if not self._had_view and (len(scene.cloud) or scene.newest is not None):
            self._had_view = True
            eye, target = start_camera(scene)
            self._server.initial_camera.position = tuple(eye.tolist())
            self._server.initial_camera.look_at = tuple(target.tolist())
            for client in self._server.get_clients().values():
                _put(client, eye, target)
        before = self._place
        self._place = None if scene.newest is None else scene.newest.map_T_camera[:3, 3]
        if look.follow and before is not None and self._place is not None:
            for client in self._server.get_clients().values():
                with client.atomic():
                    client.camera.position = client.camera.position + (self._place - before)


def _put(client: viser.ClientHandle, eye: Array, target: Array) -> None:
    with client.atomic():
        client.camera.position = tuple(eye.tolist())
        client.camera.look_at = tuple(np.asarray(target).tolist())
