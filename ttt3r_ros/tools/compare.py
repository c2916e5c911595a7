# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Map one recording with several update rules, and compare errors, speed and maps."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from ttt3r_ros.atomic import output_folder, OutputError
from ttt3r_ros.errors import UserError
from ttt3r_ros.inputs.calibration_files import read_intrinsics
from ttt3r_ros.inputs.odometry import OdometryChoice
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.inputs.source import ImageSource
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.settings import (
    changed,
    MappingSettings,
    ModelSettings,
    own_knob,
    TrackingSettings,
    why_refused,
)
from ttt3r_ros.tools.map import add_reading, refuse_output
from ttt3r_ros.tools.options import add_settings, named_path, read_settings
from ttt3r_ros.tools.published import switch_off
from ttt3r_ros.tools.stop import stop_on_signal, StopRequest
from ttt3r_ros.tools.terminal import print_next
from ttt3r_ros.trajectory import read_trajectory, Trajectory

if TYPE_CHECKING:
    from ttt3r_ros.tools.comparison_run import RunResult

EXAMPLES = """examples:
  ttt3r compare drive/ --output rules
  ttt3r compare video.mp4 --output rules --rules cut3r,ttt3r --segments 0,10 --truth gt.txt
  ttt3r compare drive/ --output rules --as-published --checkpoint 512

Each rule is run with each length of segments over the same images, one after the other. The
errors are over the images that all runs have mapped.

writes into the output folder, which must be new or empty
  index.html          table, plot and the maps side by side, in one file
  compare.csv, .json  the numbers
  errors.png          paths and errors over time, where there is ground truth
  RULE or RULE_N/     what ttt3r map writes, for each run

Ctrl-C ends after the current image; finished runs are compared and the exit code is 130."""

ADVISED = 'auto'
ALL = ','.join(own_knob(ModelSettings, 'update_rule').metadata['choices'])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    parser.add_argument('input', metavar='INPUT', help='a recording, as ttt3r map takes it')
    parser.add_argument(
        '--output', type=named_path, required=True, metavar='DIR', help='new, or empty'
    )
    parser.add_argument(
        '--rules', default=ALL, metavar='RULES', help='with commas (default: %(default)s)'
    )
    parser.add_argument(
        '--segments',
        default=ADVISED,
        metavar='FRAMES',
        help='lengths of segments, with commas; 0: none, auto: what the checkpoint advises '
        '(default: %(default)s)',
    )
    parser.add_argument(
        '--truth',
        type=named_path,
        metavar='FILE',
        help='trajectory in TUM format (default: groundtruth.txt of the input, where it has one)',
    )
    add_reading(parser)
    add_settings(parser, ModelSettings)
    add_settings(parser, MappingSettings)


def run(arguments: argparse.Namespace) -> int:
    """
    Map and compare.

    :param arguments: the parsed options.
    :returns: 0, or 130 when Ctrl-C ended it.
    """
    if arguments.as_published:
        switch_off(arguments)
    variants = chosen_variants(arguments.rules, arguments.segments)
    truth = _truth(arguments.truth, Path(arguments.input))
    refuse_output(arguments.input, arguments.output)
    if arguments.output.is_dir() and any(arguments.output.iterdir()):
        raise OutputError(
            f'{arguments.output} is not empty: nothing of an earlier comparison is used again, '
            'choose another folder'
        )
    with output_folder(arguments.output) as folder, stop_on_signal() as stop:
        results = _map_all(arguments, variants, folder, stop)
        if not results:
            raise KeyboardInterrupt
        # Here, not at the top: errors above are reported before matplotlib is loaded.
        from ttt3r_ros.tools.comparison_files import write_comparison

        table, doubts = write_comparison(folder, arguments.input, results, truth, len(variants))
    print(table.markdown())
    for doubt in doubts:
        print(f'doubt: {doubt}')
    print_next(f'open {folder / "index.html"}')
    return 128 + stop.signal_number if stop.signal_number else 0


def _map_all(
    arguments: argparse.Namespace,
    variants: list[tuple[str, int]],
    folder: Path,
    stop: StopRequest,
) -> list[RunResult]:
    """Map the images once for each variant; return the runs that were finished."""
    model = read_settings(arguments, ModelSettings)
    mapping = read_settings(arguments, MappingSettings)
    calibration, note = _calibration(arguments, _open(arguments))
    # Here, not at the top: errors above are reported before torch is loaded.
    from ttt3r_ros.tools.comparison_run import ComparisonRun

    depth = Path(arguments.input) / 'depth'
    true_depth = depth if depth.is_dir() else None
    comparison = ComparisonRun(folder, calibration, note, true_depth, stop)
    for number, (rule, segments) in enumerate(variants, start=1):
        given = {'model.update_rule': rule, 'tracking.reset_interval': segments}
        name = name_of(rule, segments)
        print(f'== run {number} of {len(variants)}: {name}', file=sys.stderr)
        finished = comparison.add(
            name,
            changed(model, given),
            changed(mapping, given),
            _open(arguments),
            arguments.frame_step,
            arguments.max_frames,
        )
        if not finished:
            break
    return comparison.results


def name_of(rule: str, segments: int) -> str:
    """
    Return the name of a run, which is that of its folder, too.

    :param segments: frames of a segment; 0: none, -1: what the checkpoint advises.
    """
    if segments < 0:
        return rule
    return f'{rule}_{segments}'


def chosen_variants(rules: str, segments: str) -> list[tuple[str, int]]:
    """
    Return what is run, in this order: every rule with the first length of segments, then the next.

    :param rules: names, with commas.
    :param segments: numbers of frames or auto, with commas.
    :raises UserError: naming what is not allowed, or given twice.
    """
    names = [name.strip() for name in rules.split(',')]
    for name in names:
        if reason := why_refused(own_knob(ModelSettings, 'update_rule'), name):
            raise UserError(f'--rules {reason}')
    try:
        lengths = [-1 if word.strip() == ADVISED else int(word) for word in segments.split(',')]
    except ValueError:
        raise UserError(f'--segments {segments!r} are no numbers of frames') from None
    for length in lengths:
        if reason := why_refused(own_knob(TrackingSettings, 'reset_interval'), length):
            raise UserError(f'--segments {reason}')
    chosen = [(name, length) for length in lengths for name in names]
    if len(set(chosen)) < len(chosen):
        raise UserError('--rules and --segments name the same run twice')
    return chosen


def _truth(given: Path | None, source: Path) -> Trajectory | None:
    path = given or source / 'groundtruth.txt'
    if given is None and not path.is_file():
        return None
    return read_trajectory(path, 'groundtruth.txt')


def _open(arguments: argparse.Namespace) -> ImageSource:
    own = not (arguments.no_intrinsics or arguments.intrinsics)
    odometry = OdometryChoice(arguments.odometry, arguments.odom_frame, arguments.base_frame)
    source = open_source(arguments.input, arguments.topic, arguments.fps, own, odometry)
    if source.live:
        raise UserError('a camera shows each run other images: record a video and compare on that')
    return source


def _calibration(
    arguments: argparse.Namespace, source: ImageSource
) -> tuple[CameraIntrinsics | None, str]:
    if arguments.intrinsics:
        return read_intrinsics(arguments.intrinsics), f'read from {arguments.intrinsics}'
    return source.intrinsics, source.calibration
