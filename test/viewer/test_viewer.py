# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The thread of the viewer: the newest scene wins, and nothing waits for a browser."""

import base64
from contextlib import contextmanager
from pathlib import Path
import socket
import struct
import threading
import time
import urllib.request

import numpy as np
import pytest

from ttt3r_ros.viewer.scene import Cloud, Scene

viser = pytest.importorskip('viser', reason='needs the package viser')

DEADLINE_S = 60.0

# What a page sends first: from where it looks.
EYE = {
    'type': 'ViewerCameraMessage',
    'wxyz': (1.0, 0.0, 0.0, 0.0),
    'position': (0.0, 0.0, 5.0),
    'fov': 1.0,
    'near': 0.01,
    'far': 1000.0,
    'image_height': 600,
    'image_width': 800,
    'look_at': (0.0, 0.0, 0.0),
    'up_direction': (0.0, 0.0, 1.0),
}


@pytest.fixture
def viewer():
    from ttt3r_ros.viewer.viewer import Viewer

    with Viewer(port=0) as viewer:
        yield viewer


@contextmanager
def connected(viewer):
    """Connect as the page does, with bare bytes, and read nothing."""
    import msgspec

    host, port = viewer.url.removeprefix('http://').split(':')
    eye = msgspec.msgpack.encode(EYE)
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect((host, int(port)))
        lines = [
            'GET / HTTP/1.1',
            f'Host: {host}:{port}',
            'Upgrade: websocket',
            'Connection: Upgrade',
            'Sec-WebSocket-Version: 13',
            f'Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}',
            f'Sec-WebSocket-Protocol: viser-v{viser.__version__}',
        ]
        stuck.sendall('\r\n'.join([*lines, '', '']).encode())
        assert b'101 Switching' in stuck.recv(100)
        # One binary frame with a length of two bytes, masked with zeros.
        stuck.sendall(b'\x82\xfe' + struct.pack('>H', len(eye)) + bytes(4) + eye)
        wait_until(lambda: viewer.watched)
        yield


def wait_until(condition):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, 'waited too long'
        time.sleep(0.01)


def big_scene():
    count = 200_000
    points = np.random.default_rng(0).random((count, 3), np.float32)
    return Scene(cloud=Cloud(points, np.zeros((count, 3), np.uint8), points[:, 0]))


class Recipe:
    """Makes a scene, and counts how often; waits until `go` is set."""

    def __init__(self, scene):
        self.scene, self.made = scene, 0
        self.began, self.go = threading.Event(), threading.Event()
        self.go.set()

    def __call__(self):
        self.began.set()
        assert self.go.wait(DEADLINE_S)
        self.made += 1
        return self.scene


def test_without_a_browser_no_scene_is_made(viewer):
    recipe = Recipe(Scene())

    viewer.take(recipe)
    time.sleep(0.5)

    assert recipe.made == 0
    assert not viewer.watched


def test_the_newest_scene_wins_while_the_viewer_is_busy(viewer):
    busy, others, last = Recipe(Scene()), [Recipe(Scene()) for _ in range(50)], Recipe(Scene())
    busy.go.clear()
    with connected(viewer):
        viewer.take(busy)
        assert busy.began.wait(DEADLINE_S)

        for recipe in [*others, last]:
            viewer.take(recipe)  # returns, although the viewer is busy
        busy.go.set()
        wait_until(lambda: last.made == 1)

    assert sum(recipe.made for recipe in others) == 0


def draw(viewer, scene):
    """Wait until a scene was taken over."""
    recipe = Recipe(scene)
    viewer.take(recipe)
    wait_until(lambda: recipe.made == 1)


def test_a_browser_that_reads_nothing_holds_nothing_up(viewer):
    with connected(viewer):
        for _ in range(5):  # of 3 MB each
            draw(viewer, big_scene())
        with connected(viewer):
            draw(viewer, Scene())


def test_after_a_browser_is_gone_the_next_one_is_served(viewer):
    with connected(viewer):
        draw(viewer, big_scene())
    wait_until(lambda: not viewer.watched)

    with connected(viewer):
        draw(viewer, Scene())


def test_only_this_machine_is_served_and_no_tunnel_is_opened(viewer, monkeypatch):
    def no_tunnel(*args, **kwargs):
        raise AssertionError('a tunnel was opened')

    monkeypatch.setattr('viser._viser.ViserTunnel', no_tunnel)

    assert viewer.url.startswith('http://127.0.0.1:')
    with urllib.request.urlopen(viewer.url) as page:
        assert page.status == 200
    assert viewer._server.request_share_url() is None
    port = int(viewer.url.rpartition(':')[2])
    listening = [
        line.split()[1]
        for line in Path('/proc/net/tcp').read_text().splitlines()[1:]
        if line.split()[3] == '0A' and int(line.split()[1].rpartition(':')[2], 16) == port
    ]
    assert listening == [f'0100007F:{port:04X}']


def test_the_end_does_not_wait_for_a_page_that_stays_open(viewer):
    with connected(viewer):
        began = time.monotonic()

        viewer.close()

        assert time.monotonic() - began < 3.0  # viser alone: six seconds
