# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The points of a key frame, and where they are in the map."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ttt3r_ros.arrays import Array, Array32, Mask
from ttt3r_ros.geometry import IDENTITY, scaled, Similarity
from ttt3r_ros.graph.bends import NO_BEND, stretch
from ttt3r_ros.mapping.voxels import (
    FixedPoints,
    hashed,
    Integers,
    VoxelPoints,
    VoxelSums,
    WEIGHT_STEPS,
)

# Points stay where they are until one of them is wrong by more than this.
MOST_SHIFT = 0.5  # voxels
# Points 4 m away are moved by no less than 8 cm.
LEAST_BEND = 0.02

# A key frame that takes over the points of others keeps as many as so many key frames have. What
# is removed is seen by others too, and each of them errs elsewhere: without a bound walls grow
# thicker with each pass.
MOST_TAKEN_OVER = 2

FLAG_BITS = 16

# A voxel needs as many pixels, of usual confidence, as a surface fills that is so far away, in
# each image of its key frame after the first, and one in most of them. Near surfaces have them;
# what flies off edges and what is far has not. More images than so many need no more.
FAR_M, LEAST_PIXELS, MOST_COUNTED = 5.5, 0.6, 20


@dataclass(eq=False)
class KeyPoints:
    """
    The points of a key frame.

    birth: map_T_key when it began; the points are those of the map of that time. map_T_key: the
    newest estimate. last_seen: number of the last image that added some. points: all. fused:
    those that are in the map, and in_map: where the map of birth lies there. cells: (N,) of the
    fused points, corners: of the parts of the map in which they lie. ghosts: cells of the map
    whose points are to be removed. images: number of those that added points. needs: the sum over
    them of the confidence that a voxel needs. stands_for: number of key frames, more than one
    where the points are those of a saved map. bend: by which they were stretched. alone:
    where those of others were taken over, the most that one of them had by itself.
    """

    birth: Similarity
    map_T_key: Similarity
    last_seen: int
    points: VoxelPoints
    fused: VoxelPoints | None = None
    in_map: Similarity = field(default_factory=lambda: Similarity(IDENTITY))
    cells: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    corners: frozenset[int] = frozenset()
    ghosts: list[Integers] = field(default_factory=list)
    images: int = 0
    needs: float = 0.0
    stands_for: int = 1
    bend: Array = field(default_factory=NO_BEND.copy)
    alone: int = 0

    def map_T_birth(self) -> Similarity:
        """Return where the map of birth lies now, in metres."""
        now, then = self.map_T_key, self.birth
        if (now.a_T_b == then.a_T_b).all() and now.scale == then.scale:
            return Similarity(IDENTITY)  # exactly
        return now.after(then.inverse())

    def is_displaced(self, voxel_size: float) -> bool:
        """
        Return whether fused points are more than half a voxel from where they belong.

        :param voxel_size: metres.
        """
        if self.fused is None or not len(self.points):
            return False
        corners = self.points.corners()
        then = in_voxels(self.in_map, voxel_size)
        now = in_voxels(self.map_T_birth(), voxel_size)
        change = corners @ (linear_part(now) - linear_part(then)).T
        change += now.a_T_b[:3, 3] - then.a_T_b[:3, 3]
        return bool((change**2).sum(axis=1).max() > MOST_SHIFT**2)

    def is_bent(self, bend: Array) -> bool:
        """
        Return whether points are clearly beside where a newer bend has them.

        :param bend: (NODES,), see `bends`.
        """
        return bool(np.abs(bend - self.bend).max() > LEAST_BEND)

    def straightened(self, points: VoxelPoints, bend: Array, voxel_size: float) -> VoxelPoints:
        """
        Move points along the rays of the key frame to where a newer bend has them.

        :param points: of the key frame, as it has them by now.
        :param bend: (NODES,), see `bends`.
        :param voxel_size: metres.
        """
        birth = in_voxels(self.birth, voxel_size).a_T_b.astype(np.float32)
        axes, camera = birth[:3, :3], birth[:3, 3:]
        rays = points.columns - camera
        # Written out, like all placing: the same bits everywhere.
        ahead = [m[0] * rays[0] + m[1] * rays[1] + m[2] * rays[2] for m in axes.T]
        return replace(points, columns=camera + rays * stretch(ahead, bend - self.bend))

    def supported(self, points: VoxelPoints) -> VoxelPoints:
        """
        Return the points that enough images of the key frame agree on.

        :param points: the sums of these images.
        """
        count = min(self.images - 1, MOST_COUNTED)
        least = WEIGHT_STEPS * count * self.needs / max(self.images, 1)
        return points.chosen(points.weight >= least)

    def take_over(self, old: KeyPoints, birth_T_birth: Similarity, voxel_size: float) -> None:
        """
        Add the points of a key frame that was removed; if they are too many, the lightest go.

        :param old: the points of the other one.
        :param birth_T_birth: from its map of birth to that of this one, metres.
        :param voxel_size: metres.
        """
        self.alone = max(one.alone or len(one.points) for one in (self, old))
        sums = VoxelSums()
        sums.add(self.points.placed(Similarity(IDENTITY)))
        sums.add(old.points.placed(in_voxels(birth_T_birth, voxel_size)))
        sums.bound_weights()
        points, most = sums.all().points(), MOST_TAKEN_OVER * self.alone
        if len(points) > most:
            heaviest = np.argsort(-points.weight, kind='stable')[:most]
            points = points.chosen(np.sort(heaviest))
        self.points, self.last_seen = points, max(self.last_seen, old.last_seen)

    def take_ghosts(self) -> Integers:
        """Return the cells whose points are to be removed, sorted, and forget them."""
        ghosts, self.ghosts = np.unique(np.concatenate(self.ghosts)), []
        return ghosts

    def fused_in(self, ghosts: Integers) -> Mask:
        """
        Return which fused points lie in some cells, (N,).

        :param ghosts: (G,), sorted, at least one.
        """
        return _among(self.cells, ghosts)

    def drop(self, ghosts: Integers, voxel_size: float) -> FixedPoints:
        """
        Remove the points that lie in some cells.

        :param ghosts: (G,), sorted, at least one.
        :param voxel_size: metres.
        :returns: those that were fused, to be subtracted from the map.
        """
        assert self.fused is not None
        gone, in_map = self.fused_in(ghosts), in_voxels(self.in_map, voxel_size)
        dropped = self.fused.chosen(gone).placed(in_map)
        self.cells = self.cells[~gone]
        if self.points is self.fused:
            self.points = self.fused = self.fused.chosen(~gone)
        else:  # more have come since
            self.fused = self.fused.chosen(~gone)
            cells = self.points.placed(in_map).cells
            self.points = self.points.chosen(~_among(cells, ghosts))
        return dropped


def needed(confidence: Array32, focal_px: float, voxel_size: float) -> float:
    """
    Return the confidence that an image gives to a voxel of a surface at the largest distance.

    :param confidence: (N,) of its good points.
    :param focal_px: of the image.
    :param voxel_size: metres.
    """
    pixels = max((focal_px * voxel_size / FAR_M) ** 2, LEAST_PIXELS)
    return pixels * float(confidence.mean()) if len(confidence) else 0.0


def in_voxels(metres: Similarity, voxel_size: float) -> Similarity:
    """
    Return a similarity with its shift in voxels.

    :param metres: the same with its shift in metres.
    :param voxel_size: metres.
    """
    return Similarity(scaled(metres.a_T_b, 1.0 / voxel_size), metres.scale)


def linear_part(a_T_b: Similarity) -> Array:
    """Return the rotation of a similarity times its scale, (3, 3)."""
    return a_T_b.scale * a_T_b.a_T_b[:3, :3]


def _among(cells: Integers, others: Integers) -> Mask:
    """Return which cells are among some others, which are sorted, at least one."""
    flags = np.zeros(1 << FLAG_BITS, bool)
    flags[hashed(others, FLAG_BITS)] = True
    maybe = np.flatnonzero(flags[hashed(cells, FLAG_BITS)])  # mostly few
    found = np.zeros(len(cells), bool)
    chosen = cells.take(maybe)
    found[maybe] = others.take(np.searchsorted(others, chosen), mode='clip') == chosen
    return found
