# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A run over an archive; a cluster without Ray answers as the test wants."""

from dataclasses import replace
import io
import json
from pathlib import Path

import pytest
from tqdm import tqdm

from ttt3r_ros.archive import run
from ttt3r_ros.archive.folder import open_archive
from ttt3r_ros.archive.limited import Limits
from ttt3r_ros.archive.recording import Recording
from ttt3r_ros.archive.results import Cause, read_result, Result, State
from ttt3r_ros.archive.run import ArchiveRun, jobs_to_do, Orders, SettingsDiffer
from ttt3r_ros.archive.task import Lost
from ttt3r_ros.atomic import OutputError

RECORDINGS = [Recording(name, f'/data/{name}') for name in 'abcd']
ORDERS = Orders({'map.voxel_size': 0.05}, (), Limits(10**9, 60.0))


class FakeCluster:
    """Answers a job at once by what `answer` returns for it; writes results as a node does."""

    def __init__(self, answer):
        self._answer = answer
        self.begun = []
        self.cancelled = []

    def slots(self):
        return 1

    def submit(self, job):
        self.begun.append(job.recording.name)
        return job

    def ended(self, references, seconds):
        job = next(iter(references))
        answer = self._answer(job)
        if isinstance(answer, Result) and answer.state is State.DONE:
            write_result(job.output, answer)
        yield job, answer

    def cancel(self, references):
        self.cancelled = [job.recording.name for job in references]


def write_result(output, result):
    folder = Path(output) / 'recordings' / result.name
    folder.mkdir(parents=True)
    (folder / 'result.json').write_text(result.line())


def done(job):
    return job.result(state=State.DONE, figures={'duration_s': 60.0, 'length_m': 5.0})


def failed(job, cause):
    state = State.WAITING if cause.passes else State.FAILED
    return job.result(state=state, cause=cause, reason=f'because of {cause.value}')


def perform(folder, answer, orders=ORDERS, recordings=RECORDINGS, wants_end=lambda: False):
    cluster = FakeCluster(answer)
    with open_archive(folder) as archive:
        jobs = jobs_to_do(archive, recordings, orders)
        progress = tqdm(total=len(recordings), file=io.StringIO())
        tally = ArchiveRun(archive, recordings, orders, cluster, progress).run(jobs, wants_end)
    return cluster, tally


def manifest(folder):
    lines = (folder / 'manifest.jsonl').read_text().splitlines()
    return {result.name: result for result in map(read_result, filter(None, lines))}


def test_all_are_done_once_and_a_second_run_does_nothing(tmp_path):
    cluster, tally = perform(tmp_path, done)
    again, tally_again = perform(tmp_path, done)

    assert cluster.begun == ['a', 'b', 'c', 'd']
    assert again.begun == []
    assert (tally.done, tally.failed, tally.waiting, tally.stopped) == (4, 0, 0, '')
    assert tally_again == tally
    lines = (tmp_path / 'manifest.jsonl').read_text().splitlines()
    assert [json.loads(line)['name'] for line in lines] == list('abcd')


def test_a_bad_recording_is_reported_and_stops_none(tmp_path):
    def answer(job):
        return failed(job, Cause.INPUT) if job.recording.name == 'b' else done(job)

    _, tally = perform(tmp_path, answer)
    again, _ = perform(tmp_path, answer)
    asked, _ = perform(tmp_path, done, replace(ORDERS, retries_failed=True))

    assert (tally.done, tally.failed) == (3, 1)
    assert again.begun == []
    assert asked.begun == ['b']


def test_a_recording_whose_node_is_lost_is_begun_again_and_not_for_ever(tmp_path):
    def answer(job):
        name = job.recording.name
        if name == 'a' or (name == 'b' and job.attempt < 3):
            return Lost('WorkerCrashedError: gone')
        return failed(job, Cause.NODE) if name == 'c' and job.attempt < 2 else done(job)

    cluster, tally = perform(tmp_path, answer)
    again, _ = perform(tmp_path, done)

    assert sorted(cluster.begun) == ['a', 'a', 'a', 'b', 'b', 'b', 'c', 'c', 'd']
    assert (tally.done, tally.failed, tally.waiting) == (3, 0, 1)
    assert manifest(tmp_path)['b'].attempts == 3
    assert again.begun == ['a']


def test_a_full_disk_stops_the_run_at_once_and_the_next_one_goes_on(tmp_path):
    def answer(job):
        return failed(job, Cause.DISK) if job.recording.name == 'b' else done(job)

    cluster, tally = perform(tmp_path, answer)
    again, tally_again = perform(tmp_path, done)

    assert tally.stopped == 'because of disk'
    assert (tally.done, tally.waiting) == (1, 3)
    assert cluster.cancelled == ['c', 'd']
    assert again.begun == ['b', 'c', 'd']
    assert tally_again.done == 4


def test_a_cluster_on_which_everything_fails_is_not_tried_for_ever(tmp_path):
    many = [Recording(f'r{i}', f'/data/{i}') for i in range(100)]

    cluster, tally = perform(tmp_path, lambda job: Lost('NodeDiedError'), recordings=many)

    assert f'{run.MOST_NODE_FAILURES} attempts in a row failed' in tally.stopped
    assert len(cluster.begun) < 2 * run.MOST_NODE_FAILURES
    assert tally.waiting == 100


def test_a_user_who_ends_the_run_loses_only_what_runs(tmp_path):
    answers = []

    def answer(job):
        answers.append(job)
        return done(job)

    cluster, tally = perform(tmp_path, answer, wants_end=lambda: len(answers) == 2)

    assert (tally.done, tally.waiting, tally.stopped) == (2, 2, 'interrupted')
    assert cluster.cancelled == ['c', 'd']


def test_a_result_that_a_killed_driver_did_not_write_down_is_found(tmp_path):
    perform(tmp_path, done, recordings=RECORDINGS[:2])
    (tmp_path / 'manifest.jsonl').unlink()
    (tmp_path / '.work' / 'x').mkdir(parents=True)

    cluster, tally = perform(tmp_path, done)

    assert cluster.begun == ['c', 'd']
    assert tally.done == 4
    assert sorted(manifest(tmp_path)) == list('abcd')
    assert not (tmp_path / '.work').exists()


def test_a_result_whose_folder_was_removed_is_made_again(tmp_path):
    perform(tmp_path, done)
    (tmp_path / 'recordings' / 'b' / 'result.json').unlink()
    (tmp_path / 'recordings' / 'b').rmdir()

    cluster, _ = perform(tmp_path, done)

    assert cluster.begun == ['b']


def test_results_of_other_settings_are_neither_mixed_nor_replaced_unasked(tmp_path):
    perform(tmp_path, done, recordings=RECORDINGS[:2])
    other = replace(ORDERS, settings={'map.voxel_size': 0.1})

    with open_archive(tmp_path) as archive:
        with pytest.raises(SettingsDiffer, match='other settings or inputs'):
            jobs_to_do(archive, RECORDINGS, other)
        jobs = jobs_to_do(archive, RECORDINGS, replace(other, replaces=True))

    assert [(job.recording.name, job.replaces) for job in jobs] == [
        ('a', True),
        ('b', True),
        ('c', False),
        ('d', False),
    ]


@pytest.mark.parametrize(
    'other', [{'input': '/elsewhere/a'}, {'topic': '/left'}, {'fps': 3.0}, {'intrinsics': '/c'}]
)
def test_the_hash_depends_on_all_that_the_result_does(other):
    recording = Recording('a', '/data/a', topic='/front')

    assert ORDERS.hash_of(recording) == ORDERS.hash_of(replace(recording, name='b'))
    assert ORDERS.hash_of(recording) != ORDERS.hash_of(replace(recording, **other))


def test_two_runs_never_write_into_one_archive(tmp_path):
    with (
        open_archive(tmp_path),
        pytest.raises(OutputError, match='another run writes into'),
        open_archive(tmp_path),
    ):
        pass
    with open_archive(tmp_path):
        pass
