# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Join saved maps of one building, from several robots or several days."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import numpy as np

from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.errors import UserError
from ttt3r_ros.settings import MapSettings
from ttt3r_ros.tools.options import add_option, named_path
from ttt3r_ros.tools.terminal import print_next

if TYPE_CHECKING:
    from ttt3r_ros.mapping.merging import Joined

EXAMPLES = """examples:
  ttt3r merge monday.ttt3r tuesday.ttt3r --output house.ttt3r
  ttt3r merge house.ttt3r cellar.ttt3r attic.ttt3r --output house.ttt3r

The first map holds the frame. The others are found in it by places that their key frames
recognise; a map that shows no place of the others is refused, and nothing is written.

prints where the maps overlap and how sure that is, and writes
  MAP             the merged map, for ~/load_map or ttt3r map --load-map
  MAP.png         it from above, with the paths of all maps and where they overlap"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    parser.add_argument(
        'maps', type=named_path, nargs='+', metavar='MAP', help='saved maps, at least two'
    )
    parser.add_argument(
        '--output',
        type=named_path,
        required=True,
        metavar='MAP',
        help='the merged map, may be a MAP',
    )
    add_option(parser, MapSettings, 'voxel_size')


def run(arguments: argparse.Namespace) -> int:
    """
    Merge the maps and report where they overlap.

    :param arguments: the parsed options.
    :returns: 0.
    """
    paths: list[Path] = arguments.maps
    if len(paths) < 2:
        raise UserError('at least two maps are needed')
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise UserError('a map is named twice')
    # Here, not at the top: errors above are reported before torch is loaded.
    from ttt3r_ros.mapping.merging import merge_maps
    from ttt3r_ros.mapping.storage import read_map, write_map
    from ttt3r_ros.tools.merge_picture import draw_merged

    voxel_size = float(getattr(arguments, 'map.voxel_size'))
    named = [(str(path), read_map(path)) for path in paths]
    stored, joined = merge_maps(named, voxel_size)
    for one in joined:
        print('\n'.join(report(one)))
    output: Path = arguments.output
    with atomic_file(output) as file:
        write_map(file, stored)
    picture = output.with_name(output.name + '.png')
    with atomic_file(picture) as file:
        draw_merged(file, named[0][0], stored, joined, voxel_size)
    print(f'wrote {output}: {len(stored.cloud.points)} voxels of {len(named)} maps, and {picture}')
    print_next(f'ttt3r view {quote(str(output))}')
    return 0


def report(joined: Joined) -> Iterator[str]:
    """
    Yield lines about where a map overlaps with the others, and how sure that is.

    :param joined: how it was joined.
    """
    votes = sum(len(overlap.votes) for overlap in joined.overlaps)
    yield (
        f'{joined.name}: {votes} of {len(joined.numbers)} key frames recognise a place, '
        f'{len(joined.overlaps)} {"overlap" if len(joined.overlaps) == 1 else "overlaps"}'
    )
    for overlap in joined.overlaps:
        x, y, _ = overlap.middle
        first, last = (overlap.votes[i] - joined.numbers[0] for i in (0, -1))
        yield (
            f'  around x {x:.1f} y {y:.1f} m: key frames {first} to {last}, {overlap.way:.1f} m '
            f'of its path, {len(overlap.votes)} recognise {len(overlap.known)}; '
            f'sure to {overlap.sigma_m:.3f} m and {np.degrees(overlap.sigma_rad):.1f} degrees'
        )
    place, scale = joined.map_T_before.a_T_b, joined.map_T_before.scale
    yaw = np.degrees(np.arctan2(place[1, 0], place[0, 0]))
    x, y, z = place[:3, 3]
    yield (
        f'  its frame lies at x {x:.2f} y {y:.2f} z {z:.2f} m, turned by {yaw:.1f} degrees; '
        f'its lengths count {scale:.3f} times'
    )
