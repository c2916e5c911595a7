# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The connection of a robot to a server.

gRPC connects again by itself, after pauses that grow; meanwhile calls fail at once.
"""

from __future__ import annotations

import secrets
import socket
import ssl
from typing import Any

import grpc

from ttt3r_ros.model.elsewhere import NetworkLost
from ttt3r_ros.serving import messages
from ttt3r_ros.serving.access import Access, fingerprint_of
from ttt3r_ros.serving.address import Address
from ttt3r_ros.serving.failures import (
    DeadlineExceeded,
    LeaseEnded,
    Refused,
    ServerBusy,
    StateExpired,
    Unreachable,
)

CONNECT_S = 5.0
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 200, 3_000
# gRPC means by the least pause how long an attempt may take: TCP and TLS are three round trips.
ATTEMPT_MS = 5_000
SERVER_NAME = 'ttt3r'  # in every certificate


KINDS: dict[grpc.StatusCode, type[NetworkLost]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAUTHENTICATED: Refused,
    grpc.StatusCode.UNIMPLEMENTED: Refused,
    grpc.StatusCode.INVALID_ARGUMENT: Refused,
    grpc.StatusCode.FAILED_PRECONDITION: LeaseEnded,
    grpc.StatusCode.NOT_FOUND: StateExpired,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ServerBusy,
}
REMEDIES = {
    Refused: 'access.json of the server, and the same version of ttt3r_ros, are needed here',
    DeadlineExceeded: 'the network, or the server, is too slow',
}


class Connection:
    """Calls to one server, as one client."""

    def __init__(self, address: Address, access: Access) -> None:
        """
        Look at the certificate of the server, and prepare calls to it.

        :raises Unreachable: when nothing answers there.
        :raises Refused: when it is another server than `access` is for.
        """
        self.address = address
        self._head = (
            (messages.TOKEN_KEY, messages.TOKEN_FORM.format(access.token)),
            (messages.CLIENT_KEY, secrets.token_hex(16)),
        )
        self._options: list[tuple[str, int | str]] = [
            ('grpc.initial_reconnect_backoff_ms', FIRST_PAUSE_MS),
            ('grpc.min_reconnect_backoff_ms', ATTEMPT_MS),
            ('grpc.max_reconnect_backoff_ms', LONGEST_PAUSE_MS),
            ('grpc.max_receive_message_length', -1),
            ('grpc.max_send_message_length', -1),
            ('grpc.enable_http_proxy', 0),
            ('grpc.use_local_subchannel_pool', 1),
        ]
        self._certificate = b''
        if not address.plain:
            der = pinned_certificate(address, access.fingerprint)
            self._certificate = ssl.DER_cert_to_PEM_cert(der).encode()
            self._options.append(('grpc.ssl_target_name_override', SERVER_NAME))
        self._channel = self._new_channel()

    def _new_channel(self) -> Any:
        target = self.address.target
        if self.address.plain:
            return grpc.insecure_channel(target, self._options)
        credentials = grpc.ssl_channel_credentials(self._certificate)
        return grpc.secure_channel(target, credentials, self._options)

    def call(self, method: str, message: bytes, timeout_s: float) -> bytes:
        """
        Return the answer of the server.

        :param method: name of it.
        :param timeout_s: longest time to wait, seconds.
        :raises NetworkLost: of the class of the cause.
        """
        method_call: Any = self._channel.unary_unary(f'/{messages.SERVICE}/{method}')
        try:
            answer: bytes = method_call(message, timeout=timeout_s, metadata=self._head)
            return answer
        except grpc.RpcError as error:
            # From no class of its own can code and text be had.
            code, text = error.code(), error.details()
            kind = KINDS.get(code, Unreachable)
            if kind is DeadlineExceeded:
                # The link may be dead, which gRPC notices after minutes.
                self._channel.close()
                self._channel = self._new_channel()
            remedy = f': {REMEDIES[kind]}' if kind in REMEDIES else ''
            raise kind(f'{self.address}: {text}{remedy}') from None

    def close(self) -> None:
        """End the connection."""
        self._channel.close()


def pinned_certificate(address: Address, fingerprint: str) -> bytes:
    """
    Return the certificate of a server, in DER, if it has the fingerprint.

    Nothing is sent before; the connections that follow trust this certificate alone.

    :param fingerprint: SHA-256, hexadecimal.
    :raises Unreachable: when no server with TLS answers there.
    :raises Refused: when the fingerprint is another one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(['h2'])
    place = address.host, address.port
    try:
        with (
            socket.create_connection(place, CONNECT_S) as connection,
            context.wrap_socket(connection) as encrypted,
        ):
            certificate = encrypted.getpeercert(binary_form=True) or b''
    except ssl.SSLError as error:
        raise Refused(
            f'{address}: no TLS is spoken there ({error.reason}): is it a server that was started '
            'with --plain?'
        ) from error
    except OSError as error:
        raise Unreachable(
            f'{address} cannot be reached: {error.strerror or error}; is `ttt3r serve` running?'
        ) from error
    found = fingerprint_of(certificate)
    if found != fingerprint:
        raise Refused(
            f'{address} has the fingerprint {found}, expected is {fingerprint}: it is another '
            'server, or its folder was made anew; copy its access.json again if you trust it'
        )
    return certificate
