# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The key frames of a graph, oldest first, and their estimated poses and scales."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.solver.pose_graph import Estimate

NOTHING = Estimate(np.empty((0, 4, 4)), np.empty(0))


class Nodes:
    """
    Key frames by their numbers, which rise, and one estimate of all in the same order.

    Each belongs to a submap, which has the number of the key frame that it began with. Poses of
    one submap are in one frame; those of the oldest submap are in the map.

    frames: by number; they may be replaced. estimate: in their order. submaps: by number.
    """

    def __init__(
        self,
        frames: Sequence[KeyFrame] = (),
        estimate: Estimate = NOTHING,
        submaps: Sequence[int] = (),
    ) -> None:
        """
        Begin with some.

        :param frames: by rising numbers; estimate, submaps: of each.
        """
        self.frames = {frame.number: frame for frame in frames}
        self.estimate = estimate
        self.submaps = dict(zip(self.frames, submaps))

    def __len__(self) -> int:
        """Return the number of key frames."""
        return len(self.frames)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the numbers of all key frames, rising."""
        return tuple(self.frames)

    @property
    def main_submap(self) -> int:
        """Return the submap that holds the map frame; there must be a key frame."""
        return self.submaps[self.numbers[0]]

    @property
    def newest_submap(self) -> int:
        """Return the submap that grows; there must be a key frame."""
        return self.submaps[self.numbers[-1]]

    @property
    def whole(self) -> bool:
        """Return whether all key frames are of one submap."""
        return len(set(self.submaps.values())) < 2

    def members(self, *submaps: int) -> tuple[int, ...]:
        """
        Return the numbers of the key frames of some submaps.

        :param submaps: one or more.
        """
        return tuple(number for number, submap in self.submaps.items() if submap in submaps)

    def indices(self, numbers: Iterable[int]) -> NDArray[np.intp]:
        """
        Return where key frames are in the estimate.

        :param numbers: of the key frames.
        """
        index = {number: i for i, number in enumerate(self.frames)}
        return np.array([index[number] for number in numbers], dtype=np.intp)

    def part(self, numbers: Iterable[int]) -> Estimate:
        """
        Return the estimate of some key frames.

        :param numbers: of them, in the order of the result.
        """
        index = self.indices(numbers)
        return Estimate(self.estimate.poses[index], self.estimate.log_scales[index])

    def add(self, frame: KeyFrame, pose: Array, log_scale: float, submap: int) -> None:
        """
        Append a key frame.

        :param pose: (4, 4) in the frame of its submap, metres.
        :param log_scale: of its depth.
        :param submap: to which it belongs.
        """
        at = self.estimate
        self.frames[frame.number] = frame
        self.submaps[frame.number] = submap
        self.estimate = Estimate(
            np.concatenate([at.poses, pose[None]]), np.append(at.log_scales, log_scale)
        )

    def update(self, numbers: Iterable[int], estimate: Estimate) -> None:
        """
        Replace the estimate of some key frames.

        :param numbers: of them, in the order of the estimate.
        """
        index = self.indices(numbers)
        poses, scales = self.estimate.poses.copy(), self.estimate.log_scales.copy()
        poses[index], scales[index] = estimate.poses, estimate.log_scales
        self.estimate = Estimate(poses, scales)

    def merge(self, submap: int, into: int) -> None:
        """
        Move the key frames of one submap to another, whose frame their poses already have.

        :param submap: the younger one, which ends.
        :param into: the older one.
        """
        for number in self.members(submap):
            self.submaps[number] = into

    def remove(self, numbers: Collection[int]) -> None:
        """
        Remove key frames.

        :param numbers: of them.
        """
        at, index = self.estimate, self.indices(numbers)
        self.estimate = Estimate(
            np.delete(at.poses, index, axis=0), np.delete(at.log_scales, index)
        )
        for number in numbers:
            del self.frames[number], self.submaps[number]
