# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0


from scripts.parameters_page import KINDS, OTHER_NODES, page
from ttt3r_ros.settings import knobs


def test_the_page_in_the_repository_is_what_the_settings_say(repository):
    assert (repository / 'docs' / 'parameters.md').read_text() == page()


def test_every_setting_has_a_row():
    rows = [line for line in page().splitlines() if line.startswith('| `')]
    count = sum(len(knobs(kind)) for kind in (*KINDS, *OTHER_NODES.values()))
    assert len(rows) == count
    assert all(row.count('|') == 8 for row in rows)
