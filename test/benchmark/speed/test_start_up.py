# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What makes a start quick stays so, and is measured rightly."""

from pathlib import Path
import subprocess
import sys

import pytest

from benchmark.speed.start_up import medians, start_steps, table
from ttt3r_ros.model.checkpoint import open_checkpoint, resolve_checkpoint


def test_loading_a_checkpoint_does_not_load_the_compiler_of_torch():
    program = (
        'import sys\n'
        'from ttt3r_ros.model.predictor import load_predictor\n'
        'from ttt3r_ros.settings import ModelSettings\n'
        'load_predictor(ModelSettings(device="cpu"))\n'
        'print({"torch._dynamo", "sympy"} & set(sys.modules))\n'
    )

    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)

    assert done.stdout == 'set()\n', done.stderr


@pytest.mark.skipif(not Path('/proc/self/maps').exists(), reason='needs /proc')
def test_the_tensors_of_an_open_checkpoint_lie_in_the_mapped_file():
    path = resolve_checkpoint('small')

    checkpoint = open_checkpoint(path)

    mapped = [
        tuple(int(address, 16) for address in line.split()[0].split('-'))
        for line in Path('/proc/self/maps').read_text().splitlines()
        if line.endswith(str(path))
    ]
    for tensor in checkpoint.tensors.values():
        assert any(begin <= tensor.data_ptr() < end for begin, end in mapped)


def test_the_steps_of_a_start_are_told_in_their_order():
    times = start_steps('random')

    assert list(times) == [
        'Python',
        'imports',
        'checkpoint',
        'first frame',
        'second frame',
        'third frame',
    ]
    assert list(times.values()) == sorted(times.values())
    assert times['Python'] > 0


def test_a_table_says_what_each_step_took_and_when_it_was_done():
    times = medians([{'a': 1.0, 'b': 9.0}, {'b': 3.0, 'a': 2.0}, {'a': 1.5, 'b': 2.0}])

    assert times == {'a': 1.5, 'b': 3.0}
    assert table('Start', times).rows == [['a', '1.50', '1.50'], ['b', '1.50', '3.00']]
