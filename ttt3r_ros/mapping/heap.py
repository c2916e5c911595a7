# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Free memory that goes back to the system, and when.

By itself glibc returns what is free at the end of the heap as soon as that is a few MB, which the
arrays of each image and of each update of the graph are: so their pages were fetched anew each
time, a fifth of the time of an update. They are kept.

Arrays that live long lie between those of single images, so the heap is free in many places and
nowhere at its end: what a process holds grows for hours. So it is returned once in many images.
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
from functools import cache
import os

# Of mallopt: how much may be free at the end of the heap, and how large arrays may lie in it.
TRIM, LARGEST = (-1, 2**26), (-3, 2**25)
_SET_BY_USER = ('MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_THRESHOLD_')


def keep_free_memory() -> None:
    """Keep up to 64 MB that are free at the end of the heap, where the C library is glibc."""
    if not any(name in os.environ for name in _SET_BY_USER):
        for option in (TRIM, LARGEST):
            _of_c_library('mallopt')(*option)


def return_free_memory() -> None:
    """Return the pages that are free to the system, where its C library can do that (glibc)."""
    _of_c_library('malloc_trim')(0)


@cache
def _of_c_library(name: str) -> Callable[..., object]:
    """Return a function of the C library, or one that does nothing where it has none."""
    try:
        found: Callable[..., object] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return lambda *_: None
    return found
