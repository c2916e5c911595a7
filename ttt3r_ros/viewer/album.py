# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a run keeps for the viewer while it goes on: small images, and when a key frame began."""

from __future__ import annotations

from dataclasses import dataclass
import math

from ttt3r_ros.arrays import Array32, Pixels
from ttt3r_ros.graph.located import LocatedFrame
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.viewer.scene import View
from ttt3r_ros.viewer.thumbnails import small

# At most so many images are kept, evenly spread over the run; at least half as many.
MOST_IMAGES = 64


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A small image. See View for what it has; its pose follows from its stamp."""

    stamp_ns: int
    rgb: Pixels
    depth: Array32
    fov: float


class Album:
    """Keep some images of a run, in bounded memory, and the first stamp of each key frame."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.key_stamps_ns: dict[int, int] = {}
        self.first_ns: int | None = None
        self._kept: list[Thumbnail] = []
        self._count, self._interval = 0, 1

    def add(self, located: LocatedFrame) -> None:
        """
        Keep an image, if it is its turn.

        :param located: the next one.
        """
        stamp_ns = located.tracked.stamp_ns
        self.first_ns = stamp_ns if self.first_ns is None else self.first_ns
        self.key_stamps_ns.setdefault(located.key, stamp_ns)
        if self._count % self._interval == 0:
            self._kept.append(thumbnail(located))
        self._count += 1
        if len(self._kept) == MOST_IMAGES:
            self._kept = self._kept[::2]
            self._interval *= 2

    def views(self, path: Trajectory) -> tuple[View, ...]:
        """
        Return the images at their places by the newest estimate.

        :param path: map_T_camera; images without a pose are left out.
        """
        poses = dict(zip(path.stamps_ns.tolist(), path.poses))
        return tuple(
            View(one.stamp_ns, poses[one.stamp_ns], one.rgb, one.depth, one.fov)
            for one in list(self._kept)
            if one.stamp_ns in poses
        )


def thumbnail(located: LocatedFrame) -> Thumbnail:
    """
    Return the image and depth of a frame, small.

    :param located: by the back end.
    """
    pointmap, tracked = located.pointmap, located.tracked
    fitted = tracked.fit.intrinsics(tracked.camera)
    fov = 2.0 * math.atan(0.5 * fitted.height / fitted.fy)
    return Thumbnail(tracked.stamp_ns, small(pointmap.colors), small(pointmap.depth), fov)
