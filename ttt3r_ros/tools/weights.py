# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Fetch, convert, show, verify and export checkpoints.

Examples:
  ttt3r weights fetch 512                          asks to accept the licence
  ttt3r weights fetch 224 --accept-license         for scripts
  ttt3r weights fetch 512 --url https://my.mirror/cut3r_512_dpt_4_64.pth
  ttt3r weights convert FILE.pth --output FILE.safetensors --dtype bfloat16
  ttt3r weights info 512
  ttt3r weights verify FILE.safetensors
  ttt3r weights export small --resolution 640x480 --output small.onnx

"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import dataclasses
from pathlib import Path
from shlex import quote
import shutil
import sys
from urllib.parse import urlsplit

from ttt3r_ros.errors import UserError
from ttt3r_ros.model.checkpoint import (
    check_finite,
    check_recorded_hash,
    CheckpointError,
    hash_file,
    load_network_of_images,
    open_checkpoint,
    resolve_checkpoint,
    save_checkpoint,
    STORAGE_DTYPES,
)
from ttt3r_ros.model.memory_need import PRECISIONS, weight_bytes
from ttt3r_ros.model.published.files import (
    LICENSE,
    PUBLISHED,
    published_with,
    RemoteFile,
    weights_folder,
)
from ttt3r_ros.settings import ModelSettings
from ttt3r_ros.tools.download import download, partial_path
from ttt3r_ros.tools.options import image_size, named_path
from ttt3r_ros.tools.terminal import print_next

LICENSE_NOTICE = f"""\
The published CUT3R weights are not part of this program. Their licence is {LICENSE}:
  - you may not use them commercially;
  - you must credit their authors (Wang et al., CUT3R, arXiv 2501.12387);
  - what you derive from them and share, converted files too, keeps this licence.
The whole text: https://creativecommons.org/licenses/by-nc-sa/4.0/legalcode
"""
# The precision of the network by the option of the export.
EXPORTED = {'float32': 'strict', 'float16': 'fast_float16'}
_DTYPE_HELP = (
    'how numbers are stored: float32 (the default) keeps the published ones to the last bit, '
    'as strict precision needs; bfloat16 rounds them and takes half the disk'
)


class WeightsError(UserError):
    """A command on weights failed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the subcommands and their options.

    :param parser: parser of the command.
    """
    commands = parser.add_subparsers(required=True, metavar='fetch|convert|info|verify|export')

    fetch = commands.add_parser(
        'fetch',
        help='download a published network and convert it',
        description='Download a published network, verify it and convert it to safetensors. '
        'An interrupted download is continued.',
    )
    fetch.add_argument('name', nargs='?', default='512', choices=list(PUBLISHED))
    fetch.add_argument(
        '--accept-license', action='store_true', help=f'accept {LICENSE} without being asked'
    )
    fetch.add_argument(
        '--url', action='append', help='your own mirror instead; may be given several times'
    )
    fetch.add_argument(
        '--folder',
        type=named_path,
        help='folder (default: ttt3r_ros in $XDG_DATA_HOME or ~/.local/share, where '
        'the names 512 and 224 are looked up)',
    )
    fetch.add_argument('--keep', action='store_true', help='keep the .pth file too')
    _add_dtype(fetch)
    fetch.set_defaults(action=_fetch)

    convert = commands.add_parser('convert', help='convert a .pth file to .safetensors')
    convert.add_argument('file', type=named_path, metavar='FILE.pth')
    convert.add_argument('--output', type=named_path, help='default: FILE.safetensors')
    _add_dtype(convert)
    convert.set_defaults(action=_convert)

    info = commands.add_parser('info', help='show architecture, metadata and hash of a checkpoint')
    verify = commands.add_parser(
        'verify', help='check the names, shapes, hash and numbers of a checkpoint'
    )
    for command, action in ((info, _info), (verify, _verify)):
        command.add_argument('file', metavar='FILE', help='a file, or small, 512, 224')
        command.set_defaults(action=action)

    export = commands.add_parser(
        'export',
        help='write a step of the network as an ONNX file, for TensorRT',
        description='Write a step of the network, with the update rule of its state, as an ONNX '
        'file for camera images of one size. Nothing of it was run on TensorRT or a Jetson yet: '
        'see docs/performance.md.',
    )
    export.add_argument('file', metavar='FILE', help='a file, or small, 512, 224')
    export.add_argument('--output', type=Path, required=True, help='the .onnx file')
    export.add_argument(
        '--resolution',
        type=image_size,
        default=(640, 480),
        metavar='WxH',
        help='of the camera images (default 640x480), from which that of the network follows',
    )
    export.add_argument(
        '--dtype', choices=list(EXPORTED), default='float32', help='what most layers compute in'
    )
    export.add_argument('--rule', choices=('cut3r', 'ttt3r'), default='ttt3r')
    export.set_defaults(action=_export)


def _add_dtype(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--dtype', choices=list(STORAGE_DTYPES), default='float32', help=_DTYPE_HELP
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Run the chosen subcommand.

    :param arguments: the parsed options.
    :returns: the exit status.
    """
    return int(arguments.action(arguments))


def _fetch(arguments: argparse.Namespace) -> int:
    remote = PUBLISHED[arguments.name]
    if arguments.url:
        remote = dataclasses.replace(
            remote, urls=tuple(_checked_url(url) for url in arguments.url)
        )
    folder = arguments.folder or weights_folder()
    pth = folder / remote.name
    target = pth.with_suffix('.safetensors')
    if target.exists():
        print(f'{target} is there already (ttt3r weights verify {arguments.name} checks it)')
        _print_use(arguments)
        return 0
    _accept_license(arguments.accept_license)
    _make_room(folder, remote, pth, arguments.dtype)
    if not pth.exists():
        download(remote, pth)
    elif hash_file(pth) != remote.sha256:
        raise WeightsError(f'{pth} is not the published file; move it away and run this again')
    _convert_file(pth, target, arguments.dtype, remote.sha256)
    if not arguments.keep:
        pth.unlink()
    _print_use(arguments)
    return 0


def _print_use(arguments: argparse.Namespace) -> None:
    """Print how to map with what was fetched; its name is looked up in the usual folder only."""
    name = arguments.name
    if arguments.folder is not None:
        name = arguments.folder / f'{PUBLISHED[name].name.removesuffix(".pth")}.safetensors'
    _print_map_with(name)


def _print_map_with(checkpoint: str | Path) -> None:
    print_next(f'ttt3r map video.mp4 --output out --checkpoint {quote(str(checkpoint))}')


def _checked_url(url: str) -> str:
    if urlsplit(url).scheme not in ('http', 'https') or not urlsplit(url).hostname:
        raise WeightsError(f'--url {url} must begin with http:// or https:// and a host')
    return url


def _accept_license(accepted: bool) -> None:
    print(LICENSE_NOTICE)
    if accepted:
        return
    if not sys.stdin.isatty():
        raise WeightsError(
            'the licence must be accepted and there is no terminal to ask on: '
            'add --accept-license if you accept it'
        )
    print('Do you accept? [yes/no] ', end='', flush=True)
    if sys.stdin.readline().strip().lower() not in ('y', 'yes'):
        raise WeightsError('the licence was not accepted; nothing was downloaded')


def _make_room(folder: Path, remote: RemoteFile, pth: Path, dtype: str) -> None:
    """Create the folder and check that it has space for both files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        there = sum(p.stat().st_size for p in (pth, partial_path(pth)) if p.exists())
    except OSError as error:
        raise WeightsError(f'cannot use the folder {folder}: {error}') from None
    converted = remote.size * STORAGE_DTYPES[dtype].itemsize // 4
    needed = max(remote.size - there, 0) + converted
    if free < needed:
        raise WeightsError(
            f'{folder} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed: '
            'free some space, choose another --folder, or --dtype bfloat16'
        )


def _convert(arguments: argparse.Namespace) -> int:
    target = arguments.output or arguments.file.with_suffix('.safetensors')
    if target.exists() and target.samefile(arguments.file):
        raise WeightsError(f'{target} would be replaced by itself: set another --output')
    _convert_file(arguments.file, target, arguments.dtype, hash_file(arguments.file))
    _print_map_with(target)
    return 0


def _convert_file(source: Path, target: Path, dtype: str, sha256: str) -> None:
    checkpoint = open_checkpoint(source)
    metadata = {**checkpoint.info.metadata, 'source': source.name, 'source_sha256': sha256}
    if published_with(sha256) is not None:
        metadata['licence'] = LICENSE
    architecture = checkpoint.info.architecture
    save_checkpoint(target, checkpoint.tensors, architecture, metadata, STORAGE_DTYPES[dtype])
    print(f'wrote {target} ({target.stat().st_size / 1e6:.1f} MB, {dtype})')


def _info(arguments: argparse.Namespace) -> int:
    checkpoint = open_checkpoint(resolve_checkpoint(arguments.file))
    info = checkpoint.info
    tensors = checkpoint.tensors.values()
    dtypes = sorted({str(tensor.dtype).removeprefix('torch.') for tensor in tensors})
    hidden = ('architecture', 'licence')
    metadata = {name: text for name, text in info.metadata.items() if name not in hidden}
    _print_table(
        {
            'file': str(info.path),
            'sha256': info.sha256,
            'licence': info.licence,
            'parameters': f'{sum(tensor.numel() for tensor in tensors):,}',
            'tensors': str(len(tensors)),
            'stored as': ', '.join(dtypes),
            'architecture': info.architecture.preset,
        }
    )
    _print_table({f'  {k}': str(v) for k, v in info.architecture.to_record().items()})
    for precision in PRECISIONS:
        weights = weight_bytes(info.architecture, precision)
        _print_table({f'weights in {precision}': f'{weights / 1e6:.1f} MB'})
    _print_table(metadata)
    _print_map_with(arguments.file)
    return 0


def _export(arguments: argparse.Namespace) -> int:
    # Loads the network, which the other commands do without.
    from ttt3r_ros.model.onnx_export import export_step
    from ttt3r_ros.model.predictor import chosen_rule

    path = resolve_checkpoint(arguments.file)
    network, info = load_network_of_images(path, 'cpu', EXPORTED[arguments.dtype])
    width, height = arguments.resolution
    fit = info.architecture.fit(width, height)
    rule = chosen_rule(ModelSettings(update_rule=arguments.rule), info)
    export_step(network, rule, fit.width, fit.height, arguments.output)
    print(f'wrote {arguments.output}, for images of {fit.width}x{fit.height}')
    return 0


def _print_table(rows: Mapping[str, str]) -> None:
    for name, text in rows.items():
        print(f'{name:<22} {text}')


def _verify(arguments: argparse.Namespace) -> int:
    path = resolve_checkpoint(arguments.file)
    checkpoint = open_checkpoint(path)
    print(f'{path}: all {len(checkpoint.tensors)} tensors are there in their shapes')
    _verify_hash(path, checkpoint.info.sha256)
    if check_recorded_hash(checkpoint):
        print('the tensors have the SHA-256 that the file records')
    check_finite(path, checkpoint.tensors)
    print('all numbers are finite')
    _print_map_with(arguments.file)
    return 0


def _verify_hash(path: Path, sha256: str) -> None:
    """Compare the hash of a published file with the known one; print that others have none."""
    namesake = next((remote for remote in PUBLISHED.values() if remote.name == path.name), None)
    if published_with(sha256) is not None:
        print(f'sha256 {sha256} is that of the published file')
    elif namesake is not None:
        raise CheckpointError(
            f'{path} is not the published file of this name: sha256 is {sha256}, '
            f'not {namesake.sha256}; get it again with: ttt3r weights fetch'
        )
    else:
        print(f'sha256 {sha256} (not a published file)')
