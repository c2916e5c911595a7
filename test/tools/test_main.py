# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import os
import subprocess
import sys
import types

import pytest

from ttt3r_ros.errors import UserError
from ttt3r_ros.tools import main as command_line
from ttt3r_ros.tools.main import COMMANDS, main


@pytest.fixture
def command(monkeypatch):
    """Replace the imported module of a command by one of this test."""

    def install(run):
        module = types.SimpleNamespace(__doc__='A test.', add_arguments=lambda p: None, run=run)
        monkeypatch.setattr(command_line.importlib, 'import_module', lambda name: module)

    return install


def test_a_reader_who_has_seen_enough_is_no_error():
    program = 'ttt3r_ros.tools.main', 'weights', 'info', 'small'
    with subprocess.Popen(
        [sys.executable, '-m', *program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        run.stdout.close()

        assert run.stderr.read() == b''
        assert run.wait(60) == 141


def test_help_lists_every_command_and_imports_none_of_the_heavy_libraries():
    program = (
        'import sys\n'
        'from ttt3r_ros.tools.main import main\n'
        'try:\n'
        '    main(["--help"])\n'
        'finally:\n'
        '    heavy = {"torch", "numpy", "cv2", "numba", "matplotlib"} & set(sys.modules)\n'
        '    print("HEAVY", sorted(heavy))\n'
    )

    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)

    assert done.returncode == 0
    assert 'HEAVY []' in done.stdout
    for name in COMMANDS:
        assert f'  {name} ' in done.stdout


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, '-m', 'ttt3r_ros.tools.main', 'evaluate', 'gone', 'gone'],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert done.stderr == 'ttt3r evaluate: error: there is no file gone\n'


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_explains_itself_with_examples(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, '--help'])

    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f'usage: ttt3r {name}' in text
    assert 'examples:' in text.lower()


@pytest.mark.parametrize('argv', [[], ['fly'], ['evaluate'], ['evaluate', '--nonsense']])
def test_a_wrong_use_leaves_with_two(argv):
    with pytest.raises(SystemExit) as ended:
        main(argv)

    assert ended.value.code == 2


def test_an_error_of_the_user_is_one_line(command, capsys):
    def run(arguments):
        raise UserError('the cable is out: plug it in')

    command(run)

    assert main(['map']) == 1
    assert capsys.readouterr().err == 'ttt3r map: error: the cable is out: plug it in\n'


def test_an_interrupt_leaves_with_130(command):
    def run(arguments):
        raise KeyboardInterrupt

    command(run)

    assert main(['map']) == 130


def test_a_bug_is_not_dressed_up_as_an_error_of_the_user(command):
    def run(arguments):
        raise RuntimeError('a bug')

    command(run)

    with pytest.raises(RuntimeError):
        main(['map'])


@pytest.mark.parametrize(
    ('redirection', 'code'), [('>&-', 0), ('>/dev/full', 1), ('2>&-', 0), ('2>/dev/full', 0)]
)
def test_a_stream_that_takes_nothing_costs_no_result(tmp_path, redirection, code):
    # Evaluate prints to both; the row of NaN is told on standard error.
    path = tmp_path / 'caf\udce9 path.txt'
    lines = [f'{i} {i} {i * i} 0 0 0 0 1' for i in range(5)]
    path.write_text('\n'.join([*lines, '9 nan 0 0 0 0 0 1']))
    command = [sys.executable, '-m', 'ttt3r_ros.tools.main', 'evaluate', str(path), str(path)]
    result = tmp_path / 'errors.json'
    shell = ['sh', '-c', f'exec "$@" {redirection}', 'sh', *command, '--json', str(result)]

    done = subprocess.run(shell, capture_output=True, env={**os.environ, 'LC_ALL': 'C'})

    assert done.returncode == code
    assert result.is_file()
    assert b'Traceback' not in done.stderr
