# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What every part of the measurement shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import json
from pathlib import Path

from benchmark.accuracy.errors import Record
from benchmark.accuracy.estimates import Method, methods
from benchmark.accuracy.films import Film, FIRST_SEED, PATHS, simulated
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.model import Network
from ttt3r_ros.model.image_input import ImageFit

IMAGES_AT_ONCE = 4000  # of a group of films; with what the network says of them, about 1 GB


class OtherWeights(UserError):
    """What was measured before was measured with other weights."""


@dataclass(frozen=True)
class Bench:
    """
    A network and how much it is measured on.

    weights: their hash. shipped: what the product does with them unless it is told otherwise.
    families: letters; one that stands twice gets twice the sequences. sequences: of each letter
    and each kind of path; None is the part's own number. lengths: frames of long films, rising.
    intervals: frames of a segment. rate_hz: of short and long films. seconds: of the films at
    several rates. frames: of a recording, at most. shared: folder of the recordings. log: of
    the training. out: where records and pictures go.
    """

    network: Network
    weights: str
    shipped: Method
    families: str
    sequences: int | None
    lengths: list[int]
    intervals: list[int]
    rate_hz: float
    seconds: float
    frames: int
    shared: Path
    log: Path | None
    out: Path

    @property
    def fit(self) -> ImageFit:
        """Say which images suit the network: those of a 640x480 camera."""
        return ImageFit.for_network(640, 480, self.network.architecture)

    @property
    def letters(self) -> str:
        """Give each family once."""
        return ''.join(dict.fromkeys(self.families))

    @property
    def family_groups(self) -> list[str]:
        """Give the families that are shown together: the first one alone, then all."""
        return list(dict.fromkeys([self.letters[0], self.letters]))

    @property
    def methods(self) -> list[Method]:
        """List all that are compared."""
        return methods(self.intervals)

    def groups(
        self, count: int, frames: int, rate_hz: float, first_seed: int = FIRST_SEED
    ) -> Iterator[list[Film]]:
        """
        Film what fits into memory at once, of one family.

        :param count: films of each kind where `sequences` does not say it.
        :param frames: images of each film.
        :param rate_hz: images a second.
        :param first_seed: of the films.
        """
        together = max(1, IMAGES_AT_ONCE // frames)
        for family in self.letters:
            of_each = (self.sequences or count) * self.families.count(family)
            chosen = [(kind, number) for kind in PATHS for number in range(of_each)]
            for begin in range(0, len(chosen), together):
                yield [
                    simulated(family, kind, number, frames, rate_hz, self.fit, first_seed)
                    for kind, number in chosen[begin : begin + together]
                ]

    def count(self, count: int) -> int:
        """Count the films of all groups."""
        return len(self.families) * len(PATHS) * (self.sequences or count)

    def measured(self, part: str) -> list[Record]:
        """
        Give the records that another part left in the folder; none where it has not run.

        :raises OtherWeights: when they are of other weights.
        """
        path = self.out / f'{part}.json'
        if not path.exists():
            return []
        content = json.loads(path.read_text())
        if content['weights'] != self.weights:
            raise OtherWeights(
                f'{path} was measured with weights {content["weights"][:12]}, these are '
                f'{self.weights[:12]}: measure the part {part} again or give another --out'
            )
        return [Record.from_json(record) for record in content['records']]


@dataclass(frozen=True)
class Report:
    """
    What one part measured.

    tables: shown in the documentation. pictures: captions, by the name of the file; shown there
    too. details: tables that are only printed and written beside the others.
    """

    tables: list[Table]
    records: list[Record] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    details: list[Table] = field(default_factory=list)
