# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The settings as ROS parameters: declared, read, and changed while running."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ttt3r_ros.settings import (
    changed,
    Checked,
    knobs,
    MappingSettings,
    ModelSettings,
    NodeSettings,
    own_knobs,
    rooms,
    SettingsError,
)

Fixed = TypeVar('Fixed', bound=Checked)


@dataclass(frozen=True)
class Settings(Checked):
    """All settings of a node; a value."""

    model: ModelSettings = dataclasses.field(default_factory=ModelSettings)
    mapping: MappingSettings = dataclasses.field(default_factory=MappingSettings)
    node: NodeSettings = dataclasses.field(default_factory=NodeSettings)


def declare(node: Node) -> Settings:
    """
    Declare every setting as a parameter of the node.

    :returns: the settings, with what the command line or a YAML file overrides.
    :raises SettingsError: when such a value has a wrong type, lies outside its range or has a
        name from before rooms were part of names.
    """
    _refuse_old_names(node)
    return changed(Settings(), _declared(node, Settings))


def old_names() -> dict[str, str]:
    """Return the new name of each parameter by the one it had before rooms were part of names."""
    renamed = {
        room.flat_name(field): room.full_name(field)
        for room in rooms(Settings)
        for field in own_knobs(room)
        if room.room
    }
    return {**renamed, 'occupancy': 'occupancy.enabled'}


def _refuse_old_names(node: Node) -> None:
    # ROS 2 ignores values of parameters that a node does not declare.
    anything = ParameterDescriptor(dynamic_typing=True)
    moved = []
    for old, new in old_names().items():
        if node.declare_parameter(old, descriptor=anything).value is not None:
            moved.append(f'{old} is now {new}')
        node.undeclare_parameter(old)
    if moved:
        raise SettingsError(f'renamed parameters: {", ".join(moved)}')


def declare_fixed(node: Node, kind: type[Fixed]) -> Fixed:
    """
    Declare the settings of one dataclass as parameters that are set when the node starts.

    :returns: the settings, with what the command line or a YAML file overrides.
    :raises SettingsError: when such a value has a wrong type or lies outside its range.
    """
    return changed(kind(), _declared(node, kind, read_only=True))


def _declared(node: Node, kind: type[Checked], read_only: bool = False) -> dict[str, Any]:
    values = {}
    for name, field in knobs(kind).items():
        description = descriptor(name, field)
        description.read_only = read_only
        try:
            values[name] = node.declare_parameter(name, field.default, description).value
        except InvalidParameterTypeException as error:
            raise SettingsError(
                f'parameter {name} must be {type(field.default).__name__} '
                f'(like {field.default!r}): {error}'
            ) from error
        except InvalidParameterValueException as error:
            raise SettingsError(f'parameter {name}: {error}') from error
    return values


def descriptor(name: str, field: dataclasses.Field[Any]) -> ParameterDescriptor:
    """
    Return the description of a parameter.

    :param field: of the setting, made by `knob`.
    """
    low, high, unit = (field.metadata[key] for key in ('low', 'high', 'unit'))
    choices = field.metadata['choices']
    constraints = [unit] if unit else []
    if choices:
        constraints.append('one of ' + ', '.join(map(str, choices)))
    if not field.metadata['live']:
        constraints.append('fixed while configured')
    result = ParameterDescriptor(
        name=name,
        description=field.metadata['sentence'],
        additional_constraints='; '.join(constraints),
    )
    if low is not None and high is not None:
        if isinstance(field.default, float):
            result.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
        else:
            result.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    return result


def try_change(
    settings: Settings, parameters: list[Parameter[Any]], configured: bool
) -> tuple[Settings, SetParametersResult]:
    """
    Apply a change of parameters, or refuse it.

    :param settings: the present ones.
    :param parameters: requested values.
    :param configured: whether the node is configured, so that only live settings may change.
    :returns: the settings to use from now on, and the response.
    """
    values = {parameter.name: parameter.value for parameter in parameters}
    fixed = [
        name
        for name, field in knobs(Settings).items()
        if name in values and not field.metadata['live']
    ]
    if configured and fixed:
        reason = (
            f'{", ".join(fixed)} cannot change while the node is configured: clean it up first'
        )
        return settings, SetParametersResult(successful=False, reason=reason)
    try:
        return changed(settings, values), SetParametersResult(successful=True)
    except SettingsError as error:
        return settings, SetParametersResult(successful=False, reason=str(error))
