# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Write docs/parameters.md from the settings and the arguments of mapping.launch.py.

    python3 -m scripts.parameters_page > docs/parameters.md
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import sys
from typing import Any

from ttt3r_ros.players.launch_arguments import LaunchArgument, MAPPING
from ttt3r_ros.settings import (
    Checked,
    MappingSettings,
    ModelSettings,
    NodeSettings,
    own_knobs,
    rooms,
)

HEAD = """\
# Parameters

Of the node `mapping_node`: name (default, unit; range or choices): meaning. Those marked \\* may
change while it runs. `ttt3r map` has options for the same: `--voxel-size` for `map.voxel_size`; of
`occupancy`, `camera` and `odometry` with the room: `--occupancy-range`. Written by
`python3 -m scripts.parameters_page > docs/parameters.md` from `ttt3r_ros/settings/`.
"""

LAUNCH = """\
## `mapping.launch.py`

An empty argument leaves its parameter to `params_file`; `none` is an empty text.

"""

OTHERS = """\
## Other nodes and launch files

`ros2 run ttt3r_ros simulated_robot --help` lists the parameters of a node,
`ros2 launch ttt3r_ros demo.launch.py --show-args` the arguments of a launch file; all take those
of `mapping.launch.py`, too.
"""

IN_NODE = [*rooms(NodeSettings), *rooms(ModelSettings), *rooms(MappingSettings)]


def page() -> str:
    """Return the text of the page."""
    rooms_of_node = [_of_room(room) for room in IN_NODE]
    return '\n'.join([HEAD, *rooms_of_node, LAUNCH + _of_launch_file(MAPPING), OTHERS])


def _of_room(room: type[Checked]) -> str:
    items = [_item(room.full_name(field), field) for field in own_knobs(room)]
    title = f'{room.room}: {_lower(str(room.__doc__))}' if room.room else str(room.__doc__)
    return _section(title.rstrip('.'), *items)


def _of_launch_file(arguments: Iterable[LaunchArgument]) -> str:
    given = [_of_parameter(argument) for argument in arguments if argument.parameter]
    items = [
        f'- `{argument.name}`{f" ({argument.default})" if argument.default else ""}: '
        f'{argument.description}'
        for argument in arguments
        if not argument.parameter
    ]
    return '\n'.join([*items, f'- parameters: {", ".join(given)}', ''])


def _of_parameter(argument: LaunchArgument) -> str:
    """Return the name of an argument, and that of its parameter where it is another one."""
    other = f' ({argument.parameter})' if argument.parameter != argument.name else ''
    return f'`{argument.name}`{other}'


def _item(name: str, field: dataclasses.Field[Any]) -> str:
    """Return a parameter in one line: name, default and what is allowed, meaning."""
    data = field.metadata
    details = [f'{_written(field.default)} {data["unit"]}'.strip()]
    if data['choices']:
        details.append(', '.join(map(str, data['choices'])))
    elif data['low'] is not None and data['high'] is not None:
        details.append(f'[{data["low"]:g}, {data["high"]:g}]')
    mark = '\\*' if data['live'] else ''
    in_parentheses = f' ({"; ".join(filter(None, details))})' if any(details) else ''
    return f'- `{name}`{mark}{in_parentheses}: {data["sentence"]}'


def _written(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return str(default)


def _section(title: str, *items: str) -> str:
    return '\n'.join([f'## {title}', '', *items, ''])


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


if __name__ == '__main__':
    sys.stdout.write(page())
