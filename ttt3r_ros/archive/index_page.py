# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The page of an archive for people: one file of HTML with a table and pictures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ttt3r_ros.archive.results import FAILED_LOGS, RECORDINGS, Result, State, THUMBNAIL
from ttt3r_ros.atomic import atomic_file

PAGE = 'index.html'
# So many pictures are inside of the page, about 15 kB each; further ones are linked.
MOST_PICTURES = 1000

HEAD = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Archive of maps</title>
<style>
body { font: 15px system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
table { border-collapse: collapse; margin-bottom: 2em }
th, td { padding: .35em .7em; text-align: right; border-bottom: 1px solid #ddd }
th { cursor: pointer; position: sticky; top: 0; background: #fff; white-space: nowrap }
th:first-child, td:first-child, .text { text-align: left }
td.text { max-width: 60em; overflow-wrap: anywhere }
img { width: 320px; display: block }
</style>
<h1>Archive of maps</h1>
"""
# A click on a heading sorts by it; numbers by value, what has none last.
FOOT = """<script>
for (const head of document.querySelectorAll('th')) head.onclick = () => {
  const body = head.closest('table').tBodies[0], column = head.cellIndex;
  const up = head.dataset.up = head.dataset.up === '1' ? '0' : '1';
  const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const empty = text => text === '' || text === '-';
  [...body.rows].sort((a, b) => {
    const x = key(a), y = key(b);
    if (empty(x) || empty(y)) return empty(x) - empty(y);
    const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return up === '1' ? order : -order;
  }).forEach(row => body.append(row));
};
</script>
</html>
"""


def _seconds(value: float) -> str:
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{seconds:02}'


# Heading, name of the figure, and how it is written.
COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ('duration', 'duration_s', _seconds),
    ('length', 'length_m', lambda value: f'{value:.1f} m'),
    ('ATE', 'ate_m', lambda value: f'{value:.3f} m'),
    ('loops', 'loops', str),
    ('lost', 'lost_share', lambda value: f'{100 * value:.1f} %'),
    ('speed', 'mapping_fps', lambda value: f'{value:.1f} fps'),
    ('frames', 'frames', str),
    ('skipped', 'skipped', str),
)


def write_index(folder: Path, results: Iterable[Result], waiting: int) -> None:
    """
    Write the page.

    :param folder: of the archive.
    :param results: of its recordings.
    :param waiting: number of recordings that are still to do.
    :raises OutputError: when it cannot be written.
    """
    ordered = sorted(results, key=lambda result: result.name)
    done = [result for result in ordered if result.state is State.DONE]
    failed = [result for result in ordered if result.state is State.FAILED]
    with atomic_file(folder / PAGE) as file:

        def write(text: str) -> None:
            file.write(text.encode('utf-8', 'replace'))

        write(HEAD)
        write(f'<p>{escape(_summary(done, len(failed), waiting))}</p>\n')
        if failed:
            write('<h2>Failed</h2>\n<table><thead><tr><th>recording<th>cause<th class="text">why')
            write('<th>attempts</thead>\n<tbody>\n')
            for result in failed:
                write(_failed_row(result))
            write('</tbody></table>\n')
        if done:
            write('<h2>Maps</h2>\n<table><thead><tr><th>recording<th>map')
            write(''.join(f'<th>{heading}' for heading, _, _ in COLUMNS))
            write('</thead>\n<tbody>\n')
            for number, result in enumerate(done):
                write(_done_row(folder, result, number < MOST_PICTURES))
            write('</tbody></table>\n')
        write(FOOT)


def _summary(done: list[Result], failed: int, waiting: int) -> str:
    seconds = sum(result.figures.get('duration_s', 0.0) for result in done)
    metres = sum(result.figures.get('length_m', 0.0) for result in done)
    return (
        f'{len(done)} recordings mapped ({_seconds(seconds)} h, {metres / 1000:.2f} km), '
        f'{failed} failed, {waiting} still to do'
    )


def _failed_row(result: Result) -> str:
    log = quote(f'{FAILED_LOGS}/{result.name}.txt')
    return (
        f'<tr><td><a href="{log}" title="{escape(result.input)}">{escape(result.name)}</a>'
        f'<td>{result.cause.value}<td class="text">{escape(result.reason)}'
        f'<td>{result.attempts}\n'
    )


def _done_row(folder: Path, result: Result, embedded: bool) -> str:
    place = quote(f'{RECORDINGS}/{result.name}')
    row = (
        f'<tr><td><a href="{place}/" title="{escape(result.input)}">{escape(result.name)}</a>'
        f'<td>{_picture(folder, result, place, embedded)}'
    )
    for _, name, written in COLUMNS:
        value = result.figures.get(name)
        row += '<td>-' if value is None else f'<td data-value="{value}">{escape(written(value))}'
    return row + '\n'


def _picture(folder: Path, result: Result, place: str, embedded: bool) -> str:
    path = folder / RECORDINGS / result.name / THUMBNAIL
    try:
        source = f'{place}/{THUMBNAIL}'
        if embedded:
            source = f'data:image/jpeg;base64,{b64encode(path.read_bytes()).decode()}'
    except OSError:
        return '-'
    return f'<a href="{place}/preview.png"><img loading="lazy" alt="" src="{source}"></a>'
