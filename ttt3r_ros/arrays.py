# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Names of the arrays that every room passes on; docstrings have their shapes and units.

What is left unsaid: a transform `a_T_b` is (4, 4) or (..., 4, 4) in metres, a covariance is of
rotation in radians and translation in metres, in this order, and tokens have no unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
