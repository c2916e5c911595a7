# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import re

import pytest

from scripts.node_page import page, TABLES
from ttt3r_ros.node.interface import Cause, DiagnosticKey, PUBLISHED, SERVICES, State, SUBSCRIBED


def test_the_tables_in_the_repository_are_those_of_the_node(repository):
    text = (repository / 'docs' / 'node.md').read_text()
    assert page(text) == text


def test_every_entry_has_a_row_or_a_line():
    lines = [line for table in TABLES.values() for line in table().splitlines()]
    heads = [
        re.split(r'`[:| ]*[:|(]', line)[0] + '`'
        for line in lines
        if line.startswith(('|`', '- `'))
    ]
    shown = [name for head in heads for name in re.findall('`([^`]+)`', head)]
    names = [entry.name for entry in (*SUBSCRIBED, *PUBLISHED, *SERVICES)]
    names += [entry.text for entry in (*DiagnosticKey, *Cause)] + ['dropped: CAUSE']
    assert sorted(shown) == sorted(names)
    for state in State:
        assert any(line.startswith(f'- **{state.name}** ({state.level_name}): ') for line in lines)


def test_no_row_has_more_cells_than_its_table():
    for table in TABLES.values():
        lines = table().splitlines()
        assert {line.count('|') for line in lines} == {lines[0].count('|')}


def test_a_page_without_the_markers_of_a_table_is_refused(repository):
    text = (repository / 'docs' / 'node.md').read_text()
    with pytest.raises(ValueError, match='table of services'):
        page(text.replace('<!-- services', '<!-- service'))
