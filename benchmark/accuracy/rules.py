# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Update rules and segments, by the network alone and with the back end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from benchmark.accuracy.drives import cached, Drive, drive_of, Front, IMAGE_RATE, WHEELS_PER_IMAGE
from benchmark.accuracy.setup import Experiment, Report
from benchmark.accuracy.slam import CACHE, front_of, PathScore, score
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.model.predictor import Predictor
from ttt3r_ros.model.state_update import update_rule

RULES = ('cut3r', 'ttt3r', 'brake', 'filt3r')
KINDS = ('S_robot', 'M_hand')  # of each so many drives
EACH = 2
SECONDS = 30.0  # of each drive: the network is asked once for every rule and length


def measure(experiment: Experiment) -> Report:
    """Show the beginnings of drives to the network by every rule, with and without segments."""
    front, count = front_of(experiment), experiment.sequences or EACH
    names = [f'{kind}_{i}' for kind in KINDS for i in range(count)]
    drives = {name: _beginning(drive_of(front, CACHE, name)) for name in names}
    rows = []
    for rule in RULES:
        for interval in (0, front.interval):
            predictor = Predictor(experiment.network, rule=update_rule(rule))
            rows.append(_row(Front(predictor, front.weights, interval), rule, drives))
    caption = (
        f'ATE after SE(3), % of the path, without wheels, mean of {len(names)} drives of '
        f'{SECONDS:g} s: {", ".join(names)}'
    )
    head = ['rule', 'segments', 'network alone', 'final', 'live', 'final after Sim(3)']
    return Report([Table(caption, head, rows)], [])


def _beginning(drive: Drive) -> Drive:
    """Return the first seconds of a drive, not yet shown to a network."""
    count = min(len(drive), round(SECONDS * IMAGE_RATE))
    return replace(
        drive,
        images=drive.images[:count],
        depth=np.zeros_like(drive.depth[:count]),
        confidence=np.ones_like(drive.confidence[:count]),
        truth_depth=drive.truth_depth[:count],
        stamps_ns=drive.stamps_ns[:count],
        track_T_camera=drive.track_T_camera[:count],
        segment=drive.segment[:count],
        focal_px=drive.focal_px[:count],
        world_T_base=drive.world_T_base[: count * WHEELS_PER_IMAGE],
    )


def _row(front: Front, rule: str, drives: dict[str, Drive]) -> list[str]:
    cache = CACHE / 'rules' / f'{rule}_{front.interval}'
    scores = []
    for name, unseen in drives.items():
        drive = cached(front, cache, name, partial(replace, unseen))
        scores.append(score(drive, None, 'robot' in name, True, 0))
    segments = f'of {front.interval}' if front.interval else 'none'
    return [rule, segments, *_means(scores, ('network', 'final', 'live', 'scaled'))]


def _means(scores: Sequence[PathScore], names: Sequence[str]) -> list[str]:
    return [f'{np.mean([getattr(score, name) for score in scores]):.2f}' for name in names]
