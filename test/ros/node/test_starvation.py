# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A processor that other programs hold is named as the cause."""

from collections import deque
from contextlib import contextmanager
import os
import subprocess
import sys
import threading
import time
from unittest.mock import MagicMock

import pytest

from ttt3r_ros.node import diagnostics, starvation
from ttt3r_ros.node.diagnostics import Health, Surroundings
from ttt3r_ros.node.starvation import waited_s, waiting_part
from ttt3r_ros.settings import DiagnosticsSettings


@contextmanager
def one_core(hogs):
    """Run with busy programs on one core, in this thread alone."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    programs = [subprocess.Popen([sys.executable, '-c', 'while 1: pass']) for _ in range(hogs)]
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        for program in programs:
            program.kill()
            program.wait()


@pytest.mark.skipif(not starvation._SCHEDSTAT.exists(), reason='this kernel does not tell')
def test_a_thread_that_shares_its_core_with_three_programs_waits():
    found = []

    def work():
        with one_core(hogs=3):
            time.sleep(0.5)  # until they run
            before, begin = waited_s(), time.monotonic()
            while time.monotonic() < begin + 1.0:
                pass
            found.append((waited_s() - before) / (time.monotonic() - begin))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert found[0] == pytest.approx(0.75, abs=0.24)


def test_a_kernel_that_does_not_tell_has_no_starved_thread(monkeypatch, tmp_path):
    monkeypatch.setattr(starvation, '_SCHEDSTAT', tmp_path / 'schedstat')

    assert waited_s() == 0.0


@pytest.mark.parametrize(
    ('waits', 'part'),
    [
        ([], 0.0),
        ([(10.0, 1.0), (11.0, 2.0)], 0.0),  # too short to tell
        ([(10.0, 1.0), (12.0, 1.5), (14.0, 2.0)], 0.25),
    ],
)
def test_the_part_is_that_of_the_time_between(waits, part):
    assert waiting_part(deque(waits)) == pytest.approx(part, abs=1e-12)


def test_the_status_names_the_starved_processor():
    health = Health()
    now = time.monotonic()
    health._cameras[0].window.mapped.append(now)
    health._waits.extend([(now - 4, 10.0), (now, 12.0)])
    # Images that do not arrive follow from it.
    health._cameras[0].window.stamps_ns.extend(
        number * 10**8 for number in range(60) if number % 3
    )

    settings = DiagnosticsSettings(stale_timeout=60.0, min_image_rate=0.0)
    status = health.status('ttt3r', 'none', Surroundings(), settings)

    assert status.message.startswith('DEGRADED: cpu: other programs hold the cores')
    values = {value.key: value.value for value in status.values}
    assert values['waiting for a core (%)'] == '50'


def test_a_mapped_image_notes_how_long_its_thread_has_waited(monkeypatch):
    monkeypatch.setattr(diagnostics, 'waited_s', lambda: 7.0)
    health = Health()

    located = MagicMock()
    located.tracked.view.camera_index = 0
    health.mapped(located, 0.1, lost=False)

    assert [waited for _, waited in health._waits] == [7.0]
