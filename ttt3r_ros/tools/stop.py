# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Ctrl-C as a polite request: finish the frame, keep what there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import signal
import threading
from types import FrameType


@dataclass
class StopRequest:
    """The number of the signal that asked to stop; 0 while nobody did."""

    signal_number: int = 0


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """
    Note the first SIGINT or SIGTERM in the block; a second one acts as usual, at once.

    Threads other than the main one cannot take signals: there nothing is ever noted.
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
