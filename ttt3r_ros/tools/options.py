# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Command line options: settings, positive numbers, image sizes."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from ttt3r_ros.settings import (
    changed,
    Checked,
    knobs,
    own_knob,
    own_knobs,
    rooms,
    SettingsError,
    why_refused,
)

Settings = TypeVar('Settings', bound=Checked)


def add_settings(parser: argparse.ArgumentParser, kind: type[Checked]) -> None:
    """
    Add an option for each knob, in a group for each room.

    :param kind: of the settings.
    """
    for room in rooms(kind):
        group = parser.add_argument_group(room.room or None, str(room.__doc__))
        for field in own_knobs(room):
            _add(group, room, field)


def add_option(parser: argparse.ArgumentParser, room: type[Checked], name: str) -> None:
    """
    Add the option of one knob.

    :param room: the settings class with the field.
    :param name: of the field.
    """
    _add(parser, room, own_knob(room, name))


def option_name(room: type[Checked], field: dataclasses.Field[Any]) -> str:
    """
    Return the option of a knob, like --voxel-size for map.voxel_size.

    :param room: the settings class with the field.
    :param field: declared by `knob`.
    """
    return '--' + room.flat_name(field).replace('_', '-')


def _add(
    group: argparse._ActionsContainer, room: type[Checked], field: dataclasses.Field[Any]
) -> None:
    shared: dict[str, Any] = {
        'dest': room.full_name(field),
        'default': field.default,
        'help': explanation(field).replace('%', '%%'),
    }
    name = option_name(room, field)
    if isinstance(field.default, bool):
        group.add_argument(name, action=argparse.BooleanOptionalAction, **shared)
        return
    choices = field.metadata['choices']
    group.add_argument(
        name,
        type=type(field.default),
        choices=choices or None,
        metavar=None if choices else type(field.default).__name__.upper(),
        **shared,
    )


def explanation(field: dataclasses.Field[Any]) -> str:
    """
    Return the description, unit, range and default of a setting, in one line.

    :param field: declared by `knob`.
    """
    low, high, unit = (field.metadata[key] for key in ('low', 'high', 'unit'))
    default: Any = field.default
    details = []
    if low is not None and high is not None:
        details.append(f'{_plain(low)} to {_plain(high)} {unit}'.strip())
    elif unit:
        details.append(unit)
    if default != '':
        details.append(f'default {_plain(default)}')
    sentence = str(field.metadata['sentence'])
    return f'{sentence} [{", ".join(details)}]' if details else sentence


def _plain(value: str | float) -> str:
    """Return a value as text without an exponent: 1000000 and not 1e+06."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str) else f'{value:.10f}'.rstrip('0').rstrip('.')


def read_settings(arguments: argparse.Namespace, kind: type[Settings]) -> Settings:
    """
    Return the settings of the options of a command.

    :param arguments: from a parser that add_settings has extended.
    :param kind: class of the settings.
    :raises SettingsError: when a value is not allowed, by the name of its option.
    """
    given = vars(arguments)
    for room in rooms(kind):
        for field in own_knobs(room):
            if reason := why_refused(field, given[room.full_name(field)]):
                raise SettingsError(f'{option_name(room, field)} {reason}')
    return changed(kind(), {name: given[name] for name in knobs(kind)})


def named_path(text: str) -> Path:
    """
    Parse a path, for argparse.

    :param text: the text of the option.
    :raises ArgumentTypeError: when it is empty, as of a variable of the shell that is not set: it
        would be the present folder.
    """
    if not text:
        raise argparse.ArgumentTypeError('the name is empty')
    return Path(text)


def positive_int(text: str) -> int:
    """
    Parse a positive integer, for argparse.

    :param text: the text of the option.
    :raises ValueError: when it is no integer.
    :raises ArgumentTypeError: when it is less than 1.
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{text} is not 1 or more')
    return number


def positive_float(text: str) -> float:
    """
    Parse a positive finite number, for argparse.

    :param text: the text of the option.
    :raises ValueError: when it is no number.
    :raises ArgumentTypeError: when it is not above 0.
    """
    number = float(text)
    if not 0 < number < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} is not above 0')
    return number


def image_size(text: str) -> tuple[int, int]:
    """
    Parse an image size such as 320x240, for argparse.

    :param text: the text of the option.
    :raises ArgumentTypeError: when it is no such size.
    """
    width, cross, height = text.partition('x')
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f'{text!r} is no size like 320x240')
    if not (16 <= int(width) <= 4096 and 16 <= int(height) <= 4096):
        raise argparse.ArgumentTypeError(f'{text}: each side must be 16 to 4096 pixels')
    return int(width), int(height)
