# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Checks of the mapping node: its presence, lifecycle state and diagnostics."""

from __future__ import annotations

from collections.abc import Iterator

from ttt3r_ros.doctor.finding import fail, Finding, ok, warn
from ttt3r_ros.doctor.observed import Observed


def judge_node(observed: Observed) -> Iterator[Finding]:
    """
    Check whether the node runs, and report its state and diagnostics.

    :param observed: the observed system.
    """
    name, node = observed.name, observed.node
    if node is None:
        others = [other for other in observed.nodes if other.endswith('/ttt3r')]
        yield fail(
            'node',
            f'there is no node {name}',
            f'look at --namespace {others[0]}'
            if others
            else 'start it: ros2 launch ttt3r_ros mapping.launch.py image_topic:=...',
        )
        return
    if not node.answers:
        yield fail(
            'node',
            f'{name} is there, but its services do not answer',
            'look at its log; start it again',
        )
    elif node.state not in ('active', ''):
        step = 'configure' if node.state == 'unconfigured' else 'activate'
        yield fail(
            'node',
            f'{name} is {node.state}',
            f'ros2 lifecycle set {name} {step}, or start it with autostart:=true; its log has '
            'the reason if it was refused',
        )
    else:
        yield ok('node', f'{name} is active')
    if node.report:
        yield _judge_report(node.report)
    elif node.state == 'active':
        yield warn('its diagnostics', 'none came', 'look at its log: is it busy or stuck?')


def _judge_report(report: str) -> Finding:
    subject, state = 'its diagnostics', report.partition(':')[0]
    if state == 'OK':
        return ok(subject, report)
    advice = 'docs/node.md explains the states; the lines below may name the cause'
    return (warn if state == 'DEGRADED' else fail)(subject, report, advice)
