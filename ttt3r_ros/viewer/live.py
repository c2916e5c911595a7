# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The live view of a mapper in the same process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import time

import numpy as np

from ttt3r_ros.graph.located import LocatedFrame
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.settings import MapSettings
from ttt3r_ros.viewer.album import Album, thumbnail
from ttt3r_ros.viewer.of_mapper import map_state, MapState, slow_parts
from ttt3r_ros.viewer.scene import Cloud, Scene, View
from ttt3r_ros.viewer.viewer import Viewer

# Map, path and key frames are shown anew at most so often.
MAP_PERIOD_S = 1.0
# And the viewer rests so many times as long as it took to compute the points: a large map must not
# take a core.
REST = 9.0
# Rows and columns of the newest image for each of its points that is shown.
FRESH_STRIDE = 2


class LiveView:
    """Shows a mapper while it maps; without a browser nearly nothing is done."""

    def __init__(self, viewer: Viewer) -> None:
        """
        Begin with nothing shown.

        :param viewer: shows the scenes.
        """
        self._viewer = viewer
        self._due = 0.0
        self._rested = 0.0  # written by the viewer's thread
        self._slow = Scene()
        self._state: MapState | None = None
        self._cloud: tuple[MapState, Cloud] | None = None  # the newest one, by the viewer's thread

    def show(
        self, mapper: Mapper, album: Album, located: LocatedFrame, status: Mapping[str, str]
    ) -> None:
        """
        Show the mapper after an image.

        :param mapper: with the image in its map.
        :param album: with the images of the run.
        :param located: the image.
        :param status: for the user.
        """
        if not self._viewer.watched:
            return
        now = time.monotonic()
        if self._state is None or now >= max(self._due, self._rested):
            self._due = now + MAP_PERIOD_S
            self._slow = slow_parts(mapper, album)
            self._state = map_state(mapper, mapper.map.snapshot(), album)
        slow, state, bounds = self._slow, self._state, mapper.settings.map
        self._viewer.take(lambda: self._scene(slow, state, located, bounds, status))

    def _scene(
        self,
        slow: Scene,
        state: MapState,
        located: LocatedFrame,
        bounds: MapSettings,
        status: Mapping[str, str],
    ) -> Scene:
        """Return the scene, in the thread of the viewer."""
        if self._cloud is None or self._cloud[0] is not state:
            began = time.monotonic()
            self._cloud = state, state.cloud()
            ended = time.monotonic()
            self._rested = ended + REST * (ended - began)
        scene = replace(slow, cloud=self._cloud[1], status=status)
        if not located.in_map:
            return scene
        return replace(scene, newest=view_of(located), fresh=fresh_points(located, bounds))


def fresh_points(located: LocatedFrame, bounds: MapSettings) -> Cloud:
    """
    Return the points of an image in the map.

    :param bounds: which of them are good enough.
    """
    pointmap = located.pointmap.subsampled(FRESH_STRIDE)
    good = pointmap.reliable(bounds.confidence_threshold, bounds.max_range)
    points = pointmap.points_in(located.map_T_camera)
    return Cloud(points[good], pointmap.colors[good], pointmap.confidence[good])


def view_of(located: LocatedFrame) -> View:
    """
    Return the image of a frame at its place.

    :param located: by the back end.
    """
    small = thumbnail(located)
    pose = np.asarray(located.map_T_camera)
    return View(small.stamp_ns, pose, small.rgb, small.depth, small.fov)
