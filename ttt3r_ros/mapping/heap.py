# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Free memory that goes back to the system.

Arrays that live long lie between those of single images, so the heap is free in many places and
nowhere at its end, where glibc would return it by itself: what a process holds grows for hours.
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
from functools import cache


def return_free_memory() -> None:
    """Return the pages that are free to the system, where its C library can do that (glibc)."""
    _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    """Return the function of the C library that does it, or one that does nothing."""
    try:
        trim: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda _: None
    return trim
