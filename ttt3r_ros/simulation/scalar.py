# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How the scalar description of the world is compiled.

The functions of `textures` and `raycast` work on single numbers. numba compiles each of them
for the CPU, and again for CUDA where a CUDA kernel calls it; so there is one description of
the world and two machines that show it. The machine code is kept in numba's cache; numba does
not see that a function of another file has changed, so delete `__pycache__` after an edit.
"""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any, cast, TypeVar

import numba
import numpy as np

Function = TypeVar('Function', bound=Callable[..., Any])
Number = TypeVar('Number', int, float)

# Literals are double precision to numba; f32(0.5) keeps a formula in single precision.
f32 = cast('Callable[[float], float]', np.float32)

# The error model of numpy: a division by zero gives inf and costs no test.
OPTIONS: dict[str, Any] = {
    'cache': True,
    'nogil': True,
    'fastmath': True,
    'error_model': 'numpy',
}
# Without its runtime, numba counts no references: a table would be counted in and out of every
# call, which took a fifth of a picture's time.
SCALAR_OPTIONS = {**OPTIONS, '_nrt': False}


def scalar(function: Function) -> Function:
    """
    Compile a function of single numbers and tables.

    :param function: code that both numba targets accept: no allocation, no exceptions.
    """
    return cast(Function, numba.njit(**SCALAR_OPTIONS)(function))


def compiled(function: Function) -> Function:
    """
    Compile a function for the CPU only.

    :param function: code that numba accepts; it may allocate arrays.
    """
    return cast(Function, numba.njit(**OPTIONS)(function))


@scalar
def smaller(a: Number, b: Number) -> Number:
    """Return the smaller number: `min`, which numba's CUDA target does not compile."""
    return a if a < b else b


@scalar
def larger(a: Number, b: Number) -> Number:
    """Return the larger number, see `smaller`."""
    return a if a > b else b


@scalar
def floor(x: float) -> int:
    """Round down; `math.floor` gives an integer on the CPU but a float on CUDA."""
    return int(math.floor(x))  # noqa: RUF046 - see above
