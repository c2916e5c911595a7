# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Write the results of `ttt3r map` in the formats of other programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
import sys

from ttt3r_ros.atomic import output_folder, OutputError
from ttt3r_ros.errors import UserError
from ttt3r_ros.tools.options import named_path, positive_float, positive_int
from ttt3r_ros.tools.terminal import print_next

EXAMPLES = """examples:
  ttt3r export out --to las,kitti
  ttt3r export out --to colmap,nerfstudio --every 5
  ttt3r export out --to nerfstudio --input /data/video.mp4

formats
  ply, pcd, las   map.ply, map.pcd, map.las: points, colours, confidence (intensity in LAS)
  tum, kitti      poses_tum.txt, poses_kitti.txt: kitti has no times, the first pose is the origin
  colmap          colmap/images/ and colmap/sparse/0/ in text: cameras, poses, points
  nerfstudio      nerfstudio/transforms.json, images/ and sparse_pc.ply
  depth-npz       depth_npz/NNNNNN.npz: depth, float32 metres, 0 is unknown
  depth-png       depth_png/NNNNNN.png: 16 bit, millimetres, 0 is unknown

colmap and nerfstudio read the images of the input again; both depth formats need the folder that
`ttt3r map --depth` writes. E57 is not written: convert the PLY or LAS with CloudCompare."""

FORMATS = (
    'ply', 'pcd', 'las', 'tum', 'kitti', 'colmap', 'nerfstudio', 'depth-npz', 'depth-png',
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    parser.add_argument('run', type=named_path, metavar='RUN', help='output folder of ttt3r map')
    parser.add_argument(
        '--to', required=True, metavar='FORMATS', help=f'with commas: {", ".join(FORMATS)}'
    )
    parser.add_argument(
        '--output', type=named_path, metavar='DIR', help='new, or empty (default: RUN/export)'
    )
    parser.add_argument(
        '--input', default='', help='the recording (default: what RUN/summary.json names)'
    )
    parser.add_argument('--topic', default='', help='topic of the images, where a bag has several')
    parser.add_argument('--fps', type=positive_float, metavar='X', help='as for ttt3r map')
    parser.add_argument(
        '--every',
        type=positive_int,
        default=1,
        metavar='N',
        help='write every N-th mapped image (default: %(default)s)',
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Write the files; a format that cannot be written costs the others nothing.

    :param arguments: the parsed options.
    :returns: exit status, 1 where a format is missing.
    """
    formats = [name.strip() for name in arguments.to.split(',')]
    for name in formats:
        if name not in FORMATS:
            raise UserError(f'--to {name!r}: there are {", ".join(FORMATS)}')
    output = arguments.output or arguments.run / 'export'
    if output.is_dir() and any(output.iterdir()):
        raise OutputError(f'{output} is not empty: choose another folder with --output')
    # Here, not at the top: the mapper's rooms load torch.
    from ttt3r_ros.tools.run_export import RunExport

    export = RunExport(
        arguments.run, arguments.input, arguments.topic, arguments.fps, arguments.every
    )
    written = []
    with output_folder(output) as folder:
        for name in dict.fromkeys(formats):
            try:
                print(export.write(name, folder))
                written.append(name)
            except UserError as error:
                print(f'error: no {name}: {error}', file=sys.stderr)
    if written:
        print_next(_next(written, output))
    return int(set(written) != set(formats))


def _next(formats: Sequence[str], output: Path) -> str:
    """Return what opens the first of the formats that a program is made for."""
    if 'nerfstudio' in formats:
        return f'ns-train splatfacto --data {quote(str(output / "nerfstudio"))}'
    if 'colmap' in formats:
        scene = output / 'colmap'
        model, images = quote(str(scene / 'sparse' / '0')), quote(str(scene / 'images'))
        return f'colmap gui --import_path {model} --image_path {images}'
    return f'open {output}'
