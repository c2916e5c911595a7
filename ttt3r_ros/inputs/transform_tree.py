# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The transforms between the frames of a robot, for a complete recording."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert
from ttt3r_ros.inputs.pose_series import PoseSeries
from ttt3r_ros.inputs.source import InputError
from ttt3r_ros.trajectory import seconds_text


class TransformMissing(InputError):
    """There is no transform between two frames, or none at the requested time."""


@dataclass(frozen=True, eq=False)
class FixedPose:
    """
    A pose that holds at all times.

    parent_T_child: (4, 4), metres.
    """

    parent_T_child: Array

    def at(self, stamp_ns: int) -> Array:
        """
        Return the pose.

        :param stamp_ns: has no influence.
        """
        del stamp_ns
        return self.parent_T_child


@dataclass(frozen=True, eq=False)
class Link:
    """
    One frame in another.

    topic: that it was recorded on. poses: parent_T_child over time.
    """

    topic: str
    parent: str
    child: str
    poses: PoseSeries | FixedPose

    def __str__(self) -> str:
        """Return the names as REP 105 writes them."""
        return f'{self.parent} -> {self.child}'


class TransformTree:
    """
    Frames and the links between them.

    A frame may have several parents, as a recording of two odometries has them: the path
    from frame to frame is the one with the fewest links, the same at all times.
    """

    def __init__(self, links: Iterable[Link]) -> None:
        """
        Connect the frames.

        :param links: in any order.
        """
        self.links = tuple(links)
        self._of_frame: dict[str, list[Link]] = defaultdict(list)
        for link in self.links:
            self._of_frame[link.parent].append(link)
            self._of_frame[link.child].append(link)
        self._paths: dict[tuple[str, str], list[Link] | None] = {}

    def path(self, target: str, source: str) -> list[Link] | None:
        """
        Return the links between two frames, from target to source.

        :param target: name of a frame.
        :param source: name of a frame; the same as target makes a path without a link.
        :returns: None where the frames are not connected.
        """
        if (target, source) not in self._paths:
            self._paths[target, source] = self._shortest(target, source)
        return self._paths[target, source]

    def look_up(self, target: str, source: str, stamp_ns: int) -> Array:
        """
        Return the pose of a frame in another at a time.

        Each link between them is interpolated on its own, at most across 1.5 s, or holds its
        nearest pose for 0.1 s (PoseSeries).

        :param target: name of a frame.
        :param source: name of a frame.
        :param stamp_ns: nanoseconds.
        :returns: (4, 4) target_T_source, metres.
        :raises TransformMissing: naming both frames.
        """
        path = self.path(target, source)
        if path is None:
            raise TransformMissing(f'no transform from {target!r} to {source!r} in the bag')
        target_T_frame, frame = np.eye(4), target
        for link in path:
            parent_T_child = link.poses.at(stamp_ns)
            if parent_T_child is None:
                raise TransformMissing(
                    f'no transform from {target!r} to {source!r} at {seconds_text(stamp_ns)} s: '
                    f'the bag has no {link} near it'
                )
            downwards = link.parent == frame
            target_T_frame = target_T_frame @ (
                parent_T_child if downwards else invert(parent_T_child)
            )
            frame = link.child if downwards else link.parent
        return target_T_frame

    def _shortest(self, target: str, source: str) -> list[Link] | None:
        """Search breadth first."""
        paths: dict[str, list[Link]] = {target: []}
        reached = [target]
        for frame in reached:  # grows while it is gone through
            if frame == source:
                return paths[frame]
            for link in self._of_frame.get(frame, ()):
                other = link.child if link.parent == frame else link.parent
                if other not in paths:
                    paths[other] = [*paths[frame], link]
                    reached.append(other)
        return None
