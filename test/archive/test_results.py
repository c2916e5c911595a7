# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest

from ttt3r_ros.archive.recording import Recording
from ttt3r_ros.archive.results import Cause, Manifest, read_result, Result, State

RECORDING = Recording('a', '/data/a', topic='/front', fps=2.0)


def result(name, **changes):
    return Result.of(Recording(name, f'/data/{name}'), 'hash', **changes)


def test_a_result_survives_its_line():
    written = Result.of(
        RECORDING,
        'hash',
        state=State.FAILED,
        cause=Cause.MEMORY,
        reason='took "all"\n',
        figures={'fps': 3.5, 'ate_m': None},
    )

    assert read_result(written.line()) == written
    assert '\n' not in written.line()


@pytest.mark.parametrize('line', ['', '{}', '[]', '3', '{"state": "done"}', '{"state": "odd"}'])
def test_a_line_that_is_no_result_is_refused(line):
    with pytest.raises(ValueError, match='no result of a recording'):
        read_result(line)


def test_the_later_line_holds_and_a_new_run_has_one_line_for_each(tmp_path):
    path = tmp_path / 'manifest.jsonl'
    manifest = Manifest(path)
    manifest.add(result('b', state=State.FAILED, cause=Cause.NODE))
    manifest.add(result('a', state=State.DONE))
    manifest.add(result('b', state=State.DONE))
    manifest.close()

    again = Manifest(path)

    assert {name: r.state for name, r in again.results.items()} == {
        'a': State.DONE,
        'b': State.DONE,
    }
    assert [read_result(line).name for line in path.read_text().splitlines()] == ['a', 'b']
    again.close()


@pytest.mark.parametrize('kept', [1, 10, 60])
def test_a_line_that_was_cut_off_costs_only_itself(tmp_path, kept):
    path = tmp_path / 'manifest.jsonl'
    manifest = Manifest(path)
    manifest.add(result('a', state=State.DONE))
    whole = path.read_bytes()
    manifest.add(result('b', state=State.DONE))
    path.write_bytes(whole + path.read_bytes()[len(whole) :][: 1 + kept])
    manifest.add(result('c', state=State.DONE))
    manifest.close()

    assert sorted(Manifest(path).results) == ['a', 'c']


def test_only_disks_and_nodes_are_no_fault_of_the_recording():
    assert {cause for cause in Cause if cause.passes} == {Cause.DISK, Cause.NODE}
