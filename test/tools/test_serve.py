# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""`ttt3r serve` as a process of its own, and `ttt3r map` that uses it."""

from contextlib import closing
import json
import signal
import socket
import stat
import subprocess
import sys
import threading

import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.mapping import image_mapper
from ttt3r_ros.serving.optional import require_grpc
from ttt3r_ros.tools.main import main

DEADLINE_S = 60.0
IMAGES = 8


@pytest.fixture
def port():
    require_grpc('cryptography')
    with closing(socket.socket()) as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


@pytest.fixture
def serve(tmp_path, port):
    """Return a function that starts the command and returns its process and what it printed."""
    processes = []

    def start():
        words = ['serve', '--bind', f'127.0.0.1:{port}', '--checkpoint', 'random']
        words += ['--folder', str(tmp_path / 'folder')]
        process = subprocess.Popen(
            [sys.executable, '-m', 'ttt3r_ros.tools.main', *words],
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process, [process.stdout.readline() for _ in range(3)]

    yield start
    for process in processes:
        process.kill()
        process.wait(DEADLINE_S)
        process.stdout.close()


@pytest.fixture
def recording(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(IMAGES):
        pixels = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((160, 120), Image.Resampling.NEAREST).save(
            folder / f'{number}.png'
        )
    return folder


def map_words(recording, output, *words):
    return ['map', str(recording), '--output', str(output), '--no-guard', *words]


def test_map_waits_for_a_server_that_is_killed_and_started_again(
    serve, recording, tmp_path, port, monkeypatch
):
    from ttt3r_ros.serving.remote import RemotePredictor

    process, printed = serve()
    access = json.loads((tmp_path / 'folder' / 'access.json').read_text())
    assert printed[0].startswith(f'serving random () on grpc://127.0.0.1:{port}, cpu')
    assert printed[1] == f'fingerprint {access["fingerprint"]}\n'
    assert printed[2] == f'robots need {tmp_path / "folder" / "access.json"}\n'
    for path in (tmp_path / 'folder').iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    words = ['--device', f'grpc://127.0.0.1:{port}', '--transfer', 'exact']
    words += ['--server-access', str(tmp_path / 'folder' / 'access.json')]
    # Killed before the fourth image, and started again while that one waits.
    ask, asked, again = RemotePredictor._ask, [], []

    def ask_and_kill(self, *order):
        asked.append(order)
        if len(asked) == 4:
            process.kill()
            process.wait(DEADLINE_S)
            threading.Thread(target=lambda: again.extend(serve())).start()
        return ask(self, *order)

    monkeypatch.setattr(RemotePredictor, '_ask', ask_and_kill)
    monkeypatch.setattr(image_mapper, 'NETWORK_AWAY_S', 10 * DEADLINE_S)  # of a busy machine
    assert main(map_words(recording, tmp_path / 'out', *words)) == 0
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['device'] == f'grpc://127.0.0.1:{port} (cpu)'
    assert (summary['frames'], summary['skipped']) == (IMAGES, 0)
    again[0].send_signal(signal.SIGINT)
    assert again[0].wait(DEADLINE_S) == 0


def test_a_folder_keeps_its_identity(tmp_path):
    require_grpc('cryptography')
    from ttt3r_ros.serving.identity import open_identity

    first = open_identity(tmp_path / 'folder')
    assert open_identity(tmp_path / 'folder') == first
    assert open_identity(tmp_path / 'other').access.token != first.access.token


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--plain', '--bind', '0.0.0.0'], 'unencrypted beyond this machine'),
        (['--plain', '--bind', 'robot.local:80'], 'unencrypted beyond this machine'),
        (['--bind', '127.0.0.1:port'], 'is no server like grpc://HOST'),
        (['--device', 'grpc://other'], 'is one of this machine'),
    ],
)
def test_what_cannot_or_must_not_be_served_is_refused(words, message, capsys):
    assert main(['serve', *words]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('address', ['http://host', 'grpc://', 'grpc://a b:1', 'grpc://h:99999'])
def test_a_device_that_is_no_address_is_told_so(recording, tmp_path, address, capsys):
    access = tmp_path / 'access.json'
    access.write_text(json.dumps({'token': 't', 'fingerprint': 64 * 'a'}))
    words = ['--device', address, '--server-access', str(access)]
    assert main(map_words(recording, tmp_path / 'out', *words)) == 1
    assert f'device {address!r} is no server like grpc://HOST' in capsys.readouterr().err


def test_a_robot_without_the_access_file_is_told_where_it_is(recording, tmp_path, capsys):
    words = ['--device', 'grpc://127.0.0.1:1', '--server-access', str(tmp_path / 'none.json')]
    assert main(map_words(recording, tmp_path / 'out', *words)) == 1
    assert 'copy access.json of the server' in capsys.readouterr().err
