# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Check a running system: why images are missing, or obstacles are not marked."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import importlib
import json
import os
import re

from ttt3r_ros.doctor import (
    clock,
    images,
    machine,
    mapping_node,
    middleware,
    outputs,
    transforms,
)
from ttt3r_ros.doctor.finding import fail, Finding, Level, warn
from ttt3r_ros.doctor.middleware import Profile, SharedMemory
from ttt3r_ros.doctor.observed import Observed
from ttt3r_ros.errors import UserError
from ttt3r_ros.settings import ModelSettings, NodeSettings
from ttt3r_ros.tools.options import positive_float
from ttt3r_ros.tools.terminal import print_next

EXAMPLES = """examples:
  ttt3r doctor                                  with a running robot and mapping node
  ttt3r doctor --image-topic /camera/image_raw  where the images should come from
  ttt3r doctor --namespace /robot/ttt3r --seconds 10
  ttt3r doctor --json > report.json

Run it with the environment of the mapping node: the same ROS_DOMAIN_ID and middleware. Each line
is OK, WARN or FAIL; the exit code is 1 when one is FAIL. Without ROS 2 it checks this machine
only."""

# Of ASCII letters, digits and underlines; no part begins with a digit.
ROS_NAME = re.compile(r'(?:/[A-Za-z_][A-Za-z0-9_]*)+')
SUBJECT_WIDTH = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    parser.add_argument(
        '--namespace',
        default='/ttt3r',
        metavar='NAME',
        help='full name of the mapping node, which its own topics begin with (default /ttt3r)',
    )
    parser.add_argument(
        '--image-topic',
        default='',
        metavar='TOPIC',
        help='topic of the images (default: the one that the node subscribes to)',
    )
    parser.add_argument(
        '--seconds',
        type=positive_float,
        default=5.0,
        metavar='X',
        help='duration of the observation (default 5)',
    )
    parser.add_argument('--json', action='store_true', help='print JSON instead of lines')


def run(arguments: argparse.Namespace) -> int:
    """
    Observe the system, check it and print the findings.

    :param arguments: the parsed options.
    :returns: exit status 1 when a check failed, else 0.
    """
    found = examine(_full(arguments.namespace), arguments.image_topic, arguments.seconds)
    failed = any(finding.level is Level.FAIL for finding in found)
    print(as_json(found) if arguments.json else as_text(found))
    if not arguments.json:
        print_next(_next(found))
    return int(failed)


def _next(found: Sequence[Finding]) -> str:
    """Return what to do with the findings, in one line."""
    for level in (Level.FAIL, Level.WARN):
        subjects = [finding.subject for finding in found if finding.level is level]
        if subjects:
            return (
                f'{subjects[0]}: follow its arrow, then run ttt3r doctor again '
                '(docs/troubleshooting.md)'
            )
    return 'ros2 run ttt3r_ros viewer, to watch the map grow in the browser'


def _full(name: str) -> str:
    full = '/' + name.strip('/')
    if not ROS_NAME.fullmatch(full):
        raise UserError(f'{name!r} is no name of a node or topic, such as /robot/camera')
    return full


def examine(name: str, image_topic: str, seconds: float) -> list[Finding]:
    """
    Run all checks.

    :param name: full name of the mapping node.
    :param image_topic: topic of the images; empty: the one that the node subscribes to.
    :param seconds: duration of the observation.
    """
    observed, trouble = _observe(name, _full(image_topic) if image_topic else '', seconds)
    found = [] if trouble is None else [trouble]
    model, settings = ModelSettings(), NodeSettings()
    if observed is not None:
        memory = middleware.look_at_shared_memory()
        found.extend(judge(observed, middleware.look_at_profile(), memory))
        if observed.node is not None:
            model, settings = observed.node.model, observed.node.settings
    checkpoint = machine.look_at_checkpoint(model)
    found.append(machine.judge_device(machine.look_at_device(model), checkpoint))
    found.append(machine.judge_checkpoint(checkpoint))
    found.append(machine.judge_disk(machine.look_at_disk(settings)))
    return found


def judge(observed: Observed, profile: Profile, memory: SharedMemory | None) -> Iterator[Finding]:
    """
    Check the observed system.

    :param observed: the observed system.
    :param profile: the Fast DDS profile of this process.
    :param memory: the shared memory of this machine, None where there is none.
    """
    yield from middleware.judge_middleware(observed, os.environ)
    yield middleware.judge_profile(profile, observed)
    yield from middleware.judge_shared_memory(memory, profile, observed)
    yield from mapping_node.judge_node(observed)
    yield clock.judge_clock(observed)
    yield from images.judge_image(observed, profile)
    yield images.judge_camera_info(observed)
    yield from transforms.judge_tf(observed)
    yield from outputs.judge_points(observed)
    yield from outputs.judge_grid(observed)


def _observe(
    name: str, image_topic: str, seconds: float
) -> tuple[Observed | None, Finding | None]:
    """Return the observed system, or a finding about why ROS 2 cannot be used."""
    try:
        probe = importlib.import_module('ttt3r_ros.doctor.probe')
    except ImportError as error:
        return None, warn(
            'ROS 2',
            f'cannot be imported ({error}): topics, TF and clock are not checked',
            'source the setup file of ROS 2, with the Python that it was built for',
        )
    try:
        return probe.observe(name, image_topic, seconds), None
    except UserError as error:
        return None, fail(
            'ROS 2', str(error), 'check RMW_IMPLEMENTATION, ROS_DOMAIN_ID and the installation'
        )


# ---- printing


def as_text(found: Iterable[Finding]) -> str:
    """
    Return findings as lines of text.

    :param found: in their order.
    """
    listed = list(found)
    indent = ' ' * (SUBJECT_WIDTH + 6)
    lines = []
    for finding in listed:
        lines.append(f'{finding.level.value:<5} {finding.subject:<{SUBJECT_WIDTH}} {finding.seen}')
        if finding.advice:
            lines.append(f'{indent} -> {finding.advice}')
    counts = [sum(one.level is level for one in listed) for level in (Level.FAIL, Level.WARN)]
    return '\n'.join([*lines, f'{counts[0]} failed, {counts[1]} warned'])


def as_json(found: Iterable[Finding]) -> str:
    """
    Return findings as JSON.

    :param found: in their order.
    """
    rows = [{**dataclasses.asdict(one), 'level': one.level.value} for one in found]
    failed = any(row['level'] == Level.FAIL.value for row in rows)
    return json.dumps({'ok': not failed, 'findings': rows}, indent=2)
