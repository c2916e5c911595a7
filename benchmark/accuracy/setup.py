# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Options and test data that all parts share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import json
from pathlib import Path

from benchmark.accuracy.errors import Record
from benchmark.accuracy.estimates import Method, methods
from benchmark.accuracy.sequences import FIRST_SEED, ImageSequence, PATHS, simulated
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.model import Network

IMAGES_AT_ONCE = 4000  # of a group of sequences; with their predictions about 1 GB


class OtherWeights(UserError):
    """An earlier measurement was made with other weights."""


@dataclass(frozen=True)
class Experiment:
    """
    A network and the data that it is measured on.

    weights: hash of the tensors. shipped: the default method for these weights. families:
    letters; a repeated letter gets that many times the sequences. sequences: number for each
    letter and kind of path, None for the default of the part. lengths: frames of long sequences,
    ascending. intervals: frames of a segment. rate_hz: of short and long sequences. seconds:
    duration of the sequences at several rates. frames: largest number of frames of a recording.
    shared: folder of the recordings. log: of the training run. out: folder of the output.
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
        """Return how images of 640x480 pixels are resized for the network."""
        return self.network.architecture.fit(640, 480)

    @property
    def letters(self) -> str:
        """Return each family once."""
        return ''.join(dict.fromkeys(self.families))

    @property
    def family_groups(self) -> list[str]:
        """Return the families of each table: the first one alone, then all."""
        return list(dict.fromkeys([self.letters[0], self.letters]))

    @property
    def methods(self) -> list[Method]:
        """Return all methods that are compared."""
        return methods(self.intervals)

    def groups(
        self, count: int, frames: int, rate_hz: float, first_seed: int = FIRST_SEED
    ) -> Iterator[list[ImageSequence]]:
        """
        Render the sequences of one family after another, in groups that fit into memory.

        :param count: sequences of each kind where `sequences` is None.
        :param frames: images of each sequence.
        :param rate_hz: images per second.
        :param first_seed: seed of the first sequence.
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
        """Return the number of sequences in all groups."""
        return len(self.families) * len(PATHS) * (self.sequences or count)

    def measured(self, part: str) -> list[Record]:
        """
        Return the records that another part wrote; none where it has not run.

        :raises OtherWeights: when they were measured with other weights.
        """
        path = self.out / f'{part}.json'
        if not path.exists():
            return []
        content = json.loads(path.read_text())
        if content['weights'] != self.weights:
            raise OtherWeights(
                f'{path} was measured with weights {content["weights"][:12]}, these are '
                f'{self.weights[:12]}: measure the part {part} again or set another --out'
            )
        return [Record.from_json(record) for record in content['records']]


@dataclass(frozen=True)
class Report:
    """
    The results of one part.

    tables: shown in the documentation. pictures: captions by file name, shown there too. details:
    tables that are printed and written to PART.details.md only.
    """

    tables: list[Table]
    records: list[Record] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    details: list[Table] = field(default_factory=list)
