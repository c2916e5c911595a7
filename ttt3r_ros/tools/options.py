# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Options of a command: the settings' dataclasses, numbers above 0, sizes of images."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any, TypeVar

Settings = TypeVar('Settings')


def add_settings(parser: argparse.ArgumentParser, title: str, kind: type[Any]) -> None:
    """
    Declare one option for each field: voxel_size becomes --voxel-size.

    :param parser: takes them, in a group of their own.
    :param title: of the group.
    :param kind: a dataclass of `knob` fields.
    """
    group = parser.add_argument_group(title)
    for field in dataclasses.fields(kind):
        choices = field.metadata['choices']
        group.add_argument(
            '--' + field.name.replace('_', '-'),
            type=type(field.default),
            default=field.default,
            choices=choices or None,
            metavar=None if choices else type(field.default).__name__.upper(),
            help=explanation(field).replace('%', '%%'),
        )


def explanation(field: dataclasses.Field[Any]) -> str:
    """
    Put the sentence of a field, its unit, range and default into one line.

    :param field: made by `knob`.
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
    """Write a value without an exponent: 1000000 and not 1e+06."""
    return str(value) if isinstance(value, str) else f'{value:.10f}'.rstrip('0').rstrip('.')


def read_settings(arguments: argparse.Namespace, kind: type[Settings]) -> Settings:
    """
    Collect the options of a dataclass again.

    :param arguments: parsed by a parser that add_settings prepared.
    :param kind: the dataclass.
    :raises SettingsError: when a value lies outside its range.
    """
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: getattr(arguments, name) for name in names})


def positive_int(text: str) -> int:
    """
    Read a whole number above 0, for argparse.

    :param text: as typed.
    :raises ValueError: when it is no whole number.
    :raises ArgumentTypeError: when it is too small.
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{text} is not 1 or more')
    return number


def positive_float(text: str) -> float:
    """
    Read a finite number above 0, for argparse.

    :param text: as typed.
    :raises ValueError: when it is no number.
    :raises ArgumentTypeError: when it is not above 0.
    """
    number = float(text)
    if not 0 < number < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} is not above 0')
    return number


def image_size(text: str) -> tuple[int, int]:
    """
    Read a size like 320x240, for argparse.

    :param text: as typed.
    :raises ArgumentTypeError: when it is no such size.
    """
    width, cross, height = text.partition('x')
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f'{text!r} is no size like 320x240')
    if not (16 <= int(width) <= 4096 and 16 <= int(height) <= 4096):
        raise argparse.ArgumentTypeError(f'{text}: each side must be 16 to 4096 pixels')
    return int(width), int(height)
