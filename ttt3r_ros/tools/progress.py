# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The bar of a demo, on a terminal: how far the drive and its map have come."""

from __future__ import annotations

import json
from pathlib import Path
import sys
from types import TracebackType

from tqdm import tqdm

from ttt3r_ros.players.processes import PROGRESS


class ProgressBar:
    """A bar of the seconds of a drive; a context manager, silent where there is no terminal."""

    def __init__(self, folder: Path, seconds: float | None) -> None:
        """
        Begin at 0.

        :param folder: that the recorder writes into.
        :param seconds: duration of the drive, None where unknown.
        """
        self._path = folder / PROGRESS
        self._bar = tqdm(
            total=seconds,
            unit='s',
            desc='driving',
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
            bar_format='{desc} |{bar}| {n:.0f} s{postfix}'
            if seconds is None
            else '{desc} |{bar}| {n:.0f} of {total:.0f} s{postfix}',
        )

    def __enter__(self) -> ProgressBar:
        """Return this object."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the line of the bar."""
        self._bar.close()

    def update(self) -> None:
        """Show what the recorder has written last, if anything."""
        if self._bar.disable:
            return
        try:
            progress = json.loads(self._path.read_text(encoding='utf-8'))
        except (OSError, ValueError):
            return
        total = self._bar.total
        self._bar.n = progress['seconds'] if total is None else min(progress['seconds'], total)
        self._bar.set_postfix_str(
            f'{progress["images"]} images, {progress["latency_ms"]:.0f} ms after the camera'
        )
