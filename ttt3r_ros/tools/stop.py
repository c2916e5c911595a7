# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Ctrl-C as a request to stop after the current frame and write the results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import signal
import threading
from types import FrameType


@dataclass
class StopRequest:
    """The number of the received signal; 0 before one."""

    signal_number: int = 0


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """
    Record the first SIGINT or SIGTERM in the block; the second one has its usual effect.

    Only the main thread receives signals; in other threads none is recorded.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _: FrameType | None) -> None:
        request.signal_number = number
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield request
    finally:
        restore()
