# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How a setting is declared, checked, named and changed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from ttt3r_ros.errors import UserError


class SettingsError(UserError):
    """A setting has the wrong type or lies outside its range."""


def knob(
    default: Any,
    sentence: str,
    unit: str = '',
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | tuple[int, ...] = (),
    live: bool = False,
) -> Any:
    """
    Declare one setting of a dataclass.

    :param default: its type is the type of the setting.
    :param sentence: description of the setting, one sentence.
    :param unit: physical unit, empty where there is none.
    :param low: smallest value allowed, or None.
    :param high: largest value allowed, or None.
    :param choices: the only values allowed; empty means any.
    :param live: whether it may be changed in a running node.
    :returns: a dataclass field with all of it as metadata.
    """
    return dataclasses.field(
        default=default,
        metadata={
            'sentence': sentence,
            'unit': unit,
            'low': low,
            'high': high,
            'choices': choices,
            'live': live,
        },
    )


def like(kind: type[Any], name: str, default: Any) -> Any:
    """
    Declare a setting of another class with another default.

    :param kind: the other class.
    :param name: of the setting.
    :returns: a dataclass field with the metadata of the other one.
    """
    (field,) = (field for field in dataclasses.fields(kind) if field.name == name)
    return dataclasses.field(default=default, metadata=field.metadata)


@dataclass(frozen=True)
class Checked:
    """
    Base of all settings: a wrong value fails in the constructor.

    A field is a knob or other settings, whose default is what their class gives.

    room: the first part of the full names of the knobs, empty where they are known without.
    flat_with_room: whether a knob needs it, too, where names have no dots; see flat_name.
    """

    room: ClassVar[str] = ''
    flat_with_room: ClassVar[bool] = False

    @classmethod
    def full_name(cls, field: dataclasses.Field[Any]) -> str:
        """
        Return the name of a knob in messages and as a ROS parameter, like map.voxel_size.

        :param field: of this class.
        """
        return f'{cls.room}.{field.name}' if cls.room else field.name

    @classmethod
    def flat_name(cls, field: dataclasses.Field[Any]) -> str:
        """
        Return the name of a knob as an option and as an argument of a launch file.

        Like voxel_size, or occupancy_range where the room is needed to understand it.

        :param field: of this class.
        """
        return f'{cls.room}_{field.name}' if cls.flat_with_room else field.name

    def __post_init__(self) -> None:
        """
        Check the type and the range of every knob.

        :raises SettingsError: naming the first bad one, its value and what is allowed.
        """
        for field in own_knobs(type(self)):
            reason = why_refused(field, getattr(self, field.name))
            if reason:
                raise SettingsError(f'{self.full_name(field)} {reason}')


def why_refused(field: dataclasses.Field[Any], value: Any) -> str:
    """
    Return what is wrong with the value of a knob, empty when nothing is.

    :param field: made by `knob`.
    :returns: a phrase that continues the name of the knob.
    """
    kind = type(field.default)
    if type(value) is not kind and not (kind is float and type(value) is int):
        return f'must be {kind.__name__}, not {value!r} ({type(value).__name__})'
    low, high = field.metadata['low'], field.metadata['high']
    choices, unit = field.metadata['choices'], field.metadata['unit']
    if choices and value not in choices:
        return f'must be one of {", ".join(map(str, choices))}, not {value!r}'
    # Written so that NaN, which compares false with everything, is refused too.
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        allowed = f'{"-inf" if low is None else low} to {"inf" if high is None else high}'
        return f'is {value}, allowed is {allowed} {unit}'.rstrip()
    return ''


def own_knobs(kind: type[Checked]) -> list[dataclasses.Field[Any]]:
    """Return the fields of a class of settings that are knobs."""
    return [field for field in dataclasses.fields(kind) if 'sentence' in field.metadata]


def own_knob(kind: type[Checked], name: str) -> dataclasses.Field[Any]:
    """
    Return one field of a class of settings that is a knob.

    :param name: of the field.
    """
    (field,) = (field for field in own_knobs(kind) if field.name == name)
    return field


def rooms(kind: type[Checked]) -> list[type[Checked]]:
    """Return a class of settings, if it has knobs of its own, and those that its fields hold."""
    own = own_knobs(kind)
    held: list[Any] = [
        field.default_factory for field in dataclasses.fields(kind) if field not in own
    ]
    below = [room for other in held for room in rooms(other)]
    return [kind, *below] if own else below


def knobs(kind: type[Checked]) -> dict[str, dataclasses.Field[Any]]:
    """Return all knobs of a class of settings and of what its fields hold, by full name."""
    return {room.full_name(field): field for room in rooms(kind) for field in own_knobs(room)}


def values(settings: Checked) -> dict[str, Any]:
    """Return the values of all knobs of settings and of what their fields hold, by full name."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Checked):
            found |= values(value)
        else:
            found[settings.full_name(field)] = value
    return found


Kind = TypeVar('Kind', bound=Checked)


def changed(settings: Kind, given: dict[str, Any]) -> Kind:
    """
    Return settings with other values.

    :param given: by full name; names of other settings are left alone.
    :raises SettingsError: when one is wrong.
    """
    new = {}
    for field in dataclasses.fields(settings):
        old = getattr(settings, field.name)
        if isinstance(old, Checked):
            new[field.name] = changed(old, given)
        else:
            new[field.name] = given.get(settings.full_name(field), old)
    return type(settings)(**new)


def named(settings: Kind, given: dict[str, Any]) -> tuple[Kind, dict[str, Any]]:
    """
    Return settings with other values, and what is left: names of other settings.

    :param given: by names without dots, as in options: voxel_size, occupancy_range.
    :raises SettingsError: when a value is wrong.
    """
    full = {
        room.flat_name(field): room.full_name(field)
        for room in rooms(type(settings))
        for field in own_knobs(room)
    }
    chosen = {full[name]: value for name, value in given.items() if name in full}
    left = {name: value for name, value in given.items() if name not in full}
    return changed(settings, chosen), left
