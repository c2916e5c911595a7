# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import shutil
import subprocess
import sys

import pytest

from ttt3r_ros.tools.main import main

shtab = pytest.importorskip('shtab')


def test_bash_completes_commands_and_options(capsys, tmp_path):
    assert main(['completion', 'bash']) == 0
    script = tmp_path / 'ttt3r.bash'
    script.write_text(capsys.readouterr().out)
    ask = (
        f'source {script}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '$(complete -p ttt3r | sed -E "s/.*-F ([^ ]+).*/\\1/") ttt3r "${@: -1}" "${@: -2:1}"; '
        'echo "${COMPREPLY[@]}"'
    )

    def completed(*words):
        done = subprocess.run(
            [shutil.which('bash'), '-c', ask, 'bash', *words],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert completed('ttt3r', 'simu') == ['simulate']
    assert '--update-rule' in completed('ttt3r', 'map', '--up')
    assert set(completed('ttt3r', 'map', 'x.mp4', '--update-rule', '')) >= {'cut3r', 'ttt3r'}


@pytest.mark.parametrize('shell', ['zsh', 'tcsh'])
def test_other_shells_have_a_script_too(shell, capsys):
    assert main(['completion', shell]) == 0
    assert 'simulate' in capsys.readouterr().out


def test_without_its_library_the_command_names_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'shtab', None)

    assert main(['completion', 'bash']) == 1
    assert 'pip install shtab' in capsys.readouterr().err
