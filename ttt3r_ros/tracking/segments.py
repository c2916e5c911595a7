# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How a chain of segments shares one map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.geometry import join_poses, scaled, Similarity
from ttt3r_ros.tracking.scale import estimate_scale, LARGEST_SCALE


@dataclass(frozen=True, eq=False)
class SegmentView:
    """
    The result of one segment for one image, in the segment's own unit of length.

    image: (h, w, 3) uint8, fitted. depth: (h, w) float32. confidence: (h, w) float32.
    world_T_camera: (4, 4).
    """

    image: Pixels
    depth: Array32
    confidence: Array32
    world_T_camera: Array


@dataclass(frozen=True, eq=False)
class Segment:
    """
    A stretch of images with one state of the network.

    number: from 0. track_T_world: from the frame of its first camera, in the network's unit.
    """

    number: int
    track_T_world: Similarity

    @property
    def doubt(self) -> str:
        """Return that its scale is at the bound, in one sentence; empty while it is within."""
        scale = self.track_T_world.scale
        if 1 / LARGEST_SCALE < scale < LARGEST_SCALE:
            return ''
        return (
            f'the depth of the network is {max(scale, 1 / scale):g} times or more '
            f'{"smaller" if scale > 1 else "larger"} than when the map began, in segment '
            f'{self.number}: its scale is held at this bound, lengths are wrong until a reset'
        )


def next_segment(
    old: Segment,
    before: Sequence[SegmentView],
    after: Sequence[SegmentView],
    segment_scale: str,
    patch_pixels: int,
) -> Segment:
    """
    Join a new segment to the old one through the images that both have seen.

    Its scale stays within LARGEST_SCALE of that of the first segment, whatever the images say.

    :param old: the segment that ends.
    :param before: the shared images as the old segment saw them, at least one.
    :param after: the same images as the new segment sees them.
    :param segment_scale: fixed, free or sure, see `ScaleEstimate.chosen`.
    :param patch_pixels: number of pixels in a patch whose depth errors are correlated.
    """
    step = estimate_scale(
        [(a.depth, b.depth) for a, b in zip(before, after)],
        [np.minimum(a.confidence, b.confidence) for a, b in zip(before, after)],
        patch_pixels,
    ).chosen(segment_scale)
    before_poses, after_poses = (
        np.stack([view.world_T_camera for view in views]) for views in (before, after)
    )
    compounded = old.track_T_world.scale * step
    scale = min(max(compounded, 1 / LARGEST_SCALE), LARGEST_SCALE)
    place = join_poses(old.track_T_world.pose(before_poses), scaled(after_poses, scale))
    return Segment(old.number + 1, Similarity(place, scale))
