# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Small pictures of images and depth."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = TypeVar('Picture', bound=NDArray[Any])

THUMBNAIL_PX = 160


def middle_of(picture: Picture, shape: tuple[int, ...]) -> Picture:
    """
    Return the middle of a picture, as large as fits into it.

    :param picture: (h, w, ...).
    :param shape: height and width, to which those of the result are proportional.
    """
    height, width = picture.shape[:2]
    scale = min(height / shape[0], width / shape[1])
    rows, columns = max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
    top, left = (height - rows) // 2, (width - columns) // 2
    cut: Any = picture[top : top + rows, left : left + columns]
    return cut  # type: ignore[no-any-return]


def small(picture: Picture) -> Picture:
    """
    Return a picture with at most THUMBNAIL_PX columns and rows.

    :param picture: (h, w, 3) uint8, or (h, w) float32 of depth, which is not averaged: the mean
        across an edge would be a depth that nothing has.
    """
    height, width = picture.shape[:2]
    factor = min(1.0, THUMBNAIL_PX / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    way = cv2.INTER_AREA if picture.dtype == np.uint8 else cv2.INTER_NEAREST
    resized: Any = cv2.resize(np.ascontiguousarray(picture), size, interpolation=way)
    return resized  # type: ignore[no-any-return]
