# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Depth that is tilted over the image, and how points move when the tilt is taken out.

The logarithm of a key frame's depth errs by a slope over the tangents of its rays; points move
along the rays by what the graph has found of it. Images of the key frame have their scale from
features of its depth, so their points lie on the same slope, in the axes of the key frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ttt3r_ros.arrays import Array, Array32

# The slope is known where features are; beyond these tangents the depth is as wrong as there.
FARTHEST = 1.0

NO_TILT: Array = np.zeros(2)


def stretch(points: Sequence[Array32], tilt: Array) -> Array32:
    """
    Return by what the distance of points to a key frame is multiplied, of their shape.

    :param points: x, y and z, each (N,) or (h, w), in the axes of the key frame's camera, in any
        unit. Those behind it stay where they are.
    :param tilt: (2,) slope of the log depth over the tangents, which is added to it.
    """
    x, y, z = points
    ahead = np.where(z > 0, z, np.float32(np.inf))
    with np.errstate(invalid='ignore'):  # points that are not finite stay so
        along, across = (np.clip(axis / ahead, -FARTHEST, FARTHEST) for axis in (x, y))
    factor: Array32 = np.exp(np.float32(tilt[0]) * along + np.float32(tilt[1]) * across)
    return factor
