# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Download one large file whose size and hash are known, from servers that may fail in any way.

The received bytes are stored in ``NAME.part``; the next attempt, source or run continues there.
The hash of the complete file is checked at the end, so that the parts may be from different
sources. huggingface_hub, gdown and pooch do not resume from one source to the next, and do not
retry a busy server or recognise a web page in place of a file.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
import hashlib
from http.client import HTTPException, HTTPResponse
import os
from pathlib import Path
import re
import ssl
import time
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from ttt3r_ros.errors import UserError
from ttt3r_ros.model.published.files import RemoteFile

_BLOCK_BYTES = 2**18
_PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206
_LONGEST_PAUSE_SECONDS = 60.0


class DownloadError(UserError):
    """A file could not be downloaded."""


class _SourceFailed(Exception):
    """A source does not have the file, and a retry would not help."""


@dataclass(frozen=True)
class RetryPolicy:
    """
    How long a source is tried.

    timeout_seconds: longest time without a byte. attempts: largest number of consecutive attempts
    without a byte. first_pause_seconds: pause after the first of them; it doubles each time.
    """

    timeout_seconds: float = 30.0
    attempts: int = 5
    first_pause_seconds: float = 1.0


def partial_path(target: Path) -> Path:
    """Return the path of what has arrived of an incomplete file."""
    return target.with_name(f'{target.name}.part')


def download(remote: RemoteFile, target: Path, retry: RetryPolicy = RetryPolicy()) -> None:
    """
    Download a file; the target appears complete and verified or not at all.

    :param remote: what to download and from where.
    :param target: where to write it, in a folder that exists.
    :param retry: how long a source is tried.
    :raises DownloadError: when no source sent it, or it cannot be written.
    """
    failures = []
    partial = _Partial(partial_path(target), remote)
    try:
        for url in remote.urls:
            try:
                _complete(url, partial, retry)
                partial.finish(target)
                return
            except _SourceFailed as failure:
                failures.append(f'{urlsplit(url).hostname}: {failure}')
    finally:
        partial.close()
    kept = f'; {partial.size} bytes are stored, run it again to continue' if partial.size else ''
    raise DownloadError(f'{remote.name} could not be downloaded ({"; ".join(failures)}){kept}')


def _complete(url: str, partial: _Partial, retry: RetryPolicy) -> None:
    """Complete the file from one source; start again when the earlier bytes were wrong."""
    has_older_bytes = partial.size > 0
    _try_source(url, partial, retry)
    if has_older_bytes and not partial.is_right():
        partial.note('the bytes of an earlier run are wrong; starting again')
        partial.restart()
        _try_source(url, partial, retry)


class _Partial:
    """The received bytes of a file, and their hash."""

    def __init__(self, path: Path, remote: RemoteFile) -> None:
        self.remote = remote
        self._path = path
        try:
            self._file = path.open('a+b')
        except OSError as error:
            raise DownloadError(f'cannot write {path}: {error}') from None
        self._bar = tqdm(
            desc=remote.name, total=remote.size, unit='B', unit_scale=True, disable=None
        )
        self.size = 0
        self._digest = hashlib.sha256()
        self._read_again()

    def _read_again(self) -> None:
        self._file.seek(0)
        while block := self._file.read(_BLOCK_BYTES):
            self._digest.update(block)
            self.size += len(block)
        if self.size > self.remote.size:
            self.restart()
        self._bar.reset()
        self._bar.initial = self.size  # so that the rate counts only what this run brings
        self._bar.update(self.size)

    def append(self, block: bytes) -> None:
        """Append received bytes."""
        try:
            self._file.write(block)
        except OSError as error:
            raise DownloadError(f'cannot write {self._path}: {error}') from None
        self._digest.update(block)
        self.size += len(block)
        self._bar.update(len(block))

    def restart(self) -> None:
        """Delete everything that has arrived."""
        self._file.truncate(0)
        self._digest = hashlib.sha256()
        self.size = 0
        self._bar.reset()

    def note(self, text: str) -> None:
        """Print a line above the progress bar."""
        self._bar.write(text)

    def is_right(self) -> bool:
        """Return whether the hash is the expected one."""
        return self._digest.hexdigest() == self.remote.sha256

    def finish(self, target: Path) -> None:
        """
        Check the hash and move the file to its name.

        :raises _SourceFailed: when the hash is wrong; the bytes are deleted.
        """
        if not self.is_right():
            found = self._digest.hexdigest()
            self.restart()
            raise _SourceFailed(
                f'the bytes are wrong: sha256 is {found}, not {self.remote.sha256}; deleted'
            )
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._path.replace(target)
        except OSError as error:
            raise DownloadError(f'cannot write {target}: {error}') from None

    def close(self) -> None:
        """Close the file and the progress bar; remove an empty file."""
        self._bar.close()
        with suppress(OSError):  # a full disk was reported before
            self._file.close()
        if self.size == 0:
            self._path.unlink(missing_ok=True)


def _try_source(url: str, partial: _Partial, retry: RetryPolicy) -> None:
    """
    Request the rest of the file from one source until everything has arrived.

    :raises _SourceFailed: when it does not have the file, or sends nothing any more.
    """
    host = urlsplit(url).hostname
    fruitless = 0
    etag: str | None = None
    while partial.size < partial.remote.size:
        before = partial.size
        try:
            with _request(url, partial.size, etag, retry.timeout_seconds) as response:
                etag = response.headers.get('ETag')
                _check_offer(response, partial)
                _receive(response, partial)
            reason = f'the connection ended after {partial.size} of {partial.remote.size} bytes'
        except HTTPError as error:
            if error.code == _RANGE_NOT_SATISFIABLE:
                partial.restart()
            elif error.code not in _PASSING_STATUS:
                raise _SourceFailed(f'HTTP {error.code} {error.reason}') from None
            reason = f'HTTP {error.code} {error.reason}'
        except (OSError, HTTPException) as error:
            cause = error.reason if isinstance(error, URLError) else error
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise _SourceFailed(str(cause)) from None
            reason = str(cause) or type(cause).__name__
        if partial.size == partial.remote.size:
            return
        fruitless = 0 if partial.size > before else fruitless + 1
        if fruitless >= retry.attempts:
            raise _SourceFailed(reason)
        pause = min(retry.first_pause_seconds * 2**fruitless, _LONGEST_PAUSE_SECONDS)
        partial.note(f'{host}: {reason}; trying again in {pause:.0f} s')
        time.sleep(pause)


def _request(url: str, start: int, etag: str | None, timeout: float) -> HTTPResponse:
    headers = {'User-Agent': 'ttt3r_ros', 'Accept-Encoding': 'identity'}
    if start:
        headers['Range'] = f'bytes={start}-'
        if etag is not None and not etag.startswith('W/'):
            headers['If-Range'] = etag
    response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=timeout)
    return response


def _check_offer(response: HTTPResponse, partial: _Partial) -> None:
    """
    Check the headers before reading; start again where the source ignores Range.

    :raises _SourceFailed: when it offers another file.
    """
    if response.headers.get_content_type() == 'text/html':
        raise _SourceFailed('it sent a web page instead of the file (a quota may be used up)')
    wanted = partial.remote.size
    if response.status == _PARTIAL_CONTENT:
        offered = re.fullmatch(
            r'bytes (\d+)-\d+/(\d+|\*)', response.headers.get('Content-Range', '').strip()
        )
        if offered is None or int(offered[1]) != partial.size:
            raise _SourceFailed('it sent another part of the file than requested')
        if offered[2] not in ('*', str(wanted)):
            raise _SourceFailed(f'its file has {offered[2]} bytes instead of {wanted}')
        return
    length = response.headers.get('Content-Length')
    if length is not None and length.strip() != str(wanted):
        raise _SourceFailed(f'its file has {length} bytes instead of {wanted}')
    partial.restart()


def _receive(response: HTTPResponse, partial: _Partial) -> None:
    while block := response.read1(_BLOCK_BYTES):
        if partial.size == 0 and block.lstrip().startswith(b'<'):
            raise _SourceFailed('it sent a web page instead of the file')
        if partial.size + len(block) > partial.remote.size:
            partial.restart()
            raise _SourceFailed(f'it sends more than the {partial.remote.size} bytes of the file')
        partial.append(block)
