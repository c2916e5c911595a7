# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table with a caption, a head and rows of as many cells."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return the table as Markdown with aligned columns, numbers to the right."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows)]
        rule = ['-' * (widths[0] + 2), *('-' * (width + 1) + ':' for width in widths[1:])]
        lines = [_line(row, widths) for row in (self.head, *self.rows)]
        lines.insert(1, f'|{"|".join(rule)}|')
        return '\n'.join([f'**{self.caption}**', '', *lines, ''])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0])]
    padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:])]
    return f'| {" | ".join(padded)} |'
