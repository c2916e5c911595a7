# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What holds the key frames of several cameras of one robot together: they are mounted rigidly.

A tie leads from a key frame of one camera to one of another. It is the motion from the first key
frame, which the first camera tracked up to the stamp of the second one, and the mounts of both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, invert, scaled, transform
from ttt3r_ros.graph.between_images import around, interpolated
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.solver.pose_graph import Estimate, Motion
from ttt3r_ros.tracking.tracked_pose import KeyView, TrackedPose

# What tracking errs beyond its covariance, which takes errors for independent, and the mounts.
INFLATION = 4.0
LEAST_TURN_SIGMA, LEAST_SHIFT_SIGMA = 0.003, 0.005
LEAST = np.diag([LEAST_TURN_SIGMA**2] * 3 + [LEAST_SHIFT_SIGMA**2] * 3)


def tie_to(key: KeyView, images: Sequence[TrackedPose]) -> Motion | None:
    """
    Return what leads to a key frame from one of another camera.

    :param key: of one camera.
    :param images: of the other camera, rising stamps.
    :returns: None where the other camera was not followed at the stamp, or a mount is unknown.
    """
    between = around(key.view.stamp_ns, images)
    if between is None:
        return None
    before, after = between
    here, there = before.key.view.base_T_camera, key.view.base_T_camera
    if here is None or there is None:
        return None
    key_T_camera, covariance = interpolated(key.view.stamp_ns, before, after)
    across = invert(here) @ there
    turned = adjoint(invert(across))
    covariance = turned @ (INFLATION * covariance + LEAST) @ turned.T
    pose = transform(key_T_camera[:3, :3] @ across[:3, :3], key_T_camera[:3, 3])
    arm = key_T_camera[:3, :3] @ across[:3, 3]
    return Motion(before.key.number, key.number, pose, covariance, arm=_numbers(arm))


def _numbers(arm: Array) -> tuple[float, float, float]:
    x, y, z = arm.tolist()
    return x, y, z


class Ties:
    """All ties of a graph, by the key frames that they hold together."""

    def __init__(self, ties: Iterable[Motion] = ()) -> None:
        """
        Begin with some.

        :param ties: between key frames of different cameras.
        """
        self._ties = {(tie.here, tie.there): tie for tie in ties}

    @property
    def all(self) -> tuple[Motion, ...]:
        """Return all ties."""
        return tuple(self._ties.values())

    def within(self, numbers: Iterable[int]) -> tuple[Motion, ...]:
        """
        Return the ties between some key frames.

        :param numbers: of them.
        """
        known = set(numbers)
        return tuple(tie for pair, tie in self._ties.items() if known.issuperset(pair))

    def add(self, tie: Motion) -> None:
        """
        Add a tie.

        :param tie: between two key frames.
        """
        self._ties[tie.here, tie.there] = tie

    def bundled(self, strands: Mapping[int, int]) -> dict[int, int]:
        """
        Return to which strand key frames belong, strands that are tied being one.

        :param strands: number of the strand of each key frame.
        :returns: by number, the least number of all strands that are tied to its own.
        """
        first = {strand: strand for strand in strands.values()}

        def root(strand: int) -> int:
            while first[strand] != strand:
                strand = first[strand]
            return strand

        for here, there in self._ties:
            one, other = sorted((root(strands[here]), root(strands[there])))
            first[other] = one
        return {number: root(strand) for number, strand in strands.items()}

    def hand_over(self, link: Motion, nodes: Nodes) -> None:
        """
        Move the ties of a key frame that goes to the next one of its camera.

        :param link: from the one that goes to the next one.
        :param nodes: with both.
        """
        gone = link.here
        mine = [tie for pair, tie in self._ties.items() if gone in pair]
        self.forget([gone])
        for tie in mine:
            other = tie.here if tie.there == gone else tie.there
            if other == link.there or (other, link.there) in self._ties:
                continue
            at = nodes.part([other, gone])
            if tie.here == gone:
                tie = _reversed(tie, float(at.log_scales[1]))
            self.add(_carried(tie, link, at))

    def forget(self, numbers: Collection[int]) -> None:
        """
        Forget the ties of some key frames.

        :param numbers: of them.
        """
        gone = set(numbers)
        self._ties = {pair: tie for pair, tie in self._ties.items() if gone.isdisjoint(pair)}


def metric(tie: Motion, log_scale: float) -> Array:
    """
    Return the motion of a tie, (4, 4), metres.

    :param log_scale: of the depth of the key frame where it begins.
    """
    pose = scaled(tie.here_T_there, float(np.exp(tie.scaled * log_scale)))
    pose[:3, 3] += tie.arm
    return pose


def _reversed(tie: Motion, log_scale: float) -> Motion:
    """Return the same from its other end, its length as it is estimated now."""
    pose = metric(tie, log_scale)
    back, turned = invert(pose), adjoint(pose)
    return replace(
        tie,
        here=tie.there,
        there=tie.here,
        here_T_there=transform(back[:3, :3], np.zeros(3)),
        covariance=turned @ tie.covariance @ turned.T,
        arm=_numbers(back[:3, 3]),
    )


def _carried(tie: Motion, link: Motion, at: Estimate) -> Motion:
    """Return a tie to the key frame after the one where it ends, which is the second of two."""
    onward = scaled(link.here_T_there, float(np.exp(link.scaled * at.log_scales[1])))
    turn, moved = tie.here_T_there[:3, :3], adjoint(invert(onward))
    return replace(
        tie,
        there=link.there,
        here_T_there=transform(turn @ onward[:3, :3], tie.here_T_there[:3, 3]),
        covariance=moved @ tie.covariance @ moved.T + link.covariance,
        arm=_numbers(tie.arm + turn @ onward[:3, 3]),
    )
