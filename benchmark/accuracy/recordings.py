# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Recorded video: every update rule and the baselines, without tuning on the recordings."""

from __future__ import annotations

import math

from tqdm import tqdm

from benchmark.accuracy.batched_runs import decodings, EncodedSequences, run_sequences
from benchmark.accuracy.errors import PathErrors, Record, SceneErrors
from benchmark.accuracy.estimates import BASELINES, baselines, GIVEN, Method
from benchmark.accuracy.sequences import ImageSequence, recorded
from benchmark.accuracy.setup import Experiment, Report
from ttt3r_ros.bench.tables import Table

SEQUENCES = ('indoor_hololens_office', 'indoor_tum_fr1_rpy', 'driving_kitti07')
HEAD = [
    'method',
    'rotation RPE [deg]',
    'ATE Sim(3) [m]',
    'ATE [% of path]',
    'depth AbsRel scaled [%]',
]


def measure(experiment: Experiment) -> Report:
    """Measure each recording that exists; print the names of those that do not."""
    details, records = [], []
    for name in SEQUENCES:
        folder = experiment.shared / 'data' / name
        if not folder.is_dir():
            print(f'{name}: skipped, there is no {folder} (--shared or TTT3R_SHARED names it)')
            continue
        sequence = recorded(folder, experiment.network.architecture, experiment.frames)
        of_sequence = _records(experiment, sequence)
        records += of_sequence
        caption = f'{name}: {len(sequence)} frames, path {of_sequence[0].path.path:.1f} m; {GIVEN}'
        details.append(Table(caption, HEAD, [_row(record) for record in of_sequence]))
    return Report([_table(records, experiment)] if records else [], records, details=details)


def _table(records: list[Record], experiment: Experiment) -> Table:
    """Return the default method, its rule without segments and the baselines, compared."""
    recordings = list(dict.fromkeys(record.sequence for record in records))
    rules = dict.fromkeys((experiment.shipped, Method(experiment.shipped.rule)))
    names = [*(method.name for method in rules), *BASELINES]
    rows = []
    for name in names:
        paths = [r.path for r in records if r.method == name]
        turns = [f'{path.turn:.2f}' for path in paths]
        rows.append([name, *turns, *(f'{100 * path.ate / path.path:.1f}' for path in paths)])
    head = [f'RPE [deg], {sequence}' for sequence in recordings]
    head += [f'ATE [%], {sequence}' for sequence in recordings]
    return Table('Rotation error and ATE in % of the path', ['method', *head], rows)


def _records(experiment: Experiment, sequence: ImageSequence) -> list[Record]:
    records = []
    encoded = EncodedSequences.of(experiment.network, [sequence])
    total = decodings(1, len(sequence), experiment.methods)
    with tqdm(total=total, desc=sequence.name, unit='frame') as progress:
        for method in experiment.methods:  # one at a time: the points of one fill half a gigabyte
            estimates = run_sequences(experiment.network, encoded, [method], progress, [method])
            (run,) = estimates[method.name]
            scene = SceneErrors.of(run.points_camera, run.world_T_camera, sequence)
            path = PathErrors.of(run.world_T_camera, sequence.world_T_camera)
            records.append(Record.about(sequence, method.name, len(sequence), path, scene))
            if method == experiment.shipped:
                others = baselines(sequence, run.points_camera[..., 2])
    for name, other in others.items():
        path = PathErrors.of(other.world_T_camera, sequence.world_T_camera)
        records.append(Record.about(sequence, name, len(sequence), path))
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
