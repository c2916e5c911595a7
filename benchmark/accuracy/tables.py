# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Means as table cells."""

from __future__ import annotations

from collections.abc import Sequence
import math

from benchmark.accuracy.errors import Mean


def number(mean: Mean, digits: int, factor: float = 1.0) -> str:
    """
    Return a mean with its standard error as text.

    :param digits: digits after the point.
    :param factor: conversion to the unit of the table, 100 for per cent.
    """
    if not math.isfinite(mean.value):
        return '-'
    text = f'{factor * mean.value:.{digits}f}'
    return f'{text}±{factor * mean.error:.{digits}f}' if math.isfinite(mean.error) else text


def with_best(means: Sequence[Mean], compared: int, digits: int, factor: float = 1.0) -> list[str]:
    """
    Return means as text, the lowest in bold.

    :param compared: number of leading means that are compared.
    :param digits: digits after the point.
    :param factor: conversion to the unit of the table, 100 for per cent.
    """
    texts = [number(mean, digits, factor) for mean in means]
    best = min(range(compared), key=lambda i: means[i].value)
    texts[best] = f'**{texts[best]}**'
    return texts
