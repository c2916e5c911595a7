# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import asdict
import json

import pytest

from ttt3r_ros.archive.finding import find_recordings, ListError
from ttt3r_ros.archive.recording import is_url, Recording
from ttt3r_ros.archive.results import Result


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'')


@pytest.fixture
def year(tmp_path):
    """Create a folder with a recording of every kind, and what is none."""
    folder = tmp_path / 'year'
    for name in (
        'monday/lobby/metadata.yaml',
        'monday/lobby/lobby_0.mcap',
        'monday/loose/one.mcap',
        'monday/loose/two.db3',
        'monday/loose/two.groundtruth.txt',
        'old.bag',
        'sequence/timestamps.txt',
        'sequence/video.mp4',
        'frames/timestamps.txt',
        'frames/frames/0.png',
        'tum/rgb.txt',
        'tum/rgb/1.5.png',
        'pictures/a.JPG',
        'walk.MP4',
        'simulated/bag/metadata.yaml',
        'simulated/groundtruth.txt',
        'simulated/depth/000000.png',
        'notes.txt',
        '.trash/gone.mp4',
        'empty/readme.md',
    ):
        touch(folder / name)
    return folder


def test_a_folder_holds_every_kind_of_recording_once(year):
    found = find_recordings(str(year))

    assert {recording.name: recording.input for recording in found} == {
        'frames': f'{year}/frames',
        'monday__lobby': f'{year}/monday/lobby',
        'monday__loose__one.mcap': f'{year}/monday/loose/one.mcap',
        'monday__loose__two.db3': f'{year}/monday/loose/two.db3',
        'old.bag': f'{year}/old.bag',
        'pictures': f'{year}/pictures',
        'sequence': f'{year}/sequence',
        'simulated__bag': f'{year}/simulated/bag',
        'tum': f'{year}/tum',
        'walk.MP4': f'{year}/walk.MP4',
    }
    truths = {recording.name: recording.groundtruth for recording in found}
    assert truths.pop('monday__loose__two.db3') == f'{year}/monday/loose/two.groundtruth.txt'
    assert truths.pop('simulated__bag') == f'{year}/simulated/groundtruth.txt'
    assert set(truths.values()) == {''}
    assert [recording.name for recording in found] == sorted(
        truths.keys() | {'monday__loose__two.db3', 'simulated__bag'}
    )


def test_a_folder_that_is_a_recording_is_one(year):
    (recording,) = find_recordings(str(year / 'monday' / 'lobby'))

    assert recording == Recording('lobby', f'{year}/monday/lobby')


def test_a_bucket_is_listed_by_url_and_its_recordings_stay_urls():
    import fsspec

    bucket = fsspec.filesystem('memory')
    for name in ('drives/a/metadata.yaml', 'drives/a/a_0.mcap', 'drives/b.mcap'):
        bucket.pipe(f'/bucket/{name}', b'')

    found = find_recordings('memory://bucket/drives')

    assert [(r.name, r.input) for r in found] == [
        ('a', 'memory:///bucket/drives/a'),
        ('b.mcap', 'memory:///bucket/drives/b.mcap'),
    ]
    assert all(is_url(recording.input) for recording in found)


def test_a_list_may_be_lines_or_json_and_paths_start_from_it(tmp_path):
    listed = tmp_path / 'list.jsonl'
    listed.write_text(
        '# Monday\n'
        'drives/one.mcap\n'
        '\n'
        '{"input": "s3://bucket/two", "name": "second", "topic": "/front", "fps": 5}\n'
        '{"input": "/data/three", "groundtruth": "truth/three.txt"}\n'
    )

    assert find_recordings(str(listed)) == [
        Recording('one.mcap', f'{tmp_path}/drives/one.mcap'),
        Recording('second', 's3://bucket/two', topic='/front', fps=5.0),
        Recording('three', '/data/three', groundtruth=f'{tmp_path}/truth/three.txt'),
    ]


def test_the_manifest_of_a_run_is_a_list(tmp_path):
    recording = Recording('a', '/data/a', topic='/front')
    listed = tmp_path / 'manifest.jsonl'
    listed.write_text(Result.of(recording, 'abc', attempts=3).line() + '\n')

    assert find_recordings(str(listed)) == [recording]


@pytest.mark.parametrize(
    ('line', 'said'),
    [
        ('{"input": "a", "tpoic": "/front"}', 'no field tpoic'),
        ('{"name": "a"}', 'the field input is missing'),
        ('{"input": "a", "fps": "5"}', "fps is '5', needed is float"),
        ('{"input": 5}', 'input is 5, needed is str'),
        ('{"input": "a", "name": "../a"}', 'cannot be that of a folder'),
        ('{"input": "a"', 'line 2'),
        ('other/good', 'are both called'),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path, line, said):
    listed = tmp_path / 'list.txt'
    listed.write_text(f'good\n{line}\n')

    with pytest.raises(ListError, match=said):
        find_recordings(str(listed))


@pytest.mark.parametrize('source', ['nothing', 'list.mcap', 's9://bucket/x', 'empty'])
def test_what_is_no_list_and_no_folder_of_recordings_is_refused_in_one_line(tmp_path, source):
    (tmp_path / 'list.mcap').write_text('')
    (tmp_path / 'empty').mkdir()
    name = source if is_url(source) else str(tmp_path / source)

    with pytest.raises(ListError) as raised:
        find_recordings(name)

    assert source in str(raised.value)
    assert '\n' not in str(raised.value)


def test_odd_names_become_names_of_folders(tmp_path):
    touch(tmp_path / 'year' / 'Büro 3. Stock' / '_tür #2.mp4')

    (recording,) = find_recordings(str(tmp_path / 'year'))

    assert recording.name == 'Büro_3._Stock___tür__2.mp4'
    assert json.loads(json.dumps(asdict(recording)))['input'].endswith('_tür #2.mp4')
