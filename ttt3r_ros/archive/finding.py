# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Which recordings an archive holds, by a list or by a folder.

A list is a text file with a path or URL a line, or JSON lines with the fields of `Recording`;
the `manifest.jsonl` that a run wrote is one. A folder is searched by names only, so that a bucket
with thousands of recordings is listed and not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
import json
import os
from pathlib import PurePath
import re
from typing import Any

import fsspec

from ttt3r_ros.archive.recording import is_url, Recording
from ttt3r_ros.archive.results import Result
from ttt3r_ros.errors import UserError
from ttt3r_ros.inputs.image_folder import DEPTH, SUFFIXES
from ttt3r_ros.inputs.opening import BAG_NAME
from ttt3r_ros.inputs.sequence import TUM_TABLE

LISTS = ('.txt', '.jsonl')
VIDEOS = frozenset(('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm'))
TRUTH = 'groundtruth.txt'
NAME = re.compile(r'[^\W_][\w.+-]{0,199}')


class ListError(UserError):
    """A list or folder of recordings cannot be used."""


def find_recordings(source: str) -> list[Recording]:
    """
    List the recordings of a list or a folder, sorted by name.

    :param source: path or URL of a file with a list, or of a folder.
    :raises ListError: when it cannot be read, holds nothing, or two recordings have one name.
    """
    try:
        system, path = _opened(source)
        if system.isdir(path):
            found = list(_in_folder(system, path.rstrip('/'), path.rstrip('/')))
        elif PurePath(source).suffix in LISTS and system.isfile(path):
            found = list(_listed(source, system.cat_file(path)))
        else:
            raise ListError(
                f'{source} is no folder and no list of recordings ({", ".join(LISTS)}); '
                '`ttt3r map` maps a single recording'
            )
    except (OSError, UnicodeDecodeError) as error:
        raise ListError(f'cannot read {source}: {error}') from error
    if not found:
        raise ListError(f'{source} holds no recording: no bag, sequence, video or image')
    _refuse_twins(source, found)
    return sorted(found, key=lambda recording: recording.name)


def _opened(source: str) -> tuple[Any, str]:
    """Return the file system of a path or URL, and the path in it."""
    try:
        system, path = fsspec.core.url_to_fs(source)
    except (ImportError, ValueError) as error:  # a package or a protocol that is not there
        raise ListError(f'cannot read {source}: {error}') from error
    return system, str(path)


def _refuse_twins(source: str, found: list[Recording]) -> None:
    inputs: dict[str, str] = {}
    for recording in found:
        other = inputs.setdefault(recording.name, recording.input)
        if other is not recording.input:
            raise ListError(
                f'{source}: {other} and {recording.input} are both called {recording.name!r}: '
                'use different names, in JSON lines as {"input": ..., "name": ...}'
            )


# ---- folders


def _in_folder(system: Any, folder: str, root: str, truth: str = '') -> Iterator[Recording]:
    """
    Yield the recordings in a folder; one that is a recording itself is not searched.

    :param truth: ground truth beside the folder, empty where there is none.
    """
    listing = {}
    for entry in system.ls(folder, detail=True):
        name = entry['name'].rstrip('/').rpartition('/')[2]
        if not name.startswith('.'):
            listing[name] = entry['type']
    files = {name for name, kind in listing.items() if kind == 'file'}
    folders = sorted(name for name, kind in listing.items() if kind == 'directory')
    if _is_recording(files, folders):
        has_own = TRUTH in files
        yield Recording(_name(folder, root), _address(system, folder), '' if has_own else truth)
        return
    for name in sorted(files):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in VIDEOS or BAG_NAME.fullmatch(name) or suffix == '.bag':
            path = f'{folder}/{name}'
            named = f'{stem}.{TRUTH}'
            yield Recording(
                _name(path, root),
                _address(system, path),
                _address(system, f'{folder}/{named}') if named in files else '',
            )
    below = _address(system, f'{folder}/{TRUTH}') if TRUTH in files else ''
    for name in folders:
        if not DEPTH.search(name):
            yield from _in_folder(system, f'{folder}/{name}', root, below)


def _is_recording(files: set[str], folders: list[str]) -> bool:
    """
    Return whether a folder is a bag, a sequence or a folder of images, by what it holds.

    Files of bags without metadata.yaml are a recording each.
    """
    is_sequence = 'timestamps.txt' in files and ('video.mp4' in files or 'frames' in folders)
    has_images = any(os.path.splitext(name)[1].lower() in SUFFIXES for name in files)
    return 'metadata.yaml' in files or TUM_TABLE in files or is_sequence or has_images


def _name(path: str, root: str) -> str:
    relative = path[len(root) :].strip('/') or root.rpartition('/')[2]
    return _allowed(relative.replace('/', '__'))


def _allowed(name: str) -> str:
    name = re.sub(r'[^\w.+-]', '_', name)[:200]
    return name if NAME.fullmatch(name) else f'r{name}'[:200]


def _address(system: Any, path: str) -> str:
    """Return the path on this file system, or the URL elsewhere."""
    return path if 'file' in _protocols(system) else str(system.unstrip_protocol(path))


def _protocols(system: Any) -> tuple[str, ...]:
    protocol = system.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


# ---- lists


def _listed(source: str, data: bytes) -> Iterator[Recording]:
    folder = (
        source.rpartition('/')[0] if is_url(source) else os.path.dirname(os.path.abspath(source))
    )
    for number, line in enumerate(data.decode('utf-8-sig').splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith('#'):
            continue
        try:
            given = json.loads(line) if line.startswith('{') else {'input': line}
            yield _recording(given, folder)
        except (ValueError, TypeError) as error:
            raise ListError(f'{source}, line {number}: {error}') from error


def _recording(given: dict[str, Any], folder: str) -> Recording:
    """
    Return the recording of one line; fields of results, in a manifest of a run, are left alone.

    :raises ValueError: when a field is missing, unknown or of the wrong kind.
    """
    known = {field.name for field in fields(Recording)}
    unknown = given.keys() - known - {field.name for field in fields(Result)}
    if unknown:
        raise ValueError(
            f'there is no field {", ".join(sorted(unknown))}; known are {", ".join(sorted(known))}'
        )
    if not given.get('input'):
        raise ValueError('the field input is missing: a path or URL')
    for name in known & given.keys():
        wanted = (int, float) if name == 'fps' else (str,)
        if not isinstance(given[name], wanted):
            raise ValueError(f'{name} is {given[name]!r}, needed is {wanted[-1].__name__}')
    places = {
        name: _absolute(given[name], folder)
        for name in ('input', 'groundtruth', 'intrinsics')
        if given.get(name)
    }
    name = given.get('name') or _allowed(_stem(places['input']))
    if not NAME.fullmatch(name):
        raise ValueError(
            f'the name {name!r} cannot be that of a folder: use letters, digits, -+._'
        )
    topic, fps = given.get('topic', ''), float(given.get('fps', 0.0))
    return Recording(**{'name': name, 'topic': topic, 'fps': fps, **places})


def _absolute(place: str, folder: str) -> str:
    return place if is_url(place) or place.startswith('/') else f'{folder}/{place}'


def _stem(place: str) -> str:
    return place.rstrip('/').rpartition('/')[2]
