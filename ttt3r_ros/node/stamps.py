# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Which images may be mapped, judged by their stamps."""

from __future__ import annotations

from enum import Enum

from ttt3r_ros.node.interface import Cause
from ttt3r_ros.settings import InputSettings
from ttt3r_ros.units import NANOSECONDS


class Verdict(Enum):
    """
    What is to be done with an image.

    cause: why it is dropped; None where it is used.
    """

    USE = 'use', None
    WENT_BACK = 'begin a new map', None
    REPEATED = 'drop a repeated stamp', Cause.REPEATED_STAMP
    LATE = 'drop a late stamp', Cause.LATE_STAMP
    REFUSED = 'drop a bad stamp', Cause.BAD_STAMP

    def __init__(self, _: str, cause: Cause | None) -> None:
        """Set the attribute."""
        self.cause = cause


class StampGate:
    """
    Accept stamps that increase and fit the clock.

    newest_ns: the newest stamp that was accepted, or None.
    """

    def __init__(self) -> None:
        """Begin with no stamp."""
        self.newest_ns: int | None = None
        self._old_ns: int | None = None
        self._ahead_of_clock = False

    def judge(self, stamp_ns: int, now_ns: int, settings: InputSettings) -> tuple[Verdict, int]:
        """
        Judge the next image.

        :param stamp_ns: its stamp, nanoseconds.
        :param now_ns: time of the clock, nanoseconds.
        :param settings: tolerances.
        :returns: the verdict, and the stamp to use.
        """
        away_ns = abs(stamp_ns - now_ns)
        if stamp_ns <= 0 or away_ns > settings.stamp_tolerance * NANOSECONDS:
            if settings.bad_stamps == 'restamp':
                stamp_ns = now_ns
            elif settings.bad_stamps == 'refuse' or stamp_ns <= 0:
                return Verdict.REFUSED, stamp_ns
        elif self._old_ns is not None and now_ns < self._old_ns < stamp_ns:
            return Verdict.LATE, stamp_ns  # under way when the clock went back
        newest_ns = self.newest_ns
        if newest_ns is not None and stamp_ns <= newest_ns:
            if stamp_ns == newest_ns:
                return Verdict.REPEATED, stamp_ns
            if newest_ns - stamp_ns <= settings.backward_jump * NANOSECONDS:
                return Verdict.LATE, stamp_ns
            self.newest_ns = stamp_ns
            self._ahead_of_clock = True
            return Verdict.WENT_BACK, stamp_ns
        self.newest_ns = stamp_ns
        return Verdict.USE, stamp_ns

    def clock_went_back(self, now_ns: int) -> bool:
        """
        Return whether the clock, after a jump, lies before images that were accepted.

        They then belong to another time, and the gate forgets them. The first images of the new
        time may come before its clock: they are kept.

        :param now_ns: time of the clock after the jump, nanoseconds.
        """
        overtook, self._ahead_of_clock = self._ahead_of_clock, False
        newest_ns = self.newest_ns
        if newest_ns is None or newest_ns <= now_ns + (NANOSECONDS if overtook else 0):
            return False
        self._old_ns, self.newest_ns = self.newest_ns, None
        return True
