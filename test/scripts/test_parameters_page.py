# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from scripts.parameters_page import LAUNCH_FILES, OTHER_NODES, page
from ttt3r_ros.settings import knobs, MappingSettings, ModelSettings, NodeSettings


def test_the_page_in_the_repository_is_what_the_settings_say(repository):
    assert (repository / 'docs' / 'parameters.md').read_text() == page()


def test_every_setting_and_every_argument_has_a_row():
    rows = [line for line in page().splitlines() if line.startswith('| `')]
    kinds = (ModelSettings, MappingSettings, NodeSettings, *OTHER_NODES.values())
    names = [name for kind in kinds for name in knobs(kind)]
    names += [argument.name for table in LAUNCH_FILES.values() for argument in table]
    assert sorted(row.split('`')[1] for row in rows) == sorted(names)


def test_the_rows_have_the_columns_of_their_table():
    columns = 0
    for line in page().splitlines():
        if not line.startswith('|'):
            columns = 0
        columns = columns or line.count('|')
        assert line.count('|') == columns or not line.startswith('|')
