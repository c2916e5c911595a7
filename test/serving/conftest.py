# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Servers of this process, with a tiny network of random weights, on real sockets."""

import asyncio
import dataclasses
import threading

import numpy as np
import pytest

from benchmark.speed.slow_link import SlowLink
from ttt3r_ros.model.predictor import load_predictor
from ttt3r_ros.serving.address import Address
from ttt3r_ros.serving.choice import chosen_predictor
from ttt3r_ros.serving.optional import require_grpc
from ttt3r_ros.settings import ModelSettings

SETTINGS = ModelSettings(checkpoint='random')


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
    """Return the folder of a server, with its identity."""
    require_grpc('cryptography')
    from ttt3r_ros.serving.identity import open_identity

    folder = tmp_path_factory.mktemp('server') / 'identity'
    open_identity(folder)
    return folder


@pytest.fixture(scope='session')
def local():
    """Return the predictor that the servers have, in this process."""
    return load_predictor(SETTINGS)


@pytest.fixture
def start_server(folder, local):
    """Return a function that starts a server; all end with the test."""
    from ttt3r_ros.serving.identity import open_identity
    from ttt3r_ros.serving.leases import Leases
    from ttt3r_ros.serving.offered import offer_of
    from ttt3r_ros.serving.server import Server
    from ttt3r_ros.serving.service import Service

    servers = []

    def start(port=0, plain=False, most_clients=3, lease_s=60.0, folder=folder, **leases):
        service = Service(
            local, offer_of(local, SETTINGS), Leases(most_clients, lease_s, **leases)
        )
        address = Address('127.0.0.1', port, plain)
        server = Server(service, address, open_identity(folder), most_clients)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop(0)


@pytest.fixture
def robot(folder):
    """Return a function that makes the predictor of a robot."""

    def make(server, **settings):
        given = {'server_access': str(folder / 'access.json'), 'transfer': 'exact', **settings}
        return chosen_predictor(dataclasses.replace(SETTINGS, device=str(server.address), **given))

    return make


@pytest.fixture
def slow_link():
    """Return a function that makes a slow way to a port, and returns it and its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def make(port, delay_s, loss=0.0):
        link = SlowLink(port, delay_s, loss)
        server = asyncio.run_coroutine_threadsafe(link.serve(), loop).result(10)
        return link, Address('127.0.0.1', server.sockets[0].getsockname()[1])

    async def end():
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    yield make
    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture(scope='session')
def images():
    """Return fitted images of a size that the tiny network takes, (n, 48, 64, 3)."""
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (6, 48, 64, 3), np.uint8)
