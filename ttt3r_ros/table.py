# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Rows of numbers as text, in the ways that programs and languages write them."""

from __future__ import annotations

from collections.abc import Sequence
import csv
import re

DECIMAL_COMMA = re.compile(r'[-+]?[0-9]+,[0-9]+(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+|nan')
COMMENT = re.compile(r'\s#.*')
EMPTY_FIELD = re.compile(r'(?:^|(?<=[,;]))\s*(?=[,;])')
# What programs write where a number is missing; Windows writes the ones with brackets and #.
MISSING = re.compile(r'[-+]?(?:nan(?:\(\w*\))?|1\.#\w+|null|none|n/?a)', re.IGNORECASE)


def split_row(line: str) -> list[str]:
    """
    Split a row into its words.

    They are separated by spaces, commas or semicolons. A comma is decimal where something else
    separates and each word has one, or in quotes.

    :param line: of a table; a comment at its end is left out.
    :returns: numbers with decimal points, `nan` where one is missing.
    """
    line = EMPTY_FIELD.sub('nan', COMMENT.sub('', line))
    return ['nan' if MISSING.fullmatch(word) else word for word in _words(line)]


def _words(line: str) -> list[str]:
    if '"' in line and ',' in line:
        return [field.strip().replace(',', '.') for field in _quoted(line) if field.strip()]
    line = line.replace('"', '')
    parts = line.split(';') if ';' in line else line.split()
    words = [part.strip() for part in parts if part.strip()]
    decimal = len(words) > 1 and all(DECIMAL_COMMA.fullmatch(word) for word in words)
    if decimal or (';' in line and ',' in line):
        return [word.replace(',', '.') for word in words]
    return line.replace(',', ' ').replace(';', ' ').split()


def _quoted(line: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=';' if ';' in line else ','))
    except csv.Error:  # a field that is too long: no number
        return ['"']


def is_header(words: Sequence[str]) -> bool:
    """
    Return whether a row names columns; one of them may have no name.

    :param words: as split_row returns them.
    """
    return not any(is_number(word) for word in words if word != 'nan') and set(words) != {'nan'}


def is_number(word: str) -> bool:
    """
    Return whether a word is a number, finite or not.

    :param word: without spaces.
    """
    try:
        float(word)
    except ValueError:
        return False
    return True
