# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Map all recordings of a folder, bucket or list on this machine or a cluster (Ray)."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import sys

from tqdm import tqdm

from ttt3r_ros.archive.finding import find_recordings
from ttt3r_ros.archive.folder import ArchiveFolder, open_archive
from ttt3r_ros.archive.index_page import PAGE
from ttt3r_ros.archive.limited import Limits
from ttt3r_ros.archive.recording import is_url, Recording
from ttt3r_ros.archive.results import INTERRUPTED, Tally
from ttt3r_ros.archive.run import ArchiveRun, finish, jobs_to_do, Orders
from ttt3r_ros.archive.task import Job
from ttt3r_ros.errors import UserError
from ttt3r_ros.settings import MappingSettings, ModelSettings
from ttt3r_ros.tools.map import add_reading
from ttt3r_ros.tools.map_words import map_options, MapOptions
from ttt3r_ros.tools.options import add_settings, named_path, positive_float, positive_int
from ttt3r_ros.tools.stop import stop_on_signal
from ttt3r_ros.tools.terminal import print_next

EXAMPLES = """examples:
  ttt3r archive bags/ --output maps
  ttt3r archive bags/ --output maps --workers 4 --frame-step 3
  ttt3r archive list.jsonl --output maps --memory-per-bag 4 --time-per-bag 30
  ttt3r archive s3://bucket/drives --output /mnt/maps --cluster auto --gpus-per-bag 0.25
  ttt3r archive list.txt --output /mnt/maps --cluster ray://head:10001 --checkpoint 512

A list is a text file with a path or URL a line, or JSON lines like
  {"input": "s3://bucket/monday.mcap", "name": "monday", "groundtruth": "truth/monday.txt",
   "topic": "/front/image_raw"}
A folder is searched for bags, sequences, videos and folders of images. URLs are those of fsspec
(`pip install s3fs` for s3://, gcsfs for gs://); they are copied to the node that maps them.

writes into the output folder, which all nodes must share
  recordings/NAME/  what `ttt3r map` writes, with log.txt, thumbnail.jpg and result.json
  manifest.jsonl    state, cause of failure, figures and hash of settings of each recording
  manifest.parquet  the same as a table, where pyarrow is installed
  index.html        all maps with pictures and figures, in one file
  failed/NAME.txt   the last lines of recordings that failed

The same command goes on where a run was interrupted or killed; nothing is mapped twice. Exit
codes: 0 all recordings are mapped, 1 some are not, 130 interrupted."""

SMALL_CHECKPOINTS = ('', 'small', 'random')
SMALL_GB, LARGE_GB = 2.0, 8.0
GPUS_PER_BAG = 0.25
INCOMPLETE = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    parser.add_argument(
        'input',
        metavar='MANIFEST_OR_FOLDER',
        help='a list (.txt, .jsonl) or a folder of recordings, path or URL',
    )
    parser.add_argument(
        '--output',
        type=named_path,
        required=True,
        metavar='DIR',
        help='output folder, created if missing',
    )
    _add_cluster_options(parser.add_argument_group('nodes'))
    again = parser.add_argument_group('what is done again')
    again.add_argument(
        '--retry-failed',
        action='store_true',
        help='map recordings again that failed before by a fault of their own',
    )
    again.add_argument(
        '--replace',
        action='store_true',
        help='map recordings again whose result is one of other settings, and replace it',
    )
    parser.add_argument(
        '--save-maps',
        action='store_true',
        help='write map.ttt3r too, for `ttt3r map --load-map` and the node',
    )
    add_reading(parser)
    add_settings(parser, ModelSettings)
    add_settings(parser, MappingSettings)


def _add_cluster_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--cluster',
        default='local',
        metavar='ADDRESS',
        help='local: this machine; auto: the Ray cluster that this machine belongs to; '
        'HOST:PORT of one, or ray://HOST:PORT from outside (default: %(default)s)',
    )
    group.add_argument(
        '--workers',
        type=positive_int,
        metavar='N',
        help='recordings at a time, of a local cluster (default: one for each processor)',
    )
    group.add_argument(
        '--cpus-per-bag',
        type=positive_float,
        default=1.0,
        metavar='X',
        help='processors for each recording (default: %(default)g)',
    )
    group.add_argument(
        '--gpus-per-bag',
        type=_not_negative,
        metavar='X',
        help='part of a GPU for each recording (default: 0.25 where there is a GPU, else 0)',
    )
    group.add_argument(
        '--memory-per-bag',
        type=positive_float,
        metavar='GB',
        help='a recording that takes more fails (default: 2, or 8 with a checkpoint other than '
        'the small one)',
    )
    group.add_argument(
        '--time-per-bag',
        type=positive_float,
        default=360.0,
        metavar='MINUTES',
        help='a recording that takes longer fails (default: %(default)g)',
    )
    group.add_argument(
        '--attempts',
        type=positive_int,
        default=3,
        metavar='N',
        help='how often a recording is begun whose node is lost (default: %(default)s)',
    )
    group.add_argument(
        '--scratch',
        default='',
        metavar='DIR',
        help='folder on each node for copies of URLs (default: that of the system)',
    )


def _not_negative(text: str) -> float:
    return 0.0 if float(text) == 0 else positive_float(text)


def run(arguments: argparse.Namespace) -> int:
    """
    Map all recordings that have no map yet.

    :param arguments: the parsed options.
    :returns: 0 when all are mapped, 1 when some are not, 130 when the user ended it.
    """
    options = map_options(arguments)
    _refuse_output_inside(arguments.input, arguments.output)
    recordings = find_recordings(arguments.input)
    orders = Orders(
        options.settings,
        options.words,
        Limits(_memory_bytes(arguments, options), 60 * arguments.time_per_bag),
        attempts=arguments.attempts,
        retries_failed=arguments.retry_failed,
        replaces=arguments.replace,
        saves_maps=arguments.save_maps,
        scratch=arguments.scratch,
    )
    with open_archive(arguments.output.absolute()) as archive:
        jobs = jobs_to_do(archive, recordings, orders)
        if jobs:
            tally = _perform(arguments, archive, recordings, orders, jobs)
        else:
            tally = finish(archive, recordings)
    return _report(arguments.output, tally)


def _memory_bytes(arguments: argparse.Namespace, options: MapOptions) -> int:
    usual = SMALL_GB if options.checkpoint in SMALL_CHECKPOINTS else LARGE_GB
    return round((arguments.memory_per_bag or usual) * 1e9)


def _refuse_output_inside(source: str, output: Path) -> None:
    if not is_url(source) and Path(os.path.realpath(output)).is_relative_to(
        os.path.realpath(source)
    ):
        raise UserError(
            f'--output {output} is inside of {source}: results would be taken for recordings, '
            'choose another folder'
        )


def _perform(
    arguments: argparse.Namespace,
    archive: ArchiveFolder,
    recordings: list[Recording],
    orders: Orders,
    jobs: list[Job],
) -> Tally:
    try:
        from ttt3r_ros.archive import cluster
    except ModuleNotFoundError as error:
        raise UserError(
            f'the Python package {error.name} is missing: pip install "ray[client]"'
        ) from error
    with cluster.connected(arguments.cluster, arguments.workers, arguments.cpus_per_bag):
        share = arguments.gpus_per_bag
        if share is None:
            share = GPUS_PER_BAG if cluster.gpus() else 0.0
        nodes = cluster.Cluster(
            cluster.Needs(arguments.cpus_per_bag, share, orders.limits.memory_bytes)
        )
        if not nodes.slots():
            _no_room(nodes.wanted(), arguments.cluster == cluster.LOCAL)
        progress = tqdm(
            total=len(recordings),
            initial=len(recordings) - len(jobs),
            unit='recording',
            desc='mapping',
            dynamic_ncols=True,
            mininterval=0.2 if sys.stderr.isatty() else 10.0,
        )
        with progress, stop_on_signal() as stop:
            whole = ArchiveRun(archive, recordings, orders, nodes, progress)
            return whole.run(jobs, lambda: bool(stop.signal_number))


def _no_room(wanted: str, local: bool) -> None:
    """Refuse a machine that is too small; a cluster may still grow."""
    if local:
        raise UserError(
            f'this machine has no room for one recording ({wanted}): lower --cpus-per-bag, '
            '--gpus-per-bag or --memory-per-bag'
        )
    print(f'no node has room yet for one recording ({wanted}): waiting', file=sys.stderr)


def _report(output: Path, tally: Tally) -> int:
    print(f'{tally.done} mapped, {tally.failed} failed, {tally.waiting} to do -> {output / PAGE}')
    print_next(f'open {output / PAGE}')
    if tally.stopped == INTERRUPTED:
        raise KeyboardInterrupt
    if tally.stopped:
        raise UserError(f'{tally.stopped}: put it right, and start the same command again')
    return INCOMPLETE if tally.failed or tally.waiting else 0
