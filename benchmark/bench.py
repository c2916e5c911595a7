# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What every part of the measurement shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import itertools
from pathlib import Path

from benchmark.errors import Record
from benchmark.films import Film, PATHS, simulated
from benchmark.tables import Table
from ttt3r_ros.model import Network
from ttt3r_ros.model.image_input import ImageFit


@dataclass(frozen=True)
class Bench:
    """
    A network and how much it is measured on.

    families: letters. films: of each family and each kind of path; None is the part's own
    number. lengths: frames of long films, rising. intervals: frames of a segment. rate_hz: of
    short and long films. seconds: of the films at several rates. frames: of a recording, at
    most. shared: folder of the recordings. out: where pictures go.
    """

    network: Network
    families: str
    films: int | None
    lengths: list[int]
    intervals: list[int]
    rate_hz: float
    seconds: float
    frames: int
    shared: Path
    out: Path

    @property
    def fit(self) -> ImageFit:
        """Say which images suit the network: those of a 640x480 camera."""
        a = self.network.architecture
        return ImageFit.for_image(640, 480, a.image_size, a.patch_size, a.square_crop)

    def groups(self, count: int, frames: int, rate_hz: float) -> Iterator[list[Film]]:
        """
        Film what one batch holds: all paths of one kind through the worlds of one family.

        :param count: films of each kind where `films` does not say it.
        :param frames: images of each film.
        :param rate_hz: images a second.
        """
        for family, kind in itertools.product(self.families, PATHS):
            yield [
                simulated(family, kind, number, frames, rate_hz, self.fit)
                for number in range(self.films or count)
            ]

    def count(self, count: int) -> int:
        """Count the films of all groups."""
        return len(self.families) * len(PATHS) * (self.films or count)


@dataclass(frozen=True)
class Report:
    """What one part found out."""

    tables: list[Table]
    records: list[Record] = field(default_factory=list)


@dataclass(frozen=True)
class Bar:
    """A figure that the network shall reach: at most `wanted`."""

    name: str
    wanted: float
    reached: float

    def row(self) -> list[str]:
        """Give the cells of a table."""
        verdict = 'yes' if self.reached <= self.wanted else 'no'
        return [self.name, f'{self.wanted:g}', f'{self.reached:.3g}', verdict]


def bars_table(bars: list[Bar]) -> list[Table]:
    """Put bars into a table; no table where nothing was measured that has one."""
    head = ['bar', 'at most', 'measured', 'reached']
    return [Table('What was to be reached', head, [bar.row() for bar in bars])] if bars else []
