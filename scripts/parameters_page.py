# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Write docs/parameters.md from the settings and the arguments of the launch files.

    python3 -m scripts.parameters_page > docs/parameters.md
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import sys
from typing import Any

from ttt3r_ros.players.launch_arguments import (
    DEMO,
    LaunchArgument,
    MAPPING,
    NAV2_DEMO,
    REPLAY,
)
from ttt3r_ros.settings import (
    Checked,
    DrivenRobotSettings,
    knobs,
    MappingSettings,
    ModelSettings,
    NodeSettings,
    own_knobs,
    PlayerSettings,
    RecorderSettings,
    RobotSettings,
    rooms,
    ViewerSettings,
)

HEAD = """\
# Parameters

Of the node `mapping_node`: name (default, unit; range or choices): meaning. Those marked \\* may
change while it runs. `ttt3r map` has options for the same: `--voxel-size` for `map.voxel_size`; of
`occupancy`, `camera` and `odometry` with the room: `--occupancy-range`. Written by
`python3 -m scripts.parameters_page > docs/parameters.md` from `ttt3r_ros/settings/`.
"""

OTHERS_HEAD = """\
# Parameters of the nodes around it

[demo.md](demo.md) describes the nodes.
"""

LAUNCH_HEAD = """\
# Arguments of the launch files

All take those of `mapping.launch.py`, too. There an empty argument leaves its parameter to
`params_file`, a copy of `config/mapping.yaml`, and `none` is an empty text. In parentheses: the
parameter and the default where they differ.
"""

IN_NODE = [*rooms(NodeSettings), *rooms(ModelSettings), *rooms(MappingSettings)]
OTHER_NODES = {
    'simulated_robot': RobotSettings,
    'driven_robot': DrivenRobotSettings,
    'dataset_player': PlayerSettings,
    'recorder': RecorderSettings,
    'viewer': ViewerSettings,
}
LAUNCH_FILES = {'mapping': MAPPING, 'demo': DEMO, 'replay': REPLAY, 'nav2_demo': NAV2_DEMO}


def page() -> str:
    """Return the text of the page."""
    parts = [
        HEAD,
        *(_of_room(room) for room in IN_NODE),
        OTHERS_HEAD,
        *(_of_node(name, kind) for name, kind in OTHER_NODES.items()),
        LAUNCH_HEAD,
        *(_of_launch_file(f'{name}.launch.py', table) for name, table in LAUNCH_FILES.items()),
    ]
    return '\n'.join(parts)


def _of_room(room: type[Checked]) -> str:
    items = [_item(room.full_name(field), field) for field in own_knobs(room)]
    title = f'{room.room}: {_lower(str(room.__doc__))}' if room.room else str(room.__doc__)
    return _section(title.rstrip('.'), *items)


def _of_node(name: str, kind: type[Checked]) -> str:
    """Return the parameters of a node; those that a node above has alike are only named."""
    shown: dict[str, tuple[str, str]] = {}
    for other, settings in OTHER_NODES.items():
        if other == name:
            break
        shown |= {key: (other, _item(key, field)) for key, field in knobs(settings).items()}
    items: list[str] = []
    alike: dict[str, list[str]] = {}
    for key, field in knobs(kind).items():
        item = _item(key, field)
        other, same = shown.get(key, ('', ''))
        if item == same:
            alike.setdefault(other, []).append(f'`{key}`')
        else:
            items.append(item)
    named = [f'- as of `{other}`: {", ".join(keys)}' for other, keys in alike.items()]
    return _section(f'`{name}`', *items, *named)


def _of_launch_file(name: str, arguments: Iterable[LaunchArgument]) -> str:
    given = [_of_parameter(argument) for argument in arguments if argument.parameter]
    items = [
        f'- `{argument.name}`{f" ({argument.default})" if argument.default else ""}: '
        f'{argument.description}'
        for argument in arguments
        if not argument.parameter
    ]
    return _section(f'`{name}`', *items, f'- parameters: {", ".join(given)}')


def _of_parameter(argument: LaunchArgument) -> str:
    """Return the name of an argument, its parameter and its default, where these are others."""
    details = []
    if argument.parameter != argument.name:
        details.append(f'`{argument.parameter}`')
    assert argument.knob is not None
    if argument.default and argument.default != _written(argument.knob.default):
        details.append(argument.default)
    return f'`{argument.name}`' + (f' ({", ".join(details)})' if details else '')


def _item(name: str, field: dataclasses.Field[Any]) -> str:
    """Return a parameter in one line: name, default and what is allowed, meaning."""
    data = field.metadata
    details = [f'{_written(field.default)} {data["unit"]}'.strip()]
    if data['choices']:
        details.append(', '.join(data['choices']))
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
