# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import io

import pytest

from ttt3r_ros.tools.terminal import colored, print_error, print_next, RED


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def colorful(monkeypatch):
    monkeypatch.delenv('NO_COLOR', raising=False)
    monkeypatch.setenv('TERM', 'xterm')


def test_a_terminal_sees_colour_and_a_file_does_not():
    assert colored('no', RED, Terminal()) == '\x1b[1;31mno\x1b[0m'
    assert colored('no', RED, io.StringIO()) == 'no'


@pytest.mark.parametrize(('name', 'value'), [('NO_COLOR', '1'), ('TERM', 'dumb')])
def test_who_wants_no_colour_gets_none(monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    assert colored('no', RED, Terminal()) == 'no'


def test_an_empty_no_color_means_nothing(monkeypatch):
    # As no-color.org has it.
    monkeypatch.setenv('NO_COLOR', '')

    assert colored('no', RED, Terminal()) != 'no'


def test_lines_are_plain_without_a_terminal(capsys):
    print_next('open out/preview.png')
    print_error('ttt3r map', 'there is no such file')

    captured = capsys.readouterr()
    assert captured.out == 'next: open out/preview.png\n'
    assert captured.err == 'ttt3r map: error: there is no such file\n'
