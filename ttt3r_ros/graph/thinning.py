# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Which key frames are removed, and how their neighbours are linked: by area, not by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, invert, scaled, Similarity
from ttt3r_ros.graph.solver.pose_graph import Estimate, Motion, ScaleStep

# Two key frames so close to each other show the same.
SAME_PLACE_M = 0.5
SAME_VIEW_RAD = np.radians(20.0)
# With so many others that show the same, a key frame is of no use, however few there are in all.
ENOUGH_OTHERS = 4


@dataclass(frozen=True, eq=False)
class RemovedKeyFrame:
    """
    A key frame that was removed, and the one to which its poses and points are attached now.

    number, successor: their numbers. successor_T_removed: (4, 4), metres. log_scale: of the depth
    of the removed one, successor_log_scale: of that of its successor, both as estimated then.
    """

    number: int
    successor: int
    successor_T_removed: Array
    log_scale: float
    successor_log_scale: float

    def similarity(self) -> Similarity:
        """Return the similarity from its frame and unit of depth to those of its successor."""
        unit = float(np.exp(-self.successor_log_scale))
        return Similarity(
            scaled(self.successor_T_removed, unit), unit * float(np.exp(self.log_scale))
        )


def most_covered(
    poses: Array, submaps: Sequence[int], may_go: Sequence[int], least: int = 0
) -> tuple[int, int] | None:
    """
    Choose the key frame that others replace best.

    :param poses: (K, 4, 4) of all, metres.
    :param submaps: (K,); only those of one submap have poses in one frame.
    :param may_go: indices of those that need not stay.
    :param least: so many others must show the same place.
    :returns: its index and that of its nearest neighbour; None where all must stay.
    """
    if not len(may_go) or len(poses) < 2:
        return None
    chosen = np.asarray(may_go)
    place, turn = poses[:, :3, 3], poses[:, :3, :3].reshape(-1, 9)
    apart = np.linalg.norm(place[chosen, None] - place, axis=2)
    cosine = 0.5 * (turn[chosen] @ turn.T - 1.0)
    turned = np.arccos(np.clip(cosine, -1.0, 1.0))
    distance = np.hypot(apart / SAME_PLACE_M, turned / SAME_VIEW_RAD)
    distance[np.arange(len(chosen)), chosen] = np.inf
    submap = np.asarray(submaps)
    distance[submap[chosen, None] != submap] = np.inf
    covered = (distance < 1.0).sum(axis=1)
    order = np.lexsort((distance.min(axis=1), -covered))
    if covered[order[0]] < least:
        return None
    return int(chosen[order[0]]), int(distance[order[0]].argmin())


def joined(first: Motion, second: Motion, at: Estimate, here: int, middle: int) -> Motion:
    """
    Chain two measured motions over a key frame that goes.

    :param first: here to middle.
    :param second: middle to there, measured in the same kind of unit.
    :param at: gives the ratio of the two units.
    :param here: index of here in it, middle: of the one that goes.
    """
    ratio = 1.0
    if second.scaled:
        ratio = float(np.exp(at.log_scales[middle] - first.scaled * at.log_scales[here]))
    elif first.scaled:
        ratio = float(np.exp(-at.log_scales[here]))
    later = scaled(second.here_T_there, ratio)
    moved = adjoint(invert(later))
    covariance = moved @ first.covariance @ moved.T + second.covariance
    return replace(
        first,
        there=second.there,
        here_T_there=first.here_T_there @ later,
        covariance=covariance,
        kernel=max(first.kernel, second.kernel),
    )


def joined_step(first: ScaleStep, second: ScaleStep) -> ScaleStep:
    """Chain two measured steps of the scale."""
    return replace(
        first,
        there=second.there,
        log_ratio=first.log_ratio + second.log_ratio,
        sigma=float(np.hypot(first.sigma, second.sigma)),
    )
