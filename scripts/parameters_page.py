# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Write docs/parameters.md from the settings.

    python3 -m scripts.parameters_page > docs/parameters.md
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from ttt3r_ros.settings import (
    Checked,
    MappingSettings,
    ModelSettings,
    NodeSettings,
    own_knobs,
    PlayerSettings,
    RecorderSettings,
    RobotSettings,
    rooms,
)

HEAD = """\
# Parameters

Of the node `mapping_node`, made from `ttt3r_ros/settings.py` by
`python3 -m scripts.parameters_page > docs/parameters.md`.
Those marked *live* may change while the node is configured, the others before.
Those of the network and of the mapper are options of `ttt3r map` too: `map.voxel_size` is
`--voxel-size`.
"""

OTHERS_HEAD = """\
# Parameters of the nodes around it

Set when the node starts; docs/demo.md says what the nodes do.
"""

KINDS = (ModelSettings, MappingSettings, NodeSettings)
OTHER_NODES = {
    'simulated_robot': RobotSettings,
    'dataset_player': PlayerSettings,
    'recorder': RecorderSettings,
}


def page() -> str:
    """Give the text of the page."""
    tables = [_table(room, str(room.__doc__).strip()) for kind in KINDS for room in rooms(kind)]
    others = [_table(room, f'`{name}`') for name, room in OTHER_NODES.items()]
    return '\n'.join([HEAD, *tables, OTHERS_HEAD, *others])


def _table(room: type[Checked], title: str) -> str:
    rows = [
        f'## {title}',
        '',
        '| name | type | default | unit | allowed | live | meaning |',
        '|---|---|---|---|---|---|---|',
        *(_row(room.full_name(field), field) for field in own_knobs(room)),
        '',
    ]
    return '\n'.join(rows)


def _row(name: str, field: dataclasses.Field[Any]) -> str:
    data = field.metadata
    allowed = ''
    if data['choices']:
        allowed = ', '.join(data['choices'])
    elif data['low'] is not None and data['high'] is not None:
        allowed = f'{data["low"]:g} to {data["high"]:g}'
    default = str(field.default).lower() if isinstance(field.default, bool) else field.default
    cells = [
        f'`{name}`',
        type(field.default).__name__,
        "''" if default == '' else str(default),
        data['unit'],
        allowed,
        'live' if data['live'] else '',
        data['sentence'],
    ]
    return f'| {" | ".join(cells)} |'


if __name__ == '__main__':
    sys.stdout.write(page())
