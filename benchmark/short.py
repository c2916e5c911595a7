# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Films of eight frames, as in training: depth, poses and points beside the baselines."""

from __future__ import annotations

from collections.abc import Callable

from tqdm import tqdm

from benchmark.bench import Bar, bars_table, Bench, Report
from benchmark.errors import Mean, mean, PathErrors, ratio, Record, SceneErrors
from benchmark.estimates import BASELINES, baselines, run_together, TOLD
from benchmark.films import PATHS
from benchmark.tables import number, Table

FRAMES = 8
FILMS = 24
NETWORK = 'network (ttt3r)'
METHODS = (NETWORK, *BASELINES)
HEAD = [
    'path, method',
    'depth AbsRel metric [%]',
    'depth AbsRel scaled [%]',
    'rotation RPE [deg]',
    'translation error [% of path]',
    'ATE Sim(3) [% of path]',
    'world points [% of depth]',
]


def measure(bench: Bench) -> Report:
    """Film, estimate, compare."""
    records: list[Record] = []
    with tqdm(total=bench.count(FILMS) * FRAMES, desc='short', unit='frame') as progress:
        for films in bench.groups(FILMS, FRAMES, bench.rate_hz):
            runs = run_together(bench.network, films, 'ttt3r', progress, points=True)
            for film, run in zip(films, runs):
                paths = {NETWORK: run.world_T_camera}
                paths |= baselines(film, run.points_camera[..., 2])
                records += [
                    Record.about(
                        film,
                        method,
                        FRAMES,
                        PathErrors.of(path, film.world_T_camera),
                        SceneErrors.of(run.points_camera, path, film),
                    )
                    for method, path in paths.items()
                ]
    note = (
        f'{FRAMES} frames at {bench.rate_hz:g} Hz, films of each kind: {bench.films or FILMS}; '
        f'mean ± standard error; {TOLD}'
    )
    tables = [
        Table(
            f'Family {family}: {note}',
            HEAD,
            [_row(records, family, kind, method) for kind in PATHS for method in METHODS],
        )
        for family in bench.families
    ]
    return Report(bars_table(_bars(records, bench.families)) + tables, records)


def _row(records: list[Record], family: str, kind: str, method: str) -> list[str]:
    chosen = [r for r in records if (r.group, r.kind, r.method) == (family, kind, method)]
    depths = [
        number(mean([r.scene.metric for r in chosen]), 1, 100),
        number(mean([r.scene.scaled for r in chosen]), 1, 100),
    ]
    return [
        f'{kind}, {method}',
        *(depths if method == NETWORK else ['', '']),
        number(mean([r.path.turn for r in chosen]), 2),
        number(_share(chosen, lambda r: r.path.drift), 1, 100),
        number(_share(chosen, lambda r: r.path.ate), 1, 100),
        number(mean([r.scene.world for r in chosen]), 1, 100),
    ]


def _share(records: list[Record], error: Callable[[Record], float]) -> Mean:
    return ratio([error(r) for r in records], [r.path.path for r in records])


def _bars(records: list[Record], families: str) -> list[Bar]:
    ours = [r for r in records if r.method == NETWORK]
    bars = []
    if 'S' in families:
        small = [r for r in ours if r.group == 'S']
        bars += [
            Bar('S: depth AbsRel scaled', 0.07, mean([r.scene.scaled for r in small]).value),
            Bar('S: ATE over path', 0.02, _share(small, lambda r: r.path.ate).value),
        ]
    if 'M' in families:
        drives = [r for r in ours if (r.group, r.kind) == ('M', 'robot')]
        still = [r for r in records if (r.group, r.kind, r.method) == ('M', 'robot', BASELINES[0])]
        turn = mean([r.path.turn for r in drives]).value / mean([r.path.turn for r in still]).value
        bars += [
            Bar(
                'M robot: depth AbsRel scaled', 0.10, mean([r.scene.scaled for r in drives]).value
            ),
            Bar("M robot: rotation RPE over constant pose's", 0.25, turn),
        ]
    return bars
