# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Whatever comes in on the socket, the server goes on serving its robots."""

from contextlib import suppress
import socket
import ssl
import struct
import threading

import numpy as np
import pytest

from ttt3r_ros.model.elsewhere import NetworkLost
from ttt3r_ros.serving import messages
from ttt3r_ros.serving.failures import Refused

HELLO = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
SETTINGS = struct.pack('>BHBBI', 0, 0, 4, 0, 0)
CONNECTIONS = 40  # that say nothing, at once


def connect(server, encrypted):
    connection = socket.create_connection((server.address.host, server.address.port), 5)
    if not encrypted:
        return connection
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(['h2'])
    return context.wrap_socket(connection)


def frame(kind, flags, stream, payload, length=None):
    size = len(payload) if length is None else length
    return struct.pack('>BHBBI', size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def hostile():
    """Return what an attacker sends, by name."""
    rng = np.random.default_rng(1)
    noise = rng.bytes(3000)
    return {
        'noise': noise,
        'noise after the beginning': HELLO + SETTINGS + noise,
        'a frame of 16 MB': HELLO + SETTINGS + frame(0, 0, 1, b'x', 2**24 - 1),
        'headers without end': HELLO + SETTINGS + 50 * frame(1, 0, 1, bytes(1000)),
        'settings, many times': HELLO + 5000 * SETTINGS,
        'streams opened and ended': HELLO
        + SETTINGS
        + b''.join(frame(3, 0, n, bytes(4)) for n in range(1, 2001, 2)),
        'http/1': b'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
        'a tls hello cut off': b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    }


@pytest.mark.parametrize('plain', [True, False])
def test_bytes_of_an_attacker_leave_the_robot_alone(start_server, robot, local, images, plain):
    server = start_server(plain=plain)
    remote = robot(server)
    state, expected = remote.initial_state(), local.initial_state()
    for number, content in enumerate(hostile().values()):
        for encrypted in {False, not plain}:
            with connect(server, encrypted) as connection:
                connection.settimeout(0.05)
                with suppress(OSError):  # refused, or silent
                    connection.sendall(content)
                    connection.recv(100)
        image = images[number % len(images)]
        found, state = remote.step(image, state)
        other, expected = local.step(image, expected)
        np.testing.assert_array_equal(found.points_camera, other.points_camera)


def test_connections_that_say_nothing_leave_the_robot_alone(start_server, robot, images):
    server = start_server(most_clients=1)
    silent = [connect(server, False) for _ in range(CONNECTIONS)]
    silent += [connect(server, True) for _ in range(5)]
    for number, connection in enumerate(silent):
        connection.sendall(HELLO[: number % 10])
    remote = robot(server)
    remote.step(images[0], remote.initial_state())
    for connection in silent:
        connection.close()


def test_calls_that_never_send_their_message_take_no_place(start_server, robot, images):
    """Without the token a call is answered before its message, which never comes."""
    import grpc

    server = start_server(plain=True, most_clients=1)
    remote = robot(server)
    channel = grpc.insecure_channel(server.address.target)
    path = f'/{messages.SERVICE}/{messages.STEP}'

    end = threading.Event()

    def never():
        end.wait(30)
        yield b''

    calls = [channel.stream_stream(path)(never()) for _ in range(30)]
    for call in calls:
        with pytest.raises(grpc.RpcError) as refusal:
            list(call)
        assert refusal.value.code() in (
            grpc.StatusCode.UNAUTHENTICATED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            grpc.StatusCode.UNAVAILABLE,  # the stream is reset at once
        )
    remote.step(images[0], remote.initial_state())
    end.set()
    channel.close()


@pytest.mark.parametrize('method', [messages.STEP, messages.PUT, messages.FETCH, messages.ENTER])
def test_bad_messages_of_a_robot_are_refused_and_cost_nothing_else(
    start_server, robot, images, method
):
    server = start_server()
    remote = robot(server)
    rng = np.random.default_rng(2)
    for size in (0, 1, 8, 40, 1000, 60_000):
        with suppress(NetworkLost):
            remote.connection.call(method, rng.bytes(size), 10.0)
    remote.step(images[0], remote.initial_state())


def test_a_message_that_is_too_large_is_not_received(start_server, robot, images):
    server = start_server()
    remote = robot(server)
    with pytest.raises(NetworkLost, match='larger than max'):
        remote.connection.call(messages.STEP, bytes(20_000_000), 10.0)
    remote.step(images[0], remote.initial_state())


def test_an_unknown_method_is_told_with_the_remedy(start_server, robot):
    remote = robot(start_server())
    with pytest.raises(Refused, match='same version'):
        remote.connection.call('Other', b'', 10.0)
