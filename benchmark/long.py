# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Long films and films at several rates: every update rule, with and without segments."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from benchmark.bench import Bar, bars_table, Bench, Report
from benchmark.errors import Mean, mean, PathErrors, ratio, Record
from benchmark.estimates import Array, BASELINES, methods, RULES, TOLD, trajectories, units
from benchmark.films import Film
from benchmark.pictures import draw_curves
from benchmark.tables import number, Table, with_best
from ttt3r_ros.atomic import atomic_file

FILMS = 2
CURVE_POINTS = 20
FULL_RATE_HZ = 30.0
EVERY = (1, 2, 4, 15)  # 30, 15, 7.5 and 2 Hz
LEAST_FRAMES = 3


def measure(bench: Bench) -> Report:
    """Follow long paths; the first frames of a long film are a shorter film."""
    longest = bench.lengths[-1]
    lengths = sorted(
        {round(f) for f in np.linspace(0, longest, CURVE_POINTS + 1)[1:]} | {*bench.lengths}
    )
    total = units(bench.count(FILMS), longest, bench.intervals)
    records: list[Record] = []
    with tqdm(total=total, desc='long', unit='frame') as progress:
        for films in bench.groups(FILMS, longest, bench.rate_hz):
            paths = trajectories(bench.network, films, bench.intervals, progress)
            records += [
                Record.about(film, method, length, _errors(path, film, length))
                for method, of_films in paths.items()
                for film, path in zip(films, of_films)
                for length in lengths
                if length >= LEAST_FRAMES
            ]
    with atomic_file(bench.out / 'ate_by_length.png') as file:
        draw_curves(file, records, bench.rate_hz)
    tables = [_length_table(records, bench, family, bench.rate_hz) for family in bench.families]
    return Report(bars_table(_bars(records, bench)) + tables, records)


def measure_rates(bench: Bench) -> Report:
    """Follow the same paths at several frame rates."""
    frames = round(bench.seconds * FULL_RATE_HZ)
    steps = [step for step in EVERY if len(range(0, frames, step)) >= LEAST_FRAMES]
    total = sum(
        units(bench.count(FILMS), len(range(0, frames, step)), bench.intervals) for step in steps
    )
    records: list[Record] = []
    with tqdm(total=total, desc='rates', unit='frame') as progress:
        for whole in bench.groups(FILMS, frames, FULL_RATE_HZ):
            for step in steps:
                films = [film.every(step) for film in whole]
                paths = trajectories(bench.network, films, bench.intervals, progress)
                records += [
                    Record.about(film, method, FULL_RATE_HZ / step, _errors(path, film, len(film)))
                    for method, of_films in paths.items()
                    for film, path in zip(films, of_films)
                ]
    groups = [bench.families, *bench.families] if len(bench.families) > 1 else [bench.families]
    return Report([_rate_table(records, bench, families) for families in groups], records)


def _errors(path: Array, film: Film, length: int) -> PathErrors:
    return PathErrors.of(path[:length], film.world_T_camera[:length])


def _names(bench: Bench) -> list[str]:
    return [*(method.name for method in methods(bench.intervals)), *BASELINES]


def _ate(records: list[Record], method: str, setting: float) -> Mean:
    return mean([r.path.ate for r in records if (r.method, r.setting) == (method, setting)])


def _ate_column(records: list[Record], bench: Bench, setting: float) -> list[str]:
    ates = [_ate(records, name, setting) for name in _names(bench)]
    return with_best(ates, len(methods(bench.intervals)), 3)


def _length_table(records: list[Record], bench: Bench, family: str, rate_hz: float) -> Table:
    records = [r for r in records if r.group == family]
    names, longest = _names(bench), bench.lengths[-1]
    at_end = [[r for r in records if (r.method, r.setting) == (n, longest)] for n in names]
    columns = [
        names,
        *(_ate_column(records, bench, length) for length in bench.lengths),
        [number(_over_path(chosen), 1, 100) for chosen in at_end],
        [number(mean([r.path.step for r in chosen]), 2, 100) for chosen in at_end],
        [number(mean([r.path.turn for r in chosen]), 2) for chosen in at_end],
    ]
    head = ['method', *(f'ATE {n} frames [m]' for n in bench.lengths)]
    head += [f'ATE {longest} [% of path]', 'RPE [cm]', 'RPE [deg]']
    path = mean([r.path.path for r in at_end[0]])
    return Table(
        f'Family {family}, {rate_hz:g} Hz, {len(at_end[0])} films, half robot, half hand-held, '
        f'of {number(path, 1)} m; mean ± standard error; {TOLD}',
        head,
        list(zip(*columns)),
    )


def _rate_table(records: list[Record], bench: Bench, families: str) -> Table:
    records = [r for r in records if r.group in families]
    names, rates = _names(bench), sorted({r.setting for r in records}, reverse=True)
    columns = [names, *(_ate_column(records, bench, rate) for rate in rates)]
    films = {r.film for r in records}
    return Table(
        f'ATE [m] by frame rate, families {families}, the same {len(films)} paths of '
        f'{bench.seconds:g} s; mean ± standard error; {TOLD}',
        ['method', *(f'{rate:g} Hz' for rate in rates)],
        list(zip(*columns)),
    )


def _over_path(records: list[Record]) -> Mean:
    return ratio([r.path.ate for r in records], [r.path.path for r in records])


def _bars(records: list[Record], bench: Bench) -> list[Bar]:
    longest = bench.lengths[-1]
    at_end = [r for r in records if r.setting == longest]
    bars = []
    if 'S' in bench.families:
        segmented = [method.name for method in methods(bench.intervals) if method.interval]
        best = min(
            _over_path([r for r in at_end if (r.group, r.method) == ('S', name)]).value
            for name in segmented
        )
        bars.append(Bar(f'S: ATE over path, {longest} frames, best with segments', 0.05, best))
    if 'M' in bench.families:
        drives = [r for r in at_end if (r.group, r.kind) == ('M', 'robot')]
        best = min(_ate(drives, rule, longest).value for rule in RULES)
        cut3r = _ate(drives, 'cut3r', longest).value
        name = f"M robot: ATE of the best rule over cut3r's, {longest} frames, no segments"
        bars.append(Bar(name, 0.5, best / cut3r))
    return bars
