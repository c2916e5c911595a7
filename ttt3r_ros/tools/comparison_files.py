# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The files of a comparison: table, plot and a page with the maps side by side."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
import csv
from functools import reduce
from html import escape
import io
from itertools import zip_longest
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.evaluation.comparison import compare, Compared, grouped_doubts
from ttt3r_ros.evaluation.errors import EvaluationError
from ttt3r_ros.evaluation.plots import draw_estimates, line_of, STATIC
from ttt3r_ros.tools.comparison_maps import draw_map_of, frame_of
from ttt3r_ros.tools.comparison_run import RunResult
from ttt3r_ros.trajectory import Trajectory

# Columns of compare.csv, and their heads in the table.
COLUMNS = {
    'run': 'run',
    'frames': 'images',
    'ate_se3_m': 'ATE SE(3) [m]',
    'ate_sim3_m': 'ATE Sim(3) [m]',
    'scale': 'scale',
    'rpe_m': 'RPE [m]',
    'rpe_deg': 'RPE [deg]',
    'abs_rel': 'AbsRel',
    'abs_rel_scaled': 'AbsRel scaled',
    'fps': 'fps',
    'path_m': 'path [m]',
}
DIGITS = {'fps': 1, 'path_m': 2, 'scale': 3}

HIDDEN = (
    'features, key frames and loops give all runs nearly the same path, whatever the rule: '
    '--as-published compares the rules alone'
)

# Of the viewer, where it is installed.
PAGE_OF_MAP = 'map.html'

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem;
  padding: 0 1rem; color: #222; background: #fff; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
td, th {{ padding: .3rem .7rem; border-bottom: 1px solid #ccc; text-align: right; }}
td:first-child, th:first-child {{ text-align: left; }}
td.best {{ font-weight: bold; }}
.maps {{ display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); }}
figure {{ margin: 0; }} img {{ max-width: 100%; }}
figcaption {{ font-size: .9rem; color: #444; }}
.doubt {{ color: #8a4b00; }}
</style></head><body>
<h1>{title}</h1>
<p>{intro}</p>
{table}
{doubts}
{plot}
<h2>Maps</h2>
<p>From above, each in the frame of its first camera and at the same scale; in colour the
estimated path{truth}.</p>
<div class="maps">{maps}</div>
</body></html>
"""


def write_comparison(
    folder: Path,
    source: str,
    results: Sequence[RunResult],
    truth: Trajectory | None,
    planned: int,
) -> tuple[Table, list[str]]:
    """
    Write compare.csv, compare.json, errors.png and index.html.

    :param folder: exists.
    :param source: name of the input.
    :param results: of at least one run.
    :param truth: world_T_camera, or None.
    :param planned: runs that were asked for.
    :returns: the table; why its numbers may mean nothing or little, in sentences.
    :raises OutputError: when a file cannot be written.
    """
    common = reduce(np.intersect1d, [one.trajectory.stamps_ns for one in results])
    compared, why_not = _compared(results, common, truth)
    rows = [_row(one, errors) for one, errors in zip_longest(results, compared)]
    if compared:
        rows.append({'run': STATIC, 'ate_se3_m': compared[0].static})
    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    table = Table(
        _caption(source, results, len(common), planned) + why_not,
        [COLUMNS[name] for name in columns],
        [[_cell(name, row.get(name)) for name in columns] for row in rows],
    )
    with atomic_file(folder / 'compare.csv') as file:
        file.write(_csv(columns, rows).encode())
    record = _record(source, results, compared, len(common))
    with atomic_file(folder / 'compare.json') as file:
        file.write((json.dumps(record, indent=2) + '\n').encode())
    plot = b''
    if compared:
        plot = _drawn(compared)
        with atomic_file(folder / 'errors.png') as file:
            file.write(plot)
    doubts = [*grouped_doubts(compared), *_doubts_of_rules(results)]
    with atomic_file(folder / 'index.html') as file:
        file.write(_page(folder, source, table, results, compared, plot, doubts).encode())
    return table, doubts


def _compared(
    results: Sequence[RunResult], common: NDArray[np.int64], truth: Trajectory | None
) -> tuple[list[Compared], str]:
    """Return the errors of all runs; where there are none, why, as the end of a sentence."""
    if truth is None:
        return [], '; no ground truth'
    try:
        return [compare(one.name, _at(one.trajectory, common), truth) for one in results], ''
    except EvaluationError as error:  # hours of mapping are not lost for it
        return [], f'; no errors: {error}'


def _doubts_of_rules(results: Sequence[RunResult]) -> list[str]:
    """Recognise runs whose paths hardly depend on the rule."""
    fronts = {one.summary['settings']['tracking']['front_end'] for one in results}
    return [HIDDEN] if len(results) > 1 and fronts == {'features'} else []


def _at(trajectory: Trajectory, stamps_ns: NDArray[np.int64]) -> Trajectory:
    which = np.isin(trajectory.stamps_ns, stamps_ns)
    return Trajectory(trajectory.stamps_ns[which], trajectory.poses[which])


def _row(result: RunResult, errors: Compared | None) -> dict[str, Any]:
    row: dict[str, Any] = {'run': result.name, 'frames': len(result.trajectory)}
    if errors is not None:
        row |= {
            'ate_se3_m': errors.errors.ate.rmse,
            'rpe_m': errors.errors.rpe_translation.rmse,
            'rpe_deg': errors.errors.rpe_rotation.rmse,
        }
        if errors.scaled is not None:
            row |= {
                'ate_sim3_m': errors.scaled.ate.rmse,
                'scale': errors.scaled.alignment.scale,
            }
    if result.depth is not None:
        metric, scaled = result.depth
        row |= {'abs_rel': metric.abs_rel, 'abs_rel_scaled': scaled.abs_rel}
    return row | {'fps': result.summary['fps'], 'path_m': result.summary['path_m']}


def _cell(name: str, value: Any) -> str:
    if value is None:
        return '-'
    return f'{value:.{DIGITS.get(name, 4)}f}' if isinstance(value, float) else str(value)


def _caption(source: str, results: Sequence[RunResult], common: int, planned: int) -> str:
    checkpoint, device = results[0].summary['checkpoint']['name'], results[0].summary['device']
    missing = planned - len(results)
    cut = f'; {missing} of {planned} runs were not finished' if missing else ''
    name = Path(os.path.realpath(source)).name
    return f'{name}: {common} images that all runs have mapped, {checkpoint} on {device}{cut}'


def _csv(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _record(
    source: str, results: Sequence[RunResult], compared: Sequence[Compared], common: int
) -> dict[str, Any]:
    runs = []
    for number, one in enumerate(results):
        run: dict[str, Any] = {'name': one.name, 'summary': one.summary}
        if compared:
            run['errors'] = compared[number].record('se3')
        if one.depth is not None:
            metric, scaled = one.depth
            run['depth'] = {'metric': metric.abs_rel, 'scaled': scaled.abs_rel}
        runs.append(run)
    return {'input': source, 'common_images': common, 'runs': runs}


def _drawn(compared: Sequence[Compared]) -> bytes:
    file = io.BytesIO()
    draw_estimates(file, compared)
    return file.getvalue()


def _page(
    folder: Path,
    source: str,
    table: Table,
    results: Sequence[RunResult],
    compared: Sequence[Compared],
    plot: bytes,
    doubts: Sequence[str],
) -> str:
    frame = frame_of(results)
    maps = []
    for number, one in enumerate(results):
        errors = compared[number] if compared else None
        picture = _image(draw_map_of(one, errors, frame, line_of(number)), f'map of {one.name}')
        caption = errors.legend() if errors else f'{one.name}: {one.summary["path_m"]:.2f} m'
        maps.append(
            f'<figure>{picture}<figcaption>{escape(caption)} {_links(folder, one.name)}'
            '</figcaption></figure>'
        )
    return PAGE.format(
        title=escape(f'{Path(os.path.realpath(source)).name}: update rules compared'),
        intro=escape(f'{table.caption}; {results[0].summary["beyond_published"]}'),
        table=_html(table),
        doubts=''.join(f'<p class="doubt">{escape(doubt)}</p>' for doubt in doubts),
        plot=_image(plot, 'paths and position errors over time') if plot else '',
        truth=', in grey the true one' if compared else '',
        maps=''.join(maps),
    )


def _links(folder: Path, name: str) -> str:
    """Return links to the files of a run, and to its map in 3D where there is one."""
    links = [f'<a href="{escape(name)}/">files</a>']
    if (folder / name / PAGE_OF_MAP).is_file():
        links.append(f'<a href="{escape(name)}/{PAGE_OF_MAP}">in 3D</a>')
    return f'({", ".join(links)})'


def _html(table: Table) -> str:
    head = ''.join(f'<th>{escape(cell)}</th>' for cell in table.head)
    body = ''.join(
        '<tr>' + ''.join(f'<td>{escape(cell)}</td>' for cell in row) + '</tr>'
        for row in table.rows
    )
    return f'<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _image(png: bytes, what: str) -> str:
    return f'<img alt="{escape(what)}" src="data:image/png;base64,{b64encode(png).decode()}">'
