# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Measure what the graph of key frames costs on one core, by the number of key frames.

A robot drives round after round. A loop that the estimate fits changes the part around the newest
key frames; one that it does not fit moves all of them.

Examples:
  OMP_NUM_THREADS=1 python -m benchmark.speed.graph_cost
  OMP_NUM_THREADS=1 python -m benchmark.speed.graph_cost --keys 250 500 --repeat 20

"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
import sys
import time
from typing import Any

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.geometry import invert, rotation_about, transform
from ttt3r_ros.graph.chain import WINDOW
from ttt3r_ros.graph.key_frame_graph import (
    FAR_FIRST,
    MOVING,
    ROUNDS,
    rounds_at_once,
    SETTLED,
)
from ttt3r_ros.graph.solver.pose_graph import (
    Covariances,
    Estimate,
    Motion,
    PoseGraph,
    ScaleFix,
    ScaleStep,
    Solution,
)
from ttt3r_ros.mapping.heap import keep_free_memory
from ttt3r_ros.tools.options import positive_int

ROUND_KEYS = 60  # that the robot makes until it comes by again
TURN_SIGMA, SHIFT_SIGMA = 0.01, 0.03
BY_WHEELS, BY_NETWORK = 1.0, 3.0  # so much wider than by features
SCALE_SIGMA, FLOOR_SIGMA = 0.06, 0.07
DRIFT_RAD, DRIFT_M = 0.001, 0.005  # of the estimate at first, from key frame to key frame
BAR_MS = 40.0  # of an update at 1000 key frames
HEAD = [
    'key frames',
    'loop that fits [ms]',
    'covariance of the newest, every fifth [ms]',
    'loop that moves all, longest update [ms]',
    'updates until it is settled',
    'bar',
]


def large_graph(keys: int) -> PoseGraph:
    """
    Return a graph of a robot that drives round after round, off from its optimum.

    It has what the chain of the product has from key frame to key frame, and each key frame has a
    loop to that of the round before.

    :param keys: number of key frames.
    """
    rng = np.random.default_rng(0)
    angle = 2 * np.pi * np.arange(keys) / ROUND_KEYS
    true = np.stack([transform(rotation_about([0, 0, 1], a), [0, 0, 0]) for a in angle])
    true[:, :2, 3] = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    links = [(i - 1, i) for i in range(1, keys)]
    loops = [(i - ROUND_KEYS, i) for i in range(ROUND_KEYS, keys)]
    motions = [
        *(_measured(true, pair, rng, 1.0) for pair in links),
        *(_measured(true, pair, rng, BY_WHEELS, scaled=0.0) for pair in links),
        *(_measured(true, pair, rng, BY_NETWORK, scaled=0.0, kernel=1.0) for pair in links),
        *(
            _measured(true, one, rng, 1.0, kernel=1.0)
            for i, j in loops
            for one in ((i, j), (j, i))
        ),
    ]
    steps = [
        ScaleStep(i, j, float(rng.normal(0, SCALE_SIGMA)), SCALE_SIGMA) for i, j in links + loops
    ]
    fixes = [ScaleFix(i, float(rng.normal(0, FLOOR_SIGMA)), FLOOR_SIGMA) for i in range(keys)]
    estimate = Estimate(_drifted(true, rng), np.zeros(keys))
    return PoseGraph(tuple(range(keys)), estimate, tuple(motions), tuple(steps), tuple(fixes))


def _drifted(true: Array, rng: np.random.Generator) -> Array:
    """Return poses that drift as those of a robot do that has closed no loop for long."""
    poses = [true[0]]
    for before, after in pairwise(true):
        turn = rotation_about([0, 0, 1], rng.normal(0, DRIFT_RAD))
        step = invert(before) @ after @ transform(turn, rng.normal(0, DRIFT_M, 3))
        poses.append(poses[-1] @ step)
    return np.stack(poses)


def _measured(
    true: Array, pair: tuple[int, int], rng: np.random.Generator, wider: float, **how: Any
) -> Motion:
    """Return a measured motion; wider: factor on its errors."""
    here, there = pair
    motion = _near(invert(true[here]) @ true[there], rng, wider * SHIFT_SIGMA)
    covariance = wider**2 * np.diag([TURN_SIGMA**2] * 3 + [SHIFT_SIGMA**2] * 3)
    return Motion(here, there, motion, covariance, **how)


def _near(pose: Array, rng: np.random.Generator, sigma: float) -> Array:
    return pose @ transform(np.eye(3), rng.normal(0, sigma, 3))


def close_loop(graph: PoseGraph, known: Covariances, far: int = FAR_FIRST) -> Solution:
    """
    Do what a closure does: check a loop, optimise, look for outliers, take over the covariance.

    :param graph: all key frames.
    :param known: covariances of a few key frames ago.
    :param far: 0 where an update goes on with what the one before has begun.
    """
    last = len(graph.numbers) - 1
    poses = graph.estimate.poses
    known.between(last // 2, last, invert(poses[last // 2]) @ poses[last])
    recent = Covariances.of(graph.around(WINDOW))
    recent.between(WINDOW - 2, WINDOW - 1, invert(poses[-2]) @ poses[-1])
    solution = graph.solved(rounds_at_once(graph), far)
    loops = [motion for motion in graph.motions if abs(motion.there - motion.here) > 1]
    for _ in range(2):  # whether they fit or which to reject, and what to remember
        replace(solution.graph, motions=tuple(loops)).errors()
    solution.covariances.of_one(last)
    return solution


def fit_loop(graph: PoseGraph) -> None:
    """
    Do what a key frame does that closes no loop, or one that fits.

    :param graph: all key frames.
    """
    graph.around(MOVING).optimised(ROUNDS)


def compute_covariance(graph: PoseGraph) -> None:
    """
    Do what every fifth key frame does besides.

    :param graph: all key frames.
    """
    last = len(graph.numbers) - 1
    Covariances.of(graph).of_one(last)


def _median_ms(work: Callable[[], object], repeat: int) -> float:
    spent = []
    for _ in range(repeat):
        begin = time.thread_time()
        work()
        spent.append(time.thread_time() - begin)
    return 1e3 * float(np.median(spent))


def _closing_ms(graph: PoseGraph, known: Covariances, repeat: int) -> list[float]:
    """Return how long each update takes until a loop that moves all has settled."""
    times, far, step = [], FAR_FIRST, np.inf
    while step > SETTLED:
        times.append(_median_ms(partial(close_loop, graph, known, far), repeat))
        solution = close_loop(graph, known, far)
        graph, step, far = solution.graph, solution.step, 0
    return times


def _row(keys: int, repeat: int) -> list[str]:
    graph = large_graph(keys)
    known = Covariances.of(graph)
    fits = _median_ms(partial(fit_loop, graph), repeat)
    covariance = _median_ms(partial(compute_covariance, graph), repeat)
    closing = _closing_ms(graph, known, repeat)
    times = [f'{one:.1f}' for one in (fits, covariance, max(closing))]
    return [str(keys), *times, str(len(closing)), f'{BAR_MS:g} ms at 1000']


def main(args: Sequence[str] | None = None) -> int:
    """
    Print the table.

    :param args: command line; None: of the process.
    :returns: the exit code.
    """
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.graph_cost',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--keys', type=positive_int, nargs='+', default=[100, 250, 500, 1000])
    parser.add_argument(
        '--repeat', type=positive_int, default=9, help='of each; the median counts'
    )
    options = parser.parse_args(args)
    keep_free_memory()  # as all that map do
    rows = [_row(keys, options.repeat) for keys in options.keys]
    sys.stdout.write(Table('Processor time of the graph, one core', HEAD, rows).markdown())
    return 0


if __name__ == '__main__':
    sys.exit(main())
