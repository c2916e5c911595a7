# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Images along a path that is corrected later: they move with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.viewer.scene import View

# At most so many images are kept, evenly spread over time.
MOST_VIEWS = 32
STEP_NS = 1_000_000_000


class KeptViews:
    """Keep some images relative to the nearest pose of a path, in bounded memory."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._begin()

    def _begin(self) -> None:
        self._kept: list[tuple[View, Array]] = []
        self._step_ns = STEP_NS

    def add(self, view: View, path: Trajectory) -> None:
        """
        Keep an image, if the last one was a while ago.

        :param view: newer than all before; one that is older begins anew.
        :param path: by the estimate of that time.
        """
        if self._kept and view.stamp_ns < self._kept[-1][0].stamp_ns:
            self._begin()
        if not len(path.stamps_ns):
            return
        if self._kept and view.stamp_ns < self._kept[-1][0].stamp_ns + self._step_ns:
            return
        self._kept.append((view, invert(_near(path, view.stamp_ns)) @ view.map_T_camera))
        if len(self._kept) == MOST_VIEWS:
            self._kept = self._kept[::2]
            self._step_ns *= 2

    def along(self, path: Trajectory) -> tuple[View, ...]:
        """
        Return the images at their places.

        :param path: by the newest estimate.
        """
        if not len(path.stamps_ns):
            return ()
        return tuple(
            replace(view, map_T_camera=_near(path, view.stamp_ns) @ path_T_camera)
            for view, path_T_camera in self._kept
        )


def _near(path: Trajectory, stamp_ns: int) -> Array:
    pose: Array = path.poses[int(np.abs(path.stamps_ns - stamp_ns).argmin())]
    return pose
