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
import sys
import time

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.geometry import invert, rotation_about, transform
from ttt3r_ros.graph.key_frame_graph import MOVING, ROUNDS, ROUNDS_AFTER_LOOP, WIDE_FIRST
from ttt3r_ros.graph.pose_graph import Covariances, Estimate, Motion, PoseGraph, ScaleStep
from ttt3r_ros.tools.options import positive_int

LINKS = (1, 2, 3)  # to the key frames before
ROUND_KEYS = 60  # that the robot makes until it comes by again
COVARIANCE = np.diag([1e-4] * 3 + [1e-3] * 3)
BAR_MS = 40.0  # of an update at 1000 key frames
HEAD = ['key frames', 'loop that fits [ms]', 'loop that moves all [ms]', 'bar']


def large_graph(keys: int) -> PoseGraph:
    """
    Return a graph of a robot that drives round after round, off from its optimum.

    :param keys: number of key frames.
    """
    rng = np.random.default_rng(0)
    angle = 2 * np.pi * np.arange(keys) / ROUND_KEYS
    true = np.stack([transform(rotation_about([0, 0, 1], a), [0, 0, 0]) for a in angle])
    true[:, :2, 3] = 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    pairs = [(i - back, i) for i in range(1, keys) for back in LINKS if i >= back]
    pairs += [(i - ROUND_KEYS, i) for i in range(ROUND_KEYS, keys)]
    motions = tuple(
        Motion(i, j, invert(true[i]) @ _near(true[j], rng), COVARIANCE) for i, j in pairs
    )
    steps = tuple(ScaleStep(i, j, float(rng.normal(0, 0.06)), 0.06) for i, j in pairs)
    estimate = Estimate(np.stack([_near(one, rng, 0.3) for one in true]), np.zeros(keys))
    return PoseGraph(tuple(range(keys)), estimate, motions, steps)


def _near(pose: Array, rng: np.random.Generator, sigma: float = 0.03) -> Array:
    return pose @ transform(np.eye(3), rng.normal(0, sigma, 3))


def close_loop(graph: PoseGraph) -> None:
    """
    Do what a closure does: check a loop, optimise, look for outliers, compute the covariance.

    :param graph: all key frames.
    """
    last = len(graph.numbers) - 1
    Covariances.of(graph).joint(last // 2, last)
    graph = graph.optimised(ROUNDS_AFTER_LOOP, WIDE_FIRST)
    graph.errors()
    Covariances.of(graph).joint(last, last)


def fit_loop(graph: PoseGraph) -> None:
    """
    Do what a key frame does that closes no loop, or one that fits.

    :param graph: all key frames.
    """
    graph.around(MOVING).optimised(ROUNDS)


def _median_ms(work: Callable[[], object], repeat: int) -> float:
    spent = []
    for _ in range(repeat):
        begin = time.thread_time()
        work()
        spent.append(time.thread_time() - begin)
    return 1e3 * float(np.median(spent))


def _row(keys: int, repeat: int) -> list[str]:
    graph = large_graph(keys)
    works: tuple[Callable[[], object], ...] = (
        lambda: fit_loop(graph),
        lambda: close_loop(graph),
    )
    times = [f'{_median_ms(work, repeat):.1f}' for work in works]
    return [str(keys), *times, f'{BAR_MS:g} ms at 1000']


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
    rows = [_row(keys, options.repeat) for keys in options.keys]
    sys.stdout.write(Table('Processor time of the graph, one core', HEAD, rows).markdown())
    return 0


if __name__ == '__main__':
    sys.exit(main())
