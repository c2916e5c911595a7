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

Of the node `mapping_node`, by room. Those marked \\* may change while it runs. In `ttt3r map` the
same is set by options: `--voxel-size` for `map.voxel_size`; for `occupancy`, `camera` and
`odometry` with the room, `--occupancy-range`. Made from `ttt3r_ros/settings/` by
`python3 -m scripts.parameters_page > docs/parameters.md`.
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
    rows = [_cells(room.full_name(field), field) for field in own_knobs(room)]
    title = f'{room.room}: {_lower(str(room.__doc__))}' if room.room else str(room.__doc__)
    return _section(title.rstrip('.'), _table(COLUMNS, rows))


def _of_node(name: str, kind: type[Checked]) -> str:
    """Return the parameters of a node; those that a node above has alike are only named."""
    shown: dict[str, tuple[str, list[str]]] = {}
    for other, settings in OTHER_NODES.items():
        if other == name:
            break
        shown |= {key: (other, _cells(key, field)) for key, field in knobs(settings).items()}
    rows: list[list[str]] = []
    alike: dict[str, list[str]] = {}
    for key, field in knobs(kind).items():
        cells = _cells(key, field)
        other, same = shown.get(key, ('', []))
        if cells == same:
            alike.setdefault(other, []).append(f'`{key}`')
        else:
            rows.append(cells)
    sentences = [f'As of `{other}`: {", ".join(keys)}.\n' for other, keys in alike.items()]
    return _section(f'`{name}`', *sentences, _table(COLUMNS, rows))


def _of_launch_file(name: str, arguments: Iterable[LaunchArgument]) -> str:
    given = [_of_parameter(argument) for argument in arguments if argument.parameter]
    rows = [
        [f'`{argument.name}`', argument.default or '', argument.description]
        for argument in arguments
        if not argument.parameter
    ]
    sentence = f'Parameters: {", ".join(given)}.\n'
    table = [_table(['argument', 'default', 'meaning'], rows)] if rows else []
    return _section(f'`{name}`', sentence, *table)


def _of_parameter(argument: LaunchArgument) -> str:
    """Return the name of an argument, its parameter and its default, where these are others."""
    details = []
    if argument.parameter != argument.name:
        details.append(f'`{argument.parameter}`')
    assert argument.knob is not None
    if argument.default and argument.default != _written(argument.knob.default):
        details.append(argument.default)
    return f'`{argument.name}`' + (f' ({", ".join(details)})' if details else '')


COLUMNS = ['name', 'default', 'allowed', 'meaning']


def _cells(name: str, field: dataclasses.Field[Any]) -> list[str]:
    data = field.metadata
    allowed = data['unit']
    if data['choices']:
        allowed = ', '.join(data['choices'])
    elif data['low'] is not None and data['high'] is not None:
        allowed = f'[{data["low"]:g}, {data["high"]:g}] {data["unit"]}'.rstrip()
    mark = '\\*' if data['live'] else ''
    return [f'`{name}`{mark}', _written(field.default), allowed, data['sentence']]


def _written(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return "''" if default == '' else str(default)


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [f'| {" | ".join(cells)} |' for cells in (columns, *rows)]
    lines.insert(1, '|' + '---|' * len(columns))
    return '\n'.join([*lines, ''])


def _section(title: str, *parts: str) -> str:
    return '\n'.join([f'## {title}', '', *parts])


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


if __name__ == '__main__':
    sys.stdout.write(page())
