# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Checks of the outputs of the node: their subscribers, and the costmaps that use them."""

from __future__ import annotations

from collections.abc import Iterator
import re

from ttt3r_ros.doctor.finding import fail, Finding, listed, ok, warn
from ttt3r_ros.doctor.observed import ObservationSource, Observed, Topic
from ttt3r_ros.doctor.topics import mismatch

TAKE_OURS = 'take config/nav2_costmap.yaml'

# Nodes that show or record what they receive: `ros2 topic hz` is /_ros2cli_1234.
TOOL = re.compile(r'/(_ros2cli|rviz|rqt|foxglove|rosbag2|plotjuggler|viewer)[^/]*$')


def judge_points(observed: Observed) -> Iterator[Finding]:
    """
    Check whether the points are published, and whether costmaps can use them.

    :param observed: the observed system.
    """
    points = observed.points
    if observed.node is None:
        return
    if not points.arrivals.count:
        yield fail('points', f'none came on {points.name}', 'the lines above have the reason')
    else:
        yield ok('points', f'{points.name} {points.arrivals.rate_hz:.1f} Hz')
    reasons = [
        why
        for publisher in points.publishers
        for subscriber in points.subscribers
        if (why := mismatch(publisher, subscriber))
    ]
    if reasons:
        yield fail('costmap', '; '.join(reasons), f'subscribe to {points.name} as best effort')
    elif wrong := [e.node for e in observed.map_cloud.subscribers if 'costmap' in e.node]:
        yield fail(
            'costmap',
            f'{listed(wrong)} subscribes to {observed.map_cloud.name}',
            f'use {points.name}: the rays of a map begin at its origin, so nothing is marked',
        )
    else:
        yield _judge_subscribers(points)
    for costmap in sorted({source.costmap for source in observed.sources}):
        yield from _judge_sources([one for one in observed.sources if one.costmap == costmap])


def _judge_subscribers(points: Topic) -> Finding:
    """Check that a node subscribes to the points that does more than show them."""
    everybody = sorted({end.node for end in points.subscribers})
    users = [name for name in everybody if not TOOL.search(name)]
    if users:
        return ok('costmap', f'{points.name} is received by {listed(users)}')
    seen = f'{listed(everybody)} alone' if everybody else 'no subscriber'
    return warn(
        'costmap',
        f'{points.name} has {seen}: nothing can be marked',
        'for Nav2 use config/nav2_costmap.yaml',
    )


def judge_grid(observed: Observed) -> Iterator[Finding]:
    """
    Check that the map topic has at most one publisher.

    :param observed: the observed system.
    """
    authors = [end.node for end in observed.grid.publishers]
    if observed.name in authors and len(authors) > 1:
        yield fail(
            'occupancy grid',
            f'{observed.grid.name} has {len(authors)} publishers, {listed(authors)}',
            'set the parameter occupancy.enabled to false, or stop the other: costmaps take both '
            'in turn',
        )


def _judge_sources(sources: list[ObservationSource]) -> Iterator[Finding]:
    """Check the sources of one costmap; one source may mark and another one clear."""
    idle = {source: found for source in sources if (found := _find_idle(source))}
    if len(idle) == len(sources):
        yield from idle.values()
        return
    # A layer clears only what it has marked itself.
    clearing = {source.layer for source in sources if source.enabled and source.clearing}
    for source in sources:
        if source not in idle and source.layer not in clearing:
            yield warn('costmap', f'{_where(source)}: clearing is off, so marks stay', TAKE_OURS)


def _find_idle(source: ObservationSource) -> Finding | None:
    """Return why a source marks nothing; None when it marks."""
    low, high = source.min_obstacle_height, source.max_obstacle_height
    if not (source.enabled and source.marking):
        which = 'marking' if source.enabled else 'the layer'
        seen, advice = f'{which} is off', TAKE_OURS
    elif high <= low:
        seen = f'obstacles from {low:g} to {high:g} m height'
        advice = f'set max_obstacle_height, whose default is 0; or {TAKE_OURS}'
    else:
        return None
    return fail('costmap', f'{_where(source)}: {seen}, so nothing is marked', advice)


def _where(source: ObservationSource) -> str:
    return f'{source.layer}.{source.source} of {source.costmap}'
