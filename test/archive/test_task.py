# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One recording on a node; a small program stands for `ttt3r map`."""

from dataclasses import replace
import errno
import json
from pathlib import Path
import sys

import cv2
import numpy as np
import pytest

from ttt3r_ros.archive import task
from ttt3r_ros.archive.limited import Limits
from ttt3r_ros.archive.recording import Recording
from ttt3r_ros.archive.results import Cause, read_result, State
from ttt3r_ros.archive.task import Job, perform

# Walks along a line, and says so in the way of `ttt3r map`.
MAPPER = """
import json, os, signal, sys, time
words = sys.argv[1:]
folder = words[words.index('--output') + 1]
text = open(words[0]).read() if os.path.isfile(words[0]) else 'good'
exec(text if text != 'good' else '')
open(f'{folder}/words.json', 'w').write(json.dumps(words))
open(f'{folder}/map.ply', 'w').write('ply')
with open(f'{folder}/trajectory.txt', 'w') as file:
    for i in range(10):
        file.write(f'{i} {i * i} {i} 0 0 0 0 1\\n')
json.dump({
    'duration_s': 9.0, 'path_m': 4.5, 'frames': 10, 'skipped': 1, 'fps': 20.0, 'loops': 2,
    'lost_share': 0.25, 'voxels': 5, 'peak_memory_mb': {'resident': 1.0},
    'checkpoint': {'name': 'x', 'sha256': 'abc'}, 'versions': {'ttt3r_ros': '0'},
}, open(f'{folder}/summary.json', 'w'))
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Return the job of a recording that is a text file, of which the mapper makes a map."""
    mapper = tmp_path / 'mapper.py'
    mapper.write_text(MAPPER)
    monkeypatch.setattr(task, 'MAP_COMMAND', (sys.executable, str(mapper)))
    source, output = tmp_path / 'in.mp4', tmp_path / 'out'
    source.write_text('good')
    (output / 'recordings').mkdir(parents=True)
    (output / '.work').mkdir()
    return Job(
        Recording('in', str(source), topic='/front'),
        'hash',
        ('--frame-step=2',),
        Limits(2**30, 30.0),
        str(output),
        str(output / '.work'),
    )


def recorded(job, source):
    Path(job.recording.input).write_text(source)
    return perform(job)


def result_of(job):
    return Path(job.output) / 'recordings' / job.recording.name


def test_a_result_is_a_whole_folder_with_figures_and_words(job):
    result = perform(job)

    folder = result_of(job)
    assert (result.state, result.cause, result.attempts) == (State.DONE, Cause.NONE, 1)
    assert read_result((folder / 'result.json').read_text()).figures == result.figures
    assert result.figures['length_m'] == pytest.approx(4.5, abs=1e-9)
    assert (result.figures['loops'], result.figures['lost_share']) == (2, 0.25)
    assert 'ate_m' not in result.figures
    words = json.loads((folder / 'words.json').read_text())
    assert words[0] == job.recording.input
    assert words[3:] == ['--frame-step=2', '--topic=/front']
    assert list(Path(job.work).iterdir()) == []


@pytest.mark.parametrize('by_name', [False, True])
def test_a_truth_gives_the_error_after_alignment(job, tmp_path, by_name):
    # Twice as large, turned by a quarter and moved: the same path.
    lines = [f'{i} {5 - 2 * i} {2 * i * i} 1 0 0 0 1\n' for i in range(10)]
    folder = tmp_path / 'sequence'
    folder.mkdir()
    truth = (tmp_path if by_name else folder) / 'groundtruth.txt'
    truth.write_text(''.join(lines))
    recording = replace(
        job.recording, input=str(folder), groundtruth=str(truth) if by_name else ''
    )

    figures = perform(replace(job, recording=recording)).figures

    assert figures['ate_sim3_m'] == pytest.approx(0.0, abs=1e-3)
    assert figures['scale'] == pytest.approx(2.0, abs=1e-3)
    # Without a scale what is left is the path itself, about its middle.
    path = np.array([[i * i, i] for i in range(10)])
    spread = np.sqrt(np.mean(np.sum((path - path.mean(axis=0)) ** 2, axis=1)))
    assert figures['ate_m'] == pytest.approx(spread, abs=1e-3)


def test_a_truth_that_cannot_be_used_costs_no_map(job, tmp_path):
    recording = replace(job.recording, groundtruth=str(tmp_path / 'nothing.txt'))

    result = perform(replace(job, recording=recording))

    assert result.state is State.DONE
    assert 'nothing.txt' in result.figures['no_ate']


@pytest.mark.parametrize(
    ('source', 'cause', 'reason'),
    [
        ('sys.exit("ttt3r map: error: no image could be mapped")', 'input', 'no image could be'),
        ('os.kill(os.getpid(), signal.SIGSEGV)', 'input', 'crashed with SIGSEGV'),
        ('x = bytearray(b"1") * 2**30 * 2; time.sleep(9)', 'memory', '--memory-per-bag'),
        ('time.sleep(60)', 'time', '--time-per-bag'),
        ('os.kill(os.getpid(), signal.SIGKILL)', 'node', 'ended by SIGKILL'),
        ('sys.exit("error: cannot write map.ply: No space left on device")', 'disk', 'No space'),
    ],
)
def test_each_way_to_fail_has_its_cause_and_leaves_nothing_but_a_log(job, source, cause, reason):
    limited = replace(job, limits=Limits(2**30, 3.0))

    result = recorded(limited, source)

    assert (result.cause, reason in result.reason) == (cause, True), result.reason
    assert result.state is (State.WAITING if cause in ('node', 'disk') else State.FAILED)
    assert not result_of(job).exists()
    assert list(Path(job.work).iterdir()) == []
    assert (Path(job.output) / 'failed' / 'in.txt').exists()


def test_a_map_that_is_there_already_stays(job):
    perform(job)
    before = (result_of(job) / 'result.json').stat().st_mtime_ns

    result = perform(replace(job, attempt=2))

    assert (result.state, result.attempts) == (State.DONE, 1)
    assert (result_of(job) / 'result.json').stat().st_mtime_ns == before


def test_a_map_of_other_settings_gives_way_as_a_whole(job):
    perform(job)
    (result_of(job) / 'stray').write_text('')

    result = perform(replace(job, settings='other', replaces=True))

    assert result.settings == 'other'
    assert read_result((result_of(job) / 'result.json').read_text()).settings == 'other'
    assert not (result_of(job) / 'stray').exists()


def test_a_log_of_an_earlier_failure_goes_with_the_success(job):
    recorded(job, 'sys.exit(1)')
    assert (Path(job.output) / 'failed' / 'in.txt').exists()

    assert recorded(job, 'good').state is State.DONE
    assert not (Path(job.output) / 'failed' / 'in.txt').exists()


def test_a_node_that_does_not_share_the_output_says_so(job):
    Path(job.work).rmdir()

    result = perform(job)

    assert (result.state, result.cause) == (State.WAITING, Cause.NODE)
    assert 'all nodes share' in result.reason


def test_a_url_is_copied_to_the_node_and_its_copy_removed(job, tmp_path):
    scratch = tmp_path / 'scratch'
    scratch.mkdir()
    recording = replace(job.recording, input=Path(job.recording.input).as_uri())

    result = perform(replace(job, recording=recording, scratch=str(scratch)))

    assert result.state is State.DONE, result.reason
    words = json.loads((result_of(job) / 'words.json').read_text())
    assert words[0].startswith(f'{scratch}/')
    assert words[0].endswith('/in.mp4')
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ('url', 'reason'), [('file:///no/such.mp4', 'cannot fetch'), ('s9://x/y', 'not known: s9')]
)
def test_a_url_that_is_not_there_is_a_fault_of_the_recording(job, url, reason):
    result = perform(replace(job, recording=replace(job.recording, input=url)))

    assert (result.state, result.cause) == (State.FAILED, Cause.INPUT)
    assert reason in result.reason


def test_a_full_disk_at_the_last_step_is_no_fault_of_the_recording(job, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(task, 'write_thumbnail', full)

    result = perform(job)

    assert (result.state, result.cause) == (State.WAITING, Cause.DISK)
    assert not result_of(job).exists()


def test_the_thumbnail_is_a_small_picture_of_the_preview(tmp_path):
    picture = np.zeros((500, 1000, 3), np.uint8)
    picture[:, 500:] = 255
    cv2.imwrite(str(tmp_path / 'preview.png'), picture)

    task.write_thumbnail(tmp_path)

    small = cv2.imread(str(tmp_path / 'thumbnail.jpg'))
    assert small.shape == (160, 320, 3)
    assert small[80, 80].max() < 20
    assert small[80, 240].min() > 235
