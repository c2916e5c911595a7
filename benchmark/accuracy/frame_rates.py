# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The same paths at several frame rates, by every update rule, with and without segments.

Methods are chosen on one set of paths and reported on another.
"""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from benchmark.accuracy.batched_runs import decodings, EncodedSequences, run_all
from benchmark.accuracy.errors import mean, over_path, PathErrors, Record
from benchmark.accuracy.estimates import BASELINES, Method, RULES
from benchmark.accuracy.long_sequences import LEAST_FRAMES
from benchmark.accuracy.sequences import FIRST_CHOICE_SEED, FIRST_SEED
from benchmark.accuracy.setup import Experiment, Report
from benchmark.accuracy.tables import number, with_best
from ttt3r_ros.bench.tables import Table

SEQUENCES = 2
FULL_RATE_HZ = 30.0
EVERY = (1, 2, 4, 15)  # 30, 15, 7.5 and 2 Hz


def measure(experiment: Experiment) -> Report:
    """Report every method at every rate."""
    records = _follow(experiment, FIRST_SEED, 'rates')
    shown = list(
        dict.fromkeys([experiment.shipped, Method(experiment.shipped.rule), Method('cut3r')])
    )
    details = [
        _rate_table(records, experiment, group, experiment.methods)
        for group in experiment.family_groups
    ]
    table = _rate_table(records, experiment, experiment.letters, shown)
    return Report([table], records, details=details)


def choose(experiment: Experiment) -> Report:
    """Choose rules and segment lengths on paths that are used for nothing else."""
    records = _follow(experiment, FIRST_CHOICE_SEED, 'choose')
    *details, table = [
        _interval_table(records, experiment, group) for group in experiment.family_groups
    ]
    return Report([table], records, details=details)


def best_method(records: Sequence[Record], candidates: Sequence[Method]) -> Method:
    """Return the method with the smallest ATE as a fraction of the path."""
    return min(
        candidates,
        key=lambda method: over_path([r for r in records if r.method == method.name]).value,
    )


def _follow(experiment: Experiment, first_seed: int, name: str) -> list[Record]:
    frames = round(experiment.seconds * FULL_RATE_HZ)
    steps = [step for step in EVERY if len(range(0, frames, step)) >= LEAST_FRAMES]
    count = experiment.count(SEQUENCES)
    total = sum(
        decodings(count, len(range(0, frames, step)), experiment.methods) for step in steps
    )
    records: list[Record] = []
    with tqdm(total=total, desc=name, unit='frame') as progress:
        for sequences in experiment.groups(SEQUENCES, frames, FULL_RATE_HZ, first_seed):
            whole = EncodedSequences.of(experiment.network, sequences)
            for step in steps:
                some = whole.every(step)
                estimates = run_all(
                    experiment.network, some, experiment.methods, experiment.shipped, progress
                )
                records += [
                    Record.about(
                        sequence,
                        method,
                        FULL_RATE_HZ / step,
                        PathErrors.of(one.world_T_camera, sequence.world_T_camera),
                    )
                    for method, of_sequences in estimates.items()
                    for sequence, one in zip(some.sequences, of_sequences)
                ]
    return records


def _of(records: Sequence[Record], families: str) -> list[Record]:
    return [r for r in records if r.group in families]


def _rates(records: Sequence[Record]) -> list[float]:
    return sorted({r.setting for r in records}, reverse=True)


def _rate_table(
    records: list[Record], experiment: Experiment, families: str, methods: Sequence[Method]
) -> Table:
    records = _of(records, families)
    names, rates = [*(m.name for m in methods), *BASELINES], _rates(records)
    columns = [names]
    for rate in rates:
        ates = [
            mean([r.path.ate for r in records if (r.method, r.setting) == (name, rate)])
            for name in names
        ]
        columns.append(with_best(ates, len(methods), 3))
    lengths = [r.path.path for r in records if (r.method, r.setting) == (names[0], rates[0])]
    return Table(
        f'ATE [m] by frame rate, families {families}, the same {len(lengths)} paths of '
        f'{experiment.seconds:g} s and {number(mean(lengths), 1)} m; mean ± standard error',
        ['method', *(f'{rate:g} Hz' for rate in rates)],
        list(zip(*columns)),
    )


def _interval_table(records: list[Record], experiment: Experiment, families: str) -> Table:
    records = _of(records, families)
    intervals = (0, *experiment.intervals)
    rows = []
    for rule in RULES:
        errors = [
            over_path([r for r in records if r.method == Method(rule, interval).name])
            for interval in intervals
        ]
        rows.append([rule, *with_best(errors, len(errors), 1, 100)])
    overall = best_method(records, experiment.methods)
    return Table(
        f'ATE [% of path] by segment length, families {families}, mean of '
        f'{", ".join(f"{rate:g}" for rate in _rates(records))} Hz, '
        f'{len({r.sequence for r in records})} paths used for nothing else; least error: '
        f'{overall.name}',
        ['rule', 'no segments', *(f'segments of {interval}' for interval in experiment.intervals)],
        rows,
    )
