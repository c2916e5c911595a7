# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Measure a trajectory, and depth images, against ground truth."""

from __future__ import annotations

import argparse
from dataclasses import asdict
import json
import os
from pathlib import Path
import sys
from typing import Any

from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.evaluation.comparison import compare, Compared
from ttt3r_ros.evaluation.depth_folders import compare_folders
from ttt3r_ros.evaluation.errors import ALIGNMENTS, DepthErrors, EvaluationError, Statistics
from ttt3r_ros.tools.options import named_path, positive_float, positive_int
from ttt3r_ros.tools.terminal import print_next
from ttt3r_ros.trajectory import read_trajectory, Trajectory
from ttt3r_ros.units import NANOSECONDS

EXAMPLES = """examples:
  ttt3r evaluate out/trajectory.txt sequence/groundtruth.txt
  ttt3r evaluate out_cut3r out_ttt3r sequence --plot errors.png     two estimates in one plot
  ttt3r evaluate out sequence --depth-estimate out/depth --depth-groundtruth sequence/depth

prints ATE (position after alignment), RPE (motion over --delta frames) and, with depth, AbsRel
and the fraction of pixels within 25 %, without alignment and after one scale for all images.

The alignment is SE(3), because the map is metric: its scale is part of the error. Sim(3) is
beside it, and the ATE of a camera that never moves. Lines that begin with `doubt:` name why the
numbers mean nothing: a scale far from 1, an estimate no better than standing still, few matches,
rotations in another frame or another order of columns."""

FORMS = ('png', 'svg', 'pdf')
LABELS = {'se3': 'SE(3) [m]', 'sim3': 'Sim(3) [m]', 'none': 'raw [m]'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    parser.add_argument(
        'estimate',
        type=named_path,
        nargs='+',
        help='trajectories in TUM format, or folders with trajectory.txt',
    )
    parser.add_argument(
        'groundtruth',
        type=named_path,
        help='trajectory in TUM format, or a folder with groundtruth.txt',
    )
    parser.add_argument(
        '--align',
        choices=ALIGNMENTS,
        default='se3',
        help='alignment of the estimate: rotation and translation (se3), with scale (sim3), or '
        'none (default: %(default)s)',
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
    depth.add_argument('--depth-estimate', type=named_path, metavar='DIR')
    depth.add_argument('--depth-groundtruth', type=named_path, metavar='DIR')
    for name in ('estimate', 'groundtruth'):
        depth.add_argument(
            f'--depth-scale-{name}',
            type=positive_float,
            metavar='X',
            help='PNG value of one metre (default: depth_scale_per_m of the camera.json there)',
        )
    parser.add_argument(
        '--plot', type=named_path, metavar='FILE', help='plot of paths and errors: PNG, SVG or PDF'
    )
    parser.add_argument(
        '--json', type=named_path, metavar='FILE', help='JSON file for the numbers'
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Print the errors, and write the files of the options.

    :param arguments: the parsed options.
    :returns: exit status 0.
    """
    truth = _read(arguments.groundtruth, 'groundtruth.txt')
    estimates = [
        compare(
            name,
            _read(path, 'trajectory.txt'),
            truth,
            arguments.align,
            arguments.delta,
            round(arguments.max_difference * NANOSECONDS),
        )
        for name, path in zip(_names(arguments.estimate), arguments.estimate)
    ]
    for one in estimates:
        _print_errors(one, arguments.align, len(estimates) > 1)
    records = [one.record(arguments.align) for one in estimates]
    record: dict[str, Any] = records[0] if len(records) == 1 else {'estimates': records}
    if arguments.depth_estimate or arguments.depth_groundtruth:
        metric, scaled, images = _compare_depth(arguments)
        record['depth'] = {'images': images, 'metric': asdict(metric), 'scaled': asdict(scaled)}
        _print_depth(images, metric, scaled)
    if arguments.json:
        with atomic_file(arguments.json) as file:
            file.write((json.dumps(record, indent=2) + '\n').encode())
    if arguments.plot:
        from ttt3r_ros.evaluation.plots import draw_estimates

        with atomic_file(arguments.plot) as file:
            draw_estimates(file, estimates, picture_form(arguments.plot))
        print_next(f'open {arguments.plot}')
    else:
        print_next('the same with --plot error.png, which draws paths and errors')
    return 0


def picture_form(path: Path) -> str:
    """
    Return the format of a plot by its name.

    :raises EvaluationError: when it is none of FORMS.
    """
    form = path.suffix.lower().removeprefix('.')
    if form not in FORMS:
        raise EvaluationError(f'--plot {path}: the name must end in .{", .".join(FORMS)}')
    return form


def _read(path: Path, file: str) -> Trajectory:
    trajectory = read_trajectory(path, file)
    if trajectory.left_out:
        print(f'{path}: {trajectory.left_out}', file=sys.stderr)
    return trajectory


def _names(paths: list[Path]) -> list[str]:
    """Return a name for each path: the last part of it that differs."""
    folders = [path.parent if path.name == 'trajectory.txt' else path for path in paths]
    short = [Path(os.path.realpath(folder)).name for folder in folders]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _print_errors(one: Compared, alignment: str, named: bool) -> None:
    errors, scaled = one.errors, one.scaled
    if named:
        print(f'== {one.name}')
    print(f'poses            {len(one.truth)} matched of {one.poses}')
    print(f'path             {errors.estimate_path:.3f} m, ground truth {errors.truth_path:.3f} m')
    print(f'{"":16} {"rmse":>9} {"mean":>9} {"median":>9} {"max":>9}')
    ate = {LABELS[alignment]: errors}
    if scaled is not None and alignment != 'sim3':
        ate[LABELS['sim3']] = scaled
    for label, each in ate.items():
        scale = f'   scale {each.alignment.scale:.4f}' if label == LABELS['sim3'] else ''
        print(_row(f'ATE {label}', each.ate) + scale)
    print(_row(f'RPE/{errors.delta} [m]', errors.rpe_translation))
    print(_row(f'RPE/{errors.delta} [deg]', errors.rpe_rotation))
    print(f'{"ATE, not moving":16} {one.static:9.4f}')
    for doubt in one.doubts:
        print(f'doubt: {doubt}')


def _row(name: str, errors: Statistics) -> str:
    numbers = errors.rmse, errors.mean, errors.median, errors.max
    return f'{name:16} ' + ' '.join(f'{number:9.4f}' for number in numbers)


def _compare_depth(arguments: argparse.Namespace) -> tuple[DepthErrors, DepthErrors, int]:
    if not (arguments.depth_estimate and arguments.depth_groundtruth):
        raise EvaluationError('depth needs both --depth-estimate and --depth-groundtruth')
    return compare_folders(
        arguments.depth_estimate,
        arguments.depth_groundtruth,
        arguments.depth_scale_estimate,
        arguments.depth_scale_groundtruth,
    )


def _print_depth(images: int, metric: DepthErrors, scaled: DepthErrors) -> None:
    print(f'depth            {images} images, {metric.pixels} pixels')
    for name, errors in (('metric', metric), (f'scaled by {scaled.scale:.4f}', scaled)):
        print(f'  {name:20} AbsRel {errors.abs_rel:.4f}   delta<1.25 {errors.delta_1_25:.4f}')
