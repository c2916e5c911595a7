# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Write the tables of docs/node.md from those of the node, between their markers.

    python3 -m scripts.node_page
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
import re
from typing import Any

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from ttt3r_ros.node.interface import (
    Cause,
    DiagnosticKey,
    DROPPED_KEY,
    PUBLISHED,
    SERVICES,
    State,
    SUBSCRIBED,
    Topic,
)

PAGE = Path(__file__).resolve().parent.parent / 'docs' / 'node.md'

OF_IMAGES = '`image_qos`'


def page(text: str) -> str:
    """
    Return the text of the page with its tables written again.

    :param text: of the page; each table stands between `<!-- NAME -->` and `<!-- end -->`.
    :raises ValueError: when a table has not one pair of markers.
    """
    for name, table in TABLES.items():
        begin = f'<!-- {name}: written by scripts/node_page.py -->\n'
        between = re.compile(rf'({re.escape(begin)}).*?(<!-- end -->\n)', re.S)
        parts = between.split(text)
        if len(parts) != 4:
            raise ValueError(f'the page has not one place for the table of {name}')
        text = ''.join([*parts[:2], table(), *parts[2:]])
    return text


def _of_topics(topics: Iterable[Topic]) -> str:
    return _list((f'`{topic.name}` ({_of_messages(topic)})', topic.meaning) for topic in topics)


def _of_messages(topic: Topic) -> str:
    """Return type, encoding and quality of service of the messages."""
    words = [_type(topic.kind), *([topic.form] if topic.form else [])]
    if topic.qos is None:
        return ', '.join([*words, OF_IMAGES])
    reliable = topic.qos.reliability == ReliabilityPolicy.RELIABLE
    latched = topic.qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
    words += ['reliable' if reliable else 'best effort', *(['latched'] if latched else [])]
    return ', '.join(words)


def _of_services() -> str:
    rows = [[f'`{s.name}`', _type(s.kind), s.effect] for s in SERVICES]
    return _table(['service', 'type', 'effect'], rows)


def _of_states() -> str:
    return _list((f'**{state.name}** ({state.level_name})', state.when) for state in State)


def _of_keys() -> str:
    keys = [(f'`{key.text}`', key.meaning) for key in DiagnosticKey]
    return _list([*keys, (f'`{DROPPED_KEY.format("CAUSE")}`', 'images not mapped, by cause')])


def _of_causes() -> str:
    return _list((f'`{cause.text}`', cause.remedy) for cause in Cause)


def _type(kind: type[Any]) -> str:
    return f'{kind.__module__.partition(".")[0]}/{kind.__name__}'


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [f'|{"|".join(cells)}|' for cells in (columns, *rows)]
    lines.insert(1, '|' + '---|' * len(columns))
    return '\n'.join([*lines, ''])


def _list(items: Iterable[tuple[str, str]]) -> str:
    """Return a line for each meaning, headed by all names of it."""
    names: dict[str, list[str]] = {}
    for name, meaning in items:
        names.setdefault(meaning, []).append(name)
    return '\n'.join([*(f'- {", ".join(of)}: {meaning}' for meaning, of in names.items()), ''])


TABLES: dict[str, Callable[[], str]] = {
    'subscribed topics': lambda: _of_topics(SUBSCRIBED),
    'published topics': lambda: _of_topics(PUBLISHED),
    'services': _of_services,
    'states': _of_states,
    'keys': _of_keys,
    'causes': _of_causes,
}


if __name__ == '__main__':
    PAGE.write_text(page(PAGE.read_text()))
