# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Measure a trajectory, and depth images, against ground truth."""

from __future__ import annotations

import argparse
from dataclasses import asdict
import json
from pathlib import Path
import sys
from typing import Any

import cv2
import numpy as np

from ttt3r_ros.arrays import Array32
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.evaluation.errors import (
    ALIGNMENTS,
    associate,
    depth_errors,
    DepthErrors,
    evaluate_trajectory,
    EvaluationError,
    median_scale,
    TrajectoryErrors,
)
from ttt3r_ros.tools.options import positive_float, positive_int
from ttt3r_ros.trajectory import read_trajectory, Trajectory
from ttt3r_ros.units import NANOSECONDS

EXAMPLES = """examples:
  ttt3r evaluate out/trajectory.txt sequence/groundtruth.txt
  ttt3r evaluate out sequence --align se3 --plot errors.png
  ttt3r evaluate out sequence --depth-estimate out/depth --depth-groundtruth sequence/depth

prints ATE (position after alignment), RPE (motion over --delta frames) and, with depth, AbsRel
and the fraction of pixels within 25 %, without alignment and after one scale for all images."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    parser.add_argument(
        'estimate', type=Path, help='trajectory in TUM format, or a folder with trajectory.txt'
    )
    parser.add_argument(
        'groundtruth', type=Path, help='trajectory in TUM format, or a folder with groundtruth.txt'
    )
    parser.add_argument(
        '--align',
        choices=ALIGNMENTS,
        default='sim3',
        help='alignment of the estimate: rotation, translation and scale (sim3), without scale '
        '(se3), or none (default: %(default)s)',
    )
    parser.add_argument(
        '--delta',
        type=positive_int,
        default=1,
        metavar='N',
        help='frames between the two poses of a relative error (default: %(default)s)',
    )
    parser.add_argument(
        '--max-difference',
        type=positive_float,
        default=0.02,
        metavar='S',
        help='largest difference of matched stamps (default: %(default)s)',
    )
    depth = parser.add_argument_group(
        'depth', 'folders of 16 bit PNG files of equal names; 0 means unknown'
    )
    depth.add_argument('--depth-estimate', type=Path, metavar='DIR')
    depth.add_argument('--depth-groundtruth', type=Path, metavar='DIR')
    for name in ('estimate', 'groundtruth'):
        depth.add_argument(
            f'--depth-scale-{name}',
            type=positive_float,
            metavar='X',
            help='PNG value of one metre (default: depth_scale_per_m of the camera.json there)',
        )
    parser.add_argument(
        '--plot', type=Path, metavar='FILE.png', help='PNG file for a plot of paths and errors'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='JSON file for the numbers')


def run(arguments: argparse.Namespace) -> int:
    """
    Print the errors, and write the files of the options.

    :param arguments: the parsed options.
    :returns: exit status 0.
    """
    estimate = read_trajectory(arguments.estimate, 'trajectory.txt')
    truth = read_trajectory(arguments.groundtruth, 'groundtruth.txt')
    for path, read in ((arguments.estimate, estimate), (arguments.groundtruth, truth)):
        if read.left_out:
            print(f'{path}: {read.left_out}', file=sys.stderr)
    max_difference_ns = round(arguments.max_difference * NANOSECONDS)
    mine, theirs = associate(estimate.stamps_ns, truth.stamps_ns, max_difference_ns)
    matched = Trajectory(truth.stamps_ns[theirs], truth.poses[theirs])
    errors = evaluate_trajectory(
        estimate.poses[mine], matched.poses, arguments.align, arguments.delta
    )
    record = _record(errors, len(estimate.stamps_ns), len(mine), arguments.align)
    _print_trajectory(record)
    if arguments.depth_estimate or arguments.depth_groundtruth:
        metric, scaled, images = _compare_depth(arguments)
        record['depth'] = {'images': images, 'metric': asdict(metric), 'scaled': asdict(scaled)}
        _print_depth(images, metric, scaled)
    if arguments.json:
        with atomic_file(arguments.json) as file:
            file.write((json.dumps(record, indent=2) + '\n').encode())
    if arguments.plot:
        from ttt3r_ros.evaluation.plots import draw_errors

        with atomic_file(arguments.plot) as file:
            draw_errors(file, errors, matched)
    return 0


def _record(errors: TrajectoryErrors, poses: int, matched: int, kind: str) -> dict[str, Any]:
    return {
        'poses': poses,
        'matched': matched,
        'align': kind,
        'scale': errors.alignment.scale,
        'ate_m': asdict(errors.ate),
        'rpe_delta_frames': errors.delta,
        'rpe_translation_m': asdict(errors.rpe_translation),
        'rpe_rotation_deg': asdict(errors.rpe_rotation),
        'path_estimate_m': errors.estimate_path,
        'path_groundtruth_m': errors.truth_path,
    }


def _print_trajectory(record: dict[str, Any]) -> None:
    print(f'poses            {record["matched"]} matched of {record["poses"]}')
    print(f'alignment        {record["align"]}, scale {record["scale"]:.4f}')
    print(
        f'path             {record["path_estimate_m"]:.3f} m, '
        f'ground truth {record["path_groundtruth_m"]:.3f} m'
    )
    print(f'{"":16} {"rmse":>9} {"mean":>9} {"median":>9} {"max":>9}')
    delta = record['rpe_delta_frames']
    rows = (
        ('ATE', 'm', record['ate_m']),
        (f'RPE/{delta}', 'm', record['rpe_translation_m']),
        (f'RPE/{delta}', 'deg', record['rpe_rotation_deg']),
    )
    for name, unit, numbers in rows:
        columns = ' '.join(f'{numbers[key]:9.4f}' for key in ('rmse', 'mean', 'median', 'max'))
        print(f'{f"{name} [{unit}]":16} {columns}')


def _print_depth(images: int, metric: DepthErrors, scaled: DepthErrors) -> None:
    print(f'depth            {images} images, {metric.pixels} pixels')
    for name, errors in (('metric', metric), (f'scaled by {scaled.scale:.4f}', scaled)):
        print(f'  {name:20} AbsRel {errors.abs_rel:.4f}   delta<1.25 {errors.delta_1_25:.4f}')


def _compare_depth(arguments: argparse.Namespace) -> tuple[DepthErrors, DepthErrors, int]:
    """Return the errors of all images of equal names, without and with one common scale."""
    if not (arguments.depth_estimate and arguments.depth_groundtruth):
        raise EvaluationError('depth needs both --depth-estimate and --depth-groundtruth')
    estimates = _depth_files(arguments.depth_estimate)
    truths = _depth_files(arguments.depth_groundtruth)
    names = sorted(estimates.keys() & truths.keys())
    if not names:
        raise EvaluationError(
            f'no PNG file of {arguments.depth_estimate} has the name of one of '
            f'{arguments.depth_groundtruth}'
        )
    estimate_unit = arguments.depth_scale_estimate or _depth_scale(arguments.depth_estimate)
    truth_unit = arguments.depth_scale_groundtruth or _depth_scale(arguments.depth_groundtruth)

    def pair(name: str) -> tuple[Array32, Array32]:
        return _read_depth(estimates[name], estimate_unit), _read_depth(truths[name], truth_unit)

    scales = np.array([median_scale(*pair(name)) for name in names])
    if np.isnan(scales).all():
        raise EvaluationError('no pixel is known in both depth folders')
    scale = float(np.nanmedian(scales))
    metric = _mean_of([depth_errors(*pair(name)) for name in names])
    scaled = _mean_of([depth_errors(*pair(name), scale=scale) for name in names])
    return metric, scaled, len(names)


def _mean_of(images: list[DepthErrors]) -> DepthErrors:
    """Return the mean over images with known pixels, equally weighted, as is usual."""
    known = [errors for errors in images if errors.pixels]
    return DepthErrors(
        float(np.mean([errors.abs_rel for errors in known])),
        float(np.mean([errors.delta_1_25 for errors in known])),
        known[0].scale,
        sum(errors.pixels for errors in known),
    )


def _depth_files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise EvaluationError(f'there is no folder {folder}')
    return {path.stem: path for path in folder.glob('*.png')}


def _depth_scale(folder: Path) -> float:
    """Return the PNG value of one metre, from the camera.json in or beside a folder."""
    for path in (folder / 'camera.json', folder.resolve().parent / 'camera.json'):
        if path.is_file():
            try:
                return float(json.loads(path.read_text(encoding='utf-8'))['depth_scale_per_m'])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise EvaluationError(
                    f'{path} has no usable depth_scale_per_m: {error!r}'
                ) from error
    raise EvaluationError(
        f'the unit of the depth in {folder} is unknown: put a camera.json with '
        'depth_scale_per_m there, or set --depth-scale-estimate / --depth-scale-groundtruth'
    )


def _read_depth(path: Path, per_metre: float) -> Array32:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 2:
        raise EvaluationError(f'{path} is no 16 bit depth image of one channel')
    return np.asarray(pixels / np.float32(per_metre), dtype=np.float32)
