# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Folders of depth images against each other."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np

from ttt3r_ros.arrays import Array32
from ttt3r_ros.evaluation.errors import depth_errors, DepthErrors, EvaluationError, median_scale


def compare_folders(
    estimate: Path,
    truth: Path,
    estimate_unit: float | None = None,
    truth_unit: float | None = None,
) -> tuple[DepthErrors, DepthErrors, int]:
    """
    Compute the errors of all images of equal names, without and with one scale for all of them.

    :param estimate: folder of 16 bit PNG files; 0 means unknown.
    :param truth: folder likewise.
    :param estimate_unit: value of one metre; None: that of the camera.json in or beside it.
    :param truth_unit: likewise.
    :returns: metric and scaled errors, means over the images; number of images.
    :raises EvaluationError: when nothing can be compared, or a unit is unknown.
    """
    estimates, truths = depth_files(estimate), depth_files(truth)
    names = sorted(estimates.keys() & truths.keys())
    if not names:
        raise EvaluationError(f'no PNG file of {estimate} has the name of one of {truth}')
    mine, theirs = estimate_unit or _depth_scale(estimate), truth_unit or _depth_scale(truth)

    def pair(name: str) -> tuple[Array32, Array32]:
        return _read_depth(estimates[name], mine), _read_depth(truths[name], theirs)

    scales = np.array([median_scale(*pair(name)) for name in names])
    if np.isnan(scales).all():
        raise EvaluationError('no pixel is known in both depth folders')
    scale = float(np.nanmedian(scales))
    metric = _mean_of([depth_errors(*pair(name)) for name in names])
    scaled = _mean_of([depth_errors(*pair(name), scale=scale) for name in names])
    return metric, scaled, len(names)


def _mean_of(images: list[DepthErrors]) -> DepthErrors:
    """Return the mean over images with known pixels, equally weighted, as is usual."""
    known = [errors for errors in images if errors.pixels]
    return DepthErrors(
        float(np.mean([errors.abs_rel for errors in known])),
        float(np.mean([errors.delta_1_25 for errors in known])),
        known[0].scale,
        sum(errors.pixels for errors in known),
    )


def depth_files(folder: Path) -> dict[str, Path]:
    """
    Return the depth images of a folder, by their names without suffix.

    :raises EvaluationError: when there is no such folder.
    """
    if not folder.is_dir():
        raise EvaluationError(f'there is no folder {folder}')
    return {path.stem: path for path in folder.glob('*.png')}


def _depth_scale(folder: Path) -> float:
    """Return the PNG value of one metre, from the camera.json in or beside a folder."""
    for path in (folder / 'camera.json', Path(os.path.realpath(folder)).parent / 'camera.json'):
        if path.is_file():
            try:
                return float(json.loads(path.read_text(encoding='utf-8'))['depth_scale_per_m'])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise EvaluationError(
                    f'{path} has no usable depth_scale_per_m: {error!r}'
                ) from error
    raise EvaluationError(
        f'the unit of the depth in {folder} is unknown: put a camera.json with '
        'depth_scale_per_m there, or set --depth-scale-estimate / --depth-scale-groundtruth'
    )


def _read_depth(path: Path, per_metre: float) -> Array32:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 2:
        raise EvaluationError(f'{path} is no 16 bit depth image of one channel')
    return np.asarray(pixels / np.float32(per_metre), dtype=np.float32)
