# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Sequences of eight frames, as in training: depth, poses and points, with the baselines."""

from __future__ import annotations

from tqdm import tqdm

from benchmark.accuracy.batched_runs import decodings, EncodedSequences, run_sequences
from benchmark.accuracy.errors import mean, over_path, PathErrors, ratio, Record, SceneErrors
from benchmark.accuracy.estimates import BASELINES, baselines, GIVEN, Method
from benchmark.accuracy.sequences import PATHS
from benchmark.accuracy.setup import Experiment, Report
from benchmark.accuracy.tables import number
from ttt3r_ros.bench.tables import Table

FRAMES = 8
SEQUENCES = 24
RULES = (Method('cut3r'), Method('ttt3r'))
SHOWN = 'ttt3r'  # in the documentation: the default rule
METHODS = (*(f'network ({method.name})' for method in RULES), *BASELINES)
CLASSICAL = BASELINES[-1]
HEAD = [
    'family, path',
    'depth AbsRel metric [%]',
    'depth AbsRel scaled [%]',
    'rotation RPE [deg]',
    f'{CLASSICAL} [deg]',
    'ATE Sim(3) [% of path]',
    f'{CLASSICAL} [% of path]',
]
DETAILED_HEAD = [
    'path, method',
    'depth AbsRel metric [%]',
    'depth AbsRel scaled [%]',
    'rotation RPE [deg]',
    'translation error [% of path]',
    'ATE Sim(3) [% of path]',
    'world points [% of depth]',
]


def measure(experiment: Experiment) -> Report:
    """Render the sequences, estimate them and compare with the truth."""
    records: list[Record] = []
    total = decodings(experiment.count(SEQUENCES), FRAMES, RULES)
    with tqdm(total=total, desc='short', unit='frame') as progress:
        for sequences in experiment.groups(SEQUENCES, FRAMES, experiment.rate_hz):
            encoded = EncodedSequences.of(experiment.network, sequences)
            runs = run_sequences(experiment.network, encoded, RULES, progress, RULES)
            for i, sequence in enumerate(sequences):
                predictions = [runs[method.name][i] for method in RULES]
                points = predictions[0].points_camera
                estimates = [*predictions, *baselines(sequence, points[..., 2]).values()]
                clouds = [*(one.points_camera for one in predictions), *[points] * len(BASELINES)]
                records += [
                    Record.about(
                        sequence,
                        method,
                        FRAMES,
                        PathErrors.of(one.world_T_camera, sequence.world_T_camera),
                        SceneErrors.of(cloud, one.world_T_camera, sequence),
                    )
                    for method, one, cloud in zip(METHODS, estimates, clouds)
                ]
    note = (
        f'{FRAMES} frames at {experiment.rate_hz:g} Hz, {experiment.sequences or SEQUENCES} '
        'sequences of each kind of path; mean ± standard error'
    )
    details = [
        Table(
            f'Family {family}: {note}; {GIVEN}',
            DETAILED_HEAD,
            [_detailed_row(records, family, kind, method) for kind in PATHS for method in METHODS],
        )
        for family in experiment.letters
    ]
    rows = [_row(records, family, kind) for family in experiment.letters for kind in PATHS]
    table = Table(f'Update rule {SHOWN}, {note}', HEAD, rows)
    return Report([table], records, details=details)


def _chosen(records: list[Record], family: str, kind: str, method: str) -> list[Record]:
    return [r for r in records if (r.group, r.kind, r.method) == (family, kind, method)]


def _row(records: list[Record], family: str, kind: str) -> list[str]:
    network = _chosen(records, family, kind, f'network ({SHOWN})')
    classical = _chosen(records, family, kind, CLASSICAL)
    return [
        f'{family}, {kind}',
        *_depths(network),
        *(number(mean([r.path.turn for r in records]), 2) for records in (network, classical)),
        *(number(over_path(records), 1, 100) for records in (network, classical)),
    ]


def _depths(records: list[Record]) -> list[str]:
    scenes = [record.scene for record in records if record.scene is not None]
    return [
        number(mean([scene.metric for scene in scenes]), 1, 100),
        number(mean([scene.scaled for scene in scenes]), 1, 100),
    ]


def _detailed_row(records: list[Record], family: str, kind: str, method: str) -> list[str]:
    chosen = _chosen(records, family, kind, method)
    scenes = [record.scene for record in chosen if record.scene is not None]
    return [
        f'{kind}, {method}',
        *(_depths(chosen) if method not in BASELINES else ['', '']),
        number(mean([r.path.turn for r in chosen]), 2),
        number(ratio([r.path.drift for r in chosen], [r.path.path for r in chosen]), 1, 100),
        number(over_path(chosen), 1, 100),
        number(mean([scene.world for scene in scenes]), 1, 100),
    ]
