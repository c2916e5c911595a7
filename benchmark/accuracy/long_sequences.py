# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Long sequences: every update rule, with and without segments, by number of frames."""

from __future__ import annotations

import math

import numpy as np
from tqdm import tqdm

from benchmark.accuracy.batched_runs import decodings, EncodedSequences, run_all
from benchmark.accuracy.errors import Mean, mean, over_path, PathErrors, Record
from benchmark.accuracy.estimates import BASELINES, GIVEN, Method, RULES
from benchmark.accuracy.pictures import draw_curves
from benchmark.accuracy.setup import Experiment, Report
from benchmark.accuracy.tables import number, with_best
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.tables import Table

SEQUENCES = 4
CURVE_POINTS = 20
LEAST_FRAMES = 3
PICTURE = 'ate_by_length.png'


def measure(experiment: Experiment) -> Report:
    """Estimate long paths; shorter ones are the first frames of the same sequences."""
    longest = experiment.lengths[-1]
    lengths = sorted(
        {round(f) for f in np.linspace(0, longest, CURVE_POINTS + 1)[1:]} | {*experiment.lengths}
    )
    records: list[Record] = []
    total = decodings(experiment.count(SEQUENCES), longest, experiment.methods)
    with tqdm(total=total, desc='long', unit='frame') as progress:
        for sequences in experiment.groups(SEQUENCES, longest, experiment.rate_hz):
            encoded = EncodedSequences.of(experiment.network, sequences)
            estimates = run_all(
                experiment.network, encoded, experiment.methods, experiment.shipped, progress
            )
            records += [
                Record.about(
                    sequence,
                    method,
                    length,
                    PathErrors.of(one.world_T_camera[:length], sequence.world_T_camera[:length]),
                    gain=float(one.gains[:length].mean()),
                )
                for method, of_sequences in estimates.items()
                for sequence, one in zip(sequences, of_sequences)
                for length in lengths
                if length >= LEAST_FRAMES
            ]
    with atomic_file(experiment.out / PICTURE) as file:
        draw_curves(file, records, experiment.rate_hz)
    details = [_detailed_table(records, experiment, family) for family in experiment.letters]
    caption = f'Trajectory error against the number of frames, {experiment.rate_hz:g} Hz'
    return Report([_table(records, experiment)], records, {PICTURE: caption}, details)


def _table(records: list[Record], experiment: Experiment) -> Table:
    """Return the ATE of each rule by families; baselines have no segments."""
    intervals, longest = sorted({0, experiment.shipped.interval}), experiment.lengths[-1]
    head, columns = ['method'], [[*RULES, *BASELINES]]
    for family in experiment.letters:
        chosen = [r for r in records if (r.group, r.setting) == (family, longest)]
        head += [f'{family}, {f"segments of {i}" if i else "no segments"}' for i in intervals]
        for interval in intervals:
            names = [Method(rule, interval).name for rule in RULES]
            names += [] if interval else BASELINES
            ates = [mean([r.path.ate for r in chosen if r.method == name]) for name in names]
            cells = with_best(ates, len(RULES), 3)
            columns.append([*cells, *[''] * (len(columns[0]) - len(cells))])
    caption = f'ATE [m] after {longest} frames; mean ± standard error'
    return Table(caption, head, list(zip(*columns)))


def _detailed_table(records: list[Record], experiment: Experiment, family: str) -> Table:
    records = [r for r in records if r.group == family]
    names, longest = [*(m.name for m in experiment.methods), *BASELINES], experiment.lengths[-1]
    by_length = [
        [[r for r in records if (r.method, r.setting) == (n, length)] for n in names]
        for length in experiment.lengths
    ]
    at_end = by_length[-1]
    columns = [
        names,
        *(
            with_best(
                [mean([r.path.ate for r in chosen]) for chosen in of], len(experiment.methods), 3
            )
            for of in by_length
        ),
        [number(over_path(chosen), 1, 100) for chosen in at_end],
        [number(mean([r.path.step for r in chosen]), 2, 100) for chosen in at_end],
        [number(mean([r.path.turn for r in chosen]), 2) for chosen in at_end],
        [number(Mean(mean([r.gain for r in chosen]).value, math.nan), 2) for chosen in at_end],
    ]
    head = ['method', *(f'ATE {n} frames [m]' for n in experiment.lengths)]
    head += [f'ATE {longest} [% of path]', 'RPE [cm]', 'RPE [deg]', 'mean gain']
    path = mean([r.path.path for r in at_end[0]])
    return Table(
        f'Family {family}, {experiment.rate_hz:g} Hz, {len(at_end[0])} sequences, half robot, '
        f'half hand-held, of {number(path, 1)} m; mean ± standard error; {GIVEN}',
        head,
        list(zip(*columns)),
    )
