# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The key frames of a graph, oldest first, and their estimated poses and scales."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.pose_graph import Estimate

NOTHING = Estimate(np.empty((0, 4, 4)), np.empty(0))


class Nodes:
    """
    Key frames by their numbers, which rise, and one estimate of all in the same order.

    Each belongs to a piece, which has the number of the key frame that it began with. Poses of
    one piece are in one frame; those of the oldest piece are in the map.

    frames: by number; they may be replaced. estimate: in their order. pieces: by number.
    """

    def __init__(
        self,
        frames: Sequence[KeyFrame] = (),
        estimate: Estimate = NOTHING,
        pieces: Sequence[int] = (),
    ) -> None:
        """
        Begin with some.

        :param frames: by rising numbers; estimate, pieces: of each.
        """
        self.frames = {frame.number: frame for frame in frames}
        self.estimate = estimate
        self.pieces = dict(zip(self.frames, pieces))

    def __len__(self) -> int:
        """Return the number of key frames."""
        return len(self.frames)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the numbers of all key frames, rising."""
        return tuple(self.frames)

    @property
    def map_piece(self) -> int:
        """Return the piece that holds the map frame; there must be a key frame."""
        return self.pieces[self.numbers[0]]

    @property
    def newest_piece(self) -> int:
        """Return the piece that grows; there must be a key frame."""
        return self.pieces[self.numbers[-1]]

    @property
    def whole(self) -> bool:
        """Return whether all key frames are of one piece."""
        return len(set(self.pieces.values())) < 2

    def members(self, *pieces: int) -> tuple[int, ...]:
        """
        Return the numbers of the key frames of some pieces.

        :param pieces: one or more.
        """
        return tuple(number for number, piece in self.pieces.items() if piece in pieces)

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

    def add(self, frame: KeyFrame, pose: Array, log_scale: float, piece: int) -> None:
        """
        Append a key frame.

        :param pose: (4, 4) in the frame of its piece, metres.
        :param log_scale: of its depth.
        :param piece: to which it belongs.
        """
        at = self.estimate
        self.frames[frame.number] = frame
        self.pieces[frame.number] = piece
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

    def merge(self, piece: int, into: int) -> None:
        """
        Move the key frames of one piece to another, whose frame their poses already have.

        :param piece: the younger one, which ends.
        :param into: the older one.
        """
        for number in self.members(piece):
            self.pieces[number] = into

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
            del self.frames[number], self.pieces[number]
