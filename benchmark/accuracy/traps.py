# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What leads a back end astray: two rooms that look the same, and loops that are false."""

from __future__ import annotations

from contextlib import ExitStack
from unittest.mock import patch

import numpy as np

from benchmark.accuracy.drives import Front
from benchmark.accuracy.merging import ate
from benchmark.accuracy.relocalisation import mapped, Session, session_of
from benchmark.accuracy.setup import Experiment, Report
from benchmark.accuracy.slam import front_of
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.geometry import invert, rotation_about, transform
from ttt3r_ros.graph import loops
from ttt3r_ros.graph.closure import Closure, FeaturePoints, verify
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.tracking.relative_pose import RelativePose

WHEELS = ('usual', None)
# Paths that lead into both of the rooms that look the same.
TWINS = (5, 2, 6)
FALSE_ON = (*(f'S_robot_{i}' for i in range(3)), *(f'M_robot_{i}' for i in range(3)))
FALSE_LOOPS, CHANCE = 10, 0.15
SURE = np.diag([0.02**2] * 3 + [0.05**2] * 3)
FAR_M = 4.0  # no two key frames of one room that see the same are so far from each other
BAR = 1.5


def measure(experiment: Experiment) -> Report:
    """Drive into the traps; what is not cached is filmed first."""
    front, few = front_of(experiment), experiment.sequences is not None
    numbers, names = (TWINS[:1], FALSE_ON[:1]) if few else (TWINS, FALSE_ON)
    twins = [_twins_row(front, number, wheels) for wheels in WHEELS for number in numbers]
    false = [_false_row(front, names, wheels) for wheels in WHEELS]
    return Report(
        [
            Table(
                'Two rooms that look the same, and the same path where they do not: ATE after '
                f'SE(3) [m]; ratio at most {BAR}, no loop between the rooms',
                [
                    'drive',
                    'wheels',
                    'rooms that differ',
                    'rooms that look the same',
                    'ratio',
                    'loops',
                    'loops between the rooms',
                ],
                twins,
            ),
            Table(
                f'{FALSE_LOOPS} false loops a drive: ATE after SE(3) [m], mean of the drives; '
                f'ratio at most {BAR}',
                [
                    'wheels',
                    'drives',
                    'without',
                    'false loops',
                    'thrown out',
                    'with them',
                    'ratio',
                    'taken for plausible',
                    'thrown out',
                    'with them',
                    'ratio',
                ],
                false,
            ),
        ],
        [],
    )


def _twins_row(front: Front, number: int, wheels: str | None) -> list[str]:
    sessions = [
        session_of(front, f'{family}_robot_{number}', wheels) for family in ('row', 'twins')
    ]
    graphs = [mapped(session, wheels) for session in sessions]
    differ, alike = (_ate(graph, session) for graph, session in zip(graphs, sessions))
    pairs, places = graphs[1].belief.loops, sessions[1].world_T_camera[:, :3, 3]
    between = sum(float(np.linalg.norm(places[i] - places[j])) > FAR_M for i, j in pairs)
    return [
        f'{number}',
        wheels or 'none',
        f'{differ:.3f}',
        f'{alike:.3f}',
        f'{alike / differ:.2f}',
        f'{len(pairs)}',
        f'{between}',
    ]


def _false_row(front: Front, names: tuple[str, ...], wheels: str | None) -> list[str]:
    sessions = [session_of(front, name, wheels) for name in names]
    without = [_ate(mapped(session, wheels), session) for session in sessions]
    own, cells = float(np.mean(without)), []
    for plausible in (False, True):
        found, claimed, rejected = [], 0, 0
        for seed, session in enumerate(sessions):
            false_loops = _FalseLoops(seed)
            with ExitStack() as stack:
                false_loops.enter(stack, plausible)
                graph = mapped(session, wheels)
            found.append(_ate(graph, session))
            claimed += false_loops.claimed
            rejected += graph.belief.counts.rejected
        mean = float(np.mean(found))
        cells += [f'{claimed}', f'{rejected}', f'{mean:.3f}', f'{mean / own:.2f}']
    return [wheels or 'none', f'{len(sessions)}', f'{own:.3f}', *cells]


def _ate(graph: KeyFrameGraph, session: Session) -> float:
    truth = {key.number: pose for key, pose in zip(session.keys, session.world_T_camera)}
    return ate(graph.belief.poses, truth)


class _FalseLoops:
    """Claims now and then that two key frames saw the same place, anywhere."""

    def __init__(self, seed: int) -> None:
        """
        Begin with all false loops ahead.

        :param seed: of when and what.
        """
        self._rng = np.random.default_rng(seed)
        self._left = FALSE_LOOPS
        self._claims: list[Closure] = []
        self._verify, self._plausible = verify, loops._plausible

    @property
    def claimed(self) -> int:
        """Return the number of false loops so far."""
        return len(self._claims)

    def enter(self, stack: ExitStack, plausible: bool) -> None:
        """
        Take the place of the verification.

        :param stack: by which it ends.
        :param plausible: whether false loops are taken for plausible, wherever they lead.
        """
        stack.enter_context(patch('ttt3r_ros.graph.loops.verify', self._claim))
        if plausible:
            stack.enter_context(patch.object(loops, '_plausible', self._believe))

    def _claim(self, here: FeaturePoints, there: FeaturePoints) -> Closure | None:
        rng = self._rng
        if not self._left or rng.random() > CHANCE:
            return self._verify(here, there)
        self._left -= 1
        pose = transform(rotation_about([0, 1, 0], rng.normal(0, 1)), rng.normal(0, 1, 3))
        forth, back = (
            RelativePose(one, SURE, np.ones(50, np.bool_), 1.0) for one in (pose, invert(pose))
        )
        self._claims.append(Closure(forth, back, 0.0, 50, rng.normal(0, 1, (50, 3))))
        return self._claims[-1]

    def _believe(self, here: int, there: int, closure: Closure, *rest: object) -> bool:
        own = any(closure is one for one in self._claims)
        return own or bool(self._plausible(here, there, closure, *rest))  # type: ignore[arg-type]
