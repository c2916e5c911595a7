# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One pose by several measurements, of which some may be wrong."""

from __future__ import annotations

from collections.abc import Sequence
import itertools

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert
from ttt3r_ros.graph.solver.rotations import exp_pose, log_pose

# Images of cameras that look along a wall err by many sigmas now and then.
KERNEL, ROUNDS = 1.5, 5


def fused(poses: Sequence[Array], covariances: Sequence[Array]) -> tuple[Array, Array]:
    """
    Weigh what is known of one pose; what the others contradict counts less.

    :param poses: (4, 4) each, metres, near each other.
    :param covariances: (6, 6) each, of rotation and translation, to the right of the pose.
    :returns: the pose, and its covariance if all of them are independent.
    """
    infos = [np.linalg.inv(one) for one in covariances]
    pose = poses[_most_central(poses, covariances)]
    for _ in range(ROUNDS):
        errors = [log_pose(invert(pose) @ one) for one in poses]
        trusts = [_trust(float(e @ info @ e)) for e, info in zip(errors, infos)]
        weights = np.stack([trust * info for trust, info in zip(trusts, infos)])
        covariance = np.linalg.inv(weights.sum(axis=0))
        pose = pose @ exp_pose(covariance @ np.einsum('nij,nj->i', weights, np.stack(errors)))
    return pose, covariance


def _most_central(poses: Sequence[Array], covariances: Sequence[Array]) -> int:
    """Return which pose the others contradict least; of two the surer one."""
    if len(poses) < 3:
        return int(np.argmin([np.trace(one) for one in covariances]))
    doubts = np.zeros(len(poses))
    for i, j in itertools.combinations(range(len(poses)), 2):
        error = log_pose(invert(poses[i]) @ poses[j])
        square = error @ np.linalg.solve(covariances[i] + covariances[j], error)
        doubts[[i, j]] -= np.log(_trust(float(square)))
    return int(doubts.argmin())


def _trust(square: float) -> float:
    """Return the weight of an error of so many sigmas, squared, by a Cauchy kernel."""
    return 1.0 / (1.0 + square / KERNEL**2)
