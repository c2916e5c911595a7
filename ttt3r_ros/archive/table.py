# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The manifest as a Parquet table, for pandas, DuckDB and Spark, where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from importlib.util import find_spec
import json
from pathlib import Path
from typing import Any

from ttt3r_ros.archive.results import Result
from ttt3r_ros.atomic import atomic_file

TABLE = 'manifest.parquet'
FIGURES = (
    'duration_s', 'length_m', 'frames', 'skipped', 'mapping_fps', 'loops', 'lost_share',
    'voxels', 'ate_m', 'ate_sim3_m', 'scale',
)  # fmt: skip


def write_table(folder: Path, results: Iterable[Result]) -> None:
    """
    Write manifest.parquet, a row for each recording and a column for each figure.

    :param folder: of the archive.
    :raises OutputError: when it cannot be written.
    """
    if find_spec('pyarrow') is None:
        return
    import pyarrow
    import pyarrow.parquet

    ordered = sorted(results, key=lambda result: result.name)
    table = pyarrow.Table.from_pylist([_row(result) for result in ordered], _schema(pyarrow))
    with atomic_file(folder / TABLE) as file:
        pyarrow.parquet.write_table(table, file)


def _row(result: Result) -> dict[str, Any]:
    row = asdict(result)
    figures = row.pop('figures')
    row |= {'state': result.state.value, 'cause': result.cause.value}
    return row | {name: figures.get(name) for name in FIGURES} | {'figures': json.dumps(figures)}


def _schema(pyarrow: Any) -> Any:
    """Return the types of the columns, which do not depend on what the rows happen to hold."""
    empty = _row(Result('', ''))
    counts = ('frames', 'skipped', 'loops', 'voxels', 'attempts')

    def kind(name: str) -> Any:
        if name in counts:
            return pyarrow.int64()
        is_number = name in FIGURES or name in ('fps', 'seconds')
        return pyarrow.float64() if is_number else pyarrow.string()

    return pyarrow.schema([(name, kind(name)) for name in empty])
