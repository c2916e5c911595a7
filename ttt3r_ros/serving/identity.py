# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The token, key and certificate of a server, made at its first start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
import os
from pathlib import Path
import secrets

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ttt3r_ros.atomic import new_folder
from ttt3r_ros.serving.access import Access, ACCESS_FILE, AccessError, fingerprint_of, read_access

KEY_FILE, CERTIFICATE_FILE = 'key.pem', 'certificate.pem'
NAME = 'ttt3r'
# Robots without a battery for their clock begin in 1970.
FROM, UNTIL = (
    datetime(1970, 1, 2, tzinfo=timezone.utc),
    datetime(9999, 12, 31, tzinfo=timezone.utc),
)


@dataclass(frozen=True)
class Identity:
    """
    Who a server is.

    access: for robots. key, certificate: PEM.
    """

    access: Access
    key: bytes
    certificate: bytes


def open_identity(folder: Path) -> Identity:
    """
    Read the identity in a folder, or make one where the folder is missing or empty.

    :raises UserError: when it cannot be read or written.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        with new_folder(folder) as made:
            _make(made)
        folder.chmod(0o700)
    access = read_access(str(folder / ACCESS_FILE))
    try:
        key, certificate = ((folder / name).read_bytes() for name in (KEY_FILE, CERTIFICATE_FILE))
        der = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
    except (OSError, ValueError) as error:
        raise AccessError(f'{folder} is no complete folder of a server: {error}') from error
    if fingerprint_of(der) != access.fingerprint:
        raise AccessError(f'{folder}: {ACCESS_FILE} has another fingerprint than the certificate')
    return Identity(access, key, certificate)


def _make(folder: Path) -> None:
    """Write a new token, key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(FROM)
        .not_valid_after(UNTIL)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    access = Access(
        secrets.token_urlsafe(32), fingerprint_of(certificate.public_bytes(Encoding.DER))
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(folder / KEY_FILE, pem)
    _write(folder / CERTIFICATE_FILE, certificate.public_bytes(Encoding.PEM))
    _write(folder / ACCESS_FILE, access.to_json().encode())


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb') as file:
        file.write(content)
