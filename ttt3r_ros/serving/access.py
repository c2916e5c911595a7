# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a robot needs for access: the token, and the fingerprint of the server's certificate."""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
import json

from ttt3r_ros.errors import UserError
from ttt3r_ros.home import expanded

FOLDER = '~/.ros/ttt3r_serve'
ACCESS_FILE = 'access.json'
MOST_BYTES = 4096


class AccessError(UserError):
    """There is no token and fingerprint that can be used."""


@dataclass(frozen=True)
class Access:
    """
    What a server has for its robots.

    token: secret. fingerprint: SHA-256 of its certificate, hexadecimal.
    """

    token: str
    fingerprint: str

    def to_json(self) -> str:
        """Return the content of an access file."""
        return json.dumps({'token': self.token, 'fingerprint': self.fingerprint}, indent=2) + '\n'


def fingerprint_of(certificate: bytes) -> str:
    """
    Return the fingerprint of a certificate, in hexadecimal.

    :param certificate: in DER.
    """
    return hashlib.sha256(certificate).hexdigest()


def read_access(name: str) -> Access:
    """
    Read an access file.

    :param name: path; empty: that of a server of this machine and user.
    :raises AccessError: when it cannot be read.
    """
    path = expanded(name) if name else expanded(FOLDER) / ACCESS_FILE
    try:
        with path.open(encoding='utf-8') as file:
            record = json.loads(file.read(MOST_BYTES))
        token, fingerprint = record['token'], record['fingerprint']
        if not (isinstance(token, str) and token.isascii() and token.isprintable()):
            raise ValueError('its token is no text')
        if len(bytes.fromhex(fingerprint)) != hashlib.sha256().digest_size:
            raise ValueError('its fingerprint is no SHA-256')
    except OSError as error:
        raise AccessError(
            f'cannot read {path}: {error.strerror}; copy {ACCESS_FILE} of the server, which '
            'prints where it is, and set model.server_access to it'
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AccessError(f'{path} is no {ACCESS_FILE} of a server: {error}') from error
    return Access(token, fingerprint.lower())
