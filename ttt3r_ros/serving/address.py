# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where a server is: grpc://HOST:PORT, as `model.device` has it."""

from __future__ import annotations

from dataclasses import dataclass
import ipaddress
import re

from ttt3r_ros.errors import UserError

PORT = 7464
ENCRYPTED, PLAIN = 'grpc', 'grpc+plain'
_FORM = re.compile(
    r'(?P<scheme>grpc(\+plain)?)://(\[(?P<ip6>[0-9a-fA-F:.]+)\]|(?P<host>[^\[\]:/@\s]+))'
    r'(:(?P<port>[0-9]{1,5}))?/?'
)


class AddressError(UserError):
    """A text is no address of a server."""


@dataclass(frozen=True)
class Address:
    """
    A place where a server listens.

    plain: without TLS.
    """

    host: str
    port: int = PORT
    plain: bool = False

    def __str__(self) -> str:
        """Return it as `parse_address` reads it."""
        return f'{PLAIN if self.plain else ENCRYPTED}://{self.target}'

    @property
    def target(self) -> str:
        """Return HOST:PORT, an IPv6 address in brackets."""
        host = f'[{self.host}]' if ':' in self.host else self.host
        return f'{host}:{self.port}'

    @property
    def is_loopback(self) -> bool:
        """Return whether only programs of this machine can be at the other end."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == 'localhost'


def is_elsewhere(device: str) -> bool:
    """
    Return whether a device is a server, and no device of this machine.

    :param device: value of `model.device`.
    """
    return '://' in device


def parse_address(text: str) -> Address:
    """
    Return the address in a value of `model.device`.

    :raises AddressError: when it is none.
    """
    found = _FORM.fullmatch(text)
    port = int(found['port'] or PORT) if found else 0
    if found is None or not 0 < port < 65536:
        raise AddressError(
            f'device {text!r} is no server like {ENCRYPTED}://HOST or {ENCRYPTED}://HOST:{PORT}'
        )
    return Address(found['ip6'] or found['host'], port, found['scheme'] == PLAIN)
