# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is written on the pictures of runs: what one sees, and what it must not be taken for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMON_NAMES = {'video.mp4', 'bag', 'frames', 'images'}


@dataclass(frozen=True)
class Caption:
    """
    What is written on a picture.

    headline: what one sees, in one sentence. details: of the run, in one line. warning: what the
    picture must not be taken for; mostly empty.
    """

    headline: str
    details: str
    warning: str = ''


def length_text(metres: float) -> str:
    """
    Return a length in centimetres below one metre, else in metres.

    :param metres: the length.
    """
    if metres < 0.995:
        return f'{100 * metres:.0f} cm'
    return f'{metres:.1f} m' if metres < 99.5 else f'{metres:.0f} m'


def run_details(summary: dict[str, Any]) -> str:
    """
    Return the line about a run.

    :param summary: the contents of summary.json.
    """
    name = short_name(Path(summary['input']))
    return (
        f'{name}: {summary["frames"]} frames, {summary["fps"]:.1f} per '
        f'second, {summary["voxels"]:,} voxels, checkpoint {summary["checkpoint"]["name"]}, '
        f'update rule {summary["update_rule"]}'
    )


def short_name(path: Path) -> str:
    """
    Return the name of an input, with its folder where many have the same.

    :param path: of the input.
    """
    return f'{path.parent.name}/{path.name}' if path.name in COMMON_NAMES else path.name


def run_headline(
    summary: dict[str, Any], with_wheels: bool, against_truth: str | None = None
) -> str:
    """
    Return what is seen: how far off, or where the true path is unknown, the source of the metre.

    :param summary: the contents of summary.json.
    :param with_wheels: whether the images had odometry.
    :param against_truth: how far the path is from the true one, in a sentence; None: unknown.
    """
    path = length_text(summary['path_m'])
    moved = f'The camera moved {path} in {summary["duration_s"]:.0f} s; '
    if against_truth:
        return moved + against_truth
    if with_wheels:
        source = 'the odometry measured the metre'
    elif summary['settings']['camera']['height'] > 0:
        source = 'the height of the camera gave the metre'
    else:
        source = 'the metre is an estimate of the network'
    return f'{moved}{source}.'
