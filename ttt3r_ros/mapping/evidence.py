# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Evidence of images about the floor, in a form that can be moved.

The evidence of a cell is bounded. Adding within bounds is x -> min(max(x + sum, least), most), and
one such function after another is again one, so all images of a key frame are three numbers a
cell, and what they do to a cell is exactly what they do one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import IDENTITY, Similarity

# Evidence is a log-odds in steps of 0.4: being seen occupied adds OCCUPIED_STEP, being seen
# free adds FREE_STEP. A cell is what two views agree on; ten views empty the surest one.
OCCUPIED_STEP, FREE_STEP = 2, -1
SURELY_OCCUPIED, SURELY_FREE = 8, -5
SPAN = SURELY_OCCUPIED - SURELY_FREE  # a sum beyond it changes nothing more

# What leaves a cell as it is: sum, least, most.
NOTHING = (0, SURELY_FREE, SURELY_OCCUPIED)
BIAS = 128  # cv2 moves bytes without a sign

Steps = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Evidence:
    """
    Evidence about a rectangle of cells.

    first: (2,) x and y of its first cell. steps: (rows along y, columns along x, 3) int8: sum,
    least and most. height: of the floor, in cells.
    """

    first: NDArray[np.int64]
    steps: Steps
    height: float

    @property
    def end(self) -> NDArray[np.int64]:
        """Return x and y one past the last cell."""
        return self.first + self.steps.shape[1::-1]

    @classmethod
    def of(cls, first: NDArray[np.int64], step: Steps, height: float) -> Evidence:
        """
        Return the evidence of one image.

        :param first: (2,) x and y of its first cell.
        :param step: (rows, columns) int8, what is added to each.
        :param height: of the floor, in cells.
        """
        steps = np.empty((*step.shape, 3), np.int8)
        steps[...] = NOTHING
        steps[..., 0] = step
        return cls(first, steps, height)

    def then(self, later: Evidence) -> Evidence:
        """
        Return the evidence of both, one after the other.

        :param later: evidence of the same frame.
        """
        first, end = np.minimum(self.first, later.first), np.maximum(self.end, later.end)
        steps = np.empty((*(end - first)[::-1], 3), np.int8)
        steps[...] = NOTHING
        steps[rectangle(self.first - first, self.end - first)] = self.steps
        view = steps[rectangle(later.first - first, later.end - first)]
        added, least, most = np.moveaxis(later.steps, -1, 0)
        view[..., 0] = np.clip(view[..., 0] + added, -SPAN, SPAN)
        for bound in (1, 2):
            view[..., bound] = np.clip(view[..., bound] + added, least, most)
        return Evidence(first, steps, self.height)

    def apply(self, cells: Steps) -> None:
        """
        Change cells by what was seen.

        :param cells: (rows, columns) those of this rectangle.
        """
        added, least, most = np.moveaxis(self.steps, -1, 0)
        np.clip(cells + added, least, most, out=cells)

    def cropped(self, first: NDArray[np.int64], end: NDArray[np.int64]) -> Evidence:
        """
        Return the part within a rectangle.

        :param first: (2,) x and y of its first cell.
        :param end: (2,) x and y of the cell past its last.
        """
        first, end = np.maximum(first, self.first), np.minimum(end, self.end)
        end = np.maximum(first, end)
        part = self.steps[rectangle(first - self.first, end - self.first)]
        return Evidence(first, part, self.height)

    def moved(self, a_T_b: Similarity) -> Evidence:
        """
        Return the evidence in another frame: each cell is what lies at its middle.

        :param a_T_b: from its frame, in cells.
        """
        if (a_T_b.a_T_b == IDENTITY).all() and a_T_b.scale == 1.0:
            return self
        linear, shift = on_floor(a_T_b, self.height)
        corners = linear @ self.corners() + shift[:, None]
        first = np.floor(corners.min(axis=1)).astype(np.int64)
        end = np.ceil(corners.max(axis=1)).astype(np.int64)
        # From the middle of a cell there, counted from its first one, to the same here.
        back = np.linalg.inv(linear)
        origin = back @ (first + 0.5 - shift) - self.first - 0.5
        steps = cv2.warpAffine(
            self.steps.view(np.uint8) ^ np.uint8(BIAS),
            np.column_stack([back, origin]),
            tuple((end - first).tolist()),
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderValue=tuple(value + BIAS for value in NOTHING),
        )
        middle = [*(0.5 * (self.first + self.end)), self.height]
        height = a_T_b.scale * (a_T_b.a_T_b[2, :3] @ middle) + a_T_b.a_T_b[2, 3]
        return Evidence(first, (steps ^ np.uint8(BIAS)).view(np.int8), float(height))

    def corners(self) -> Array:
        """Return x and y of the corners of the rectangle, (2, 4), in cells."""
        (left, low), (right, high) = self.first, self.end
        return np.array([[left, left, right, right], [low, high, low, high]], np.float64)


def on_floor(a_T_b: Similarity, height: float) -> tuple[Array, Array]:
    """
    Return what a similarity does to x and y of what lies on the floor.

    :param a_T_b: in cells.
    :param height: of the floor in b, in cells.
    :returns: (2, 2) matrix; (2,) what is added.
    """
    linear = a_T_b.scale * a_T_b.a_T_b[:2, :3]
    return linear[:, :2], a_T_b.a_T_b[:2, 3] + height * linear[:, 2]


def rectangle(first: NDArray[np.int64], end: NDArray[np.int64]) -> tuple[slice, slice]:
    """
    Return the slices of a rectangle, rows first.

    :param first: (2,) x and y of the first cell.
    :param end: (2,) x and y of the cell past the last.
    """
    return slice(first[1], end[1]), slice(first[0], end[0])
