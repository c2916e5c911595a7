# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Writes depth as 16 bit PNG files, at the size of the original images."""

from __future__ import annotations

from collections.abc import Collection
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array32
from ttt3r_ros.atomic import atomic_file, OutputError
from ttt3r_ros.image_fit import ImageFit

PER_METRE = 1000


class DepthFolder:
    """
    A folder of depth images, named by the index of their frame; 0 is unknown.

    failed: whether one could not be written; its user sets it.
    """

    def __init__(self, folder: Path, only: Collection[str] | None = None) -> None:
        """
        Make the folder, with a camera.json that holds the unit; depth of another run goes.

        :param folder: its parent exists.
        :param only: names without suffix of the images that are written; None: all.
        :raises OutputError: when it cannot be created.
        """
        self.failed = False
        self._folder, self._only = folder, only
        try:
            folder.mkdir(exist_ok=True)
            for old in folder.glob('[0-9]' * 6 + '.png'):
                old.unlink()
        except OSError as error:
            raise OutputError(f'cannot make the folder {folder}: {error.strerror}') from error
        with atomic_file(folder / 'camera.json') as file:
            file.write((json.dumps({'depth_scale_per_m': PER_METRE}) + '\n').encode())

    def write(self, index: int, depth: Array32, fit: ImageFit) -> None:
        """
        Write the depth of one frame.

        :param index: of the frame in its source.
        :param depth: (h, w) metres along z, of the resized image.
        :param fit: between the original and the resized image.
        """
        name = f'{index:06d}'
        if self._only is not None and name not in self._only:
            return
        encoded = cv2.imencode('.png', millimetres(original_size(depth, fit)))[1]
        with atomic_file(self._folder / f'{name}.png') as file:
            file.write(encoded.tobytes())


def original_size(depth: Array32, fit: ImageFit) -> Array32:
    """
    Return the nearest depth of each pixel of the original image, 0 where it was cropped.

    :param depth: (h, w) metres along z, of the resized image.
    :param fit: between the original and the resized image.
    :returns: (H, W) metres, of the original image.
    """
    sx, sy = (a / b for a, b in zip(fit.resized, fit.original))
    fitted_T_original = np.array(
        [[sx, 0, 0.5 * sx - 0.5 - fit.left], [0, sy, 0.5 * sy - 0.5 - fit.top]]
    )
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(depth, fitted_T_original, fit.original, flags=flags)
    return np.asarray(warped, dtype=np.float32)


def millimetres(depth: Array32) -> NDArray[np.uint16]:
    """
    Convert depth to the values of the files.

    :param depth: (H, W) metres.
    :returns: (H, W) millimetres; 0, unknown, where the value is out of range.
    """
    scaled = np.nan_to_num(depth * PER_METRE, nan=0.0, posinf=0.0, neginf=0.0).round()
    return np.where((scaled > 0) & (scaled <= 65535), scaled, 0).astype(np.uint16)
