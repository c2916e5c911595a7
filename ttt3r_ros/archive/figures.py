# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The figures and the picture of one mapped recording, for the table of the archive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2

from ttt3r_ros.archive.results import THUMBNAIL
from ttt3r_ros.errors import UserError
from ttt3r_ros.evaluation.errors import associate, evaluate_trajectory
from ttt3r_ros.trajectory import read_trajectory
from ttt3r_ros.units import NANOSECONDS

THUMBNAIL_WIDTH = 320  # pixels
THUMBNAIL_QUALITY = 70
# Poses and truth belong together within so much, as `ttt3r evaluate` has it.
MOST_DIFFERENCE_NS = round(0.02 * NANOSECONDS)


def figures_of(folder: Path, truth: Path | None) -> dict[str, Any]:
    """
    Return the figures of a map.

    :param folder: that `ttt3r map` wrote.
    :param truth: trajectory, or None.
    :returns: duration_s, length_m, frames, skipped, mapping_fps, loops, lost_share, voxels,
        peak_memory_mb, checkpoint and version; with truth `ate_m` and `ate_sim3_m` (root
        mean square after alignment by SE(3), and by Sim(3)) and the `scale` of the latter, or
        `no_ate` with the reason.
    :raises OSError: when a file is missing.
    """
    summary = json.loads((folder / 'summary.json').read_text(encoding='utf-8'))
    return {
        'duration_s': round(summary['duration_s'], 3),
        'length_m': round(summary['path_m'], 3),
        'frames': summary['frames'],
        'skipped': summary['skipped'],
        'mapping_fps': summary['fps'],
        'loops': summary['loops'],
        'lost_share': summary['lost_share'],
        'voxels': summary['voxels'],
        'peak_memory_mb': summary['peak_memory_mb'],
        'checkpoint': summary['checkpoint']['sha256'] or summary['checkpoint']['name'],
        'version': summary['versions']['ttt3r_ros'],
        **({} if truth is None else _accuracy(folder, truth)),
    }


def _accuracy(folder: Path, truth: Path) -> dict[str, Any]:
    """Return the errors of the trajectory; a truth that cannot be used costs no map."""
    try:
        estimate = read_trajectory(folder, 'trajectory.txt')
        true = read_trajectory(truth)
        mine, theirs = associate(estimate.stamps_ns, true.stamps_ns, MOST_DIFFERENCE_NS)
        poses = estimate.poses[mine], true.poses[theirs]
        metric, scaled = (evaluate_trajectory(*poses, alignment=kind) for kind in ('se3', 'sim3'))
    except UserError as error:
        return {'no_ate': str(error)}
    return {
        'ate_m': round(metric.ate.rmse, 4),
        'ate_sim3_m': round(scaled.ate.rmse, 4),
        'scale': round(scaled.alignment.scale, 4),
    }


def write_thumbnail(folder: Path) -> None:
    """
    Write a small picture of the preview, where there is one.

    :param folder: that `ttt3r map` wrote.
    """
    picture = cv2.imread(str(folder / 'preview.png'))
    if picture is None:
        return
    height = round(picture.shape[0] * THUMBNAIL_WIDTH / picture.shape[1])
    small = cv2.resize(picture, (THUMBNAIL_WIDTH, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY])
    (folder / THUMBNAIL).write_bytes(data.tobytes())
