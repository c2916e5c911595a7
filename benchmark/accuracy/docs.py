# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Copy the results of benchmark.accuracy into the documentation.

In docs/*.md everything between `<!-- accuracy: PART -->` and `<!-- end of PART -->` is replaced by
PART.md, its tables without padding; its pictures are copied to docs/images. A part that was not
measured is not changed.

Example:
  python -m benchmark.accuracy.docs

"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import functools
from pathlib import Path
import re
import shutil
import sys

from ttt3r_ros.atomic import atomic_file

DOCS = Path(__file__).parents[2] / 'docs'
MEASURED = Path('runs/accuracy')
BLOCK = re.compile(r'(<!-- accuracy: (\w+) -->\n).*?(<!-- end of \2 -->)', re.DOTALL)
PICTURE = re.compile(r'\]\((\w+\.png)\)')
ROW = re.compile(r'^\|.*\|$', re.MULTILINE)
RULE = re.compile('--+(:?)')


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite the blocks of every page, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.accuracy.docs',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'measured',
        type=Path,
        nargs='?',
        default=MEASURED,
        help='the --out of benchmark.accuracy (default: %(default)s)',
    )
    parser.add_argument('--docs', type=Path, default=DOCS, help='folder (default: docs)')
    arguments = parser.parse_args(argv)
    for page in sorted(arguments.docs.glob('*.md')):
        text = page.read_text()
        new = BLOCK.sub(functools.partial(_fill, page=page, measured=arguments.measured), text)
        if new != text:
            with atomic_file(page) as file:
                file.write(new.encode())
    return 0


def _fill(block: re.Match[str], page: Path, measured: Path) -> str:
    begin, part, end = block.groups()
    source = measured / f'{part}.md'
    if not source.exists():
        print(f'{page.name}: {part} stays as it is, there is no {source}')
        return block[0]
    text = source.read_text()
    images = page.parent / 'images'
    for picture in PICTURE.findall(text):
        images.mkdir(exist_ok=True)
        shutil.copyfile(measured / picture, images / picture)
    print(f'{page.name}: {part}')
    text = ROW.sub(_without_padding, PICTURE.sub(r'](images/\1)', text))
    return begin + text + '\n' + end


def _without_padding(row: re.Match[str]) -> str:
    """Return a row of a table, or the rule below its head, as short as Markdown allows."""
    cells = [cell.strip() for cell in row[0][1:-1].split('|')]
    if all(map(RULE.fullmatch, cells)):
        cells = [RULE.sub(r'---\1', cell) for cell in cells]
    return f'|{"|".join(cells)}|'


if __name__ == '__main__':
    sys.exit(main())
