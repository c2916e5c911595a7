# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The targets that were set before training, and the values measured by the other parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.accuracy.errors import mean, over_path, ratio, Record
from benchmark.accuracy.frame_rates import best_method
from benchmark.accuracy.setup import Experiment, Report
from ttt3r_ros.bench.tables import Table

RULE = 'cut3r'  # that the network was trained with from the start
TRAINED_WITH = f'network ({RULE})'
STILL = 'constant pose'


@dataclass(frozen=True)
class Target:
    """A target: the measured value shall be at most `wanted`."""

    name: str
    wanted: float
    reached: float

    def row(self) -> list[str]:
        """Return the cells of the table row."""
        verdict = 'yes' if self.reached <= self.wanted else 'no'
        return [self.name, f'{self.wanted:g}', f'{self.reached:.3g}', verdict]


def measure(experiment: Experiment) -> Report:
    """Compare with the targets; those of parts that have not run are skipped with a message."""
    short, long, choice = (experiment.measured(part) for part in ('short', 'long', 'choose'))
    for part, records in (('short', short), ('long', long), ('choose', choice)):
        if not records:
            print(f'targets: the part {part} is not in {experiment.out}, its targets are left out')
    targets = short_targets(short) + long_targets(long, choice, experiment)
    head = ['target', 'at most', 'measured', 'reached']
    caption = 'Targets; where a method was chosen, it was chosen on other paths'
    table = Table(caption, head, [target.row() for target in targets])
    return Report([table] if targets else [])


def short_targets(records: Sequence[Record]) -> list[Target]:
    """Return the targets for eight frames, by the rule that the network was trained with."""
    ours = [r for r in records if r.method == TRAINED_WITH]
    small = [r for r in ours if r.group == 'S']
    targets = []
    if small:
        depth = mean([r.scene.scaled for r in small if r.scene]).value
        targets += [
            Target(f'S, 8 frames ({RULE}): depth AbsRel scaled', 0.07, depth),
            Target(f'S, 8 frames ({RULE}): ATE over path', 0.02, over_path(small).value),
        ]
    drives = [r for r in ours if (r.group, r.kind) == ('M', 'robot')]
    if drives:
        still = [r for r in records if (r.group, r.kind, r.method) == ('M', 'robot', STILL)]
        turn = ratio([r.path.turn for r in drives], [r.path.turn for r in still]).value
        depth = mean([r.scene.scaled for r in drives if r.scene]).value
        targets += [
            Target(f'M robot, 8 frames ({RULE}): depth AbsRel scaled', 0.10, depth),
            Target(f"M robot, 8 frames ({RULE}): rotation RPE over constant pose's", 0.25, turn),
        ]
    return targets


def long_targets(
    records: Sequence[Record], choice: Sequence[Record], experiment: Experiment
) -> list[Target]:
    """Return the targets for the longest sequences, by the method chosen on other paths."""
    if not records or not choice:
        return []
    longest = max(r.setting for r in records)
    choice = [r for r in choice if r.setting == experiment.rate_hz]
    records = [r for r in records if r.setting == longest]
    targets = []
    small = [r for r in records if r.group == 'S']
    if small:
        segmented = [method for method in experiment.methods if method.interval]
        name = best_method([r for r in choice if r.group == 'S'], segmented).name
        reached = over_path([r for r in small if r.method == name]).value
        targets.append(Target(f'S, {longest:g} frames, {name}: ATE over path', 0.05, reached))
    drives = [r for r in records if (r.group, r.kind) == ('M', 'robot')]
    if drives:
        whole = [method for method in experiment.methods if not method.interval]
        before = [r for r in choice if (r.group, r.kind) == ('M', 'robot')]
        name = best_method(before, whole).name
        ates, cut3r = ([r.path.ate for r in drives if r.method == m] for m in (name, 'cut3r'))
        of_cut3r = ratio(ates, cut3r).value
        targets.append(
            Target(f"M robot, {longest:g} frames, {name}: ATE over cut3r's", 0.5, of_cut3r)
        )
    return targets
