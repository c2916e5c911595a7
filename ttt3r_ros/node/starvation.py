# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How long a thread waits for a processor core that other threads hold."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from pathlib import Path

_SCHEDSTAT = Path('/proc/thread-self/schedstat')
_LEAST_S = 2.0


def waited_s() -> float:
    """
    Return how long the calling thread has been ready to run but not running, since its start.

    :returns: seconds; 0 where the kernel does not report it.
    """
    with suppress(OSError, ValueError, IndexError):
        return float(_SCHEDSTAT.read_text().split()[1]) * 1e-9
    return 0.0


def waiting_part(waits: deque[tuple[float, float]]) -> float:
    """
    Return the part of the time for which a thread waited for a core.

    :param waits: moment and waited_s of one thread, seconds, in their order.
    :returns: 0 to 1; 0 where they span less than two seconds.
    """
    if not waits or waits[-1][0] - waits[0][0] < _LEAST_S:
        return 0.0
    (begin, before), (end, after) = waits[0], waits[-1]
    return (after - before) / (end - begin)
