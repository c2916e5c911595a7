# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from html.parser import HTMLParser

import pytest

from ttt3r_ros.archive import index_page
from ttt3r_ros.archive.index_page import write_index
from ttt3r_ros.archive.recording import Recording
from ttt3r_ros.archive.results import Cause, Result, State
from ttt3r_ros.archive.table import write_table

FIGURES = {
    'duration_s': 3725.4,
    'length_m': 812.26,
    'ate_m': 0.1234,
    'loops': 7,
    'lost_share': 0.025,
    'mapping_fps': 12.34,
    'frames': 40000,
    'skipped': 3,
    'voxels': 5,
}


def done(name, **figures):
    recording = Recording(name, f'/data/{name}')
    return Result.of(recording, 'hash', state=State.DONE, figures={**FIGURES, **figures})


def failed(name, reason):
    recording = Recording(name, f'/data/{name}')
    return Result.of(recording, 'hash', state=State.FAILED, cause=Cause.INPUT, reason=reason)


class Page(HTMLParser):
    """Collects the cells of each row, and what the page refers to."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.references = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == 'tr':
            self.rows.append([])
        elif tag in ('td', 'th'):
            self.rows[-1].append('')
        self.references += [value for name, value in attributes if name in ('src', 'href')]

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def page_of(folder):
    return Page((folder / 'index.html').read_text())


@pytest.fixture
def folder(tmp_path):
    for name in ('one', 'two'):
        (tmp_path / 'recordings' / name).mkdir(parents=True)
        (tmp_path / 'recordings' / name / 'thumbnail.jpg').write_bytes(b'picture')
    return tmp_path


def test_the_page_has_the_figures_of_every_map_and_the_cause_of_every_failure(folder):
    write_index(folder, [failed('bad', 'is no video'), done('two', ate_m=None), done('one')], 4)

    page = page_of(folder)

    cells = {row[0]: row[1:] for row in page.rows}
    assert cells['one'] == [
        '', '1:02:05', '812.3 m', '0.123 m', '7', '2.5 %', '12.3 fps', '40000', '3',
    ]  # fmt: skip
    assert cells['two'][3] == '-'
    assert cells['bad'][:2] == ['input', 'is no video']
    assert (
        '2 recordings mapped (2:04:11 h, 1.62 km), 1 failed, 4 still to do'
        in (folder / 'index.html').read_text()
    )


def test_the_page_needs_no_other_file_and_no_network_to_be_seen(folder):
    write_index(folder, [done('one'), done('two')], 0)

    pictures = [r for r in page_of(folder).references if not r.startswith('recordings/')]
    assert pictures == 2 * ['data:image/jpeg;base64,cGljdHVyZQ==']
    assert 'http' not in (folder / 'index.html').read_text()


def test_of_very_many_maps_the_pictures_are_linked(folder, monkeypatch):
    monkeypatch.setattr(index_page, 'MOST_PICTURES', 1)

    write_index(folder, [done('one'), done('two')], 0)

    assert 'recordings/two/thumbnail.jpg' in page_of(folder).references
    assert 'recordings/one/thumbnail.jpg' not in page_of(folder).references


def test_names_and_reasons_of_others_are_text_and_nothing_else(folder):
    odd = '<script>alert("1")</script>&\ud800'
    write_index(folder, [failed('a', odd)], 0)

    text = (folder / 'index.html').read_text()

    assert '<script>alert' not in text
    assert '&lt;script&gt;alert(&quot;1&quot;)' in text


def test_a_table_has_a_typed_column_for_each_figure(tmp_path):
    parquet = pytest.importorskip('pyarrow.parquet', reason='pyarrow is an option')
    write_table(tmp_path, [done('b'), failed('a', 'is no video'), done('c', ate_m=None)])

    table = parquet.read_table(tmp_path / 'manifest.parquet')

    rows = table.to_pylist()
    assert [row['name'] for row in rows] == ['a', 'b', 'c']
    assert [row['state'] for row in rows] == ['failed', 'done', 'done']
    assert [row['loops'] for row in rows] == [None, 7, 7]
    assert [row['ate_m'] for row in rows] == [None, 0.1234, None]
    assert str(table.schema.field('loops').type) == 'int64'
    assert str(table.schema.field('length_m').type) == 'double'
