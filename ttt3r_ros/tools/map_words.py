# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The options of `ttt3r map` as words for another process, and all that a map depends on."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
import hashlib
from pathlib import Path
from typing import Any

from ttt3r_ros.errors import UserError
from ttt3r_ros.home import expanded
from ttt3r_ros.settings import (
    Checked,
    MappingSettings,
    ModelSettings,
    own_knobs,
    rooms,
    values,
)
from ttt3r_ros.tools.options import option_name, read_settings

# Of `add_reading`, without those that name a file.
READING = (
    'topic',
    'fps',
    'frame_step',
    'max_frames',
    'no_intrinsics',
    'odometry',
    'odom_frame',
    'base_frame',
    'as_published',
)


@dataclass(frozen=True)
class MapOptions:
    """
    How `ttt3r map` is to map.

    words: its options. settings: the names and values of all that a map depends on, files by the
    hash of their content. checkpoint: name or absolute path.
    """

    words: tuple[str, ...]
    settings: dict[str, Any]
    checkpoint: str


def map_options(arguments: argparse.Namespace) -> MapOptions:
    """
    Return the options of a parser with add_reading and add_settings.

    :param arguments: the parsed options; a checkpoint that is a file becomes an absolute path.
    :raises UserError: when a value is not allowed, or a file cannot be read.
    """
    checkpoint = _checkpoint(vars(arguments)['model.checkpoint'])
    vars(arguments)['model.checkpoint'] = checkpoint
    model = read_settings(arguments, ModelSettings)
    mapping = read_settings(arguments, MappingSettings)
    settings = values(model) | values(mapping)
    settings |= {name: getattr(arguments, name) for name in READING}
    settings['checkpoint_sha256'] = _hash(checkpoint) if Path(checkpoint).is_absolute() else ''
    words = [
        *_reading_words(arguments),
        *_setting_words(settings, ModelSettings),
        *_setting_words(settings, MappingSettings),
    ]
    settings['intrinsics'] = ''
    if arguments.intrinsics:
        intrinsics = str(arguments.intrinsics.absolute())
        settings['intrinsics'] = _hash(intrinsics)
        words.append(f'--intrinsics={intrinsics}')
    return MapOptions(tuple(words), settings, checkpoint)


def _checkpoint(name: str) -> str:
    path = expanded(name)
    return str(path.absolute()) if name and path.is_file() else name


def _reading_words(arguments: argparse.Namespace) -> list[str]:
    words = []
    for name in READING:
        value, option = getattr(arguments, name), '--' + name.replace('_', '-')
        if value is True:
            words.append(option)
        elif value not in (None, False, ''):
            words.append(f'{option}={value}')
    return words


def _setting_words(settings: dict[str, Any], kind: type[Checked]) -> list[str]:
    """Return the options of the knobs that do not have their default."""
    words = []
    for room in rooms(kind):
        for field in own_knobs(room):
            value, option = settings[room.full_name(field)], option_name(room, field)
            if value == field.default:
                continue
            if isinstance(value, bool):
                words.append(option if value else option.replace('--', '--no-', 1))
            else:
                words.append(f'{option}={value}')
    return words


def _hash(path: str) -> str:
    try:
        with open(path, 'rb') as file:
            digest = hashlib.sha256()
            while block := file.read(2**20):
                digest.update(block)
            return digest.hexdigest()
    except OSError as error:
        raise UserError(f'cannot read {path}: {error.strerror or error}') from error
