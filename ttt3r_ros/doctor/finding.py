# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The result of one check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """The severity of a finding."""

    OK = 'OK'
    WARN = 'WARN'
    FAIL = 'FAIL'


@dataclass(frozen=True)
class Finding:
    """A subject, what was observed, and the advice, which is empty where nothing is wrong."""

    level: Level
    subject: str
    seen: str
    advice: str = ''


def ok(subject: str, seen: str) -> Finding:
    """Return a finding that reports the expected state."""
    return Finding(Level.OK, subject, seen)


def warn(subject: str, seen: str, advice: str) -> Finding:
    """Return a finding that reports a possible fault."""
    return Finding(Level.WARN, subject, seen, advice)


def fail(subject: str, seen: str, advice: str) -> Finding:
    """Return a finding that reports a fault."""
    return Finding(Level.FAIL, subject, seen, advice)


def listed(names: Iterable[str]) -> str:
    """
    Return names as a phrase, for example `a, b and c`.

    :param names: may be empty.
    """
    return ', '.join(names) or 'none'
