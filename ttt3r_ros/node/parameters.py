# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The settings as ROS parameters: declared, read, and changed while running."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
from dataclasses import dataclass, replace
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

from ttt3r_ros.settings import MappingSettings, ModelSettings, NodeSettings, SettingsError

Fixed = TypeVar('Fixed')


@dataclass(frozen=True)
class Settings:
    """All settings of a node; a value."""

    model: ModelSettings = dataclasses.field(default_factory=ModelSettings)
    mapping: MappingSettings = dataclasses.field(default_factory=MappingSettings)
    node: NodeSettings = dataclasses.field(default_factory=NodeSettings)

    def changed(self, values: dict[str, Any]) -> Settings:
        """
        Give the settings with other values.

        :param values: by name; names that are no setting are left alone.
        :raises SettingsError: when one is wrong.
        """
        rooms = {}
        for room in ('model', 'mapping', 'node'):
            old = getattr(self, room)
            own = {field.name for field in dataclasses.fields(old)} & values.keys()
            rooms[room] = replace(old, **{name: values[name] for name in own})
        return Settings(**rooms)


def knobs() -> list[dataclasses.Field[Any]]:
    """Give every knob; each is one parameter."""
    rooms = (ModelSettings, MappingSettings, NodeSettings)
    return [field for room in rooms for field in dataclasses.fields(room)]


def declare(node: Node) -> Settings:
    """
    Declare every knob as a parameter of the node.

    :param node: takes them.
    :returns: the settings, with what the command line or a YAML file overrides.
    :raises SettingsError: when such a value has a wrong type or lies outside its range.
    """
    return Settings().changed(_declared(node, knobs()))


def declare_fixed(node: Node, kind: type[Fixed]) -> Fixed:
    """
    Declare the knobs of one dataclass as parameters that are set when the node starts.

    :param node: takes them.
    :param kind: of the settings.
    :returns: the settings, with what the command line or a YAML file overrides.
    :raises SettingsError: when such a value has a wrong type or lies outside its range.
    """
    return kind(**_declared(node, dataclasses.fields(kind), read_only=True))


def _declared(
    node: Node, fields: Iterable[dataclasses.Field[Any]], read_only: bool = False
) -> dict[str, Any]:
    values = {}
    for field in fields:
        description = descriptor(field)
        description.read_only = read_only
        try:
            values[field.name] = node.declare_parameter(
                field.name, field.default, description
            ).value
        except InvalidParameterTypeException as error:
            raise SettingsError(
                f'parameter {field.name} must be {type(field.default).__name__} '
                f'(like {field.default!r}): {error}'
            ) from error
        except InvalidParameterValueException as error:
            raise SettingsError(f'parameter {field.name}: {error}') from error
    return values


def descriptor(field: dataclasses.Field[Any]) -> ParameterDescriptor:
    """
    Describe a knob to ROS.

    :param field: made by `knob`.
    """
    low, high, unit = (field.metadata[key] for key in ('low', 'high', 'unit'))
    choices = field.metadata['choices']
    constraints = [unit] if unit else []
    if choices:
        constraints.append('one of ' + ', '.join(choices))
    if not field.metadata['live']:
        constraints.append('fixed while configured')
    result = ParameterDescriptor(
        name=field.name,
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
    Judge a change of parameters.

    :param settings: the present ones.
    :param parameters: what is asked for.
    :param configured: whether the node is configured, so that only live knobs may change.
    :returns: the settings to use from now on, and the answer.
    """
    values = {parameter.name: parameter.value for parameter in parameters}
    fixed = [
        field.name for field in knobs() if field.name in values and not field.metadata['live']
    ]
    if configured and fixed:
        reason = (
            f'{", ".join(fixed)} cannot change while the node is configured: clean it up first'
        )
        return settings, SetParametersResult(successful=False, reason=reason)
    try:
        return settings.changed(values), SetParametersResult(successful=True)
    except SettingsError as error:
        return settings, SetParametersResult(successful=False, reason=str(error))
