# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One recording of an archive, as it travels: by its path or URL, never by its pixels."""

from __future__ import annotations

from dataclasses import dataclass
import re


@dataclass(frozen=True)
class Recording:
    """
    One recording.

    name: of its results, unique. input: absolute path or URL. groundtruth: trajectory, path or
    URL; empty: `groundtruth.txt` in the input where there is one. topic, fps, intrinsics: as for
    `ttt3r map`; empty and 0: those of all recordings.
    """

    name: str
    input: str
    groundtruth: str = ''
    topic: str = ''
    fps: float = 0.0
    intrinsics: str = ''

    def words(self) -> list[str]:
        """Return the options of `ttt3r map` that this recording has of its own."""
        given = (('--topic', self.topic), ('--fps', self.fps), ('--intrinsics', self.intrinsics))
        return [f'{option}={value}' for option, value in given if value]


def is_url(text: str) -> bool:
    """
    Return whether a text is a URL, whose content has to be fetched, and no path.

    :param text: of an input.
    """
    return re.match(r'[a-zA-Z][a-zA-Z0-9+.-]*://', text) is not None
