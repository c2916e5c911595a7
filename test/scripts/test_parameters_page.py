# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import re

from scripts.parameters_page import LAUNCH_FILES, OTHER_NODES, page
from ttt3r_ros.settings import (
    knobs,
    MappingSettings,
    ModelSettings,
    NodeSettings,
    own_knobs,
    rooms,
)


def test_the_page_in_the_repository_is_what_the_settings_say(repository):
    assert (repository / 'docs' / 'parameters.md').read_text() == page()


def test_every_setting_and_every_argument_is_named_in_its_section():
    sections = {part.split('\n')[0]: part for part in re.split('^#+ ', page(), flags=re.M)}
    expected = {f'`{name}`': list(knobs(kind)) for name, kind in OTHER_NODES.items()}
    for name, table in LAUNCH_FILES.items():
        expected[f'`{name}.launch.py`'] = [argument.name for argument in table]
    for room in (*rooms(ModelSettings), *rooms(MappingSettings), *rooms(NodeSettings)):
        (title,) = (t for t in sections if str(room.__doc__)[1:].rstrip('.') in t)
        expected[title] = [room.full_name(field) for field in own_knobs(room)]
    for title, names in expected.items():
        assert [name for name in names if f'`{name}`' not in sections[title]] == []


def test_only_a_parameter_that_differs_from_that_of_a_node_above_has_its_line():
    section = page().split('## `driven_robot`')[1].split('\n## ')[0]
    assert '\n- `speed` (0.5 m/s; [0.05, 3]): Largest speed.\n' in section
    assert '\n- `width`' not in section
