# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Recorded video: every update rule and the baselines, without any tuning to it."""

from __future__ import annotations

import math

from tqdm import tqdm

from benchmark.accuracy.batched_runs import decodings, EncodedFilms, run_films
from benchmark.accuracy.errors import PathErrors, Record, SceneErrors
from benchmark.accuracy.estimates import BASELINES, baselines, GIVEN, Method
from benchmark.accuracy.films import Film, recorded
from benchmark.accuracy.setup import Bench, Report
from ttt3r_ros.bench.tables import Table

SEQUENCES = ('indoor_hololens_office', 'indoor_tum_fr1_rpy', 'driving_kitti07')
HEAD = [
    'method',
    'rotation RPE [deg]',
    'ATE Sim(3) [m]',
    'ATE [% of path]',
    'depth AbsRel scaled [%]',
]


def measure(bench: Bench) -> Report:
    """Map each recording that is there; name those that are not."""
    details, records = [], []
    for name in SEQUENCES:
        folder = bench.shared / 'data' / name
        if not folder.is_dir():
            print(f'{name}: skipped, there is no {folder} (--shared or TTT3R_SHARED names it)')
            continue
        film = recorded(folder, bench.network.architecture, bench.frames)
        of_film = _records(bench, film)
        records += of_film
        caption = f'{name}: {len(film)} frames, path {of_film[0].path.path:.1f} m; {GIVEN}'
        details.append(Table(caption, HEAD, [_row(record) for record in of_film]))
    return Report([_table(records, bench)] if records else [], records, details=details)


def _table(records: list[Record], bench: Bench) -> Table:
    """Compare what the product does with its rule without segments and the baselines."""
    recordings = list(dict.fromkeys(record.film for record in records))
    rules = dict.fromkeys((bench.shipped, Method(bench.shipped.rule)))
    names = [*(method.name for method in rules), *BASELINES]
    rows = []
    for name in names:
        paths = [r.path for r in records if r.method == name]
        turns = [f'{path.turn:.2f}' for path in paths]
        rows.append([name, *turns, *(f'{100 * path.ate / path.path:.1f}' for path in paths)])
    head = [f'RPE [deg], {film}' for film in recordings]
    head += [f'ATE [%], {film}' for film in recordings]
    return Table('Rotation error and ATE in % of the path', ['method', *head], rows)


def _records(bench: Bench, film: Film) -> list[Record]:
    records = []
    encoded = EncodedFilms.of(bench.network, [film])
    total = decodings(1, len(film), bench.methods)
    with tqdm(total=total, desc=film.name, unit='frame') as progress:
        for method in bench.methods:  # one at a time: the points of one fill half a gigabyte
            estimates = run_films(bench.network, encoded, [method], progress, [method])
            (run,) = estimates[method.name]
            scene = SceneErrors.of(run.points_camera, run.world_T_camera, film)
            path = PathErrors.of(run.world_T_camera, film.world_T_camera)
            records.append(Record.about(film, method.name, len(film), path, scene))
            if method == bench.shipped:
                others = baselines(film, run.points_camera[..., 2])
    for name, other in others.items():
        path = PathErrors.of(other.world_T_camera, film.world_T_camera)
        records.append(Record.about(film, name, len(film), path))
    return records


def _row(record: Record) -> list[str]:
    path, scene = record.path, record.scene
    known = scene is not None and not math.isnan(scene.scaled)
    return [
        record.method,
        f'{path.turn:.2f}',
        f'{path.ate:.3f}',
        f'{100 * path.ate / path.path:.1f}',
        f'{100 * scene.scaled:.1f}' if scene is not None and known else '-',
    ]
