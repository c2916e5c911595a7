# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What was measured gets into the documentation, and nothing else changes there."""

from pathlib import Path

from benchmark.accuracy.__main__ import PARTS
from benchmark.accuracy.docs import BLOCK, main

PAGE = 'Before.\n<!-- accuracy: short -->\nold\n<!-- end of short -->\nAfter.\n'


def pages(tmp_path):
    """Write documentation and a measured part with a picture."""
    docs, measured = tmp_path / 'docs', tmp_path / 'measured'
    docs.mkdir()
    measured.mkdir()
    (docs / 'page.md').write_text(PAGE)
    (measured / 'short.md').write_text('new \\1\n\n![a picture](a.png)\n')
    (measured / 'a.png').write_bytes(b'picture')
    return docs, measured


def test_a_block_is_replaced_with_its_pictures(tmp_path):
    docs, measured = pages(tmp_path)
    assert main([str(measured), '--docs', str(docs)]) == 0
    block = 'new \\1\n\n![a picture](images/a.png)\n'
    assert (docs / 'page.md').read_text() == PAGE.replace('old\n', f'{block}\n')
    assert (docs / 'images' / 'a.png').read_bytes() == b'picture'


def test_writing_twice_changes_nothing(tmp_path):
    docs, measured = pages(tmp_path)
    main([str(measured), '--docs', str(docs)])
    once = (docs / 'page.md').read_text()
    main([str(measured), '--docs', str(docs)])
    assert (docs / 'page.md').read_text() == once


def test_rows_of_tables_lose_their_padding_and_no_sign_of_their_cells(tmp_path):
    docs, measured = pages(tmp_path)
    table = """
| drives  | ATE [m] |  - |
|---------|--------:|---:|
| a --- b |   -0.20 |  - |
| -       |       - |  - |
"""
    (measured / 'short.md').write_text(f'a | b - c\n{table}')
    main([str(measured), '--docs', str(docs)])
    short = '\n|drives|ATE [m]|-|\n|---|---:|---:|\n|a --- b|-0.20|-|\n|-|-|-|\n'
    assert (docs / 'page.md').read_text() == PAGE.replace('old\n', f'a | b - c\n{short}\n')


def test_what_was_not_measured_stays(tmp_path, capsys):
    docs, measured = pages(tmp_path)
    (measured / 'short.md').unlink()
    assert main([str(measured), '--docs', str(docs)]) == 0
    assert (docs / 'page.md').read_text() == PAGE
    assert 'short stays as it is' in capsys.readouterr().out


def test_the_documentation_shows_every_part_once():
    docs = Path(__file__).parents[3] / 'docs'
    text = ''.join(page.read_text() for page in sorted(docs.glob('*.md')))
    assert sorted(part for _, part, _ in BLOCK.findall(text)) == sorted(PARTS)
