# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The files of the published networks: where they are, their hashes, their licence."""

from __future__ import annotations

from dataclasses import dataclass

from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.checkpoint import CheckpointInfo, PUBLISHED_NAMES

LICENSE = 'CC BY-NC-SA 4.0'


@dataclass(frozen=True)
class RemoteFile:
    """A file as it must be in the end, and where it may be found, the best place first."""

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


def published_with(sha256: str) -> RemoteFile | None:
    return next((remote for remote in PUBLISHED.values() if remote.sha256 == sha256), None)


def licence_of(info: CheckpointInfo) -> str:
    """
    Say under which licence a checkpoint is, as far as it is known.

    :param info: of the checkpoint.
    """
    recorded = info.metadata.get('licence')
    if recorded is not None:
        return recorded
    return LICENSE if published_with(info.sha256) else 'not recorded'


def known_as(architecture: Architecture) -> str:
    """
    Name an architecture.

    :param architecture: of a checkpoint.
    """
    known = {
        'published 512': Architecture.published_512(),
        'published 224': Architecture.published_224(),
        'small': Architecture.small(),
        'mini': Architecture.mini(),
    }
    return next((name for name, sizes in known.items() if sizes == architecture), 'another')
