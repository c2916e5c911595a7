# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Standard output and error that never cost the results of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import io
import os
import sys
from typing import Any, TextIO


class LossyStream:
    """
    A stream whose text goes nowhere once it cannot be written.

    lost: whether text could not be written, because the disk is full.
    """

    def __init__(self, stream: TextIO | None, heeds_readers: bool) -> None:
        """
        Wrap a stream.

        :param stream: or None, where the process was started without one.
        :param heeds_readers: whether a reader who left ends the program.
        """
        self.lost = False
        # Python has no stream where the process was started with a closed one.
        self._stream: Any = stream or open(os.devnull, 'w', encoding='utf-8')  # noqa: SIM115
        self._heeds_readers = heeds_readers
        if isinstance(self._stream, io.TextIOWrapper):
            # Names of files may hold bytes, or letters, that the encoding does not have.
            self._stream.reconfigure(errors='backslashreplace')

    def write(self, text: str) -> int:
        """
        Write text at once.

        :returns: its length, whether it was written or not.
        :raises BrokenPipeError: when the reader left and is heeded.
        """
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            if self._heeds_readers:
                raise
            self._give_up()
        except OSError:
            self._give_up()
        return len(text)

    def flush(self) -> None:
        """Do nothing: everything is written at once."""

    def _give_up(self) -> None:
        self.lost = True
        # What is in the buffers shall not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        """Return what the stream itself has."""
        return getattr(self._stream, name)


@contextmanager
def lossy_streams() -> Iterator[LossyStream]:
    """
    Replace sys.stdout and sys.stderr.

    :returns: what stands for sys.stdout.
    """
    before = sys.stdout, sys.stderr
    standard_output = LossyStream(sys.stdout, heeds_readers=True)
    sys.stdout = standard_output
    sys.stderr = LossyStream(sys.stderr, heeds_readers=False)
    try:
        yield standard_output
    finally:
        sys.stdout, sys.stderr = before
