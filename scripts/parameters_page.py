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
from ttt3r_ros.tools.options import option_name

HEAD = """\
# Parameters

Of the node `mapping_node`, by room. Those marked *live* may change while the node is configured,
the others before. An option sets the same in `ttt3r map`. This page is made from
`ttt3r_ros/settings/` by `python3 -m scripts.parameters_page > docs/parameters.md`.
"""

OTHERS_HEAD = """\
# Parameters of the nodes around it

Set when the node starts; [demo.md](demo.md) describes the nodes.
"""

LAUNCH_HEAD = """\
# Arguments of the launch files

`demo.launch.py`, `replay.launch.py` and `nav2_demo.launch.py` take those of `mapping.launch.py`,
too. The meaning of an argument that sets a parameter is in the tables above. An argument of
`mapping.launch.py` that is empty leaves its parameter to `params_file`; `none` is an empty text.
All other parameters go into that file: copy `config/mapping.yaml`.
"""

IN_COMMANDS = {*rooms(ModelSettings), *rooms(MappingSettings)}
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
    rows = [
        [
            *_cells(room.full_name(field), field),
            'live' if field.metadata['live'] else '',
            f'`{option_name(room, field)}`' if room in IN_COMMANDS else '',
        ]
        for field in own_knobs(room)
    ]
    title = f'{room.room}: {_lower(str(room.__doc__))}' if room.room else str(room.__doc__)
    return _section(title.rstrip('.'), [*COLUMNS, 'live', 'option'], rows)


def _of_node(name: str, kind: type[Checked]) -> str:
    rows = [_cells(*knob) for knob in knobs(kind).items()]
    return _section(f'`{name}`', COLUMNS, rows)


def _of_launch_file(name: str, arguments: Iterable[LaunchArgument]) -> str:
    rows = [
        [
            f'`{argument.name}`',
            argument.default or '',
            ', '.join(word for word in argument.choices if word == word.lower() != ''),
            f'`{argument.parameter}`' if argument.parameter else '',
            '' if argument.parameter else argument.description,
        ]
        for argument in arguments
    ]
    return _section(f'`{name}`', ['argument', 'default', 'allowed', 'parameter', 'meaning'], rows)


COLUMNS = ['name', 'type', 'default', 'unit', 'allowed', 'meaning']


def _cells(name: str, field: dataclasses.Field[Any]) -> list[str]:
    data = field.metadata
    allowed = ''
    if data['choices']:
        allowed = ', '.join(data['choices'])
    elif data['low'] is not None and data['high'] is not None:
        allowed = f'{data["low"]:g} to {data["high"]:g}'
    default = str(field.default).lower() if isinstance(field.default, bool) else field.default
    return [
        f'`{name}`',
        type(field.default).__name__,
        "''" if default == '' else str(default),
        data['unit'],
        allowed,
        data['sentence'],
    ]


def _section(title: str, columns: list[str], rows: list[list[str]]) -> str:
    table = [columns, ['---'] * len(columns), *rows]
    lines = [f'| {" | ".join(cells)} |' for cells in table]
    return '\n'.join([f'## {title}', '', *lines, ''])


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


if __name__ == '__main__':
    sys.stdout.write(page())
