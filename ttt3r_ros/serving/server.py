# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The server: gRPC around a service.

A request without the token is answered before any of it is read. What else may come (no HTTP/2,
lengths without end, connections that say nothing) is gRPC's to refuse, within the limits set here.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import hmac
import logging
from typing import Any

import grpc
import torch

from ttt3r_ros.errors import UserError
from ttt3r_ros.serving import messages
from ttt3r_ros.serving.address import Address
from ttt3r_ros.serving.codec import BadMessage
from ttt3r_ros.serving.identity import Identity
from ttt3r_ros.serving.leases import NoLease, NoState, ServerFull
from ttt3r_ros.serving.service import CallCancelled, Service

LOGGER = logging.getLogger(__name__)

# A robot has one call at a time, and one more while it gives the first one up.
CALLS_PER_CLIENT = 2
SPARE_CALLS = 4
LARGEST_HEAD = 4096  # bytes of the names and values before a message
HANDSHAKE_MS = 5_000
IDLE_MS = 120_000
PING_MS, PING_TIMEOUT_MS = 10_000, 5_000  # of robots that disappear without a message

CODES: dict[type[Exception], grpc.StatusCode] = {
    BadMessage: grpc.StatusCode.INVALID_ARGUMENT,
    NoLease: grpc.StatusCode.FAILED_PRECONDITION,
    NoState: grpc.StatusCode.NOT_FOUND,
    ServerFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    torch.OutOfMemoryError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    CallCancelled: grpc.StatusCode.CANCELLED,
}

Context = Any  # grpc.ServicerContext, which has no types
Answer = Callable[[bytes, Context], bytes]


class _Calls(grpc.GenericRpcHandler):
    """The methods of a service, for those who know the token."""

    def __init__(self, service: Service, token: str) -> None:
        self._expected = messages.TOKEN_FORM.format(token).encode()
        prefix = f'/{messages.SERVICE}/'
        self._methods: dict[str, Answer] = {
            prefix + messages.ENTER: lambda _, c: service.enter(client_of(c)),
            prefix + messages.LEAVE: lambda _, c: service.leave(client_of(c)),
            prefix + messages.STEP: lambda m, c: service.step(client_of(c), m, c.is_active),
            prefix + messages.FETCH: lambda m, c: service.fetch(client_of(c), m),
            prefix + messages.PUT: lambda m, c: service.put(client_of(c), m),
        }

    def service(self, call: Any) -> Any:
        """Return what handles a call."""
        given = dict(call.invocation_metadata).get(messages.TOKEN_KEY, '')
        if not hmac.compare_digest(str(given).encode(), self._expected):
            # As a stream, so that the message is not waited for.
            return grpc.stream_stream_rpc_method_handler(_refuse)
        answer = self._methods.get(call.method)
        if answer is None:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda m, c: _answered(answer, m, c))


def _refuse(_: Any, context: Context) -> Any:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, 'the token is wrong')
    yield b''


def client_of(context: Context) -> str:
    """Return the name by which a client calls itself."""
    return str(dict(context.invocation_metadata()).get(messages.CLIENT_KEY, ''))


def _answered(answer: Answer, message: bytes, context: Context) -> bytes:
    """Answer a call; what is wrong with it ends the call and nothing else."""
    try:
        return answer(message, context)
    except Exception as error:
        code = CODES.get(type(error), grpc.StatusCode.INTERNAL)
        if code is grpc.StatusCode.INTERNAL:
            LOGGER.exception('a request failed')
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
        text = str(error) if isinstance(error, UserError) else type(error).__name__
        context.abort(code, text)
        raise AssertionError from error  # abort raises


def _options(largest: int) -> list[tuple[str, int]]:
    """Return the limits of what comes in; messages have `largest` bytes at most."""
    return [
        ('grpc.so_reuseport', 0),
        ('grpc.max_receive_message_length', largest),
        ('grpc.max_send_message_length', -1),
        ('grpc.max_metadata_size', LARGEST_HEAD),
        ('grpc.absolute_max_metadata_size', 2 * LARGEST_HEAD),
        ('grpc.max_concurrent_streams', CALLS_PER_CLIENT + SPARE_CALLS),
        ('grpc.server_handshake_timeout_ms', HANDSHAKE_MS),
        ('grpc.max_connection_idle_ms', IDLE_MS),
        ('grpc.keepalive_time_ms', PING_MS),
        ('grpc.keepalive_timeout_ms', PING_TIMEOUT_MS),
    ]


class Server:
    """Listens on one address from `start` to `stop`."""

    def __init__(
        self, service: Service, address: Address, identity: Identity, most_clients: int
    ) -> None:
        """
        Prepare; nothing listens yet.

        :param address: its port 0 chooses a free one.
        :param identity: token, and key and certificate unless the address is plain.
        :param most_clients: that use it at a time.
        """
        self._service = service
        calls = CALLS_PER_CLIENT * most_clients + SPARE_CALLS
        self._server = grpc.server(
            ThreadPoolExecutor(calls, thread_name_prefix='ttt3r_call'),
            handlers=[_Calls(service, identity.access.token)],
            maximum_concurrent_rpcs=calls,
            options=_options(service.largest_request),
        )
        try:
            if address.plain:
                port = self._server.add_insecure_port(address.target)
            else:
                pair = identity.key, identity.certificate
                credentials = grpc.ssl_server_credentials([pair])
                port = self._server.add_secure_port(address.target, credentials)
        except RuntimeError as error:
            raise UserError(
                f'cannot listen on {address.target}: is the port in use? choose another with '
                f'--bind HOST:PORT ({error})'
            ) from error
        self.address = Address(address.host, port, address.plain)

    def start(self) -> None:
        """Begin to listen."""
        self._server.start()

    def expire(self) -> None:
        """End the leases that are over."""
        self._service.expire()

    def stop(self, grace_s: float = 1.0) -> None:
        """
        Stop listening.

        :param grace_s: for which calls in process may go on, seconds.
        """
        self._server.stop(grace_s).wait()
        self._service.close()
