# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import os
from pathlib import Path

import pytest

from ttt3r_ros.atomic import atomic_file, output_folder, OutputError


def fail_half_way(path, error):
    with atomic_file(path) as file:
        file.write(b'half')
        raise error


@pytest.mark.parametrize('error', [RuntimeError('a bug'), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / 'a.txt'
    path.write_text('old')

    with pytest.raises(type(error)):
        fail_half_way(path, error)

    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_error_of_the_user(tmp_path):
    with pytest.raises(OutputError, match='No space left'):
        fail_half_way(tmp_path / 'a.txt', OSError(28, 'No space left on device'))

    assert not list(tmp_path.iterdir())


def test_a_file_is_not_there_before_it_is_whole_and_has_the_usual_permissions(tmp_path):
    path = tmp_path / 'a.txt'

    with atomic_file(path) as file:
        file.write(b'new')
        assert not path.exists()

    other = tmp_path / 'b.txt'
    other.write_text('by hand')
    assert path.read_bytes() == b'new'
    assert os.stat(path).st_mode == os.stat(other).st_mode


def make_then_fail(folder: Path, leave: str = ''):
    with output_folder(folder):
        if leave:
            (folder / leave).write_text('kept')
        raise RuntimeError


def test_a_folder_made_for_nothing_goes_again_with_its_parents(tmp_path):
    with pytest.raises(RuntimeError):
        make_then_fail(tmp_path / 'a' / 'b')

    assert not (tmp_path / 'a').exists()


def test_a_folder_that_holds_something_or_was_there_stays(tmp_path):
    (tmp_path / 'there').mkdir()

    for folder, leave in ((tmp_path / 'there', ''), (tmp_path / 'new', 'file')):
        with pytest.raises(RuntimeError):
            make_then_fail(folder, leave)
        assert folder.is_dir()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')

    with pytest.raises(OutputError, match='choose another'), output_folder(tmp_path / 'file'):
        pass
