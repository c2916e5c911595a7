# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Saved maps of two drives, merged: through one building, and never through two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.accuracy.drives import Front
from benchmark.accuracy.relocalisation import (
    APART,
    JOINED,
    mapped,
    PAIRS,
    Session,
    session_of,
)
from benchmark.accuracy.setup import Experiment, Report
from benchmark.accuracy.slam import front_of
from ttt3r_ros.arrays import Array
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.evaluation.errors import align
from ttt3r_ros.graph.merging import merge_graphs, MergedGraph
from ttt3r_ros.graph.stored_graph import StoredGraph

WHEELS = ('usual', None)
BAR = 1.3


def measure(experiment: Experiment) -> Report:
    """Merge all pairs of drives; what is not cached is filmed first."""
    front, few = front_of(experiment), experiment.sequences is not None
    same = [
        _same_row(front, names, wheels)
        for wheels in WHEELS
        for names in JOINED[: 1 if few else None]
    ]
    pairs = [(a, b) for a in APART for b in APART if a != b and (a[0], b[0]) != ('S', 'S')]
    apart = [_apart_row(front, pairs[: 1 if few else PAIRS], wheels) for wheels in WHEELS]
    return Report(
        [
            Table(
                'Two robots in building S from different starts, merged: ATE after one SE(3) for '
                f'both drives [m]; ratio at most {BAR}',
                [
                    'drives',
                    'wheels',
                    'first alone',
                    'second alone',
                    'merged',
                    'to the better one',
                    'to both',
                    'first in it',
                    'second in it',
                    'scale alone',
                    'scale merged',
                    'key frames that recognise the other',
                    'overlaps',
                ],
                same,
            ),
            Table('Maps of different buildings', ['wheels', 'pairs', 'merged'], apart),
        ],
        [],
    )


def _graph(front: Front, name: str, wheels: str | None) -> tuple[StoredGraph, Session]:
    session = session_of(front, name, wheels)
    return mapped(session, wheels).stored(), session


def _same_row(front: Front, names: tuple[str, str], wheels: str | None) -> list[str]:
    (first, one), (second, other) = (_graph(front, name, wheels) for name in names)
    merged = merge_graphs(first, second)
    alone = [(_poses(first), _truth(one)), (_poses(second), _truth(other))]
    errors = [ate(*pair) for pair in alone]
    cells = ['-'] * 7 + ['0', '0']
    if merged is not None:
        parts = _both(merged, (first, one), (second, other))
        found, true = ({**parts[0][i], **parts[1][i]} for i in (0, 1))
        both = ate(found, true)
        cells = [
            f'{both:.3f}',
            f'{both / min(errors):.2f}',
            f'{both / np.sqrt(np.mean(np.square(errors))):.2f}',
            *(f'{ate(*part):.3f}' for part in parts),
            ' / '.join(f'{_scale(*pair):.3f}' for pair in alone),
            f'{_scale(found, true):.3f}',
            f'{merged.votes} of {len(merged.second)}',
            f'{len(merged.overlaps)}',
        ]
    label = '+'.join(name.removeprefix('S_robot_') for name in names)
    return [label, wheels or 'none', *(f'{error:.3f}' for error in errors), *cells]


def _apart_row(front: Front, pairs: Sequence[tuple[str, str]], wheels: str | None) -> list[str]:
    names = dict.fromkeys(name for pair in pairs for name in pair)
    graphs = {name: _graph(front, name, wheels)[0] for name in names}
    merged = sum(merge_graphs(graphs[a], graphs[b]) is not None for a, b in pairs)
    return [wheels or 'none', f'{len(pairs)}', f'{merged}']


def _poses(graph: StoredGraph) -> dict[int, Array]:
    return {frame.number: pose for frame, pose in zip(graph.frames, graph.estimate.poses)}


def _truth(session: Session) -> dict[int, Array]:
    return {key.number: pose for key, pose in zip(session.keys, session.world_T_camera)}


def _both(
    merged: MergedGraph,
    first: tuple[StoredGraph, Session],
    second: tuple[StoredGraph, Session],
) -> list[tuple[dict[int, Array], dict[int, Array]]]:
    """Return where the key frames of each map are in the merged one, and where they were."""
    parts = []
    for numbers, (graph, session) in ((merged.first, first), (merged.second, second)):
        found: dict[int, Array] = {}
        truth: dict[int, Array] = {}
        true = _truth(session)
        for number, (before, pose) in zip(numbers, _poses(graph).items()):
            found[number] = merged.after_T_before[number].pose(pose)
            truth[number] = true[before]
        parts.append((found, truth))
    return parts


def ate(poses: Mapping[int, Array], truth: Mapping[int, Array]) -> float:
    """
    Return the rms error of key frames after alignment, metres.

    :param poses: (4, 4) by number; truth: of these and maybe others.
    """
    found, places = _places(poses, truth)
    aligned = align(found[:, :3, 3], places, 'se3').pose(found)
    return float(np.sqrt(np.mean(np.sum((aligned[:, :3, 3] - places) ** 2, axis=1))))


def _scale(poses: Mapping[int, Array], truth: Mapping[int, Array]) -> float:
    """Return by what the lengths of a map must be multiplied."""
    found, places = _places(poses, truth)
    return align(found[:, :3, 3], places, 'sim3').scale


def _places(poses: Mapping[int, Array], truth: Mapping[int, Array]) -> tuple[Array, Array]:
    """Return poses, (N, 4, 4), and where these key frames were, (N, 3)."""
    found = np.stack(list(poses.values()))
    return found, np.stack([truth[number][:3, 3] for number in poses])
