# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the doctor says about one thing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad it is."""

    OK = 'OK'
    WARN = 'WARN'
    FAIL = 'FAIL'


@dataclass(frozen=True)
class Finding:
    """One line: about what, what was seen, and what to do (empty where nothing is)."""

    level: Level
    subject: str
    seen: str
    advice: str = ''


def ok(subject: str, seen: str) -> Finding:
    """Find that something is as it should be."""
    return Finding(Level.OK, subject, seen)


def warn(subject: str, seen: str, advice: str) -> Finding:
    """Find something that may be wrong."""
    return Finding(Level.WARN, subject, seen, advice)


def fail(subject: str, seen: str, advice: str) -> Finding:
    """Find something that is wrong."""
    return Finding(Level.FAIL, subject, seen, advice)


def listed(names: Iterable[str]) -> str:
    """
    Put names into words.

    :param names: may be none.
    """
    return ', '.join(names) or 'nobody'
