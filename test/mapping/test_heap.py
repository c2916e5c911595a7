# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is free in the middle of the heap goes back to the system, and nothing too often."""

import ctypes
import subprocess
import sys

import pytest

from ttt3r_ros.mapping import heap

# Blocks below the size for which glibc asks the system each time, every second one freed.
SCRIPT = """
import numpy as np
from ttt3r_ros.bench.memory import resident
from ttt3r_ros.mapping.heap import return_free_memory

begin = resident()
blocks = [np.ones(10_000) for _ in range(2000)]
stays = blocks[::2]
full = resident() - begin
del blocks
before = resident() - begin
return_free_memory()
print(full, before, resident() - begin, sum(map(len, stays)))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), 'malloc_trim'), reason='needs glibc')
def test_free_pages_between_others_are_returned():
    printed = subprocess.run(
        [sys.executable, '-c', SCRIPT], check=True, capture_output=True, text=True
    ).stdout

    full, before, after, _ = map(int, printed.split())
    assert full > 150e6  # 160 MB
    assert before > 0.9 * full
    assert after < 0.6 * full


# As of an image: some MB at once, and all of them free afterwards.
ROUNDS = """
import resource
import numpy as np
from ttt3r_ros.mapping.heap import keep_free_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    kept = [np.ones(100_000) for _ in range(20)]

{begin}
for _ in range(5):
    work()
before = faults()
for _ in range(10):
    work()
print(faults() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), 'mallopt'), reason='needs glibc')
def test_arrays_of_each_image_get_the_pages_of_those_before(monkeypatch):
    for name in heap._SET_BY_USER:
        monkeypatch.delenv(name, raising=False)

    def faults(begin):
        program = [sys.executable, '-c', ROUNDS.format(begin=begin)]
        return int(subprocess.run(program, check=True, capture_output=True, text=True).stdout)

    assert faults('keep_free_memory()') < 100
    assert faults('') > 10_000  # 16 MB in pages of 4 kB, ten times: 39,062


def test_a_c_library_that_cannot_do_it_changes_nothing(monkeypatch):
    monkeypatch.setattr(ctypes, 'CDLL', lambda _: object())
    heap._of_c_library.cache_clear()
    try:
        heap.return_free_memory()
        heap.keep_free_memory()
    finally:
        heap._of_c_library.cache_clear()
