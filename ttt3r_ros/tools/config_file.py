# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The parameters of the node in a YAML file, as defaults of the options of `ttt3r map`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ttt3r_ros.inputs.odometry import NONE
from ttt3r_ros.settings import (
    knobs,
    MappingSettings,
    ModelSettings,
    NodeSettings,
    SettingsError,
    why_refused,
)

NODES = ('/**', '/*', 'ttt3r', '/ttt3r', '**')
PARAMETERS = 'ros__parameters'
FRAMES = ('odom_frame', 'base_frame')


def config_defaults(path: Path) -> dict[str, Any]:
    """
    Read a file of parameters, such as config/mapping.yaml, for a command without ROS.

    Parameters of the node that have no option, such as topics, are checked and left out.

    :param path: a YAML file with the layout of ROS 2.
    :returns: values by the names of the parsed options.
    :raises SettingsError: naming the file and the parameter that is wrong.
    """
    offline = {**knobs(ModelSettings), **knobs(MappingSettings)}
    known = {**offline, **knobs(NodeSettings)}
    defaults = {}
    for name, value in _parameters(path):
        if name == 'use_sim_time':
            continue
        if name not in known:
            raise SettingsError(f'{path}: there is no parameter {name}')
        field = known[name]
        if isinstance(field.default, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(field.default):
            kind = type(field.default).__name__
            raise SettingsError(f'{path}: {name} must be {kind}, not {value!r}')
        if reason := why_refused(field, value):
            raise SettingsError(f'{path}: {name} {reason}')
        if name in offline or (name in FRAMES and value):
            defaults[name] = value
        elif name == 'odom_frame':
            defaults['odometry'] = NONE
    return defaults


def _parameters(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the full name and the value of each parameter of the mapping node."""
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise SettingsError(f'cannot read {path} as YAML: {reason}') from error
    if not isinstance(content, dict):
        raise SettingsError(f'{path} has no parameters of nodes')
    groups = [content[name] for name in NODES if name in content]
    if not groups:
        raise SettingsError(f'{path} has no parameters of any of the nodes {", ".join(NODES)}')
    for group in groups:
        if not isinstance(group, dict) or not isinstance(group.get(PARAMETERS), dict):
            raise SettingsError(f'{path} has no {PARAMETERS} below the name of the node')
        yield from _flat(group[PARAMETERS], '')


def _flat(values: dict[Any, Any], room: str) -> Iterator[tuple[str, Any]]:
    """Yield nested parameters by their names with dots."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f'{room}{name}.')
        else:
            yield f'{room}{name}', value
