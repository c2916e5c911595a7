# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The files of the published networks: where they are, their hashes, their licence."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path

from ttt3r_ros.home import expanded

LICENSE = 'CC BY-NC-SA 4.0'
PUBLISHED_NAMES = {'512': 'cut3r_512_dpt_4_64', '224': 'cut3r_224_linear_4'}


@dataclass(frozen=True)
class RemoteFile:
    """
    A file that can be downloaded.

    size: in bytes. sha256: in hexadecimal. urls: of places that have it, the best first.
    """

    name: str
    size: int
    sha256: str
    urls: tuple[str, ...]


_DRIVE = 'https://drive.usercontent.google.com/download?id={}&export=download&confirm=t'
PUBLISHED = {
    '512': RemoteFile(
        name=f'{PUBLISHED_NAMES["512"]}.pth',
        size=3_173_761_006,
        sha256='45f7e98a0a64dbeb54901ae2b878cd8cd125f20a4497316483f0bd6f109f8103',
        urls=(
            'https://huggingface.co/liguang0115/cut3r/resolve/main/cut3r_512_dpt_4_64.pth',
            _DRIVE.format('1Asz-ZB3FfpzZYwunhQvNPZEUA8XUNAYD'),
        ),
    ),
    '224': RemoteFile(
        name=f'{PUBLISHED_NAMES["224"]}.pth',
        size=2_994_205_002,
        sha256='7a7d83e47f822e040980c8f5aff4c15aa94366d469d3ceae51fa30cc2f62327d',
        urls=(_DRIVE.format('11dAgFkWHpaOHsR6iuitlB_v4NFFBrWjy'),),
    ),
}


# What the network 512 needs on a GPU at 4:3 in precision fast, CUDA included, about.
GPU_512_GB = 2.1

FETCH = 'ttt3r weights fetch'


def with_needs(note: str) -> str:
    """
    Return the note of a checkpoint; where it advises to fetch the published one, with its needs.

    :param note: of the author to users, may be empty.
    """
    if not note.endswith(FETCH):
        return note
    size = PUBLISHED['512'].size / 1e9
    return (
        f'{note} 512 ({size:.1f} GB to download; {LICENSE}, non-commercial; for live use a GPU '
        f'with {GPU_512_GB:g} GB free)'
    )


def published_with(sha256: str) -> RemoteFile | None:
    """
    Return the published file with a hash, or None.

    :param sha256: in hexadecimal.
    """
    return next((remote for remote in PUBLISHED.values() if remote.sha256 == sha256), None)


def weights_folder() -> Path:
    """
    Return the folder of this user's fetched checkpoints.

    :raises NoHome: when neither XDG_DATA_HOME nor a home directory is set.
    """
    return expanded(os.environ.get('XDG_DATA_HOME') or '~/.local/share') / 'ttt3r_ros'


def fetched(name: str) -> Path | None:
    """
    Return the file of a published network on this machine, or None.

    :param name: '512' or '224'.
    """
    paths = (weights_folder() / f'{PUBLISHED_NAMES[name]}{s}' for s in ('.safetensors', '.pth'))
    return next((path for path in paths if path.is_file()), None)
