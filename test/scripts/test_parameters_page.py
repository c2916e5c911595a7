# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import re

from scripts.parameters_page import page
from ttt3r_ros.players.launch_arguments import MAPPING
from ttt3r_ros.settings import (
    MappingSettings,
    ModelSettings,
    NodeSettings,
    own_knobs,
    rooms,
)


def test_the_page_in_the_repository_is_what_the_settings_say(repository):
    assert (repository / 'docs' / 'parameters.md').read_text() == page()


def test_every_setting_of_the_node_and_every_argument_is_named_in_its_section():
    sections = {part.split('\n')[0]: part for part in re.split('^#+ ', page(), flags=re.M)}
    expected = {'`mapping.launch.py`': [argument.name for argument in MAPPING]}
    for room in (*rooms(ModelSettings), *rooms(MappingSettings), *rooms(NodeSettings)):
        (title,) = (t for t in sections if str(room.__doc__)[1:].rstrip('.') in t)
        expected[title] = [room.full_name(field) for field in own_knobs(room)]
    assert len(expected) > 10
    for title, names in expected.items():
        assert [name for name in names if f'`{name}`' not in sections[title]] == []


def test_a_parameter_has_its_default_unit_range_choices_and_meaning():
    lines = page().splitlines()
    assert '- `map.voxel_size` (0.05 m; [0.001, 10]): Edge of a voxel of the map.' in lines
    assert any(line.startswith('- `image_transport` (raw; raw, compressed): ') for line in lines)
    assert any(line.startswith('- `tf.timeout`\\* (0.2 s; [0, 10]): ') for line in lines)
