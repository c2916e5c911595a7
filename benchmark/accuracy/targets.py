# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What was to be reached, and what the records of the other parts say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.accuracy.errors import mean, over_path, ratio, Record
from benchmark.accuracy.estimates import Method
from benchmark.accuracy.frame_rates import best_method
from benchmark.accuracy.setup import Bench, Report
from benchmark.accuracy.short_films import METHODS as SHORT_METHODS
from ttt3r_ros.bench.tables import Table

TRAINED_WITH = SHORT_METHODS[0]
STILL = 'constant pose'


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


def measure(bench: Bench) -> Report:
    """Compare; what needs a part that has not run is left out and named."""
    short, long, choice = (bench.measured(part) for part in ('short', 'long', 'choose'))
    for part, records in (('short', short), ('long', long), ('choose', choice)):
        if not records:
            print(f'bars: the part {part} is not in {bench.out}, its bars are left out')
    bars = short_bars(short) + long_bars(long, choice, bench)
    head = ['bar', 'at most', 'measured', 'reached']
    table = Table('What was to be reached', head, [bar.row() for bar in bars])
    return Report([table] if bars else [])


def short_bars(records: Sequence[Record]) -> list[Bar]:
    """Look at eight frames, by the rule that the network was trained with."""
    ours = [r for r in records if r.method == TRAINED_WITH]
    small = [r for r in ours if r.group == 'S']
    bars = []
    if small:
        depth = mean([r.scene.scaled for r in small if r.scene]).value
        bars += [
            Bar('S, 8 frames: depth AbsRel scaled', 0.07, depth),
            Bar('S, 8 frames: ATE over path', 0.02, over_path(small).value),
        ]
    drives = [r for r in ours if (r.group, r.kind) == ('M', 'robot')]
    if drives:
        still = [r for r in records if (r.group, r.kind, r.method) == ('M', 'robot', STILL)]
        turn = ratio([r.path.turn for r in drives], [r.path.turn for r in still]).value
        depth = mean([r.scene.scaled for r in drives if r.scene]).value
        bars += [
            Bar('M robot, 8 frames: depth AbsRel scaled', 0.10, depth),
            Bar("M robot, 8 frames: rotation RPE over constant pose's", 0.25, turn),
        ]
    return bars


def long_bars(records: Sequence[Record], choice: Sequence[Record], bench: Bench) -> list[Bar]:
    """Look at the longest films: the method that was chosen on other paths, and in hindsight."""
    if not records:
        return []
    longest = max(r.setting for r in records)
    bars = []
    segmented = [method for method in bench.methods if method.interval]
    whole = [method for method in bench.methods if not method.interval]
    small = [r for r in records if (r.group, r.setting) == ('S', longest)]
    if small:
        before = _at_rate([r for r in choice if r.group == 'S'], bench.rate_hz)
        for method, how in _chosen(small, before, segmented):
            reached = over_path([r for r in small if r.method == method.name]).value
            name = f'S, {longest:g} frames with segments: ATE over path, {how}: {method.name}'
            bars.append(Bar(name, 0.05, reached))
    drives = [r for r in records if (r.group, r.kind, r.setting) == ('M', 'robot', longest)]
    if drives:
        before = [r for r in choice if (r.group, r.kind) == ('M', 'robot')]
        cut3r = [r.path.ate for r in drives if r.method == 'cut3r']
        for method, how in _chosen(drives, _at_rate(before, bench.rate_hz), whole):
            ates = [r.path.ate for r in drives if r.method == method.name]
            name = f"M robot, {longest:g} frames: ATE over cut3r's, {how}: {method.name}"
            bars.append(Bar(name, 0.5, ratio(ates, cut3r).value))
    return bars


def _at_rate(records: Sequence[Record], rate_hz: float) -> list[Record]:
    return [r for r in records if r.setting == rate_hz]


def _chosen(
    records: Sequence[Record], before: Sequence[Record], candidates: Sequence[Method]
) -> list[tuple[Method, str]]:
    """Name the best method of those paths, where there are any, and of these."""
    chosen = [(best_method(before, candidates), 'chosen on other paths')] if before else []
    return [*chosen, (best_method(records, candidates), 'best in hindsight')]
