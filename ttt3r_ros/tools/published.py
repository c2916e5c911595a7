# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What of the mapper the published demo does not have, and a switch for all of it."""

from __future__ import annotations

import argparse

from ttt3r_ros.inputs.odometry import AUTO, NONE
from ttt3r_ros.settings import (
    AS_PUBLISHED,
    knobs,
    MappingSettings,
    ModelSettings,
    TrackingSettings,
)


def switch_off(arguments: argparse.Namespace) -> None:
    """
    Switch off what the published demo does not have; an option that was given stays as it is.

    :param arguments: of `ttt3r map`.
    """
    defaults = knobs(ModelSettings) | knobs(MappingSettings)
    given = vars(arguments)
    for name, value in AS_PUBLISHED.items():
        if given[name] == defaults[name].default:
            given[name] = value
    arguments.no_intrinsics = arguments.intrinsics is None
    if arguments.odometry == AUTO:
        arguments.odometry = NONE


def beyond_published(settings: MappingSettings, calibrated: bool, odometry: str) -> str:
    """
    Return what is on that the published demo does not have, in one line.

    :param settings: in use, with the values of the checkpoint.
    :param calibrated: whether the camera is.
    :param odometry: sentence of the source.
    """
    tracking = settings.tracking
    parts = _parts(tracking)
    if calibrated:
        parts.append('calibration')
    if not odometry.startswith('no odometry'):
        parts.append('odometry')
    if not parts:
        return 'as published: no segments, features, key frames, guard, calibration and odometry'
    return f'on, beyond the published demo: {", ".join(parts)} (--as-published: none of it)'


def _parts(tracking: TrackingSettings) -> list[str]:
    parts = []
    if tracking.reset_interval:
        parts.append(f'segments of {tracking.reset_interval} frames')
    if tracking.front_end == 'features':
        parts.append('features with key frames and loops')
    if tracking.guard:
        parts.append('guard')
    return parts
