# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The folder for what this machine can compute again."""

from __future__ import annotations

from functools import cache
import hashlib
import os
from pathlib import Path
import platform

_CPUINFO = Path('/proc/cpuinfo')
_LASTING = ('vendor', 'cpu family', 'model', 'stepping', 'flags', 'features', 'cpu ')
_VARYING = ('cpu mhz', 'cpu cores', 'cpu id')


def cache_folder() -> Path:
    """Return the folder of this program for cached files; it need not exist."""
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(home) / 'ttt3r_ros'


@cache
def processor() -> str:
    """Return the name of the processor and a hash of its instruction sets."""
    if not _CPUINFO.exists():
        return f'{platform.processor()} {platform.machine()}'
    first = _CPUINFO.read_text().partition('\n\n')[0]
    lines = [
        line
        for line in first.splitlines()
        if line.lower().startswith(_LASTING) and not line.lower().startswith(_VARYING)
    ]
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return f'{names[0] if names else platform.machine()} {digest(lines)}'


def digest(parts: list[str]) -> str:
    """
    Return a short hash of texts, for the name of a cached file or entry.

    :param parts: in an order that matters.
    """
    return hashlib.sha256('\0'.join(parts).encode()).hexdigest()[:16]
