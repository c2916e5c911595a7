# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The log of a training run: lines of JSON, and the curves drawn from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class TrainingLog:
    """Appends rows to `log.jsonl` and plots all of them into `log.png`."""

    def __init__(self, folder: Path) -> None:
        """Open the log of a folder, which is created by the first row."""
        self._file = folder / 'log.jsonl'
        self._picture = folder / 'log.png'

    def add(self, kind: str, frames: int, values: dict[str, Any]) -> None:
        """
        Append one row.

        :param kind: train or validation.
        :param frames: training frames seen so far.
        :param values: numbers and names, by column.
        """
        with self._file.open('a') as file:
            file.write(json.dumps({'kind': kind, 'frames': frames, **values}) + '\n')

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """Return all rows of a kind, oldest first."""
        return read_rows(self._file, kind) if self._file.exists() else []

    def draw(self) -> None:
        """Plot loss, depth error and pose error against the training frames seen."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(13, 3.6), layout='constrained')
        loss, depth, rotation, path = figure.subplots(1, 4)
        train, checks = self.rows('train'), self.rows('validation')
        loss.plot([r['frames'] for r in train], [r['loss'] for r in train], linewidth=0.8)
        loss.set_title('training loss')
        for family in 'SML':
            mine = [row for row in checks if row['family'] == family]
            frames = [row['frames'] for row in mine]
            depth.plot(frames, [row['depth_scaled'] for row in mine], label=family)
            turn = [row['rotation_deg'] / row['still_deg'] for row in mine]
            rotation.plot(frames, turn, label=family)
            path.plot(frames, [row['ate_fraction'] for row in mine], label=family)
        depth.set_title('depth AbsRel, scale-aligned')
        rotation.set_title('rotation error / no motion')
        path.set_title('ATE / path length')
        for axes in (loss, depth, rotation, path):
            axes.set_xlabel('frames seen')
            axes.grid(alpha=0.3)
            if axes is not loss:
                axes.set_ylim(bottom=0)
        depth.legend(title='family')
        figure.savefig(self._picture, dpi=110)


def read_rows(path: Path, kind: str) -> list[dict[str, Any]]:
    """
    Read the rows of one kind from a log.

    :param path: a `log.jsonl`; a missing file has no rows.
    :param kind: train or validation.
    :returns: the rows of that kind, oldest first.
    """
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if row['kind'] == kind]
