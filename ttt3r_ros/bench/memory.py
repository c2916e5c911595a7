# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The resident memory of this process, in bytes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
import resource
import sys

_STATUS = Path('/proc/self/status')
_CLEAR_REFS = Path('/proc/self/clear_refs')
_RESET_PEAK = '5'


def resident() -> int:
    """Return the resident memory; on systems without /proc, its peak since the start."""
    return _status('VmRSS')


def peak_resident() -> int:
    """Return the peak resident memory since restart_peak, or since the start."""
    return _status('VmHWM')


def private() -> int:
    """Return the resident memory without pages of files; on systems without /proc, with them."""
    return _status('RssAnon')


def restart_peak() -> None:
    """Reset the peak, where the system supports it (Linux)."""
    with suppress(OSError):
        _CLEAR_REFS.write_text(_RESET_PEAK)


def _status(key: str) -> int:
    if _STATUS.exists():
        fields = dict(line.split(':', 1) for line in _STATUS.read_text().splitlines())
        return int(fields[key].split()[0]) * 1024
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
