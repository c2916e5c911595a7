# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The key frames of a graph, oldest first, and where they are believed to be."""

from __future__ import annotations

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.pose_graph import Estimate


class Nodes:
    """
    Key frames by their numbers, which rise, and one estimate of all in the same order.

    `frames` and `estimate` may be replaced in place by those who know better.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.frames: dict[int, KeyFrame] = {}
        self.estimate = Estimate(np.empty((0, 4, 4)), np.empty(0))

    def __len__(self) -> int:
        """Return the number of key frames."""
        return len(self.frames)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the numbers of all key frames, rising."""
        return tuple(self.frames)

    def add(self, frame: KeyFrame, map_T_camera: Array, log_scale: float) -> None:
        """
        Append a key frame.

        :param map_T_camera: (4, 4).
        :param log_scale: of its depth.
        """
        at = self.estimate
        self.frames[frame.number] = frame
        self.estimate = Estimate(
            np.concatenate([at.poses, map_T_camera[None]]), np.append(at.log_scales, log_scale)
        )

    def remove(self, index: int) -> None:
        """
        Remove a key frame.

        :param index: in the order of the numbers.
        """
        at = self.estimate
        del self.frames[self.numbers[index]]
        self.estimate = Estimate(
            np.delete(at.poses, index, axis=0), np.delete(at.log_scales, index)
        )

    def replace_newest(self, estimate: Estimate) -> None:
        """
        Take over what is believed of the newest key frames.

        :param estimate: of as many as it holds.
        """
        count = len(estimate.log_scales)
        poses, scales = self.estimate.poses.copy(), self.estimate.log_scales.copy()
        poses[-count:], scales[-count:] = estimate.poses, estimate.log_scales
        self.estimate = Estimate(poses, scales)
